"""The table of architectures, and weight files turned into networks of it."""

import dataclasses
import functools
import importlib
import logging
import os
import pathlib
import pkgutil
import types
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

import jax
import numpy as np

from causal_iqa import _checks, _tables
from causal_iqa.backbones import dry_calls, networks, user, zoo
from causal_iqa.backbones.weights import checkpoints, hub, installed, state_dicts
from causal_iqa.backbones.zoo import clip, twins

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ArchitectureSpec:
    """One architecture.

    Attributes:
      name: its key in the table.
      kind: its family, the name of a file of `zoo`.
      layout: tensors of a file -> the names and shapes such a file must hold; what the file may choose (number of
        classes, widths) is read from the tensors given.
      build: (checkpoint with that layout, input side in pixels or None) -> network.
      reference: where it is described.
    """

    name: str
    kind: str
    layout: Callable[[Mapping[str, np.ndarray]], dict[str, tuple[int, ...]]]
    build: Callable[[checkpoints.Checkpoint, int | None], networks.Network]
    reference: str


def _families() -> Iterator[types.ModuleType]:
    """The files of `zoo` that define architectures."""
    for found in pkgutil.iter_modules(zoo.__path__, f"{zoo.__name__}."):
        family = importlib.import_module(found.name)
        if hasattr(family, "REFERENCE"):
            yield family


def _specs(family: types.ModuleType) -> Iterator[ArchitectureSpec]:
    kind = family.__name__.rsplit(".", 1)[-1]
    for name in family.VARIANTS:
        layout, build = functools.partial(family.layout, name), functools.partial(family.build, name)
        yield ArchitectureSpec(name, kind, layout, build, family.REFERENCE)


TABLE = _tables.Table("architecture", (spec for family in _families() for spec in _specs(family)))
_LARGEST_PART = 4


def _chosen(name: str, checkpoint: checkpoints.Checkpoint) -> checkpoints.Checkpoint:
    """The network of this architecture in a file, with the architecture's tensors alone.

    Where there are several, the log names the one that was taken and those that were left out.
    """
    spec = TABLE[name]
    found = []
    for choice in checkpoint.choices():
        layout = spec.layout(choice.tensors)
        if checkpoints.fits(choice.tensors, layout):
            found.append((choice.prefix, {key: choice.tensors[key] for key in layout}))
            if not choice.prefix or not checkpoint.stored:
                break
    if not found:
        _refuse(name, checkpoint)
    (taken, tensors), others = found[0], tuple(prefix for prefix, _ in found[1:])
    if others:
        _LOG.warning(
            "%s holds %d networks of %s: %s was taken, %s was not",
            *(checkpoint.path, len(found), name, taken.rstrip("."), ", ".join(other.rstrip(".") for other in others)),
        )
    rest = state_dicts.left_out(checkpoint.stored, taken, others)
    if rest:
        shown = ", ".join(rest[:_LARGEST_PART]) + (", ..." if len(rest) > _LARGEST_PART else "")
        _LOG.warning("%s: %d tensors beside %s were left out: %s", checkpoint.path, len(rest), name, shown)
    return dataclasses.replace(checkpoint, tensors=tensors, stored={})


def _refuse(name: str, checkpoint: checkpoints.Checkpoint) -> NoReturn:
    """Raises MismatchError with the differences and the architectures that would fit."""
    try:
        checkpoints.check_layout(checkpoint, TABLE[name].layout(checkpoint.tensors), name)
    except checkpoints.MismatchError as mismatch:
        tensors = checkpoint.tensors
        fits = [other for other, row in TABLE.items() if checkpoints.fits(tensors, row.layout(tensors))]
        hint = f"; it fits {' or '.join(fits)}" if fits else ""
        raise checkpoints.MismatchError(f"{mismatch}{hint}") from None
    raise checkpoints.MismatchError(f"{checkpoint.path} does not fit {name}")


def _network(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    spec = _checks.lookup(TABLE, name, "architecture")
    checkpoint = _chosen(name, checkpoint)
    scripted = all(size in checkpoint.tensors for size in clip.SCRIPTED_SIZES)
    twins.check(name, checkpoint.path, checkpoint.tensors, checkpoint.stated, scripted=scripted)
    checkpoints.check_numbers(checkpoint.path, checkpoint.tensors)
    network = spec.build(checkpoint, input_size)
    broken = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_flatten_with_path(network.params)[0]
        if not np.isfinite(leaf).all()
    ]
    if broken:  # For instance of a negative variance.
        raise _checks.InputError(f"{checkpoint.path}: makes parameters that are not finite: {', '.join(broken[:4])}")
    return network


def load(name: str, path: str | os.PathLike[str] | None = None, *, input_size: int | None = None) -> networks.Network:
    """Makes a network of an architecture and a weight file.

    Args:
      name: a row of TABLE.
      path: a .safetensors, .npz or PyTorch file, see `checkpoints.read`, or an address on the Hugging Face hub, see
        `hub.fetch`; None for weights that are installed, see `bundled`.
      input_size: side in pixels of the network's input; by default what the file or the architecture says.

    Returns:
      The network with float32 parameters.

    Raises:
      InputError: for an unknown name, an unusable file, tensors that are not those of the architecture (all listed,
        with the architecture they do fit), no available weights, or a side the network does not take.

    Examples:
      >>> network = backbones.load("scene_cnn_a")
      >>> network.num_classes, "penultimate" in network.stages
      (10, True)
    """
    _checks.lookup(TABLE, name, "architecture")
    if path is None:
        path = installed.bundled(name)
    elif hub.is_address(str(path)):
        path = hub.fetch(str(path))
    return _network(name, checkpoints.read(path), input_size)


def bundled(name: str) -> pathlib.Path:
    """Finds the weights of an architecture that are installed: with this library, or with the extra `imagenet`.

    Args:
      name: a row of TABLE.

    Returns:
      The path of its weight file.

    Raises:
      InputError: for an unknown name, or when no weights of it are installed; it says which extra has them.

    Examples:
      >>> backbones.bundled("scene_cnn_a").name
      'scene_cnn_a.safetensors'
    """
    _checks.lookup(TABLE, name, "architecture")
    return installed.bundled(name)


def load_packaged(name: str) -> networks.Network:
    """Makes a network of the weights that are installed.

    Args:
      name: an architecture with such weights, see `bundled`.

    Returns:
      The network.

    Raises:
      InputError: for an unknown name, or when no weights of it are installed.

    Examples:
      >>> backbones.load_packaged("scene_cnn_a").name
      'scene_cnn_a'
    """
    return load(name)


def open_network(name: str, path: str | os.PathLike[str] | None = None) -> networks.Network:
    """Makes a network from any of its names; commands and studies all call this function.

    Args:
      name: a row of TABLE, or a user's function "package.module:function" or "path/to/file.py:function".
      path: path of the weight file, see `load`; None for installed weights and for a user's function.

    Returns:
      The network, after it was run once on a drawn image; not where its weights come with the library.

    Raises:
      InputError: from `load` or `user.load_function`, or when its outputs are not finite.

    Examples:
      >>> backbones.open_network("scene_cnn_a").num_classes
      10
    """
    network = user.load_function(name) if user.is_reference(name) else load(name, path)
    if path is None and name in TABLE and name not in installed.PACKAGES:
        dry_calls.mark_called(network)  # What comes with the library is tested with it.
    dry_calls.check_network(network)
    return network
