"""Trees of copies: what is written, resumed, refused."""

import dataclasses
import shutil

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, copies
from tests.copies import trees


def _read(path):
    return np.asarray(PIL.Image.open(path).convert("RGB"))


def test_copies_equal_the_single_image_function(photos, tree):
    for condition in ("brightness/2", "brightness/4.5", "contrast/2", "contrast/4.5"):
        for name, copy in (("a.png", "a.png"), ("deep/er/b.jpg", "deep/er/b.png"), ("c.bmp", "c.bmp.png")):
            expected = copies.degrade(_read(photos / name), condition, image_id=name, parameters="cifar_c")
            np.testing.assert_array_equal(_read(tree / condition / copy), expected)
    np.testing.assert_array_equal(_read(tree / "clean/0/c.png.png"), _read(photos / "c.png"))


def test_side_files_are_linked(photos, tree, config, tmp_path):
    link = tree / "contrast/2/deep/labels.txt"
    assert link.is_symlink() and link.read_text() == "1\n"
    bare = dataclasses.replace(config, side_files="none", degradations=("contrast",), severities=(2.0,))
    copies.write(copies.prepare(bare, tmp_path / "out"), tmp_path / "out")
    assert not (tmp_path / "out/contrast/2/deep/labels.txt").exists()


def test_what_is_lost_or_cut_is_written_again(tree, config, tmp_path):
    out = tmp_path / "tree"
    shutil.copytree(tree, out, symlinks=True)
    (out / "brightness/2/a.png").unlink()
    (out / "contrast/2/a.png").write_bytes(b"")
    copies.write(copies.prepare(config, out), out)
    assert trees.contents(out) == trees.contents(tree)


def test_a_tree_is_of_one_config(config, tree):
    with pytest.raises(InputError, match=r"made otherwise: seed \(0 there, 7 now\)"):
        other = dataclasses.replace(config, seed=7)
        copies.write(copies.prepare(other, tree), tree)
