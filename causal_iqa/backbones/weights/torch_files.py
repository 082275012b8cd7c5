"""Reads the tensors of a PyTorch checkpoint without PyTorch and without running anything the file contains.

`pickles` evaluates the file's pickle; the code that a TorchScript archive holds beside it is not opened.

References:
  [1] PyTorch `torch/serialization.py`: the layout of the legacy stream and of the zip archive.
"""

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from causal_iqa import _checks
from causal_iqa.backbones.weights import budgets, pickles, state_dicts
from causal_iqa.backbones.weights.budgets import short
from causal_iqa.backbones.weights.pickle_names import Storage, Tensor

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
# No checkpoint nests its tensors deeper, no matter whose.
_DEEPEST = 64


def _entries(node: Any) -> list[tuple[str, Any]]:
    """What a node of the tree holds, with the names of its entries; nothing for a leaf."""
    if isinstance(node, dict):
        return [(str(key), value) for key, value in node.items() if isinstance(key, str | int)]
    if isinstance(node, list | tuple) and not isinstance(node, Tensor | Storage):
        return [(str(number), value) for number, value in enumerate(node)]
    return []


def _flat(loaded: Any, path: str, budget: budgets.Budget) -> dict[str, Tensor]:
    """Every tensor of the tree by its dotted name."""
    found: dict[str, Tensor] = {}
    stack, steps = [("", 0, loaded)], 0
    while stack:
        root, depth, node = stack.pop()
        if depth > _DEEPEST:
            raise _checks.InputError(f"{path}: refused, it nests deeper than {_DEEPEST} levels, or without end")
        entries = _entries(node)
        steps += len(entries)
        budget.check(path, "the tree of its entries", steps, "objects")
        inner = []
        for name, value in entries:
            if isinstance(value, Tensor):
                found[f"{root}{name}"] = value
            elif isinstance(value, dict | list | tuple):
                inner.append((f"{root}{name}.", depth + 1, value))
        stack.extend(reversed(inner))
    return found


def _storages(loaded: Any) -> dict[str, Storage]:
    """The distinct storages under `loaded`, by key."""
    found: dict[str, Storage] = {}
    stack, seen = [loaded], set()
    while stack:
        node = stack.pop()
        if isinstance(node, Tensor):
            found.setdefault(node.storage.key, node.storage)
        elif isinstance(node, dict | list | tuple) and id(node) not in seen:
            seen.add(id(node))
            stack.extend(node.values() if isinstance(node, dict) else node)
    return found


def _view(tensor: Tensor, buffers: Mapping[str, np.ndarray], path: str) -> np.ndarray:
    storage = tensor.storage
    buffer = buffers[storage.key]
    part = buffer[storage.start : storage.start + storage.size]
    if buffer.dtype != storage.dtype or part.size < storage.size:
        raise _checks.InputError(
            f"{path}: truncated or damaged PyTorch file, storage {short(storage.key)} is too short"
        )
    dtype = tensor.dtype or part.dtype
    if dtype != part.dtype:  # The storage holds bytes.
        part = part[: part.size // dtype.itemsize * dtype.itemsize].view(dtype)
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, dtype)
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True))
    if last >= part.size:
        raise _checks.InputError(
            f"{path}: damaged PyTorch file, a tensor that ends at element {last} of a storage of {part.size}"
        )
    steps = tuple(step * part.itemsize for step in tensor.strides)
    try:
        return np.lib.stride_tricks.as_strided(part[tensor.offset :], tensor.shape, steps, writeable=False)
    except ValueError as error:
        raise _checks.InputError(
            f"{path}: damaged PyTorch file, a tensor of shape {short(tensor.shape)}: {error}"
        ) from None


