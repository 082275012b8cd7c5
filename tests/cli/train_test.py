"""Training on ordinary folders: flat or with classes, with splits or without; and on checkpoints that were damaged."""

import json
import sys
import types

import numpy as np
import PIL.Image
import pytest

from causal_iqa import backbones
from tests.experiments import binaries

_SMALL = ("--steps=2", "--batch_size=4", "--image_size=16", "--network=scene_cnn_a")


def _images(folder, count, seed=0):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        PIL.Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(folder / f"{number}.png")


def _train(tmp_path, folder, *flags):
    output = tmp_path / "net.safetensors"
    binaries.run("train", f"--dataset=folder:{folder}", f"--output={output}", *_SMALL, *flags)
    return backbones.read(output).metadata


@pytest.mark.parametrize("objective", ["simclr", "rotation"])
def test_a_flat_folder_does_for_self_supervision(tmp_path, objective):
    _images(tmp_path / "photos", 10)
    metadata = _train(tmp_path, tmp_path / "photos", f"--objective={objective}")
    assert (metadata["num_images"], metadata["num_evaluation"]) == ("8", "2")
    assert (metadata["split"], metadata["evaluation_split"]) == ("none", "held out")


class _Writer:
    """Stands in for the writer of tensorboardX."""

    written: dict

    def __init__(self, folder):
        type(self).written = {"folder": folder}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.written["closed"] = True

    def add_scalar(self, name, value, step):
        self.written[name] = (step, value)

    def flush(self):
        self.written["flushed"] = True


def test_class_folders_without_splits_and_summaries_for_tensorboard(tmp_path, monkeypatch):
    for name in ("cat", "dog"):
        _images(tmp_path / "photos" / name, 5)
    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=_Writer))
    metadata = _train(tmp_path, tmp_path / "photos", "--tensorboard_dir=board")
    assert 0 <= float(metadata["accuracy"]) <= 1
    written = _Writer.written
    assert written["folder"] == "board" and written["closed"] and written["flushed"]
    assert written["loss"][0] == 2 and np.isfinite(written["loss"][1])
    assert written["accuracy"] == (2, pytest.approx(float(metadata["accuracy"]), abs=1e-4))


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch, capsys):
    _images(tmp_path / "photos" / "cat", 2)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    message = binaries.error_of(
        capsys, "train", f"--dataset=folder:{tmp_path / 'photos'}", f"--output={tmp_path / 'n.safetensors'}", *_SMALL,
        "--tensorboard_dir=board",
    )  # fmt: skip
    assert "causal-iqa[tensorboard]" in message


def test_a_folder_with_splits(tmp_path):
    for split, count in (("train", 6), ("val", 3)):
        for name in ("cat", "dog"):
            _images(tmp_path / "photos" / split / name, count)
    metadata = _train(tmp_path, tmp_path / "photos", "--num_evaluation=all")
    assert (metadata["split"], metadata["evaluation_split"]) == ("train", "val")
    assert (metadata["num_images"], metadata["num_evaluation"]) == ("12", "6")


def test_a_folder_with_fewer_images_than_a_batch(tmp_path, capsys):
    _images(tmp_path / "photos", 4)
    message = binaries.error_of(
        capsys, "train", f"--dataset=folder:{tmp_path / 'photos'}", f"--output={tmp_path / 'n.safetensors'}", *_SMALL,
        "--objective=simclr",
    )  # fmt: skip
    assert "batch_size: 4 is more than the 3 training images" in message


def test_damaged_checkpoints_are_said_in_one_line(tmp_path, capsys):
    _images(tmp_path / "photos", 10)
    kept = tmp_path / "kept"
    flags = ("--objective=simclr", f"--checkpoint_dir={kept}", "--checkpoint_every=1")
    _train(tmp_path, tmp_path / "photos", *flags)
    command = (
        "train", f"--dataset=folder:{tmp_path / 'photos'}", f"--output={tmp_path / 'net.safetensors'}", *_SMALL, *flags
    )  # fmt: skip
    for file in (kept / "1").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert "is damaged" in binaries.error_of(capsys, *command)
    for text in ('{"steps": ', "[1]", json.dumps("text")):
        (kept / "config.json").write_text(text)
        message = binaries.error_of(capsys, *command)
        assert "config.json is damaged; remove it" in message
