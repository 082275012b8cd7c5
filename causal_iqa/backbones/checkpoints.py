"""Weight files in and out: named tensors, their metadata and a hash, and a comparison strict on both sides."""

import dataclasses
import hashlib
import io
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from causal_iqa import _checks, _files
from causal_iqa.backbones import torch_files

_TORCH_SUFFIXES = (".pt", ".pth", ".th", ".bin")
_SAFETENSORS_SUFFIX = ".safetensors"
_NUMPY_SUFFIX = ".npz"
# Where Flax scanned over blocks, it stored them as one stack under this name.
_SCANNED = ".encoderblock."
_PARALLEL_PREFIX = "module."
_COUNTER = ".num_batches_tracked"
_LISTED = 8


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The content of one weight file.

    Attributes:
      path: where it came from.
      tensors: name -> array, as stored.
      metadata: what the file says about itself; empty for PyTorch files.
      sha256: hash of the file's bytes.
    """

    path: str
    tensors: Mapping[str, np.ndarray]
    metadata: Mapping[str, str]
    sha256: str


class MismatchError(_checks.InputError):
    """The tensors of a file are not those of the architecture."""


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads a weight file. Nothing it contains is executed.

    Args:
      path: a .safetensors file; a PyTorch .pt, .pth, .th or .bin file (zip archive or legacy stream) that holds a
        state_dict, alone or under `state_dict`, `model` or `model_state`, other entries beside it are ignored; or a
        .npz file of Flax parameters, as big_vision writes them; or a folder that Orbax wrote.

    Returns:
      The tensors, without the `module.` that DataParallel puts before every name and without batch norm's counters;
      Flax's names with dots for slashes, and blocks that were stored as one stack apart.

    Raises:
      InputError: for a missing, damaged, refused or unknown file.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        tensors = _read_orbax(path)
        return Checkpoint(str(path), _canonical(tensors), {}, hash_arrays(tensors))
    suffixes = (_SAFETENSORS_SUFFIX, _NUMPY_SUFFIX, *_TORCH_SUFFIXES)
    if path.suffix not in suffixes:
        raise _checks.InputError(f"{path}: expected a weight file ending in {', '.join(suffixes)}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _checks.InputError(f"{path}: cannot read the weight file ({error.strerror})") from None
    if path.suffix == _SAFETENSORS_SUFFIX:
        tensors, metadata = _read_safetensors(content, path)
    elif path.suffix == _NUMPY_SUFFIX:
        tensors, metadata = _read_numpy(content, path), {}
    else:
        tensors, metadata = torch_files.read(content, str(path)), {}
    return Checkpoint(str(path), _canonical(tensors), metadata, hashlib.sha256(content).hexdigest())


def _read_safetensors(content: bytes, path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        tensors = safetensors.numpy.load(content)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _checks.InputError(f"{path}: truncated or damaged safetensors file ({error})") from None
    header_bytes = int.from_bytes(content[:8], "little")
    return tensors, json.loads(content[8 : 8 + header_bytes]).get("__metadata__", {})


def _read_numpy(content: bytes, path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            stored = {name.replace("/", "."): archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _checks.InputError(f"{path}: truncated, damaged or refused .npz file ({error})") from None
    tensors = {}
    for name, value in stored.items():
        if _SCANNED in name:
            parts = {name.replace(_SCANNED, f"{_SCANNED[:-1]}_{i}."): layer for i, layer in enumerate(value)}
            tensors.update(parts)
        else:
            tensors[name] = value
    return tensors


def _read_orbax(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of an Orbax checkpoint, named by their place in the tree."""
    import orbax.checkpoint as ocp  # Slow to import, and only here.

    try:
        tree = ocp.PyTreeCheckpointer().restore(path.resolve())
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _checks.InputError(f"{path}: cannot be read as an Orbax checkpoint ({reason})") from None
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {
        ".".join(str(getattr(step, "key", getattr(step, "idx", step))) for step in place): np.asarray(leaf)
        for place, leaf in leaves
    }


def hash_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Returns a sha256 of the names, types, shapes and numbers of arrays, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def _canonical(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without DataParallel's prefix and without batch norm's counters, which inference does not read."""
    if all(name.startswith(_PARALLEL_PREFIX) for name in tensors):
        tensors = {name.removeprefix(_PARALLEL_PREFIX): value for name, value in tensors.items()}
    return {name: value for name, value in tensors.items() if not name.endswith(_COUNTER)}


def check_layout(checkpoint: Checkpoint, layout: Mapping[str, tuple[int, ...]], architecture: str) -> None:
    """Raises unless the file holds exactly the tensors of an architecture.

    Args:
      checkpoint: the file.
      layout: the architecture's tensors, name -> shape.
      architecture: its name, for the message.

    Raises:
      MismatchError: lists missing (-), unknown (+) and misshapen (!) tensors.
    """
    tensors = checkpoint.tensors
    missing = sorted(set(layout) - set(tensors))
    unknown = sorted(set(tensors) - set(layout))
    wrong = [n for n in sorted(set(layout) & set(tensors)) if tensors[n].shape != tuple(layout[n])]
    if not (missing or unknown or wrong):
        return
    lines = [
        *_listed("-", missing, "missing"),
        *_listed("+", unknown, "unknown"),
        *_listed("!", [f"{n} has shape {tensors[n].shape}, expected {tuple(layout[n])}" for n in wrong], "misshapen"),
    ]
    raise MismatchError(f"{checkpoint.path} does not fit {architecture}: " + "; ".join(lines))


def _listed(mark: str, names: list[str], kind: str) -> list[str]:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return [f"{len(names)} {kind}: " + ", ".join(f"{mark}{n}" for n in names[:_LISTED]) + more] if names else []


def unflatten(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Turns `a.b.kernel` names into the nested float32 dictionary a Flax module takes."""
    tree: dict[str, Any] = {}
    for name, value in tensors.items():
        *parents, leaf = name.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = np.asarray(value, np.float32)
    return tree


def flatten(params: Any) -> dict[str, Any]:
    """Inverse of `unflatten`; leaves stay as they are."""
    return {
        ".".join(entry.key for entry in path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]
    }


def check_name(path: str | os.PathLike[str]) -> None:
    """Raises InputError unless `save_safetensors` takes this name."""
    if pathlib.Path(path).suffix != _SAFETENSORS_SUFFIX:
        raise _checks.InputError(f"{path}: expected a name ending in {_SAFETENSORS_SUFFIX}")


def save_safetensors(path: str | os.PathLike[str], params: Any, metadata: Mapping[str, str]) -> None:
    """Writes nested parameters where `read` finds them again.

    Args:
      path: a name ending in .safetensors; replaced in one step if it exists.
      params: nested dictionaries of arrays.
      metadata: free text by name: who trained this, on what, how.

    Raises:
      InputError: when the name has another ending.
    """
    check_name(path)
    path = pathlib.Path(path)
    arrays = {k: np.asarray(v) for k, v in flatten(params).items()}
    _files.write_atomically(path, safetensors.numpy.save(arrays, dict(metadata)))
