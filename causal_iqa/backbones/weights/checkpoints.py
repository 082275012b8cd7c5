"""Weight files in and out: named tensors, their metadata and a hash, and a comparison strict on both sides."""

import dataclasses
import hashlib
import os
import pathlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from causal_iqa import _checks, _files
from causal_iqa._arrays import Params
from causal_iqa.backbones.weights import array_files, budgets, state_dicts, statements, torch_files
from causal_iqa.backbones.weights.array_files import hash_arrays

__all__ = ["Checkpoint", "MismatchError", "check_layout", "hash_arrays", "read", "save_safetensors"]

_TORCH_SUFFIXES = (".pt", ".pth", ".th", ".bin", ".ckpt", ".tar")
_SAFETENSORS_SUFFIX = ".safetensors"
_NUMPY_SUFFIX = ".npz"
_SHARD = re.compile(r"(?P<root>.+)-\d{5}-of-\d{5}\.safetensors")
_LISTED = 8


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The content of one weight file.

    Attributes:
      path: where it came from.
      tensors: name -> array, as stored: the network that the file's names suggest, see `state_dicts.likely`.
      metadata: the metadata of the file; empty for PyTorch files.
      sha256: hash of the file's bytes.
      stored: every tensor that can be a network's, by its full name; empty where `tensors` holds all of them.
      stated: statements about the file from its metadata, its name and the files beside it.
    """

    path: str
    tensors: Mapping[str, np.ndarray]
    metadata: Mapping[str, str]
    sha256: str
    stored: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    stated: statements.Statement = statements.NOTHING

    def choices(self) -> Iterator[state_dicts.Choice]:
        """Yields every network the file may hold, the likeliest first."""
        if not self.stored:
            yield state_dicts.Choice("", self.tensors)
            return
        yield from state_dicts.choices(self.stored)


class MismatchError(_checks.InputError):
    """The tensors of a file are not those of the architecture."""


def read(path: str | os.PathLike[str], *, budget: budgets.Budget | None = None) -> Checkpoint:
    """Reads a weight file, and executes nothing that it contains.

    Args:
      path: a .safetensors file, or the .safetensors.index.json of one in shards; a PyTorch .pt, .pth, .th, .bin, .ckpt
        or .tar file (zip archive or legacy stream) of tensors in dictionaries; a .npz file of Flax parameters, as
        big_vision writes them; a folder that Orbax wrote; or a folder with a model.safetensors or its index.
      budget: what reading may cost; None: the current one, see `budgets.limited`, by default files of 16 GiB.

    Returns:
      The tensors, without what wrappers and training code put around them: the containers of a training checkpoint
      (`state_dict`, `model`, `module`, ...), optimisers, and batch norm's counters. Flax's names have dots for slashes,
      and blocks that were stored as one stack are apart.

    Raises:
      InputError: for a missing, damaged, refused or unknown file, or one that the budget does not allow.

    Examples:
      >>> sorted(backbones.read(backbones.bundled("scene_cnn_a")).tensors)[:1] != []
      True
    """
    path = pathlib.Path(path)
    found = _reader(path)(path, budget or budgets.current())
    stored = state_dicts.cleaned(found.tensors)
    likely = state_dicts.likely(stored).tensors
    stated = statements.of(path, found.sha256, found.metadata)
    return Checkpoint(str(path), likely, found.metadata, found.sha256, stored, stated)


def _reader(path: pathlib.Path) -> Callable[[pathlib.Path, budgets.Budget], array_files.Read]:
    """The reader of a path's kind; InputError for an unknown one."""
    if path.is_dir():
        for name in (f"model{_SAFETENSORS_SUFFIX}", f"model{_SAFETENSORS_SUFFIX}{array_files.INDEX_SUFFIX}"):
            if (path / name).is_file():
                return lambda folder, budget: _reader(folder / name)(folder / name, budget)
        return array_files.read_orbax
    if path.name.endswith(f"{_SAFETENSORS_SUFFIX}{array_files.INDEX_SUFFIX}"):
        return array_files.read_shards
    if path.suffix == _SAFETENSORS_SUFFIX:
        return array_files.read_safetensors
    if path.suffix == _NUMPY_SUFFIX:
        return array_files.read_numpy
    if path.suffix in _TORCH_SUFFIXES:
        return _read_torch
    suffixes = (
        _SAFETENSORS_SUFFIX,
        f"{_SAFETENSORS_SUFFIX}{array_files.INDEX_SUFFIX}",
        _NUMPY_SUFFIX,
        *_TORCH_SUFFIXES,
    )
    raise _checks.InputError(f"{path}: expected a weight file ending in {', '.join(suffixes)}")


def _read_torch(path: pathlib.Path, budget: budgets.Budget) -> array_files.Read:
    content = budgets.read_bytes(path, budget)
    return array_files.Read(torch_files.read(content, str(path), budget), {}, hashlib.sha256(content).hexdigest())


