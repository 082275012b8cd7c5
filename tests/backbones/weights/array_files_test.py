"""Safetensors, shards and .npz: what comes back, and damage that is refused in one line."""

import hashlib
import io
import json
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import InputError
from causal_iqa.backbones.weights import array_files, budgets

_BUDGET = budgets.Budget()


def test_safetensors_come_back_with_metadata_and_hash(tmp_path):
    tensors = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array([1.5], np.float16),
        "c": np.array(3, np.int64),
        "d": np.array([0.5], ml_dtypes.bfloat16),
    }
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file(tensors, path, {"format": "pt"})
    found = array_files.read_safetensors(path, _BUDGET)
    assert found.metadata == {"format": "pt"} and found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for name, value in tensors.items():
        np.testing.assert_array_equal(found.tensors[name], value)
        assert found.tensors[name].dtype == value.dtype
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="truncated or damaged safetensors file"):
        array_files.read_safetensors(path, _BUDGET)
    with pytest.raises(InputError, match="the budget is 10"):
        array_files.read_safetensors(path, budgets.Budget(bytes=10))


@pytest.fixture
def shards(tmp_path):
    for file, name in (("1.safetensors", "a"), ("2.safetensors", "b")):
        safetensors.numpy.save_file({name: np.ones(400, np.float32)}, tmp_path / file)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}))
    return index


def test_shards_are_joined(shards):
    found = array_files.read_shards(shards, _BUDGET)
    assert sorted(found.tensors) == ["a", "b"] and len(found.sha256) == 64
    with pytest.raises(InputError, match="all shards together needs 3200 bytes"):
        array_files.read_shards(shards, budgets.Budget(bytes=2000))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"weight_map": {"a": "../1.safetensors"}}, "refused, a shard outside its folder"),
        ({"weight_map": {"a": "1.bin"}}, "only shards ending in .safetensors"),
        ({"weight_map": {"a": "2.safetensors", "b": "2.safetensors"}}, "disagree about a"),
        ({"weight_map": {"b": "2.safetensors", "a": "3.safetensors"}}, "cannot read the weight file"),
        ({"weights": {}}, "not an index of shards"),
        ([], "not an index of shards"),
    ],
)
def test_an_index_that_is_none(shards, index, message):
    shards.write_text(json.dumps(index))
    with pytest.raises(InputError, match=message):
        array_files.read_shards(shards, _BUDGET)


def test_blocks_that_flax_scanned_over_are_taken_apart(tmp_path):
    path = tmp_path / "net.npz"
    stack = np.arange(6.0).reshape(2, 3)
    np.savez(path, **{"encoder/encoderblock/kernel": stack, "head/bias": np.zeros(2), "empty": np.zeros((0, 3))})
    found = array_files.read_numpy(path, _BUDGET).tensors
    assert sorted(found) == ["empty", "encoder.encoderblock_0.kernel", "encoder.encoderblock_1.kernel", "head.bias"]
    np.testing.assert_array_equal(found["encoder.encoderblock_1.kernel"], stack[1])


def _npz(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return out.getvalue()


def test_damaged_archives_are_refused_in_one_line():
    out = io.BytesIO()
    np.save(out, np.arange(4.0))
    good = out.getvalue()
    np.testing.assert_array_equal(array_files.load_npz(_npz(a=good), "x")["a"], np.arange(4.0))
    held = io.BytesIO()
    np.save(held, np.array([None]), allow_pickle=True)
    for content in (b"", b"PK", _npz(a=good[:-1]), _npz(a=b"no array"), _npz(a=held.getvalue()), _npz(a=good)[:-30]):
        with pytest.raises(InputError, match=r"^x: truncated, damaged or refused \.npz file \(.*\)$"):
            array_files.load_npz(content, "x")
    with pytest.raises(InputError, match="the budget is 1,"):
        array_files.load_npz(_npz(a=good, b=good), "x", budgets.Budget(objects=1))


def test_hashes_follow_names_types_shapes_and_numbers_but_not_the_order():
    a, b = np.arange(4.0), np.zeros(2, np.float32)
    own = array_files.hash_arrays({"a": a, "b": b})
    assert own == array_files.hash_arrays({"b": b, "a": a})
    others = (
        {"a": a, "c": b},
        {"a": a, "b": b.astype(np.float16)},
        {"a": a.reshape(2, 2), "b": b},
        {"a": a + 1, "b": b},
    )
    assert len({own, *map(array_files.hash_arrays, others)}) == 5


def test_an_orbax_folder_holds_regular_files(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="link is no regular file"):
        array_files.read_orbax(tmp_path, _BUDGET)
