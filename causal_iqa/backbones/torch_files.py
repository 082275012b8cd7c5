"""Reads the tensors of a PyTorch checkpoint without PyTorch and without running anything the file contains.

A pickle is a program: its opcodes may import any function and call it. Here the only names it may import are the
ordered dictionary, the two functions that rebuild a tensor (replaced by this module's own), the storage classes
(replaced by inert markers of a dtype) and, in a TorchScript archive, its own classes (all replaced by one dictionary of
attributes) and the functions that type its lists (replaced). Any other name is refused before it is looked up. The code
that a TorchScript archive holds beside its pickle is not opened.

References:
  [1] PyTorch `torch/serialization.py`: the layout of the legacy stream and of the zip archive.
"""

import collections
import io
import pickle
import struct
import types
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from causal_iqa import _checks

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
# In a TorchScript archive, whose modules may hold each other; no network comes near.
_MOST_MODULES = 20_000
_STATE_KEYS = ("state_dict", "model", "model_state")

_STORAGE_DTYPES = types.MappingProxyType(
    {
        "DoubleStorage": np.dtype("<f8"),
        "FloatStorage": np.dtype("<f4"),
        "HalfStorage": np.dtype("<f2"),
        "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
        "LongStorage": np.dtype("<i8"),
        "IntStorage": np.dtype("<i4"),
        "ShortStorage": np.dtype("<i2"),
        "CharStorage": np.dtype("i1"),
        "ByteStorage": np.dtype("u1"),
        "BoolStorage": np.dtype("?"),
    }
)


class _Refused(Exception):
    """The pickle asks for something this reader does not give."""


# The three below are tuples because a pickle may set the attributes of any object it holds, and a tuple has none to
# set. (A frozen dataclass with slots is not safe: its __setstate__ writes past the freeze.)
class _StorageType(NamedTuple):
    dtype: np.dtype


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    size: int
    start: int = 0


class _Tensor(NamedTuple):
    """A view into a storage whose bytes may not have been read yet."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _is_counts(values: Any) -> bool:
    return isinstance(values, tuple) and all(isinstance(v, int) and v >= 0 for v in values)


class _Rebuild:
    """Stands for torch._utils._rebuild_tensor*. Slotted, so the pickle cannot set attributes on it."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
        if not isinstance(storage, _Storage) or not _is_counts((offset,)) or not _is_counts(shape):
            raise _Refused("a tensor without a storage, an offset and a shape")
        if not _is_counts(strides) or len(strides) != len(shape):
            raise _Refused(f"a tensor of shape {shape} with strides {strides}")
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if 0 not in shape and last >= storage.size:
            raise _Refused(f"a tensor that ends at element {last} of a storage of {storage.size}")
        return _Tensor(storage, offset, shape, strides)


