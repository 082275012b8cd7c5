"""Two sources hold the same images when they read the same things, whatever they are called."""

import os
import pathlib

import numpy as np
import PIL.Image
import pytest

from causal_iqa import data
from causal_iqa.data import scenes


def _write(path: pathlib.Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


@pytest.fixture
def root(tmp_path):
    for i, name in enumerate(("a/0.png", "a/1.png", "b/2.png")):
        _write(tmp_path / "first" / name, i)
    return tmp_path


def test_files_are_the_same_under_other_spellings_and_links(root, monkeypatch):
    monkeypatch.chdir(root)
    source = data.open_folder(root / "first")
    for spelling in ("first", "./first/../first", f"{root}//first"):
        other = data.open_folder(spelling)
        assert data.shared_ids(other, source, [0, 2]) == {source.id(0), source.id(2)}
    _write(root / "second" / "x" / "own.png", 9)
    os.link(root / "first" / "a" / "1.png", root / "second" / "x" / "hard.png")
    (root / "second" / "y").symlink_to(root / "first" / "b")
    second = data.open_folder(root / "second")
    assert data.shared_ids(second, source, range(3)) == {"x/hard.png", "y/2.png"}
    assert data.shared_ids(second, source, []) == frozenset()


def test_copies_are_found_by_content(root):
    source = data.open_folder(root / "first")
    assert data.copies(source, range(3), source, range(3)) == ()
    copy = (root / "first" / "a" / "1.png").read_bytes()
    (root / "second").mkdir()
    (root / "second" / "renamed.png").write_bytes(copy)
    (root / "second" / "same_size.png").write_bytes(copy[:-1] + b"x")
    second = data.open_images(root / "second")
    assert data.copies(second, range(2), source, range(3)) == (("renamed.png", "a/1.png"),)
    assert data.copies(second, range(2), source, [0, 2]) == ()
    (root / "first" / "b" / "twin.png").write_bytes(copy)
    source = data.open_folder(root / "first")
    assert data.copies(source, range(4), source, range(4)) == (("a/1.png", "b/twin.png"), ("b/twin.png", "a/1.png"))
    # A link is the same image, not a copy.
    (root / "first" / "b" / "twin.png").unlink()
    (root / "first" / "b" / "twin.png").symlink_to(root / "first" / "a" / "1.png")
    source = data.open_folder(root / "first")
    assert data.copies(source, range(4), source, range(4)) == ()


def test_scenes_are_the_same_by_seed_split_and_size():
    source = scenes.SceneSource(split="test", seed=1)
    assert data.shared_ids(scenes.SceneSource(split="test", seed=1), source, [3, 5]) == {"test/00003", "test/00005"}
    for other in ({"seed": 2}, {"size": 32}, {"split": "train"}):
        assert not data.shared_ids(scenes.SceneSource(**{"split": "test", "seed": 1} | other), source, range(10))
    assert data.copies(source, range(3), source, range(3)) == ()


def test_a_source_without_places_is_taken_at_its_name():
    class Own:
        def __init__(self, name):
            self.name = name

        def __len__(self):
            return 3

        def id(self, index):
            return f"image{index}"

    assert data.shared_ids(Own("x"), Own("x"), [1]) == {"image1"}
    assert data.shared_ids(Own("x"), Own("y"), [1]) == frozenset()
