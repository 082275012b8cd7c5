"""Trees of copies: what is written, resumed, refused."""

import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shutil

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest

from causal_iqa import InputError, copies
from causal_iqa.copies import manifest, writing

_SIZES = {"a.png": (13, 21), "deep/er/b.jpg": (20, 8), "c.bmp": (13, 21), "c.png": (5, 5)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, (height, width) in _SIZES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(rng.integers(0, 256, (height, width, 3)).astype(np.uint8)).save(folder / name)
    (folder / "deep" / "labels.txt").write_text("1\n")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return folder


@pytest.fixture(scope="module")
def config(photos):
    return copies.CopyConfig(
        images=str(photos),
        degradations=("brightness", "contrast"),
        severities=(2.0, 4.5),
        parameters="cifar_c",
        clean=True,
    )


@pytest.fixture(scope="module")
def tree(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "tree"
    copies.write(copies.prepare(config, out), out)
    return out


def _read(path):
    return np.asarray(PIL.Image.open(path).convert("RGB"))


def _files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and ".parts" not in path.parts
    }


def test_copies_equal_the_single_image_function(photos, tree):
    for condition in ("brightness/2", "brightness/4.5", "contrast/2", "contrast/4.5"):
        for name, copy in (("a.png", "a.png"), ("deep/er/b.jpg", "deep/er/b.png"), ("c.bmp", "c.bmp.png")):
            expected = copies.degrade(_read(photos / name), condition, image_id=name, parameters="cifar_c")
            np.testing.assert_array_equal(_read(tree / condition / copy), expected)
    np.testing.assert_array_equal(_read(tree / "clean/0/c.png.png"), _read(photos / "c.png"))


def test_manifest_names_every_file_with_its_digest(tree):
    table = pq.read_table(tree / manifest.PARQUET)
    rows = table.to_pylist()
    written = {name for name in _files(tree) if name.endswith(".png")}
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


def test_a_killed_run_goes_on_and_gives_the_same_files(tree, config, tmp_path, monkeypatch):
    out = tmp_path / "tree"
    job = copies.prepare(config, out)
    stored = writing.Worker._write
    count = 0

    def dies(self, path, content):
        nonlocal count
        count += 1
        if count == 12:
            raise KeyboardInterrupt
        stored(self, path, content)

    with monkeypatch.context() as patch:
        patch.setattr(writing.Worker, "_write", dies)
        with pytest.raises(KeyboardInterrupt):
            copies.write(job, out)
    assert not (out / manifest.PARQUET).exists()
    done = []
    copies.write(copies.prepare(config, out), out, progress=lambda done_, total: done.append((done_, total)))
    assert 0 < done[0][0] < done[0][1] == done[-1][0]
    assert _files(out) == _files(tree)


def test_what_is_lost_or_cut_is_written_again(tree, config, tmp_path):
    out = tmp_path / "tree"
    shutil.copytree(tree, out, symlinks=True)
    (out / "brightness/2/a.png").unlink()
    (out / "contrast/2/a.png").write_bytes(b"")
    copies.write(copies.prepare(config, out), out)
    assert _files(out) == _files(tree)


def test_several_processes_give_the_same_files(tree, config, tmp_path):
    copies.write(copies.prepare(config, tmp_path / "tree"), tmp_path / "tree", num_processes=2)
    assert _files(tmp_path / "tree") == _files(tree)


def test_a_tree_is_of_one_config(config, tree, photos):
    with pytest.raises(InputError, match=r"made otherwise: seed \(0 there, 7 now\)"):
        other = dataclasses.replace(config, seed=7)
        copies.write(copies.prepare(other, tree), tree)
    with pytest.raises(InputError, match="lies in the folder of the images"):
        copies.prepare(config, photos / "copies")


def test_disk_errors_end_in_one_line(config, tmp_path, monkeypatch):
    job = copies.prepare(config, tmp_path / "tree")

    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\); written files are kept"):
        copies.write(job, tmp_path / "tree")
    assert not list((tmp_path / "tree").rglob(".*.tmp"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"output_dir: .* cannot be made or written"):
        copies.write(job, tmp_path / "file" / "tree")


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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"parameters": None}, "parameters: brightness was published with parameters for several sizes"),
        ({"parameters": "imagenet"}, "did you mean imagenet_c"),
        ({"severities": (0.0,)}, "severity 0; --clean writes"),
        ({"severities": (1.0, 1.0)}, "given twice"),
        ({"quality": 50}, "no quality for png"),
        ({"format": "jpeg", "quality": 0}, "from 1 to 100"),
        ({"degradations": ("fgo",)}, "did you mean fog"),
    ],
)
def test_bad_configs_are_one_line(config, fields, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(config, **fields)


def test_geometric_conditions_are_named(config, tmp_path):
    turned = dataclasses.replace(config, degradations=("rotation", "contrast"))
    (remark,) = [line for line in copies.prepare(turned, tmp_path).remarks if "boxes and masks" in line]
    assert remark.startswith("rotation: ")
    assert not [line for line in copies.prepare(config, tmp_path).remarks if "boxes and masks" in line]
