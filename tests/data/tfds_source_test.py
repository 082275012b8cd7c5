"""TFDS without TensorFlow: small datasets that tfds itself prepares here, and the real CIFAR-10 where it is at hand."""

import io
import json
import subprocess
import sys
from typing import ClassVar

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds

from causal_iqa import InputError, data

_ROWS = {"train": 11, "test": 7}


def _png(image: np.ndarray) -> io.BytesIO:
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "PNG")
    file.seek(0)
    return file


def _image(split: str, i: int) -> np.ndarray:
    return np.random.default_rng([len(split), i]).integers(0, 256, (4, 5), dtype=np.uint8)


class TinyGrey(tfds.core.GeneratorBasedBuilder):
    """Grey images of a fixed shape, no ids; split order is the order of generation."""

    VERSION = tfds.core.Version("1.2.0")
    FEATURES: ClassVar = {
        "image": tfds.features.Image(shape=(4, 5, 1)),
        "label": tfds.features.ClassLabel(names=["no", "yes"]),
    }

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(self.FEATURES), disable_shuffling=True
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in _ROWS}

    def _generate_examples(self, split):
        for i in range(_ROWS[split]):
            row = {
                "image": _png(_image(split, i)),
                "label": i % 2,
                "weather": 0,
                "id": f"{split}-{i}",
                "file_name": f"{i}.png",
            }
            yield i, {key: row[key] for key in self.FEATURES}


class TinyIds(TinyGrey):
    """Names its images twice: the id goes before the file name."""

    FEATURES: ClassVar = {**TinyGrey.FEATURES, "file_name": tfds.features.Text(), "id": tfds.features.Text()}


class TinyFiles(TinyGrey):
    """Has file names, under other feature names and of no fixed shape."""

    FEATURES: ClassVar = {
        "photo": tfds.features.Image(),
        "kind": tfds.features.ClassLabel(num_classes=2),
        "file_name": tfds.features.Text(),
    }

    def _info(self):
        features = tfds.features.FeaturesDict(self.FEATURES)
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=("photo", "kind"))

    def _generate_examples(self, split):
        for i in range(_ROWS[split]):
            yield i, {"photo": _png(np.zeros((3 + i, 4, 3), np.uint8)), "kind": i % 2, "file_name": f"{split}{i}.png"}


class TinyHalf(TinyGrey):
    """Every second row has no label, as in the test splits of challenges."""

    def _generate_examples(self, split):
        for i, row in super()._generate_examples(split):
            yield i, row | {"label": -1 if i % 2 else 0}


class TinyUnlabelled(TinyGrey):
    """Has no label."""

    FEATURES: ClassVar = {"image": tfds.features.Image(shape=(4, 5, 1))}


class TinyOdd(TinyGrey):
    """Has a class under another name than that of the label."""

    FEATURES: ClassVar = {**TinyUnlabelled.FEATURES, "weather": tfds.features.ClassLabel(num_classes=2)}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    shards = tfds.download.DownloadConfig(num_shards=3)
    for builder in (TinyGrey, TinyIds, TinyFiles, TinyHalf, TinyUnlabelled, TinyOdd):
        builder(data_dir=folder, file_format="array_record").download_and_prepare(download_config=shards)
    return folder


def test_reads_what_was_written(data_dir):
    source = data.open_tfds("tiny_grey", data_dir=data_dir, split="train")
    assert isinstance(source, data.Source)
    assert (len(source), source.image_shape, source.class_names) == (11, (4, 5), ("no", "yes"))
    assert (source.name, source.split) == ("tfds:tiny_grey", "train")
    for i in range(len(source)):
        example = source[i]
        np.testing.assert_array_equal(example.image, np.repeat(_image("train", i)[..., None], 3, axis=2))
        assert (example.label, example.id) == (source.label(i), source.id(i)) == (i % 2, f"train/{i}")


def test_a_dataset_without_classes_is_unlabelled(data_dir):
    source = data.open_tfds("tiny_unlabelled", data_dir=data_dir, split="test")
    assert source.class_names == () and source[3].label == source.label(3) == data.UNLABELLED
    np.testing.assert_array_equal(source[3].image[..., 0], _image("test", 3))


