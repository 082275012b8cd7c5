"""`score` as its users call it: sets, resume, maps, notebooks."""

import json
import os
import shutil

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

import causal_iqa
from causal_iqa import data, pipeline
from causal_iqa.pipeline import scored
from tests.experiments.binaries import error_of, run

_SIDE = 48
_OPTIONS = ("--metrics=rms_contrast,noise_sigma", "--num_devices=1")


def test_a_killed_scoring_goes_on_and_gives_the_same_bytes(photo_folders, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scored, "PART_IMAGES", 16)
    arguments = (f"--images={photo_folders / 'noisy'}", "--backbone=none", *_OPTIONS)
    run("score", *arguments, f"--output_dir={tmp_path / 'whole'}")
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole" / "scores").iterdir()}
    assert len(whole) == 3
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    (tmp_path / "cut" / "scores.parquet").unlink()
    gone, damaged, _ = sorted((tmp_path / "cut" / "scores").iterdir())
    gone.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-40])
    computed = []
    step = scored.rows.make_step
    monkeypatch.setattr(scored.rows, "make_step", lambda *rest: computed.append(1) or step(*rest))
    run("score", *arguments, f"--output_dir={tmp_path / 'cut'}")
    assert {path.name: path.read_bytes() for path in (tmp_path / "cut" / "scores").iterdir()} == whole
    for name in ("scores.parquet", "summary.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert computed == [1]
    run("score", *arguments, f"--output_dir={tmp_path / 'cut'}")
    assert computed == [1], "nothing is left to compute"
    other = error_of(capsys, "score", *arguments, "--image_size=40", f"--output_dir={tmp_path / 'cut'}")
    assert "holds another scoring: image_size (None there, 40 now)" in other


def test_only_parts_with_changed_images_are_scored_again(photo_folders, tmp_path, monkeypatch):
    monkeypatch.setattr(scored, "PART_IMAGES", 16)
    shutil.copytree(photo_folders / "clean", tmp_path / "images")
    arguments = (f"--images={tmp_path / 'images'}", "--backbone=none", *_OPTIONS, f"--output_dir={tmp_path / 'out'}")
    run("score", *arguments)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out" / "scores").iterdir()}
    last = sorted((tmp_path / "images").rglob("*.png"))[-1]
    PIL.Image.new("RGB", (_SIDE, _SIDE), (5, 5, 5)).save(last)
    run("score", *arguments)
    after = {path.name: path.read_bytes() for path in (tmp_path / "out" / "scores").iterdir()}
    assert [name for name in before if before[name] != after[name]] == [max(before)]
    odd = pq.read_table(tmp_path / "out" / "scores.parquet")["odd"].to_pylist()
    assert odd[-1] == "one colour" and not any(odd[:-1])


_SLOW = pytest.mark.slow


@pytest.mark.parametrize("batch", [pytest.param(1, marks=_SLOW), 7, pytest.param(24, marks=_SLOW)])
def test_scores_do_not_depend_on_the_batch(photo_folders, batch):
    options = {"backbones": [], "metrics": ["rms_contrast"]}
    first = causal_iqa.score(photo_folders / "noisy", **options, execution=pipeline.Execution(num_devices=1))
    other = causal_iqa.score(
        photo_folders / "noisy", **options, execution=pipeline.Execution(batch_size=batch, num_devices=1)
    )
    assert first.table.equals(other.table) and first.skipped == other.skipped and len(first.skipped) == 1


def test_images_of_one_colour_have_no_cause():
    noise = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), np.uint8)
    arrays = [*noise, np.full((30, 40, 3), 200, np.uint8), np.zeros((1, 1, 3), np.uint8)]
    scored = causal_iqa.score(arrays, backbones=[], metrics=["rms_contrast"])
    columns = ("cause", "cause_severity", "cause_probability")
    found = [[row[name] is not None for name in columns] for row in scored.table.to_pylist()]
    assert [row[0] for row in found] == [row[2] for row in found] == [True, True, False, False]
    assert not found[2][1] and not found[3][1]


def test_notebooks_take_paths_arrays_and_several_sets(photo_folders, tmp_path):
    paths = sorted((photo_folders / "clean").rglob("*.png"))[:6]
    arrays = [np.asarray(PIL.Image.open(path)) for path in paths]
    options = {"backbones": [], "metrics": ["rms_contrast"], "execution": pipeline.Execution(num_devices=1)}
    by_path = causal_iqa.score(paths, **options)
    by_array = causal_iqa.score({"now": arrays, "then": np.stack(arrays)[::-1]}, **options)
    np.testing.assert_array_equal(by_path.quality, by_array.quality[:6])
    np.testing.assert_array_equal(by_path.quality[::-1], by_array.quality[6:])
    assert by_path.table["image_id"].to_pylist() == [os.fspath(path) for path in paths]
    assert "6 images" in str(by_path)
    by_array.write(tmp_path / "out")
    assert (tmp_path / "out" / "report.html").exists()
    one = causal_iqa.score(arrays[0][None], **options)
    assert any("too few" in line for line in one.findings.remarks)
    with pytest.raises(TypeError, match="images: "):
        causal_iqa.score(7, **options)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"accuracy": 1.5}, "accuracy: expected a number between 0 and 1, got 1.5"),
        ({"level": 95}, "level: expected a number between 0 and 1, got 95"),
        ({"threshold": np.nan}, "threshold: expected a finite number, got nan"),
        ({"images": []}, "images: expected at least one image, got an empty list"),
        ({"images": {"now": ()}}, "images: expected at least one image, got an empty list"),
    ],
)
def test_notebooks_refuse_what_cannot_be_answered_before_they_score(given, words, monkeypatch):
    monkeypatch.setattr(pipeline, "score_sets", lambda *_, **__: pytest.fail("something was scored"))
    images = given.pop("images", np.zeros((2, 32, 32, 3), np.uint8))
    with pytest.raises(causal_iqa.InputError, match=words):
        causal_iqa.score(images, backbones=[], metrics=["entropy"], **given)


def test_the_list_of_poor_images_is_itself_a_source(photo_folders, tmp_path, monkeypatch):
    monkeypatch.chdir(photo_folders)
    found = causal_iqa.score("clean", backbones=[], metrics=["rms_contrast"], threshold=1.0)
    found.write(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    (listed,) = data.open_sets(["elsewhere/below_threshold.txt"])
    assert len(listed.source) == found.table.num_rows and listed.source[0].image.shape == (_SIDE, _SIDE, 3)


def test_the_default_backbone_is_said_or_how_to_get_it(photo_folders, tmp_path, capsys, monkeypatch):
    def missing(name):
        raise causal_iqa.InputError("not there")

    monkeypatch.setattr(causal_iqa.backbones, "bundled", missing)
    run("score", f"--images={photo_folders / 'clean'}", *_OPTIONS, f"--output_dir={tmp_path / 'out'}")
    printed = capsys.readouterr().out
    assert "pip install 'causal-iqa[imagenet]'" in printed.splitlines()[0]
    assert "No-reference statistics hardly predict" in printed
    assert "No-reference statistics hardly predict" in (tmp_path / "out" / "report.html").read_text()
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["family"] == "no_reference"
