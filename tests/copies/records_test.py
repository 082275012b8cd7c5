"""Copies as records: what tfds and the library's own source read back, resumed runs, several processes, full disks."""

import dataclasses
import hashlib
import io

import numpy as np
import PIL.Image
import pyarrow.parquet as pq
import pytest
import tensorflow_datasets as tfds
from array_record.python import array_record_module  # pyright: ignore[reportAttributeAccessIssue]

from causal_iqa import InputError, copies, data
from causal_iqa.copies import manifest, records
from causal_iqa.degradations import Condition
from causal_iqa.pipeline import copy_trees, given_copies

_SIZES = {"a.png": (13, 21), "deep/b.bmp": (20, 8), "c.png": (5, 5), "d.png": (13, 21)}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name, (height, width) in _SIZES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(rng.integers(0, 256, (height, width, 3)).astype(np.uint8)).save(folder / name)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (folder / "labels.txt").write_text("1\n")
    return folder


@pytest.fixture(scope="module")
def config(photos):
    return copies.CopyConfig(
        images=str(photos),
        degradations=("brightness", "scale[direction=in]"),
        severities=(2.0, 4.5),
        parameters="cifar_c",
        clean=True,
        format="array_record",
    )


def _prepare(config, out):
    """A job of several shards."""
    return copies.prepare(config, out, images_per_task=2)


