"""PyTorch files: exact against torch's own output, and no way to run what they contain."""

import builtins
import collections
import hashlib
import io
import json
import os
import pathlib
import pickle
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest

from causal_iqa import _checks, backbones
from causal_iqa.backbones.weights import state_dicts, torch_files
from tests import shared

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"
SCRIPT = GOLDEN / "backbones_tensors_script.pt"
LEGACY, ZIPPED = GOLDEN / "backbones_tensors_legacy.th", GOLDEN / "backbones_tensors_zip.pt"


def read(content: bytes) -> dict[str, np.ndarray]:
    return state_dicts.likely(state_dicts.cleaned(torch_files.read(content, "net.th"))).tensors


def expected_tensors() -> dict[str, np.ndarray]:
    """What write_tensor_files of tests/golden/backbones_torch.py saved."""
    base = np.arange(24, dtype=np.float32)
    return {
        "base": base,
        "view": base[4:16].reshape(3, 4),
        "transposed": base.reshape(4, 6).T,
        "stepped": base[1::3],
        "half": base[:5].astype(np.float16),
        "bfloat16": base[:5].astype(ml_dtypes.bfloat16),
        "double": base[:5].astype(np.float64) / 3,
        "int64": np.array([-(2**40), 7]),
        "int32": np.array([-5, 7], np.int32),
        "uint8": np.array([0, 255], np.uint8),
        "bool": np.array([True, False]),
        "scalar": np.float32(2.5),
        "empty": np.zeros((0, 3), np.float32),
        "expanded": np.tile(np.array([1.0, 2.0], np.float32), (3, 1)),
    }


@pytest.mark.parametrize("path", [LEGACY, ZIPPED], ids=["legacy", "zip"])
def test_reads_what_torch_saved(path):
    tensors, expected = read(path.read_bytes()), expected_tensors()
    assert set(tensors) == set(expected)
    for name, value in expected.items():
        assert tensors[name].dtype == value.dtype, name
        np.testing.assert_array_equal(tensors[name], value, err_msg=name)


def test_reads_what_torchscript_saved():
    tensors, base = read(SCRIPT.read_bytes()), np.arange(24, dtype=np.float32)
    # What write_script_file of tests/golden/backbones_torch.py saved: its lists, numbers and code are left out.
    expected = {
        "visual.proj": base.reshape(4, 6).T.astype(np.float16),
        "visual.inner.weight": base[:6].reshape(2, 3),
        "visual.inner.bias": base[:2],
        "input_resolution": np.int64(224),
    }
    assert set(tensors) == set(expected)
    for name, value in expected.items():
        assert tensors[name].dtype == value.dtype, name
        np.testing.assert_array_equal(tensors[name], value, err_msg=name)


def script_pickle(state: bytes) -> bytes:
    """An object of a class of a TorchScript archive, opcode by opcode."""
    return b"\x80\x02c__torch__.net\nNet\n)\x81" + state + b"b."


def test_modules_of_an_archive_run_nothing_and_hold_only_attributes():
    assert not read_or_message(script_pickle(b"}X\x01\x00\x00\x00aK\x03s")).startswith("read")
    # A state that is no dictionary, a call in it, the class itself as the object, a module within itself.
    assert "state" in read_or_message(script_pickle(b"K\x03"))
    assert "posix.system" in read_or_message(script_pickle(b"cposix\nsystem\nX\x02\x00\x00\x00id\x85R"))
    assert "damaged" in read_or_message(b"\x80\x02c__torch__.net\nNet\n}X\x03\x00\x00\x00getK\x03sb.")
    circle = b"\x80\x02c__torch__.net\nNet\n)\x81q\x00}X\x01\x00\x00\x00ah\x00sb."
    assert "without end" in read_or_message(circle)


def read_or_message(pickled: bytes) -> str:
    try:
        return f"read {read(zipped(pickled))}"
    except _checks.InputError as error:
        return str(error)


@pytest.mark.parametrize("name", ["resnet20-12fca82f.th", "resnet32-d509ac18.th", "resnet44-014dd654.th"])
def test_real_files_equal_torch_load(name):
    tensors = backbones.read(shared.path_or_skip("weights", "cifar10", name)).tensors
    sha = hashlib.sha256()
    for key in sorted(tensors):
        sha.update(key.encode())
        sha.update(np.ascontiguousarray(tensors[key]).tobytes())
    assert sha.hexdigest() == json.loads((GOLDEN / "backbones_torch.json").read_text())["sha256_of_tensors"][name]