def _read_legacy(content: bytes, path: str, budget: budgets.Budget) -> tuple[Any, dict[str, np.ndarray]]:
    stream = io.BytesIO(content)
    if pickles.load(stream, path, budget) != _LEGACY_MAGIC:
        raise _checks.InputError(f"{path}: not a PyTorch checkpoint (no magic number)")
    protocol, system = pickles.load(stream, path, budget), pickles.load(stream, path, budget)
    if protocol != _LEGACY_PROTOCOL:
        raise _checks.InputError(f"{path}: expected PyTorch stream protocol {_LEGACY_PROTOCOL}, got {short(protocol)}")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _checks.InputError(f"{path}: only little-endian PyTorch files are read")
    loaded = pickles.load(stream, path, budget)
    keys = pickles.load(stream, path, budget)
    storages = _storages(loaded)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or not set(storages) <= set(keys):
        raise _checks.InputError(f"{path}: damaged PyTorch file, its list of storages does not match its tensors")
    buffers = {}
    for key in keys:
        head = stream.read(8)
        if len(head) < 8:
            raise _checks.InputError(f"{path}: truncated PyTorch file, storage {short(key)} is missing")
        if key not in storages:
            raise _checks.InputError(f"{path}: damaged PyTorch file, storage {short(key)} belongs to no tensor")
        (count,) = struct.unpack("<q", head)
        dtype = storages[key].dtype
        left = len(content) - stream.tell()
        if count < 0 or count * dtype.itemsize > left:
            raise _checks.InputError(f"{path}: truncated PyTorch file, {left} bytes are left for storage {short(key)}")
        buffers[key] = np.frombuffer(content, dtype, count, stream.tell())
        stream.seek(count * dtype.itemsize, io.SEEK_CUR)
    return loaded, buffers


def _read_zip(content: bytes, path: str, budget: budgets.Budget) -> tuple[Any, dict[str, np.ndarray]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError, struct.error) as error:
        raise _checks.InputError(f"{path}: truncated or damaged PyTorch file ({error})") from None
    names = set(archive.namelist())
    budget.check(path, "the archive", len(names), "objects")
    roots = [name.removesuffix("data.pkl") for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise _checks.InputError(f"{path}: not a PyTorch checkpoint (one data.pkl expected, {len(roots)} found)")
    left = len(content)

    def member(name: str) -> bytes:
        nonlocal left
        try:
            info = archive.getinfo(roots[0] + name)
            left -= info.file_size
            # Members lie one after the other; what overlaps could be read many times over.
            if info.compress_type != zipfile.ZIP_STORED or left < 0:
                raise _checks.InputError(f"{path}: damaged PyTorch file, {short(name)} is compressed or too long")
            return archive.read(info)
        except _checks.InputError:
            raise
        except KeyError:
            raise _checks.InputError(f"{path}: truncated or damaged PyTorch file, no {short(name)}") from None
        except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, OSError, struct.error) as error:
            raise _checks.InputError(f"{path}: truncated or damaged PyTorch file, {short(name)}: {error}") from None

    if f"{roots[0]}byteorder" in names and member("byteorder") != b"little":
        raise _checks.InputError(f"{path}: only little-endian PyTorch files are read")
    pickled = member("data.pkl")
    budget.check(path, "the pickle", len(pickled), "text")
    loaded = pickles.load(io.BytesIO(pickled), path, budget)
    buffers = {}
    for key, storage in _storages(loaded).items():
        data = member(f"data/{key}")
        if len(data) % storage.dtype.itemsize:
            raise _checks.InputError(f"{path}: damaged PyTorch file, storage {short(key)} has {len(data)} bytes")
        buffers[key] = np.frombuffer(data, storage.dtype)
    return loaded, buffers


def read(content: bytes, path: str, budget: budgets.Budget | None = None) -> dict[str, np.ndarray]:
    """Returns the tensors of what `torch.save` or `torch.jit.save` wrote.

    Args:
      content: the bytes of a .pt, .pth or .th file, zip archive or legacy stream.
      path: its name, for messages.
      budget: bounds the pickle and the tensors, which may be larger than the file where they are expanded.

    Returns:
      Every tensor by its dotted name in the file's dictionaries, lists and modules, e.g. "state_dict.conv1.weight", as
      a read-only array (bfloat16 and float8 as those of ml_dtypes). The state of optimisers is left out.

    Raises:
      InputError: when the file is damaged, holds no tensors, or asks for anything else, which the message names.
    """
    budget = budget or budgets.current()
    loaded, buffers = (_read_zip if content[:2] == b"PK" else _read_legacy)(content, path, budget)
    flat = {name: tensor for name, tensor in _flat(loaded, path, budget).items() if state_dicts.is_of_network(name)}
    if not flat:
        held = ", ".join(short(key) for key in list(loaded)[:8]) if isinstance(loaded, dict) else type(loaded).__name__
        raise _checks.InputError(f"{path}: no tensors; the file holds {held}")
    found = {name: _view(tensor, buffers, path) for name, tensor in flat.items()}
    budget.check(path, "the tensors", sum(value.nbytes for value in found.values()), "bytes")
    return found
