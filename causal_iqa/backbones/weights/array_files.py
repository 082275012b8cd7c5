"""Readers of safetensors (one file or shards with an index), NumPy's archives and Orbax's folders.

Each reader takes a budget and returns arrays by dotted names. No reader executes anything that a file contains.
"""

import contextlib
import gc
import hashlib
import io
import json
import logging
import math
import os
import pathlib
import struct
import tokenize
import types
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import ml_dtypes
import numpy as np
import safetensors

from causal_iqa import _checks
from causal_iqa.backbones.weights import budgets
from causal_iqa.backbones.weights.budgets import short

INDEX_SUFFIX = ".index.json"
_DTYPES: Mapping[str, np.dtype] = types.MappingProxyType(
    {
        "BF16": np.dtype(ml_dtypes.bfloat16),
        "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
        "F8_E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
        "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
        "F8_E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
        "C64": np.dtype("<c8"),
        "BOOL": np.dtype("?"),
        "I8": np.dtype("i1"),
        "U8": np.dtype("u1"),
        **{f"{kind.upper()}{8 * size}": np.dtype(f"<{kind}{size}") for kind in "iu" for size in (2, 4, 8)},
        **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    }
)
# Where Flax scanned over blocks, it stored them as one stack under this name.
_SCANNED = ".encoderblock."


class Read(NamedTuple):
    """Arrays by name, the metadata of the file, and the SHA-256 of its bytes."""

    tensors: dict[str, np.ndarray]
    metadata: Mapping[str, str]
    sha256: str


def read_safetensors(path: pathlib.Path, budget: budgets.Budget) -> Read:
    """Reads one safetensors file; bfloat16 and float8 become those of ml_dtypes."""
    content = budgets.read_bytes(path, budget)
    try:
        views = safetensors.deserialize(content)
    except (safetensors.SafetensorError, TypeError, ValueError) as error:
        raise _checks.InputError(f"{path}: truncated or damaged safetensors file ({_one_line(error)})") from None
    budget.check(str(path), "the file", len(views), "objects")
    tensors = {}
    for name, view in views:
        dtype = _DTYPES.get(view["dtype"])
        if dtype is None:
            raise _checks.InputError(
                f"{path}: {short(name)} has the type {view['dtype']}, which is not read; store it as F16, BF16 or F32"
            )
        tensors[name] = np.frombuffer(view["data"], dtype).reshape(view["shape"])
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return Read(tensors, header.get("__metadata__") or {}, hashlib.sha256(content).hexdigest())


def shards_of(path: pathlib.Path, budget: budgets.Budget | None = None) -> dict[str, str]:
    """Reads an index of shards, `{"weight_map": {tensor: file}}`.

    Args:
      path: path of the index.
      budget: bounds its text.

    Returns:
      Tensor -> file in the index's folder.

    Raises:
      InputError: when it is no such index, or names a file elsewhere or of another kind.
    """
    try:
        index = json.loads(budgets.read_bytes(path, budget, text=True))
        files = index["weight_map"]
        wanted = {name: str(files[name]) for name in files}
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, RecursionError) as error:
        raise _checks.InputError(f"{path}: not an index of shards with a `weight_map` ({_one_line(error)})") from None
    for file in wanted.values():
        if pathlib.PurePath(file).name != file or file in ("", ".", ".."):
            raise _checks.InputError(f"{path}: refused, a shard outside its folder, {short(file)}")
        if not file.endswith(".safetensors"):
            raise _checks.InputError(f"{path}: only shards ending in .safetensors are read, got {short(file)}")
    return wanted


def read_shards(path: pathlib.Path, budget: budgets.Budget) -> Read:
    """Reads the safetensors files that an index names, from the index's folder."""
    wanted = shards_of(path, budget)
    tensors: dict[str, np.ndarray] = {}
    metadata: dict[str, str] = {}
    digest, size = hashlib.sha256(), 0
    for file in sorted(set(wanted.values())):
        shard = read_safetensors(path.with_name(file), budget)
        size += sum(value.nbytes for value in shard.tensors.values())
        budget.check(str(path), "all shards together", size, "bytes")
        digest.update(f"{file} {shard.sha256} ".encode())
        metadata |= shard.metadata
        expected = {name for name, place in wanted.items() if place == file}
        differing = sorted(expected ^ set(shard.tensors))
        if differing:
            raise _checks.InputError(f"{path}: {file} and the index disagree about {', '.join(differing[:4])}")
        tensors |= shard.tensors
    return Read(tensors, metadata, digest.hexdigest())


def read_numpy(path: pathlib.Path, budget: budgets.Budget) -> Read:
    """Reads an .npz archive; names get dots for slashes, and blocks that were stored as one stack are taken apart."""
    content = budgets.read_bytes(path, budget)
    stored = {name.replace("/", "."): value for name, value in load_npz(content, str(path), budget).items()}
    tensors = {}
    for name, value in stored.items():
        if _SCANNED in name and value.ndim:
            parts = {name.replace(_SCANNED, f"{_SCANNED[:-1]}_{i}."): layer for i, layer in enumerate(value)}
            tensors.update(parts)
        else:
            tensors[name] = value
    return Read(tensors, {}, hashlib.sha256(content).hexdigest())


