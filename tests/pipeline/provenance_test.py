"""Whatever a number depends on changes the fingerprint, what changed is named in one line, and nothing mixes."""

import dataclasses
import os
import shutil
import zlib

import numpy as np
import pytest

import causal_iqa
from causal_iqa import pipeline
from causal_iqa.pipeline import provenance, rows, store
from tests.pipeline import folders


@pytest.fixture(autouse=True)
def no_program(monkeypatch):
    """Scores drawn from the pixels, so that nothing is compiled."""

    def make_step(study, execution):
        def step(batch):
            seen = [zlib.crc32(image.tobytes()) % 1000 / 1000 for image in batch.images]
            values = np.asarray([seen] * len(study.config.conditions), np.float32)
            return {"entropy": values, "mine/correct": values > 0.5}

        return step, 4

    monkeypatch.setattr(rows, "make_step", make_step)
    monkeypatch.setattr(store, "PART_IMAGES", 4)


def _run(config, folder, **named):
    study = pipeline.prepare(config)
    return pipeline.run(study, pipeline.Store(folder, config, study.provenance, study.details), **named)


def _refusal(config, folder):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(causal_iqa.InputError) as error:
        _run(config, folder)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return str(error.value)


def test_nothing_changed_is_the_same_study(config, tmp_path):
    first = _run(config, tmp_path / "run")
    for path in (tmp_path / "images").rglob("*.png"):
        os.utime(path, ns=(1, 1))  # As a copy of the folder: its content counts.
    again = _run(config, tmp_path / "run")
    assert first.image_ids == again.image_ids and len(first.image_ids) == 10
    assert pipeline.read_run(tmp_path / "run").table.image_ids == first.image_ids


def test_swapped_class_folders_are_another_dataset(config, tmp_path):
    _run(config, tmp_path / "run")
    images = tmp_path / "images"
    (images / "a").rename(images / "c")
    (images / "b").rename(images / "a")
    (images / "c").rename(images / "b")
    message = _refusal(config, tmp_path / "run")
    assert "the judged images changed: 10 of other content (first: " in message
    assert message.endswith("start a new --output_dir or restore it")


def test_a_relabelled_class_is_named(config, tmp_path):
    (tmp_path / "classes.txt").write_text("a\nb\n")
    config = dataclasses.replace(config, classes=str(tmp_path / "classes.txt"))
    _run(config, tmp_path / "run")
    (tmp_path / "classes.txt").write_text("b\na\n")
    message = _refusal(config, tmp_path / "run")
    assert "the list of classes changed" in message
    assert "the judged images changed: 10 of another class (first: " in message


def test_images_added_after_a_kill_mix_with_nothing(config, tmp_path):
    class Killed(Exception):
        pass

    def kill(done, total):
        if done > 4:
            raise Killed

    with pytest.raises(Killed):
        _run(config, tmp_path / "run", progress=kill)
    assert [path.name for path in (tmp_path / "run" / "scores").iterdir()] == ["part-00000.parquet"]
    folders.write_images(tmp_path / "images", "ab", range(5, 25))
    message = _refusal(config, tmp_path / "run")
    assert "the judged images changed: 40 added (first: " in message and "gone" not in message
    for path in (tmp_path / "images").rglob("*.png"):
        if int(path.stem) >= 5:
            path.unlink()
    assert len(set(_run(config, tmp_path / "run").image_ids)) == 10


def test_an_image_that_changed_or_went_is_named(config, tmp_path):
    _run(config, tmp_path / "run")
    shutil.copy(tmp_path / "images" / "a" / "000.png", tmp_path / "images" / "a" / "001.png")
    (tmp_path / "images" / "b" / "004.png").unlink()
    message = _refusal(config, tmp_path / "run")
    assert "1 gone (first: b/004.png), 1 of other content (first: a/001.png)" in message


def test_changed_code_of_a_users_network_is_named(config, tmp_path):
    _run(config, tmp_path / "run")
    code = (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text(code.replace("features[:2]", "features[1:]"))
    assert "holds another run: the network mine changed; start" in _refusal(config, tmp_path / "run")


@pytest.mark.parametrize(
    "part, expected",
    [
        ("library", "the library changed (0.0 old there, "),
        ("version of JAX", "the version of JAX changed (0.0 old there, "),
        ("network mine", "the network mine changed"),
        ("file textures", "the file textures is gone"),
    ],
)
def test_whatever_else_differs_is_named(config, tmp_path, part, expected):
    study = pipeline.prepare(config)
    origin = study.provenance
    before = provenance.Provenance.of({**origin.parts, part: "0.0 old"}, origin.images, origin.anchors)
    pipeline.run(study, pipeline.Store(tmp_path / "run", config, before, study.details))
    assert expected in _refusal(config, tmp_path / "run")


def test_anchor_images_are_in_it(config, tmp_path):
    origin = pipeline.prepare(config).provenance
    moved = provenance.Provenance.of(origin.parts, origin.images, provenance.Listing(("x",), (0,), ("1",)))
    other = provenance.Provenance.of(origin.parts, origin.images, provenance.Listing(("x",), (0,), ("2",)))
    assert len({origin.fingerprint, moved.fingerprint, other.fingerprint}) == 3
    (changed,) = provenance.differences(moved, {}, other, {})
    assert changed == "the anchor images changed: 1 of other content (first: x)"