def test_ids_name_the_image_not_the_slice(data_dir):
    source = data.open_tfds("tiny_grey", data_dir=data_dir, split="test[5:]+train[3:9]")
    expected = [("test", 5), ("test", 6)] + [("train", i) for i in range(3, 9)]
    assert [source.id(i) for i in range(len(source))] == [f"{split}/{i}" for split, i in expected]
    for i, (split, position) in enumerate(expected):
        np.testing.assert_array_equal(source[i].image[..., 0], _image(split, position))


def test_the_same_dataset_in_another_spelling_is_the_same(data_dir, tmp_path):
    source = data.open_tfds("tiny_grey", data_dir=data_dir, split="test")
    for name in ("tiny_grey:1.2.0", "tiny_grey:1.*.*"):
        other = data.open_tfds(name, data_dir=data_dir, split="train+test[2:]")
        assert data.shared_ids(other, source, range(7)) == {f"test/{i}" for i in range(2, 7)}
    linked = tmp_path / "linked"
    linked.symlink_to(data_dir)
    other = data.open_tfds("tiny_grey", data_dir=f"{linked}/", split="test")
    assert data.shared_ids(other, source, [4]) == {"test/4"}
    # Another dataset of the same ids holds other images, which here are copies.
    ids = data.open_tfds("tiny_files", data_dir=data_dir, split="test")
    assert data.shared_ids(ids, source, range(7)) == frozenset()
    named = data.open_tfds("tiny_ids", data_dir=data_dir, split="test")
    assert data.shared_ids(named, source, range(7)) == frozenset()
    assert data.copies(named, range(7), source, range(7)) == tuple((f"test-{i}", f"test/{i}") for i in range(7))


def test_unlabelled_rows_are_left_out_of_the_choice(data_dir):
    source = data.open_tfds("tiny_half", data_dir=data_dir, split="test")
    assert data.labels_of(source, range(7)).tolist() == [0, -1, 0, -1, 0, -1, 0]
    chosen, passed_over = data.choose_labelled(source, None, seed=0)
    assert sorted(chosen) == [0, 2, 4, 6] and passed_over == 3


def test_ids_come_from_the_dataset_when_it_has_them(data_dir):
    source = data.open_tfds("tiny_ids", data_dir=data_dir, split="test")
    assert [source.id(i) for i in range(3)] == [source[i].id for i in range(3)] == ["test-0", "test-1", "test-2"]
    files = data.open_tfds("tiny_files", data_dir=data_dir, split="test")
    assert {files.id(i) for i in range(len(files))} == {f"test{i}.png" for i in range(7)}
    assert files.image_shape is None
    assert files.class_names == ("0", "1")
    assert {files[i].image.shape for i in range(7)} == {(3 + i, 4, 3) for i in range(7)}


def test_default_split_and_version(data_dir):
    assert data.open_tfds("tiny_grey", data_dir=data_dir).split == "test"
    assert len(data.open_tfds("tiny_grey:1.2.0", data_dir=data_dir)) == 7


def test_index_out_of_range(data_dir):
    source = data.open_tfds("tiny_grey", data_dir=data_dir)
    for index in (-1, 7):
        for read in (source.__getitem__, source.id, source.label):
            with pytest.raises(IndexError, match=r"expected 0 to 6"):
                read(index)


@pytest.mark.parametrize(
    ("name", "split", "said"),
    [
        ("tiny_gray", "test", "unknown dataset 'tiny_gray': did you mean .*tiny_grey"),
        ("mnist", "test", "not prepared in .*tfds build mnist --file_format=array_record"),
        ("tiny_grey:9.9.9", "test", "of 'tiny_grey' there is: tiny_grey/1.2.0"),
        ("tiny_grey/config", "test", "of 'tiny_grey' there is: tiny_grey/1.2.0"),
        ("tiny_grey", "tests", "has no 'tests'; it has train, test"),
        ("tiny_grey", "test[:3", "has no .*; it has train, test"),
        ("tiny_grey", "test[2:2]", "holds no image"),
        ("tiny_odd", "test", r"no label feature \(ClassLabel\); it has .*image"),
        ("not a name", "test", "cannot open 'not a name'"),
    ],
)
def test_bad_requests_name_the_mend(data_dir, name, split, said):
    with pytest.raises(InputError, match=said) as raised:
        data.open_tfds(name, data_dir=data_dir, split=split)
    assert "\n" not in str(raised.value)