def load_npz(content: bytes, path: str, budget: budgets.Budget | None = None) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz archive, each member bounded before it is decompressed.

    Args:
      content: the archive's bytes.
      path: its name, for messages.
      budget: bounds its members together.

    Returns:
      Name -> read-only array.

    Raises:
      InputError: when it is damaged, holds pickled objects, or is larger than the budget.
    """
    budget = budget or budgets.current()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            budget.check(path, "the archive", len(members), "objects")
            budget.check(path, "the archive", sum(member.file_size for member in members), "bytes")
            found = {}
            for member in members:
                with archive.open(member) as stream:
                    # What the directory says about sizes may be wrong.
                    data = stream.read(member.file_size + 1)
                if len(data) != member.file_size:
                    raise ValueError(f"{member.filename} is not as long as the archive says")
                found[member.filename.removesuffix(".npy")] = _array(data)
    except _checks.InputError:
        raise
    except (
        *(OSError, ValueError, KeyError, EOFError, RuntimeError, TypeError, SyntaxError, NotImplementedError),
        *(tokenize.TokenError, IndexError),
        *(zipfile.BadZipFile, zlib.error, struct.error, OverflowError, MemoryError, RecursionError),
    ) as error:
        raise _checks.InputError(f"{path}: truncated, damaged or refused .npz file ({_one_line(error)})") from None
    return found


def _array(data: bytes) -> np.ndarray:
    """The array of a .npy member."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"a .npy of version {version}")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    if dtype.hasobject:
        raise ValueError("pickled objects are not read")
    place, count = stream.tell(), math.prod(shape)
    if any(side < 0 for side in shape) or count * dtype.itemsize != len(data) - place:
        raise ValueError(f"an array of shape {short(shape)} in {len(data) - place} bytes")
    values = np.frombuffer(data, dtype, count, place) if count else np.zeros(0, dtype)
    return values.reshape(shape, order="F" if fortran else "C")


def _check_folder(path: pathlib.Path, budget: budgets.Budget) -> None:
    """Raises unless a folder holds regular files within the budget."""
    files, size = 0, 0
    for folder, _, names in os.walk(path):
        for name in names:
            files += 1
            file = pathlib.Path(folder, name)
            if not file.is_file():
                raise _checks.InputError(f"{path}: {file.name} is no regular file")
            size += file.stat().st_size
            budget.check(str(path), "the folder", files, "objects")
            budget.check(str(path), "the folder", size, "bytes")


def read_orbax(path: pathlib.Path, budget: budgets.Budget) -> Read:
    """Reads the arrays of an Orbax checkpoint, named by their place in the tree."""
    import orbax.checkpoint as ocp  # Slow to import, and only here.

    _check_folder(path, budget)
    checkpointer = ocp.PyTreeCheckpointer()
    with quiet_orbax():
        tree = _restored(checkpointer, path, budget)
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    arrays = {
        ".".join(str(getattr(step, "key", getattr(step, "idx", step))) for step in place): np.asarray(leaf)
        for place, leaf in leaves
        if not isinstance(leaf, str | bytes)
    }
    tensors = {name: value for name, value in arrays.items() if value.dtype != object}
    return Read(tensors, {}, hash_arrays(tensors))


@contextlib.contextmanager
def quiet_orbax() -> Iterator[None]:
    """Keeps Orbax and the tasks it leaves behind from writing tracebacks of what is raised here in one line."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        gc.collect()  # A task says what went wrong in it when it is collected.
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was


def _restored(checkpointer: Any, path: pathlib.Path, budget: budgets.Budget) -> Any:
    try:
        described = checkpointer.metadata(path.resolve())
        described = getattr(described, "item_metadata", described)
        described = jax.tree.leaves(getattr(described, "tree", described), is_leaf=lambda leaf: hasattr(leaf, "shape"))
        budget.check(str(path), "the arrays", sum(map(_described_bytes, described)), "bytes")
        return checkpointer.restore(path.resolve())
    except _checks.InputError:
        raise
    except Exception as error:  # Its libraries raise whatever a damaged file leads them to.
        reason = _one_line(error)
    # Outside, so that nothing holds on to the tasks that failed.
    raise _checks.InputError(f"{path}: cannot be read as an Orbax checkpoint ({reason})")


def _described_bytes(leaf: Any) -> int:
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
    return math.prod(shape) * np.dtype(dtype).itemsize if shape is not None and dtype is not None else 0


def hash_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Returns a sha256 of the names, types, shapes and numbers of arrays, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return (text or type(error).__name__)[:160]