@pytest.fixture(scope="module")
def tree(config, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "tree"
    copies.write(_prepare(config, out), out, num_processes=2)
    return out


def _files(folder):
    found = (path for path in folder.rglob("*") if path.is_file() and ".parts" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def _clean(photos, name):
    return np.asarray(PIL.Image.open(photos / name).convert("RGB"))


def test_tfds_and_the_own_source_read_the_pixels_of_degrade(photos, tree):
    source = data.open_tfds("brightness/4.5", data_dir=tree)
    theirs = tfds.data_source("brightness/4.5", split="test", data_dir=tree)
    assert sorted(source.id(i) for i in range(len(source))) == sorted(_SIZES) and len(theirs) == len(_SIZES)
    assert source.class_names == () and source.label(0) == data.UNLABELLED
    for index, row in enumerate(theirs):
        example = source[index]
        expected = copies.degrade(
            _clean(photos, example.id), "brightness/4.5", image_id=example.id, parameters="cifar_c"
        )
        np.testing.assert_array_equal(example.image, expected)
        np.testing.assert_array_equal(row["image"], expected)
        assert row["id"].decode() == example.id
    assert source.place(0) != data.open_tfds("brightness/2", data_dir=tree).place(0)
    # No name for tfds, but a folder that it opens.
    builder = tfds.builder_from_directory(tree / "scale[direction=in]" / "2" / "1.0.0")
    assert len(builder.as_data_source("test")) == len(_SIZES)  # pyright: ignore[reportCallIssue]
    clean = data.open_tfds("clean/0", data_dir=tree)
    np.testing.assert_array_equal(clean[0].image, _clean(photos, clean.id(0)))


def test_manifest_says_where_each_record_is(tree):
    rows = pq.read_table(tree / manifest.PARQUET).to_pylist()
    assert len(rows) == 5 * len(_SIZES) and len({(row["path"], row["record"]) for row in rows}) == len(rows)
    features = tfds.features.FeaturesDict.from_config(tree / "brightness" / "2" / "1.0.0")
    for row in rows:
        (packed,) = array_record_module.ArrayRecordReader(str(tree / row["path"])).read([row["record"]])
        record = features.deserialize_example_np(  # pyright: ignore[reportAttributeAccessIssue]
            packed, decoders={"image": tfds.decode.SkipDecoding()}
        )
        assert record["id"].decode() == row["image_id"]
        assert hashlib.sha256(record["image"]).hexdigest() == row["sha256"] and len(record["image"]) == row["bytes"]
    told = manifest._files.read_json(tree / manifest.JSON)
    assert told["sha256"] == {
        name: hashlib.sha256(content).hexdigest() for name, content in _files(tree).items() if "array_record-" in name
    }
    assert [name for name, _ in told["unreadable"]] == ["broken.png"]
    assert not list(tree.rglob("labels.txt")), "side files have no place among records"


def test_a_killed_run_goes_on_and_gives_the_same_files(config, tree, tmp_path, monkeypatch):
    out, count, stored = tmp_path / "tree", 0, records.Shards.add

    def dies(self, *args):
        nonlocal count
        count += 1
        if count == 9:
            raise KeyboardInterrupt
        return stored(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(records.Shards, "add", dies)
        with pytest.raises(KeyboardInterrupt):
            copies.write(_prepare(config, out), out)
    assert not list(out.rglob("*.tmp")) and not list(out.rglob(records.INFO))
    done = []
    copies.write(_prepare(config, out), out, progress=lambda *told: done.append(told))
    assert 0 < done[0][0] < done[-1][0] and _files(out) == _files(tree)
    next(out.rglob("*array_record-00001*")).write_bytes(b"")
    copies.write(_prepare(config, out), out)
    assert _files(out) == _files(tree)


def test_disk_errors_end_in_one_line(config, tmp_path, monkeypatch):
    class Full:
        def __init__(self, *_):
            pass

        def write(self, _):
            raise RuntimeError("write() failed: No space left on device; writing x")

        def close(self):
            raise RuntimeError("write() failed: No space left on device; writing x")

    monkeypatch.setattr(array_record_module, "ArrayRecordWriter", Full)
    with pytest.raises(InputError, match=r"cannot be written \(.*No space left on device\); written files are kept"):
        copies.write(_prepare(config, tmp_path / "tree"), tmp_path / "tree")


def test_labels_of_the_source_are_kept(tmp_path):
    condition, content = Condition.parse("fog/3"), io.BytesIO()
    PIL.Image.new("RGB", (4, 3)).save(content, "JPEG")
    shards = records.Shards(tmp_path, [condition], (0, 1), ("no", "yes"))
    assert shards.add(condition, content.getvalue(), "x/1.jpg", 1)[1] == 0
    assert shards.add(condition, content.getvalue(), "x/2.jpg", 0)[1] == 1
    records.describe(tmp_path, {condition: shards.close()}, ("no", "yes"), "jpeg", {condition: ""})
    source = data.open_tfds("fog/3", data_dir=tmp_path)
    assert source.class_names == ("no", "yes") and [source.label(0), source.label(1)] == [1, 0]
    assert source.format(0) == "JPEG" and source[1].image.shape == (3, 4, 3)


def test_a_tree_of_records_is_read_as_given_copies(photos, tree):
    found = copy_trees.open_tree(tree)
    names = sorted(map(str, found.conditions))
    assert names == ["brightness/2", "brightness/4.5", "scale[direction=in]/2", "scale[direction=in]/4.5"]
    clean = data.open_source(f"images:{photos}")
    kept = np.array([i for i in range(len(clean)) if clean.id(i) in _SIZES])
    joined = given_copies.join(clean, found, (Condition.parse("clean/0"), *found.conditions), kept)
    for index in kept:
        example = joined.framed(int(index), lambda pixels: pixels[:5, :5])
        for pixels, condition in zip(example.image[1:], found.conditions, strict=True):
            expected = copies.degrade(_clean(photos, example.id), condition, image_id=example.id, parameters="cifar_c")
            np.testing.assert_array_equal(pixels, expected[:5, :5])
    assert given_copies.details(joined)["manifest"]["config"]["format"] == "array_record"
    before = given_copies.stamp(joined, kept)
    place = found.records and found.records.place("brightness/2", "c.png")
    assert place
    shard = tree / place[0]
    content = shard.read_bytes()
    shard.write_bytes(content + b"\0")
    assert given_copies.stamp(joined, kept) != before
    shard.write_bytes(content)
    with pytest.raises(InputError, match=r"--dataset=tfds:clean/0 --data_dir="):
        _ = found.clean_spec


def test_records_take_no_other_quality_than_that_of_jpeg(config):
    assert dataclasses.replace(config, quality=80).image_format == "jpeg" and config.image_format == "png"