class _Module(dict):
    """Stands for every class of a TorchScript archive: holds the attributes of a module and does nothing."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise _Refused(f"a module with the state {str(state)[:80]}")
        dict.update(self, state)


class _First:
    """Stands for the functions that give lists their element types in a TorchScript archive."""

    __slots__ = ()

    def __call__(self, value: Any, *_: Any) -> Any:
        return value


_SCRIPT_LISTS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag")
_ALLOWED = types.MappingProxyType(
    {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor"): _Rebuild(),
        ("torch._utils", "_rebuild_tensor_v2"): _Rebuild(),
        **{("torch.jit._pickle", name): _First() for name in _SCRIPT_LISTS},
        **{("torch", name): _StorageType(dtype) for name, dtype in _STORAGE_DTYPES.items()},
    }
)


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return _Module
        if (module, name) not in _ALLOWED:
            raise _Refused(f"{module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
            raise _Refused(f"the persistent object {str(pid)[:80]}")
        kind, key, size = pid[1], pid[2], pid[4]
        if not isinstance(kind, _StorageType) or not isinstance(key, str) or not _is_counts((size,)):
            raise _Refused(f"the storage {str(pid)[:80]}")
        # Files of PyTorch 0.x name a part of a storage as (key, offset, size); its own size is then the part's.
        view = pid[5] if len(pid) == 6 else None
        if view is None:
            return _Storage(key, kind.dtype, size)
        if not isinstance(view, tuple) or len(view) != 3 or not _is_counts(view[1:]):
            raise _Refused(f"the storage view {str(view)[:80]}")
        return _Storage(key, kind.dtype, view[2], view[1])


def _unpickle(stream: io.BytesIO, path: str) -> Any:
    try:
        return _TensorUnpickler(stream, encoding="utf-8").load()
    except _Refused as refused:
        raise _checks.InputError(
            f"{path}: refused, the pickle asks for {refused}; only tensors and plain dictionaries, lists, numbers and "
            "strings are read, so save the state_dict alone or convert the file to .safetensors where you trust it"
        ) from None
    except RecursionError:
        raise _checks.InputError(f"{path}: refused, the pickle nests too deep") from None
    except Exception as error:  # A damaged pickle can fail in any opcode, and each has its own exception.
        raise _checks.InputError(
            f"{path}: truncated or damaged PyTorch file ({type(error).__name__}: {str(error)[:100]})"
        ) from None


def _storages(loaded: Any) -> dict[str, _Storage]:
    """The distinct storages under `loaded`, by key, found without calling a method the pickle could have replaced."""
    found, stack, seen = {}, [loaded], set()
    while stack:
        node = stack.pop()
        if isinstance(node, _Tensor):
            found.setdefault(node.storage.key, node.storage)
        elif isinstance(node, dict | list | tuple) and id(node) not in seen:
            seen.add(id(node))
            stack.extend(dict.values(node) if isinstance(node, dict) else node)
    return found


def _flat(module: _Module, path: str) -> dict[str, Any]:
    """The attributes of a module and of those within it, by their dotted names."""
    found, stack = {}, [("", module)]
    for _ in range(_MOST_MODULES):
        if not stack:
            return found
        root, node = stack.pop()
        for name, value in dict.items(node):
            if isinstance(value, _Module):
                stack.append((f"{root}{name}.", value))
            else:
                found[f"{root}{name}"] = value
    raise _checks.InputError(f"{path}: refused, modules within modules without end")


def _state(loaded: Any, path: str) -> dict[str, _Tensor]:
    candidates = [loaded, *(dict.get(loaded, key) for key in _STATE_KEYS)] if isinstance(loaded, dict) else []
    for candidate in candidates:
        if isinstance(candidate, dict):
            candidate = _flat(candidate, path) if isinstance(candidate, _Module) else candidate
            tensors = {k: v for k, v in dict.items(candidate) if isinstance(k, str) and isinstance(v, _Tensor)}
            if tensors:
                return tensors
    held = ", ".join(str(key)[:40] for key in list(loaded)[:8]) if isinstance(loaded, dict) else type(loaded).__name__
    raise _checks.InputError(f"{path}: no tensors at the top or under {', '.join(_STATE_KEYS)}; the file holds {held}")


def _view(tensor: _Tensor, buffers: Mapping[str, np.ndarray], path: str) -> np.ndarray:
    storage, buffer = tensor.storage, buffers[tensor.storage.key]
    part = buffer[storage.start : storage.start + storage.size]
    if buffer.dtype != storage.dtype or part.size < storage.size:
        raise _checks.InputError(f"{path}: truncated or damaged PyTorch file, storage {storage.key} is too short")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, part.dtype)
    steps = tuple(step * part.itemsize for step in tensor.strides)
    try:
        return np.lib.stride_tricks.as_strided(part[tensor.offset :], tensor.shape, steps, writeable=False)
    except ValueError as error:
        raise _checks.InputError(f"{path}: damaged PyTorch file, a tensor of shape {tensor.shape}: {error}") from None


def _read_legacy(content: bytes, path: str) -> tuple[Any, dict[str, np.ndarray]]:
    stream = io.BytesIO(content)
    if _unpickle(stream, path) != _LEGACY_MAGIC:
        raise _checks.InputError(f"{path}: not a PyTorch checkpoint (no magic number)")
    protocol, system = _unpickle(stream, path), _unpickle(stream, path)
    if protocol != _LEGACY_PROTOCOL:
        raise _checks.InputError(
            f"{path}: expected PyTorch stream protocol {_LEGACY_PROTOCOL}, got {str(protocol)[:40]}"
        )
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _checks.InputError(f"{path}: only little-endian PyTorch files are read")
    loaded = _unpickle(stream, path)
    keys = _unpickle(stream, path)
    storages = _storages(loaded)
    if not isinstance(keys, list) or not set(storages) <= set(map(str, keys)):
        raise _checks.InputError(f"{path}: damaged PyTorch file, its list of storages does not match its tensors")
    buffers = {}
    for key in keys:
        head = stream.read(8)
        if len(head) < 8:
            raise _checks.InputError(f"{path}: truncated PyTorch file, storage {key} is missing")
        if key not in storages:
            raise _checks.InputError(f"{path}: damaged PyTorch file, storage {key} belongs to no tensor")
        (count,) = struct.unpack("<q", head)
        dtype = storages[key].dtype
        left = len(content) - stream.tell()
        if count < 0 or count * dtype.itemsize > left:
            raise _checks.InputError(f"{path}: truncated PyTorch file, {left} bytes are left for storage {key}")
        buffers[key] = np.frombuffer(content, dtype, count, stream.tell())
        stream.seek(count * dtype.itemsize, io.SEEK_CUR)
    return loaded, buffers


def _read_zip(content: bytes, path: str) -> tuple[Any, dict[str, np.ndarray]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError) as error:
        raise _checks.InputError(f"{path}: truncated or damaged PyTorch file ({error})") from None
    names = set(archive.namelist())
    roots = [name.removesuffix("data.pkl") for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise _checks.InputError(f"{path}: not a PyTorch checkpoint (one data.pkl expected, {len(roots)} found)")

    def member(name: str) -> bytes:
        try:
            info = archive.getinfo(roots[0] + name)
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(content):
                raise _checks.InputError(f"{path}: damaged PyTorch file, {name} is compressed or too long")
            return archive.read(info)
        except (KeyError, zipfile.BadZipFile, EOFError, RuntimeError, struct.error) as error:
            raise _checks.InputError(f"{path}: truncated or damaged PyTorch file, {name}: {error}") from None

    if f"{roots[0]}byteorder" in names and member("byteorder") != b"little":
        raise _checks.InputError(f"{path}: only little-endian PyTorch files are read")
    loaded = _unpickle(io.BytesIO(member("data.pkl")), path)
    buffers = {}
    for key, storage in _storages(loaded).items():
        data = member(f"data/{key}")
        if len(data) % storage.dtype.itemsize:
            raise _checks.InputError(f"{path}: damaged PyTorch file, storage {key} has {len(data)} bytes")
        buffers[key] = np.frombuffer(data, storage.dtype)
    return loaded, buffers


def read(content: bytes, path: str) -> dict[str, np.ndarray]:
    """Returns the tensors of what `torch.save` or `torch.jit.save` wrote.

    Args:
      content: the bytes of a .pt, .pth or .th file, zip archive or legacy stream.
      path: its name, for messages.

    Returns:
      The state_dict found at the top or under `state_dict`, `model` or `model_state`, or that of the module that
      `torch.jit.save` wrote: name -> read-only array (bfloat16 as ml_dtypes.bfloat16). Entries that are not tensors are
      left out.

    Raises:
      InputError: when the file is damaged, holds no tensors, or asks for anything else, which the message names.
    """
    loaded, buffers = (_read_zip if content[:2] == b"PK" else _read_legacy)(content, path)
    return {name: _view(tensor, buffers, path) for name, tensor in _state(loaded, path).items()}
