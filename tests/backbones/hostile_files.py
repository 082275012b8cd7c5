"""Weight, parameter and vocabulary files made to do harm: to run code, fill the memory, hang, or pass as others."""

import gzip
import io
import json
import os
import pathlib
import pickle
import struct
import zipfile
from collections.abc import Callable

import numpy as np
import scipy.io

from tests.backbones import torch_writer

# Bytes that a small compressed file becomes; more than the budget of the test.
BOMB = 2**25
Make = Callable[[pathlib.Path, pathlib.Path], None]


def zipped(data: bytes, compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    """Returns a PyTorch archive with this pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("net/data.pkl", data)
        for name, value in members.items():
            archive.writestr(f"net/{name.replace('__', '/')}", value)
    return stream.getvalue()


class _Call:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _called(module: str, name: str, *arguments: str) -> bytes:
    """A pickle that calls a function by its name, whether it exists or not."""
    given = b"(" + b"".join(map(_text, arguments)) + b"t"
    return b"\x80\x02" + f"c{module}\n{name}\n".encode() + given + b"R."


def _tensor(size: int, shape: bytes, strides: bytes, offset: int = 0) -> bytes:
    storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text("0") + _text("cpu")
    storage += b"J" + struct.pack("<i", size) + b"tQ"
    rest = b"J" + struct.pack("<i", offset) + shape + strides + b"\x89}tR"
    return b"\x80\x02}" + _text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"s."


def _doubled(times: int, start: bytes = b")") -> bytes:
    """A tuple of itself twice, twice, twice: small to store, endless to print or to hash."""
    return start + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(times))


_LONG = b"\x8a\x08" + (2**60).to_bytes(8, "little")
_FLOATS = np.arange(4, dtype="<f4").tobytes()


def pickles(target: pathlib.Path) -> dict[str, bytes]:
    """Pickles by what they try; `target` is the file that running one would make."""
    touch = f"open({str(target)!r}, 'w').close()"
    shell = f"touch '{target}'"
    return {
        "system": pickle.dumps(_Call(os.system, shell), 2),
        "eval": pickle.dumps({"state_dict": _Call(eval, touch)}, 4),
        "exec": pickle.dumps([_Call(exec, touch)], 0),
        "popen": _called("subprocess", "Popen", shell),
        "import": _called("importlib", "import_module", "this"),
        "getattr": b"\x80\x02cbuiltins\ngetattr\n(cos\nsystem\n" + _text("__call__") + b"tR.",
        "torch_load": _called("torch", "load", "/etc/passwd"),
        "numpy_file": _called("numpy", "fromfile", "/etc/passwd"),
        "settings_that_call": b"\x80\x02cargparse\nNamespace\n)\x81}" + _text("x") + pickle.dumps(
            _Call(os.system, shell), 2)[2:-1] + b"sb.",
        "module_class": b"\x80\x02c__torch__.net\nNet\n)\x81" + pickle.dumps(_Call(os.system, shell), 2)[2:-1] + b"b.",
        "hash_of_a_key": b"\x80\x02}" + _doubled(100) + b"K\x01s.",
        "persistent_tuples": b"\x80\x02" + _doubled(100) + b"Q.",
        "shape_of_tuples": _tensor(4, _doubled(90), b"K\x01\x85"),
        "strides_of_tuples": _tensor(4, b"K\x02\x85", _doubled(90)),
        "memory_index": b"\x80\x02}r\xff\xff\xff\x7f.",
        "memory_index_text": b"(dp2147483647\n.",
        "deep_lists": b"\x80\x02" + b"](" * 30_000 + b"N" + b"e" * 30_000 + b".",
        "deep_dictionaries": b"\x80\x02" + (b"}" + _text("a")) * 50_000 + b"N" + b"s" * 50_000 + b".",
        "itself": b"\x80\x02}q\x00" + _text("a") + b"h\x00s.",
        "doubled_dictionaries": b"\x80\x02}q\x00" + b"".join(
            b"}q" + bytes([i + 1]) + _text("a") + b"h" + bytes([i]) + b"s" + _text("b") + b"h" + bytes([i]) + b"s"
            for i in range(60)) + b".",
        "long_text": b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"a.",
        "long_integer": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"\x01.",
        "old_class": b"(ios\nsystem\n.",
        "old_object": b"(cos\nsystem\no.",
        "extension": b"\x80\x02\x82\x01.",
        "persistent_text": b"Pevil\n.",
        "no_stack": b"\x80\x02R.",
        "no_end": b"\x80\x02}" + b"]" * 100,
        "huge_shape": _tensor(4, _LONG + b"\x85", b"K\x00\x85"),
        "expanded": _tensor(4, b"J" + struct.pack("<i", 2**30) + b"J" + struct.pack("<i", 2**10) + b"\x86",
                            b"K\x00K\x00\x86"),
        "outside_its_storage": _tensor(4, b"K\x05\x85", b"K\x01\x85"),
        "no_storage": _tensor(1_000_000, b"K\x05\x85", b"K\x01\x85"),
    }  # fmt: skip


def _npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def _npz(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, value in members.items():
            archive.writestr(f"{name}.npy", value)
    return stream.getvalue()


def _npz_bomb(name: str) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({BOMB // 4},), }}"
    return _npz({name: _npy(header, bytes(BOMB))})


def _safetensors(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


_F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def weight_files(target: pathlib.Path) -> dict[str, bytes | Make]:
    """Files by name, each its bytes or a function of (path, target) that makes it."""
    evil_array = pickle.dumps(_Call(os.system, f"touch '{target}'"), 2)
    files: dict[str, bytes | Make] = {
        f"{name}.pth": zipped(value, **{"data__0": _FLOATS}) for name, value in pickles(target).items()
    }
    good = torch_writer.dumps({"w": np.ones(3, np.float32)})
    files |= {
        "legacy_count.pth": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps(
            {"little_endian": True}, 2) + _tensor(4, b"K\x04\x85", b"K\x01\x85") + pickle.dumps(["0"], 2)
            + struct.pack("<q", 2**61),
        "legacy_keys.pth": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps(
            {"little_endian": True}, 2) + b"\x80\x02}." + b"\x80\x02]" + _doubled(100) + b"a.",
        "compressed.pth": lambda path, target: path.write_bytes(
            zipped(b"\x80\x02}.", zipfile.ZIP_DEFLATED, data__0=bytes(BOMB))
        ),
        "two_pickles.pth": zipped(b"N.", **{"more__data.pkl": b"N."}),
        "cut.pth": good[: len(good) // 2],
        "header_length.safetensors": struct.pack("<Q", 2**63 - 1) + b"{}",
        "no_json.safetensors": _safetensors(b"{]"),
        "deep_json.safetensors": _safetensors(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        "overlapping.safetensors": _safetensors(json.dumps({"a": _F32, "b": _F32}).encode(), bytes(8)),
        "past_the_end.safetensors": _safetensors(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,99]}}', bytes(8)),
        "wrong_size.safetensors": _safetensors(json.dumps({"a": {**_F32, "shape": [2**40]}}).encode(), bytes(8)),
        "unknown_type.safetensors": _safetensors(json.dumps({"a": {**_F32, "dtype": "Q4"}}).encode(), bytes(8)),
        "outside.safetensors.index.json": b'{"weight_map": {"a": "../../etc/passwd.safetensors"}}',
        "absolute.safetensors.index.json": b'{"weight_map": {"a": "/etc/passwd.safetensors"}}',
        "deep.safetensors.index.json": b'{"weight_map":' * 100_000,
        "bomb.npz": lambda path, target: path.write_bytes(_npz_bomb("w")),
        "objects.npz": _npz({"w": _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", evil_array)}),
        "huge.npz": _npz({"w": _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000,), }", bytes(8))}),
        "expression.npz": _npz({"w": _npy("{'descr': __import__('os').system('id'), 'shape': (1,), }", bytes(8))}),
        "deep_header.npz": _npz({"w": _npy("[" * 5000, bytes(8))}),
        "negative.npz": _npz({"w": _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", bytes(8))}),
        "no_array.npz": _npz({"w": b"not an array"}),
        "pipe.pth": lambda path, target: os.mkfifo(path),
        "pipe.safetensors": lambda path, target: os.mkfifo(path),
        "zeros.npz": lambda path, target: path.symlink_to("/dev/zero"),
        "loop.pth": lambda path, target: path.symlink_to(path),
        "folder": _folder_with_a_pipe,
        "empty_folder": lambda path, target: path.mkdir(),
    }  # fmt: skip
    return files


def _folder_with_a_pipe(path: pathlib.Path, target: pathlib.Path) -> None:
    path.mkdir()
    (path / "_METADATA").write_text("{}")
    os.mkfifo(path / "manifest.ocdbt")


def _mat(**arrays: object) -> bytes:
    stream = io.BytesIO()
    scipy.io.savemat(stream, arrays, do_compression=True)
    return stream.getvalue()


SVR = b"svm_type epsilon_svr\nkernel_type rbf\ngamma %s\nnr_class 2\ntotal_sv 1\nrho %s\nSV\n%s 1:0.5 2:%s\n"


def metric_files() -> dict[str, tuple[str, bytes | Callable[[], bytes]]]:
    """Parameter files of metrics by what is wrong: (how the metric is written, with {} for the path; the bytes)."""
    mean, covariance = np.zeros(36), np.eye(36)

    def niqe(first: object, second: object) -> bytes:
        stream = io.BytesIO()
        np.savez(stream, mean=first, covariance=second)
        return stream.getvalue()

    return {
        "niqe_int8.npz": ("niqe@{}", niqe(mean.astype(np.int8), covariance)),
        "niqe_bool.npz": ("niqe@{}", niqe(mean, covariance.astype(bool))),
        "niqe_complex.npz": ("niqe@{}", niqe(mean, covariance.astype(complex))),
        "niqe_text.npz": ("niqe@{}", niqe(mean.astype(str), covariance)),
        "niqe_nan.npz": ("niqe@{}", niqe(mean * np.nan, covariance)),
        "niqe_shape.npz": ("niqe@{}", niqe(np.zeros(35), covariance)),
        "niqe_bomb.npz": ("niqe@{}", lambda: _npz_bomb("mean")),
        "niqe_cells.mat": ("niqe@{}", _mat(mu_prisparam=np.array([mean, "a"], object), cov_prisparam=covariance)),
        "niqe_cut.mat": ("niqe@{}", _mat(mu_prisparam=mean, cov_prisparam=covariance)[:200]),
        "niqe_bomb.mat": ("niqe@{}", lambda: _mat(mu_prisparam=np.zeros(BOMB // 8), cov_prisparam=covariance)),
        "ilniqe_text.npz": ("ilniqe@{}", niqe(mean.astype(str), covariance)),
        "brisque_nan_rho.txt": ("brisque@{}", SVR % (b"0.05", b"nan", b"1", b"0.5")),
        "brisque_nan_gamma.txt": ("brisque@{}", SVR % (b"nan", b"0.1", b"1", b"0.5")),
        "brisque_nan_weight.txt": ("brisque@{}", SVR % (b"0.05", b"0.1", b"nan", b"0.5")),
        "brisque_nan_vector.txt": ("brisque@{}", SVR % (b"0.05", b"0.1", b"1", b"nan")),
        "brisque_infinite.txt": ("brisque@{}", SVR % (b"inf", b"0.1", b"1", b"0.5")),
        "brisque_complex.txt": ("brisque@{}", SVR % (b"0.05", b"1+2j", b"1", b"0.5")),
        "brisque_binary.txt": ("brisque@{}", bytes(range(256))),
    }


def vocabulary_files() -> dict[str, tuple[str, bytes | Callable[[], bytes]]]:
    """Vocabularies by name of their folder: (file name, bytes)."""
    return {
        "gzip_bomb": ("bpe_simple_vocab_16e6.txt.gz", lambda: gzip.compress(bytes(BOMB), 1)),
        "gzip_cut": ("bpe_simple_vocab_16e6.txt.gz", gzip.compress(b"#version\na b\n")[:15]),
        "gzip_none": ("bpe_simple_vocab_16e6.txt.gz", b"not gzip"),
        "deep_json": ("tokenizer.json", b"[" * 100_000),
        "no_model": ("tokenizer.json", b'{"model": 3}'),
        "wrong_merges": ("tokenizer.json", b'{"model": {"vocab": {"a": 1}, "merges": [1, 2]}}'),
        "text": ("tokenizer.json", b"\xff\xfe"),
        "no_vocabulary": ("vocab.json", b"[]"),
    }
