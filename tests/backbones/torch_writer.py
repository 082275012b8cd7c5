"""Writes files as `torch.save` does, without PyTorch: arrays in any nesting become tensors."""

import io
import pickle
import sys
import types
import zipfile
from typing import Any
from unittest import mock

import ml_dtypes
import numpy as np

_STORAGES = {
    np.dtype(np.float32): "FloatStorage",
    np.dtype(np.float64): "DoubleStorage",
    np.dtype(np.float16): "HalfStorage",
    np.dtype(ml_dtypes.bfloat16): "BFloat16Storage",
    np.dtype(np.int64): "LongStorage",
    np.dtype(np.int32): "IntStorage",
    np.dtype(np.int8): "CharStorage",
    np.dtype(np.uint8): "ByteStorage",
    np.dtype(bool): "BoolStorage",
    np.dtype(np.complex64): "ComplexFloatStorage",
}


def _modules() -> dict[str, types.ModuleType]:
    """Modules with the names that PyTorch's pickles ask for."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def rebuild(*_: Any) -> None:
        raise AssertionError("only its name is written")

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    for name in _STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    return {"torch": torch, "torch._utils": utils}


class _Reference:
    def __init__(self, pid: tuple):
        self.pid = pid


class _Pickler(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, modules: dict[str, types.ModuleType]):
        super().__init__(stream, protocol=2)
        self.modules, self.arrays = modules, []

    def persistent_id(self, value: Any) -> tuple | None:
        return value.pid if isinstance(value, _Reference) else None

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return NotImplemented
        value = np.asarray(value, order="C")
        kind = getattr(self.modules["torch"], _STORAGES[value.dtype])
        reference = _Reference(("storage", kind, str(len(self.arrays)), "cpu", value.size))
        self.arrays.append(value)
        strides = tuple(step // value.itemsize for step in value.strides)
        rebuild = self.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (reference, 0, value.shape, strides, False, {})


def dumps(value: Any) -> bytes:
    """Returns the zip archive of `torch.save(value)`, NumPy arrays in it as tensors."""
    modules, pickled = _modules(), io.BytesIO()
    with mock.patch.dict(sys.modules, modules):
        pickler = _Pickler(pickled, modules)
        pickler.dump(value)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("net/data.pkl", pickled.getvalue())
        archive.writestr("net/byteorder", b"little")
        for number, array in enumerate(pickler.arrays):
            archive.writestr(f"net/data/{number}", array.tobytes())
    return stream.getvalue()


def parts(archive: bytes) -> tuple[bytes, list[bytes]]:
    """Returns the pickle of an archive that `dumps` wrote, and the bytes of its storages in order."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        count = sum("/data/" in name for name in opened.namelist())
        return opened.read("net/data.pkl"), [opened.read(f"net/data/{number}") for number in range(count)]