def test_data_dir_missing_empty_or_one_too_deep(data_dir, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        data.open_tfds("cifar10", data_dir=tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no prepared dataset.*--download"):
        data.open_tfds("cifar10", data_dir=tmp_path)
    with pytest.raises(InputError, match="folder of 'tiny_grey' itself"):
        data.open_tfds("tiny_grey", data_dir=data_dir / "tiny_grey")


@pytest.fixture
def copy(tmp_path):
    TinyGrey(data_dir=tmp_path, file_format="array_record").download_and_prepare()
    return tmp_path


def test_other_file_format(copy):
    info = copy / "tiny_grey" / "1.2.0" / "dataset_info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"fileFormat": "tfrecord"}))
    with pytest.raises(InputError, match="prepared as tfrecord; expected array_record: run `tfds build tiny_grey"):
        data.open_tfds("tiny_grey", data_dir=copy)


def test_damaged_preparation(copy):
    folder = copy / "tiny_grey" / "1.2.0"
    (shard,) = folder.glob("*-test.array_record*")
    shard.write_bytes(b"")
    with pytest.raises(InputError, match="cannot read 'tiny_grey'"):
        data.open_tfds("tiny_grey", data_dir=copy)
    shard.unlink()
    with pytest.raises(InputError, match="lacks 1 of its files"):
        data.open_tfds("tiny_grey", data_dir=copy)
    (folder / "dataset_info.json").write_text("{")
    with pytest.raises(InputError, match="cannot open 'tiny_grey'"):
        data.open_tfds("tiny_grey", data_dir=copy)


def test_download_prepares_what_is_missing(tmp_path):
    source = data.open_tfds("tiny_ids", data_dir=tmp_path, split="test", download=True)
    assert [source.id(i) for i in range(2)] == ["test-0", "test-1"]


def test_choice_is_balanced_over_labels(data_dir):
    source = data.open_tfds("tiny_grey", data_dir=data_dir, split="train")
    chosen = data.choose(source, 10, seed=0, balanced=True)
    assert np.bincount([source.label(i) for i in chosen]).tolist() == [5, 5]


_PROGRAM = """
import socket, sys
def refuse(*args, **kwargs):
    raise RuntimeError("the network was touched")
socket.socket.connect = socket.getaddrinfo = refuse
from causal_iqa import data
assert not {"tensorflow", "tensorflow_datasets"} & set(sys.modules), "importing the room must stay cheap"
source = data.open_source("tfds:tiny_files", data_dir=sys.argv[1], split="test")
next(data.batches(source, range(7), batch_size=4, size=4))
for name in ("cifar10", "no_such_dataset"):
    try:
        data.open_source("tfds:" + name, data_dir=sys.argv[1])
    except data.open_source.__globals__["_checks"].InputError:
        pass
assert "tensorflow" not in sys.modules
print("done")
"""


def test_neither_tensorflow_nor_the_network_is_used(data_dir):
    result = subprocess.run([sys.executable, "-c", _PROGRAM, str(data_dir)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "done"
    assert result.stderr == ""


def test_cifar10_is_what_tfds_says(shared_data):
    folder = shared_data("data", "tfds")
    source = data.open_tfds("cifar10", data_dir=folder)
    assert (len(source), source.image_shape, source.split) == (5000, (32, 32), "test")
    assert source.class_names[:3] == ("airplane", "automobile", "bird")
    encoded = {"image": tfds.decode.SkipDecoding()}  # tfds decodes by OpenCV where that is installed, which differs
    theirs = tfds.data_source("cifar10", data_dir=folder, split="test", download=False, decoders=encoded)
    for i in (0, 17, 4999):
        row, example = theirs[i], source[i]
        np.testing.assert_array_equal(example.image, PIL.Image.open(io.BytesIO(row["image"])))
        assert (example.label, example.id) == (row["label"], row["id"].decode())
    labels = [source.label(i) for i in range(len(source))]
    assert np.bincount(labels).tolist() == [500] * 10
    assert len({source.id(i) for i in range(len(source))}) == 5000
