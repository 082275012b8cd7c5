"""The table of architectures, and weight files turned into networks of it."""

import dataclasses
import functools
import os
import pathlib
import types
from collections.abc import Callable, Mapping

import numpy as np

from causal_iqa import _checks
from causal_iqa.backbones import (
    alexnet,
    checkpoints,
    cifar_resnet,
    clip,
    clip_resnet,
    convnext,
    efficientnet,
    hub,
    installed,
    mobilenet,
    networks,
    resnet,
    scene_cnn,
    squeezenet,
    user,
    vgg,
    vit,
    wide_resnet,
)


@dataclasses.dataclass(frozen=True)
class ArchitectureSpec:
    """One architecture.

    Attributes:
      name: its key in the table.
      kind: its family, the name of a module of this room.
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


def _specs(family: types.ModuleType, names: Mapping[str, object], reference: str) -> dict[str, ArchitectureSpec]:
    kind = family.__name__.rsplit(".", 1)[-1]
    return {
        name: ArchitectureSpec(
            name, kind, functools.partial(family.layout, name), functools.partial(family.build, name), reference
        )
        for name in names
    }


TABLE: Mapping[str, ArchitectureSpec] = types.MappingProxyType(
    {
        **_specs(cifar_resnet, cifar_resnet.BLOCKS, "He et al. CVPR 2016, section 4.2"),
        **_specs(mobilenet, mobilenet.VARIANTS, "Howard et al. 2017 (V1); Sandler et al. CVPR 2018 (V2)"),
        **_specs(wide_resnet, wide_resnet.VARIANTS, "Zagoruyko, Komodakis. BMVC 2016"),
        **_specs(resnet, resnet.VARIANTS, "He et al. CVPR 2016; Zagoruyko, Komodakis 2016; Xie et al. CVPR 2017"),
        **_specs(
            efficientnet, efficientnet.VARIANTS, "Tan, Le. ICML 2019; Howard et al. ICCV 2019; Sandler et al. CVPR 2018"
        ),
        **_specs(convnext, convnext.VARIANTS, "Liu et al. CVPR 2022"),
        **_specs(vit, vit.VARIANTS, "Dosovitskiy et al. ICLR 2021; Touvron et al. ICML 2021; Oquab et al. TMLR 2024"),
        **_specs(clip, clip.VARIANTS, "Radford et al. ICML 2021; Cherti et al. CVPR 2023; Zhai et al. ICCV 2023"),
        **_specs(clip_resnet, clip_resnet.VARIANTS, "Radford et al. ICML 2021"),
        **_specs(alexnet, alexnet.VARIANTS, "Krizhevsky 2014"),
        **_specs(vgg, vgg.VARIANTS, "Simonyan, Zisserman ICLR 2015"),
        **_specs(squeezenet, squeezenet.VARIANTS, "Iandola et al. 2016"),
        **_specs(scene_cnn, scene_cnn.VARIANTS, "this library"),
    }
)


def _network(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    spec = _checks.lookup(TABLE, name, "architecture")
    try:
        checkpoints.check_layout(checkpoint, spec.layout(checkpoint.tensors), name)
    except checkpoints.MismatchError as mismatch:
        shapes = {key: value.shape for key, value in checkpoint.tensors.items()}
        fits = [other for other, row in TABLE.items() if row.layout(checkpoint.tensors) == shapes]
        hint = f"; it fits {' or '.join(fits)}" if fits else ""
        raise checkpoints.MismatchError(f"{mismatch}{hint}") from None
    broken = [key for key, value in checkpoint.tensors.items() if not np.isfinite(value.astype(np.float32)).all()]
    if broken:
        raise _checks.InputError(f"{checkpoint.path}: not finite: {', '.join(broken[:8])}")
    return spec.build(checkpoint, input_size)


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
        with the architecture they do fit), no weights at hand, or a side the network does not take.
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
    """
    return load(name)


def open_network(name: str, path: str | os.PathLike[str] | None = None) -> networks.Network:
    """Makes a network of whatever names it: the one way for binaries and studies.

    Args:
      name: a row of TABLE, or a user's function "package.module:function" or "path/to/file.py:function".
      path: of the weight file, see `load`; None for installed weights and for a user's function.

    Returns:
      The network.

    Raises:
      InputError: from `load` or `user.load_function`.
    """
    return user.load_function(name) if user.is_reference(name) else load(name, path)
