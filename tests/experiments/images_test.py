"""What is wrong with images and folders is said before a run begins, and no run ends on it."""

import csv
import json
import os
import pathlib

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

from causal_iqa import data, pipeline
from causal_iqa.data import scenes
from tests.experiments.binaries import error_of, run

_STUDY = (
    "--network=scene_cnn_b",
    "--degradations=brightness",
    "--severities=5",
    "--metrics=rms_contrast",
    "--num_images=all",
    "--num_resamples=10",
    "--num_devices=1",
)


def _write(path: pathlib.Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    for i, name in enumerate(scenes.CLASS_NAMES):
        _write(tmp_path / "images" / name / "0.png", i)
    return tmp_path / "images"


def _align(folder: pathlib.Path, *more: str, backbone: str = "none") -> pathlib.Path:
    output = folder.parent / "run"
    run("align", f"--dataset=folder:{folder}", *_STUDY, f"--backbone={backbone}", f"--output_dir={output}", *more)
    return output


def test_align_says_what_it_leaves_out_and_ends_on_no_name(folder, capsys):
    (folder / "disk" / "notes.txt").write_text("")
    os.mkfifo(folder / "ring" / "pipe.png")
    _write(folder / "ring" / "photo.tiff", 99)
    PIL.Image.fromarray(np.zeros((60, 60, 3), np.uint8)).save(folder / "disk" / "large.png")
    os.rename(folder / "disk" / "0.png", os.fsencode(folder) + b"/disk/\xe9t\xe9.png")
    renamed = pathlib.Path(os.fsdecode(os.fsencode(folder.parent) + b"/\xe9t\xe9"))
    folder.rename(renamed)
    output = _align(renamed, "--max_pixels=2500", "--image_size=48")
    printed = capsys.readouterr().out.splitlines()
    said = ["passed over: 1 .txt", "passed over: ring/pipe.png: a pipe"]
    assert printed[:2] == said, "before the run"
    assert "skipped disk/large.png: 60 x 60 pixels are more than the budget of 2500 (max_pixels)" in printed
    assert json.loads((output / "config.json").read_text())["dataset"]["remarks"] == said
    ids = set(pq.read_table(output / "scores")["image_id"].to_pylist())
    assert {"disk/\\xe9t\\xe9.png", "ring/photo.tiff"} <= ids and len(ids) == 11
    assert (output / "report.html").exists()


def test_score_says_it_too_and_reads_the_same_files(folder, capsys, tmp_path):
    (folder / "disk" / "notes.txt").write_text("")
    (folder / "linked").symlink_to(folder.parent / "elsewhere")
    _write(folder.parent / "elsewhere" / "far.webp", 5)
    os.rename(folder / "disk" / "0.png", os.fsencode(folder) + b"/disk/\xe9t\xe9.png")
    expected = {f"{name}/0.png" for name in scenes.CLASS_NAMES[1:]} | {"disk/\\xe9t\\xe9.png", "linked/far.webp"}
    options = ("--metrics=rms_contrast", "--num_devices=1", "--backbone=none")
    run("score", f"--images={folder}", *options, f"--output={tmp_path / 's.csv'}", f"--output_dir={tmp_path / 'out'}")
    assert capsys.readouterr().out.splitlines()[0] == "passed over: 1 .txt"
    with open(tmp_path / "s.csv", encoding="utf-8") as file:
        assert {row["image_id"] for row in csv.DictReader(file)} == expected
    assert set(pq.read_table(tmp_path / "out" / "scores.parquet")["image_id"].to_pylist()) == expected


class _HalfLabelled(scenes.SceneSource):
    """Scenes of which every second has no label."""

    def label(self, index):
        return super().label(index) if index % 2 == 0 else data.UNLABELLED

    def __len__(self):
        return 40


def test_unlabelled_images_are_left_out_and_counted(monkeypatch):
    monkeypatch.setattr(data, "open_source", lambda spec, **rest: _HalfLabelled())
    config = pipeline.StudyConfig(networks=(pipeline.NetworkChoice.parse("scene_cnn_b"),), num_images=None)
    study = pipeline.prepare(config)
    assert sorted(study.indices) == list(range(0, 40, 2))
    assert study.details["dataset"]["unlabelled"] == 20
    assert "20 images are left out for having no label: a network is judged on labelled ones" in study.remarks


def test_images_without_any_label_are_refused(tmp_path, capsys, monkeypatch):
    source = _HalfLabelled()
    source.label = lambda index: data.UNLABELLED
    monkeypatch.setattr(data, "open_source", lambda spec, **rest: source)
    message = error_of(capsys, "align", *_STUDY, "--backbone=none", f"--output_dir={tmp_path / 'run'}")
    assert "labels: none of the 40 images" in message


def test_anchors_in_another_spelling_are_not_judged_images(folder, capsys):
    """Every anchor would be judged: nothing is left, which is refused."""
    arguments = ("--backbone=scene_features", "--anchors=images", f"--anchor_dataset=folder:{folder}/../images")
    message = error_of(capsys, "align", f"--dataset=folder:{folder}", *_STUDY, *arguments)
    assert "no image of" in message and "is left as an anchor" in message


def test_copies_among_the_anchors_are_counted(folder):
    for i, name in enumerate(scenes.CLASS_NAMES):
        _write(folder.parent / "anchors" / name / "other.png", 50 + i)
    twin = folder.parent / "anchors" / "disk" / "renamed.png"
    twin.write_bytes((folder / "disk" / "0.png").read_bytes())
    config = pipeline.StudyConfig(
        dataset=f"folder:{folder}",
        networks=(pipeline.NetworkChoice.parse("scene_cnn_b"),),
        backbones=(pipeline.NetworkChoice.parse("scene_features"),),
        anchors="images",
        anchor_dataset=f"folder:{folder.parent}/anchors",
        num_images=None,
    )
    study = pipeline.prepare(config)
    assert study.anchors["copies_of_judged"] == 1
    said = [line for line in study.remarks if "copies" in line]
    assert len(said) == 1 and said[0].startswith("anchors: 1 are copies of judged images, e.g. disk/renamed.png = ")


def test_class_folders_are_counted_when_asked(tmp_path, capsys):
    for i in range(10):
        _write(tmp_path / "images" / f"class{i + 1}" / "0.png", i)
    output = _align(tmp_path / "images", "--class_order=natural")
    assert "class_order" not in capsys.readouterr().out
    labels = {row["image_id"]: row["label"] for row in pq.read_table(output / "scores").to_pylist()}
    assert labels == {f"class{i + 1}/0.png": i for i in range(10)}


@pytest.mark.parametrize("name", ["align", "score", "sheet"])
def test_a_deleted_working_directory_is_one_line(name, tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    required = ["--images=x"] if name == "score" else []
    assert "the working directory was deleted" in error_of(capsys, name, *required)


def test_sheet_opens_regular_files_only(tmp_path, capsys):
    os.mkfifo(tmp_path / "photo.jpg")
    message = error_of(capsys, "sheet", f"--image={tmp_path / 'photo.jpg'}", f"--output_dir={tmp_path}")
    assert "--image" in message and "a pipe, not a regular file" in message