def fits(tensors: Mapping[str, np.ndarray], layout: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether tensors are exactly those of a layout; scalars beside them count for nothing."""
    if not all(name in tensors and tensors[name].shape == tuple(shape) for name, shape in layout.items()):
        return False
    return all(name in layout or not np.ndim(value) for name, value in tensors.items())


def check_layout(checkpoint: Checkpoint, layout: Mapping[str, tuple[int, ...]], architecture: str) -> None:
    """Raises unless the file holds exactly the tensors of an architecture; it ignores scalars beside them.

    Args:
      checkpoint: the file.
      layout: the architecture's tensors, name -> shape.
      architecture: its name, for the message.

    Raises:
      MismatchError: lists missing (-), unknown (+) and misshapen (!) tensors.
    """
    tensors = checkpoint.tensors
    missing = sorted(set(layout) - set(tensors))
    unknown = sorted(name for name, value in tensors.items() if name not in layout and np.ndim(value))
    wrong = [n for n in sorted(set(layout) & set(tensors)) if tensors[n].shape != tuple(layout[n])]
    if not (missing or unknown or wrong):
        return
    lines = [
        *_listed("-", missing, "missing"),
        *_listed("+", unknown, "unknown"),
        *_listed("!", [f"{n} has shape {tensors[n].shape}, expected {tuple(layout[n])}" for n in wrong], "misshapen"),
    ]
    path = pathlib.Path(checkpoint.path)
    shard = _SHARD.fullmatch(path.name)
    hint = (
        f" (one shard of several; give {shard['root']}{_SAFETENSORS_SUFFIX}{array_files.INDEX_SUFFIX})" if shard else ""
    )
    raise MismatchError(f"{path}{hint} does not fit {architecture}: " + "; ".join(lines))


# Integers that files hold beside weights and that no network here reads.
_INDICES = ("position_ids", "relative_position_index")


def check_numbers(path: str, tensors: Mapping[str, np.ndarray]) -> None:
    """Raises InputError unless every weight is a finite real number as float32; scalars may be integers.

    Args:
      path: path of the file, for the message.
      tensors: the tensors, by name.

    Raises:
      InputError: names the tensors of another type, and those with NaN or infinite numbers.
    """
    real = {key: value for key, value in tensors.items() if key.rsplit(".", 1)[-1] not in _INDICES}
    wrong = [
        f"{key} ({value.dtype})"
        for key, value in real.items()
        if not (jnp.issubdtype(value.dtype, jnp.floating) or (not value.ndim and value.dtype.kind in "iu"))
    ]
    if wrong:
        raise _checks.InputError(
            f"{path}: weights should be floating point numbers, these are not: {', '.join(wrong[:_LISTED])}; "
            "dequantise or convert them first"
        )
    with np.errstate(over="ignore"):
        broken = [key for key, value in real.items() if not np.isfinite(value.astype(np.float32)).all()]
    if broken:
        raise _checks.InputError(f"{path}: not finite: {', '.join(broken[:_LISTED])}")


def _listed(mark: str, names: list[str], kind: str) -> list[str]:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return [f"{len(names)} {kind}: " + ", ".join(f"{mark}{n}" for n in names[:_LISTED]) + more] if names else []


def unflatten(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Turns `a.b.kernel` names into the nested float32 dictionary a Flax module takes.

    Raises:
      InputError: when the name of an array is also the start of other names.
    """
    tree: dict[str, Any] = {}
    for name, value in tensors.items():
        *parents, leaf = name.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise _checks.InputError(f"{name}: {parent} is an array itself")
        if isinstance(node.get(leaf), dict):
            raise _checks.InputError(f"{name}: is an array and the start of other names")
        node[leaf] = np.asarray(value, np.float32)
    return tree


def flatten(params: Params) -> dict[str, Any]:
    """Inverse of `unflatten`; leaves are unchanged."""
    return {
        ".".join(entry.key for entry in path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]
    }


def check_name(path: str | os.PathLike[str]) -> None:
    """Raises InputError unless `save_safetensors` takes this name."""
    if pathlib.Path(path).suffix != _SAFETENSORS_SUFFIX:
        raise _checks.InputError(f"{path}: expected a name ending in {_SAFETENSORS_SUFFIX}")


def save_safetensors(path: str | os.PathLike[str], params: Params, metadata: Mapping[str, str]) -> None:
    """Writes nested parameters where `read` finds them again.

    Args:
      path: a name ending in .safetensors; replaced in one step if it exists.
      params: nested dictionaries of arrays.
      metadata: free text by name: who trained this, on what, how.

    Raises:
      InputError: when the name has another ending.

    Examples:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     params, notes = {"head": {"bias": np.zeros(2)}}, {"source": "scenes"}
      ...     backbones.save_safetensors(f"{folder}/a.safetensors", params, notes)
      ...     found = backbones.read(f"{folder}/a.safetensors")
      >>> list(found.tensors)
      ['head.bias']
    """
    check_name(path)
    path = pathlib.Path(path)
    # Its writer takes the memory as it lies.
    arrays = {name: np.asarray(value, order="C") for name, value in flatten(params).items()}
    _files.write_atomically(path, safetensors.numpy.save(arrays, dict(metadata)))
