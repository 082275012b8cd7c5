"""What is wrong with images and folders is said before a run begins, and no run ends on it."""

import csv
import json
import os
import pathlib

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

from causal_iqa import data
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


def _align(folder: pathlib.Path, *more: str) -> pathlib.Path:
    output = folder.parent / "run"
    run("align", f"--dataset=folder:{folder}", *_STUDY, f"--output_dir={output}", *more)
    return output


def test_align_says_what_it_passes_over_before_it_runs(folder, capsys):
    (folder / "disk" / "notes.txt").write_text("")
    os.mkfifo(folder / "ring" / "pipe.png")
    _write(folder / "ring" / "photo.tiff", 99)
    output = _align(folder)
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["passed over: 1 .txt", "passed over: ring/pipe.png: a pipe"]
    assert printed.index("passed over: 1 .txt") < min(i for i, line in enumerate(printed) if "rms_contrast" in line)
    recorded = json.loads((output / "config.json").read_text())["dataset"]
    assert recorded["remarks"] == printed[:2]
    ids = pq.read_table(output / "scores")["image_id"].to_pylist()
    assert "ring/photo.tiff" in ids and len(set(ids)) == 11


def test_score_says_it_too_and_reads_the_same_files(folder, capsys, tmp_path):
    (folder / "disk" / "notes.txt").write_text("")
    (folder / "linked").symlink_to(folder.parent / "elsewhere")
    _write(folder.parent / "elsewhere" / "far.webp", 5)
    output = tmp_path / "scores.csv"
    run("score", f"--images={folder}", "--metrics=rms_contrast", "--num_devices=1", f"--output={output}")
    assert capsys.readouterr().out.splitlines()[0] == "passed over: 1 .txt"
    with open(output) as file:
        rows = list(csv.DictReader(file))
    assert {row["image_id"] for row in rows} == {f"{name}/0.png" for name in scenes.CLASS_NAMES} | {"linked/far.webp"}


def test_no_run_ends_on_a_name_that_is_not_utf8(folder, tmp_path):
    os.rename(folder / "disk" / "0.png", os.fsencode(folder) + b"/disk/\xe9t\xe9.png")
    output = _align(folder)
    assert "disk/\\xe9t\\xe9.png" in pq.read_table(output / "scores")["image_id"].to_pylist()
    for name in ("scores.csv", "scores.parquet"):
        run("score", f"--images={folder}", "--metrics=entropy", "--num_devices=1", f"--output={tmp_path / name}")
    assert "disk/\\xe9t\\xe9.png" in (tmp_path / "scores.csv").read_text("utf-8")
    assert "disk/\\xe9t\\xe9.png" in pq.read_table(tmp_path / "scores.parquet")["image_id"].to_pylist()


class _HalfLabelled(scenes.SceneSource):
    """Scenes of which every second has no label."""

    def label(self, index):
        return super().label(index) if index % 2 == 0 else data.UNLABELLED

    def __len__(self):
        return 40


def test_unlabelled_images_are_left_out_and_counted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(data, "open_source", lambda spec, **rest: _HalfLabelled())
    run("align", *_STUDY, "--metrics=psnr", f"--output_dir={tmp_path / 'run'}")
    table = pq.read_table(tmp_path / "run" / "scores")
    assert set(table["image_id"].to_pylist()) == {f"test/{i:05d}" for i in range(0, 40, 2)}
    assert min(table["label"].to_pylist()) >= 0
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())["dataset"]
    assert recorded["unlabelled"] == 20
    assert "20 images are left out for having no label" in capsys.readouterr().out


def test_images_without_any_label_are_refused(tmp_path, capsys, monkeypatch):
    source = _HalfLabelled()
    source.label = lambda index: data.UNLABELLED
    monkeypatch.setattr(data, "open_source", lambda spec, **rest: source)
    message = error_of(capsys, "align", *_STUDY, f"--output_dir={tmp_path / 'run'}")
    assert "labels: none of the 40 images" in message


def test_anchors_in_another_spelling_are_not_judged_images(folder, capsys):
    """Every anchor would be judged: nothing is left, which is refused."""
    arguments = ("--backbone=scene_features", "--anchors=images", f"--anchor_dataset=folder:{folder}/../images")
    message = error_of(capsys, "align", f"--dataset=folder:{folder}", *_STUDY, *arguments)
    assert "no image of" in message and "is left as an anchor" in message


def test_copies_among_the_anchors_are_counted(folder, capsys):
    for i, name in enumerate(scenes.CLASS_NAMES):
        _write(folder.parent / "anchors" / name / "other.png", 50 + i)
    twin = folder.parent / "anchors" / "disk" / "renamed.png"
    twin.write_bytes((folder / "disk" / "0.png").read_bytes())
    arguments = ("--backbone=scene_features", "--anchors=images", f"--anchor_dataset=folder:{folder.parent}/anchors")
    output = _align(folder, *arguments)
    assert json.loads((output / "config.json").read_text())["anchors"]["copies_of_judged"] == 1
    assert "anchors: 1 are copies of judged images, e.g. disk/renamed.png = disk/0.png" in capsys.readouterr().out


def test_larger_images_than_the_budget_are_skipped_by_name(folder, capsys):
    PIL.Image.fromarray(np.zeros((60, 60, 3), np.uint8)).save(folder / "disk" / "large.png")
    _align(folder, "--max_pixels=2500", "--image_size=48")
    assert "skipped disk/large.png: 60 x 60 pixels are more than the budget of 2500" in capsys.readouterr().out


def test_counting_class_folders_are_remarked(tmp_path, capsys):
    for i in range(10):
        _write(tmp_path / "images" / f"class{i + 1}" / "0.png", i)
    _align(tmp_path / "images")
    assert "class_order=natural" in capsys.readouterr().out
    (tmp_path / "run").rename(tmp_path / "before")
    _align(tmp_path / "images", "--class_order=natural")
    assert "class_order" not in capsys.readouterr().out
    labels = pq.read_table(tmp_path / "run" / "scores").to_pylist()
    assert {row["image_id"]: row["label"] for row in labels} == {f"class{i + 1}/0.png": i for i in range(10)}


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


def test_no_run_ends_on_a_folder_that_is_not_utf8(folder, capsys):
    renamed = pathlib.Path(os.fsdecode(os.fsencode(folder.parent) + b"/\xe9t\xe9"))
    folder.rename(renamed)
    output = _align(renamed)
    assert (output / "report.html").exists()
    assert "results:" in capsys.readouterr().out