class Call:
    """Pickles to a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def legacy(*objects: object, protocol: int = 2) -> bytes:
    return b"".join(pickle.dumps(value, protocol) for value in objects)


def zipped(data: bytes, **members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("net/data.pkl", data)
        for name, value in members.items():
            archive.writestr(f"net/{name}", value)
    return stream.getvalue()


HEADER = (torch_files._LEGACY_MAGIC, 1001, {"little_endian": True})


def payloads(target: pathlib.Path) -> dict[str, object]:
    touch = f"open({str(target)!r}, 'w').close()"
    return {
        "posix.system": Call(os.system, f"touch '{target}'"),
        "builtins.eval": Call(builtins.eval, touch),
        "builtins.exec": Call(builtins.exec, touch),
    }


@pytest.mark.parametrize("nest", ["top", "state", "reduce_argument", "dictionary_key"])
@pytest.mark.parametrize("name", ["posix.system", "builtins.eval", "builtins.exec"])
def test_malicious_pickles_do_not_run(tmp_path, name, nest):
    target = tmp_path / "ran"
    evil = payloads(target)[name]
    held = {
        "top": evil,
        "state": {"epoch": 1, "state_dict": {"weight": evil}},
        "reduce_argument": {"state_dict": Call(collections.OrderedDict, [("weight", evil)])},
        "dictionary_key": {"state_dict": {(1, evil): 0}},
    }[nest]
    for protocol in (0, 2, 4):
        for content in (
            legacy(*HEADER, held, [], protocol=protocol),
            legacy(held, protocol=protocol),
            zipped(pickle.dumps(held, protocol)),
        ):
            with pytest.raises(_checks.InputError, match=rf"net\.th: refused.*{name.split('.')[1]}"):
                read(content)
    assert not target.exists()
    pickle.loads(pickle.dumps(held))
    assert target.exists(), "the payload is harmless, so the test proved nothing"


@pytest.mark.parametrize(
    ("opcodes", "refused"),
    [
        (b"\x80\x04\x8c\x0bcollections\x8c\x1dOrderedDict.fromkeys.__self__\x93.", "collections.OrderedDict.fromkeys"),
        (b"\x80\x04\x8c\x0ctorch._utils\x8c\x24_rebuild_tensor_v2.__init__.__func__\x93.", "torch._utils._rebuild"),
        (b"ctorch\nload\n.", "torch.load"),
        (b"cnumpy.core.multiarray\nfromstring\n.", "numpy.core.multiarray.fromstring"),
        (b"\x80\x02X\x06\x00\x00\x00modulecq.", None),
        (b"\x80\x02X\x06\x00\x00\x00moduleQ.", "persistent object 'module'"),
        (b"\x80\x02\x82\x01.", None),
    ],
)
def test_other_opcodes_are_refused(opcodes, refused):
    with pytest.raises(_checks.InputError, match=refused or "damaged"):
        read(zipped(opcodes))


def test_a_pickle_cannot_change_the_reader():
    # BUILD takes a dictionary for __dict__ and another for setattr, and __setstate__ where an object has one.
    for name in (b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n"):
        change = b"}X\x05\x00\x00\x00dtypeX\x01\x00\x00\x00xs"
        for state in (change, b"N" + change + b"\x86", b"X\x01\x00\x00\x00x\x85"):
            with pytest.raises(_checks.InputError, match="damaged"):
                read(zipped(b"\x80\x02" + name + state + b"b."))
    assert set(read(ZIPPED.read_bytes())) == set(expected_tensors())


@pytest.mark.parametrize("path", [LEGACY, ZIPPED], ids=["legacy", "zip"])
def test_truncated_files_are_refused(path):
    content = path.read_bytes()
    for end in sorted({0, 1, 5, 20, 60, *range(100, len(content) - 1, 97), len(content) - 1}):
        with pytest.raises(_checks.InputError, match=r"^net\.th: "):
            read(content[:end])


def test_damaged_bytes_never_escape_as_another_error():
    content = LEGACY.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            damaged[place] = rng.integers(0, 256)
        try:
            read(bytes(damaged))
        except _checks.InputError:
            refused += 1
    assert refused > 200


def tensor_pickle(size: int, offset: int, shape: bytes, strides: bytes) -> bytes:
    """`{"w": tensor}` over a float storage "0" of `size` elements, opcode by opcode."""
    count = b"J" + struct.pack("<i", size)
    place = b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n" + place + count + b"tQ"
    start = b"J" + struct.pack("<i", offset)
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + start + shape + strides + b"\x89NtR"
    return b"\x80\x02}X\x01\x00\x00\x00w" + tensor + b"s."


@pytest.mark.parametrize(
    ("size", "offset", "shape", "strides"),
    [
        (4, 2, b"K\x03\x85", b"K\x01\x85"),  # ends past the storage
        (4, -1, b"K\x03\x85", b"K\x01\x85"),  # starts before it
        (4, 0, b"K\x02K\x02\x86", b"K\x01\x85"),  # a stride too few
        (4, 0, b"K\x02\x85", b"J\xff\xff\xff\xff\x85"),  # negative stride
        (400, 0, b"K\x02\x85", b"K\x01\x85"),  # storage longer than its bytes
    ],
)
def test_views_outside_their_storage_are_refused(size, offset, shape, strides):
    good = zipped(tensor_pickle(4, 1, b"K\x03\x85", b"K\x01\x85"), **{"data/0": np.arange(4, dtype="<f4").tobytes()})
    np.testing.assert_array_equal(read(good)["w"], [1, 2, 3])
    bad = zipped(tensor_pickle(size, offset, shape, strides), **{"data/0": np.arange(4, dtype="<f4").tobytes()})
    with pytest.raises(_checks.InputError):
        read(bad)


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state"])
def test_finds_the_state_dict(key):
    state = tensor_pickle(4, 0, b"K\x04\x85", b"K\x01\x85")[2:-1]
    nested = b"\x80\x02}X\x05\x00\x00\x00epochK\x03sX" + struct.pack("<i", len(key)) + key.encode() + state + b"s."
    content = zipped(nested, **{"data/0": np.arange(4, dtype="<f4").tobytes()})
    np.testing.assert_array_equal(read(content)["w"], [0, 1, 2, 3])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (legacy(*HEADER, {"weights": 3}, []), "no tensors.*holds 'weights'"),
        (legacy(*HEADER, [1, 2], []), "no tensors.*holds list"),
        (legacy("something else"), "no magic number"),
        (legacy(HEADER[0], 7, {}), "protocol 1001, got 7"),
        (legacy(HEADER[0], 1001, {"little_endian": False}), "little-endian"),
        (zipped(b"N.", byteorder=b"big"), "little-endian"),
        (zipped(b"N.", **{"inner/data.pkl": b"N."}), "one data.pkl expected, 2"),
        (b"", "damaged"),
        (b"\x89HDF\r\n\x1a\n", "damaged"),
    ],
)
def test_other_files_are_refused(content, message):
    with pytest.raises(_checks.InputError, match=message):
        read(content)
