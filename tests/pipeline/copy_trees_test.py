"""Trees of degraded images: which layouts are read, and what each that is none says."""

import re

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, data
from causal_iqa.degradations import Condition
from causal_iqa.pipeline import copy_trees


def _image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (4, 4)).save(path)


def test_folders_and_their_manifest(tmp_path):
    for place in ("defocus_blur+fog/1+2.5/x.png", "scale[direction=in]/3/x.png", "clean/0/x.png", ".cache/1/x.png"):
        _image(tmp_path / place)
    _image(tmp_path / "annotations/fog/1/x.png")
    tree = copy_trees.open_tree(str(tmp_path))
    assert sorted(map(str, tree.conditions)) == ["defocus_blur/1+fog/2.5", "scale[direction=in]/3"]
    assert tree.has_clean and tree.details == {} and tree.records is None and tree.labels is None
    assert tree.folders[Condition.parse("scale[direction=in]/3")] == "scale[direction=in]/3"
    (tmp_path / "manifest.json").write_text('{"software": {"jax": "0"}, "sha256": {}}')
    assert copy_trees.open_tree(tmp_path).details == {"software": {"jax": "0"}}
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json cannot be read"):
        copy_trees.open_tree(tmp_path)


def test_clean_images_may_lie_in_the_tree(tmp_path):
    for place in ("fog/1/a/x.png", "clean/0/a/x.png"):
        _image(tmp_path / place)
    found = copy_trees.open_tree(tmp_path)
    assert found.clean_spec == f"folder:{tmp_path}/clean/0"
    assert len(data.open_source(found.clean_spec)) == 1
    _image(tmp_path / "clean/0/y.png")
    assert copy_trees.open_tree(tmp_path).clean_spec == f"images:{tmp_path}/clean/0", "images without class folders"
    (tmp_path / "clean").rename(tmp_path / ".hidden")
    with pytest.raises(InputError, match="holds no clean images"):
        copy_trees.open_tree(tmp_path).clean_spec  # noqa: B018


def test_arrays_are_a_condition_for_each_fifth(arrays):
    tree = copy_trees.open_tree(arrays)
    assert tree.arrays[Condition.parse("fog/2")] == ("fog.npy", 1)
    assert copy_trees.num_rows(tree) == 4 and tree.labels is not None and tree.labels.tolist() == [0, 0, 1, 1]
    assert not tree.has_clean


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        copy_trees.open_tree(tmp_path / "none")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: (p / "fog" / "1").mkdir(parents=True), "arrays .* and folders"),
        (lambda p: np.save(p / "labels.npy", np.arange(20)), "does not repeat the labels"),
        (lambda p: np.save(p / "labels.npy", np.arange(19)), "one label a row"),
        (lambda p: np.save(p / "fog.npy", np.zeros((7, 32, 32, 3), np.uint8)), r"expected uint8 \[20, H, W, 3\]"),
        (lambda p: np.save(p / "fgo.npy", np.zeros((20, 32, 32, 3), np.uint8)), "did you mean fog"),
        (lambda p: (p / "labels.npy").write_bytes(b"x"), "cannot be read"),
    ],
)
def test_arrays_that_are_no_tree(arrays, make, message):
    make(arrays)
    with pytest.raises(InputError, match=message):
        copy_trees.open_tree(arrays)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ((), "nothing degraded in"),
        (("1/fog",), "expected <condition>/<severity>"),
        (("fog/x",), "holds 'x'"),
        (("fgo/1",), "did you mean fog"),
        (("fog/1+2",), "1 steps"),
        (("clean/0",), "no <condition>/<severity>"),
    ],
)
def test_folders_that_are_no_tree(tmp_path, folders, message):
    for name in folders:
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(InputError, match=re.compile(message)):
        copy_trees.open_tree(tmp_path)
