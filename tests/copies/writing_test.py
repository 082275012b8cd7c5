"""Trees of copies: what is written, resumed, refused."""

import dataclasses
import hashlib
import io
import json
import os
import shutil

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

from causal_iqa import InputError, copies
from causal_iqa.copies import manifest
from tests.copies import trees


def _read(path):
    return np.asarray(PIL.Image.open(path).convert("RGB"))


def test_copies_equal_the_single_image_function(photos, tree):
    for condition in ("brightness/2", "brightness/4.5", "contrast/2", "contrast/4.5"):
        for name, copy in (("a.png", "a.png"), ("deep/er/b.jpg", "deep/er/b.png"), ("c.bmp", "c.bmp.png")):
            expected = copies.degrade(_read(photos / name), condition, image_id=name, parameters="cifar_c")
            np.testing.assert_array_equal(_read(tree / condition / copy), expected)
    np.testing.assert_array_equal(_read(tree / "clean/0/c.png.png"), _read(photos / "c.png"))


def test_manifest_names_every_file_with_its_digest(tree):
    table = pq.read_table(tree / manifest.PARQUET)
    rows = table.to_pylist()
    written = {name for name in trees.contents(tree) if name.endswith(".png")}
    assert {row["path"] for row in rows} == written and len(rows) == 4 * 5
    for row in rows:
        assert row["sha256"] == hashlib.sha256((tree / row["path"]).read_bytes()).hexdigest()
    assert {row["condition"] for row in rows} >= {"clean/0", "contrast/4.5|family=cifar32"}
    told = json.loads((tree / manifest.JSON).read_text())
    assert told["sha256"] == {row["path"]: row["sha256"] for row in rows}
    assert told["passports"]["contrast"]["parameters"]["cifar32"][0] == 0.75
    assert told["conditions"]["contrast/4.5"]["family"] == "cifar32"
    assert [name for name, _ in told["unreadable"]] == ["broken.png"]


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


def test_lists_of_files(photos, tmp_path):
    given = tmp_path / "list.txt"
    given.write_text(f"{photos}/deep/er/b.jpg\n\n{photos}/a.png\n")
    config = copies.CopyConfig(
        images=str(given),
        degradations=("contrast",),
        severities=(1.0,),
        parameters="cifar_c",
        format="jpeg",
        quality=30,
    )
    copies.write(copies.prepare(config, tmp_path / "out"), tmp_path / "out")
    expected = copies.degrade(_read(photos / "a.png"), "contrast/1", image_id="a.png", parameters="cifar_c")
    out = io.BytesIO()
    PIL.Image.fromarray(expected).save(out, "JPEG", quality=30)
    assert (tmp_path / "out/contrast/1/a.jpg").read_bytes() == out.getvalue()
    assert (tmp_path / "out/contrast/1/deep/er/b.jpg").exists()
    given.write_text(f"{photos}/a.png\n{os.path.relpath(photos, tmp_path)}/a.png\n")
    with pytest.raises(InputError, match="names 1 files twice"):
        copies.prepare(config, tmp_path / "out")
