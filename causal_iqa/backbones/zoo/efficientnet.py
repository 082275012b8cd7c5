"""EfficientNet-B0 and -Lite, MobileNet V3 and PyTorch's MobileNet V2: weight files turned into networks.

efficientnet_variants.py has the networks as data and their references, inverted_residuals.py the modules.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from causal_iqa._arrays import pair
from causal_iqa.backbones import networks
from causal_iqa.backbones.layers import convolutions
from causal_iqa.backbones.weights import checkpoints, formats
from causal_iqa.backbones.zoo.efficientnet_variants import EFFICIENTNET_PYTORCH, TIMM, TORCHVISION, VARIANTS, Variant
from causal_iqa.backbones.zoo.inverted_residuals import EfficientNet, block_shapes

REFERENCE = "Tan, Le. ICML 2019; Howard et al. ICCV 2019; Sandler et al. CVPR 2018"


class _Names(NamedTuple):
    """Where the parts of a block are in a file: (convolution, batch norm) each, and the two layers of the squeeze."""

    expand: tuple[str, str]
    depthwise: tuple[str, str]
    squeeze: tuple[str, str]
    project: tuple[str, str]


def _torchvision_names(variant: Variant, stage: int, block: int, expands: bool) -> _Names:
    if variant.hidden:  # MobileNet V3 numbers its blocks through.
        root = f"features.{1 + sum(len(rows) for rows in variant.stages[: stage - 1]) + block}.block"
    else:
        root = f"features.{stage}.{block}.block"
    squeezes = bool(variant.stages[stage - 1][block].squeezed)
    at = iter(range(4))

    def numbered(used: bool) -> tuple[str, str]:
        number = next(at) if used else 0
        return f"{root}.{number}.0", f"{root}.{number}.1"

    expand, depthwise = numbered(expands), numbered(True)
    number = next(at) if squeezes else 0
    return _Names(expand, depthwise, (f"{root}.{number}.fc1", f"{root}.{number}.fc2"), numbered(True))


def _torchvision_v2_names(variant: Variant, stage: int, block: int, expands: bool) -> _Names:
    root = f"features.{1 + sum(len(rows) for rows in variant.stages[: stage - 1]) + block}.conv"
    last = 2 if expands else 1
    expand, depthwise = ((f"{root}.{i}.0", f"{root}.{i}.1") for i in (0, last - 1))
    return _Names(expand, depthwise, ("", ""), (f"{root}.{last}", f"{root}.{last + 1}"))


def _timm_places(variant: Variant) -> list[tuple[int, int]]:
    """Stage and block of every block as timm counts them: a stage ends where the width or the resolution changes."""
    places, before = [], None
    for row in (row for rows in variant.stages for row in rows):
        new = before is None or row.stride == 2 or row.after != before
        places.append((places[-1][0] + 1 if places else 0, 0) if new else (places[-1][0], places[-1][1] + 1))
        before = row.after
    return places


def _timm_names(variant: Variant, stage: int, block: int, expands: bool) -> _Names:
    root = "blocks.{}.{}".format(*_timm_places(variant)[sum(map(len, variant.stages[: stage - 1])) + block])
    squeeze = (f"{root}.se.conv_reduce", f"{root}.se.conv_expand")
    if expands:
        parts = (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3"))
    else:
        parts = (("", ""), ("conv_dw", "bn1"), ("conv_pw", "bn2"))
    expand, depthwise, project = (pair(f"{root}.{name}" for name in part) for part in parts)
    return _Names(expand, depthwise, squeeze, project)


def _efficientnet_pytorch_names(variant: Variant, stage: int, block: int, expands: bool) -> _Names:
    del expands  # Names do not depend on it.
    root = f"_blocks.{sum(map(len, variant.stages[: stage - 1])) + block}"
    squeeze = (f"{root}._se_reduce", f"{root}._se_expand")
    parts = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))
    expand, depthwise, project = (pair(f"{root}.{name}" for name in part) for part in parts)
    return _Names(expand, depthwise, squeeze, project)


_STEMS = {"conv_stem.weight": TIMM, "_conv_stem.weight": EFFICIENTNET_PYTORCH, "features.0.0.weight": TORCHVISION}


def format_of(variant: Variant, tensors: Mapping[str, np.ndarray]) -> str:
    """The format of a file by its names; where it is none that the variant comes in, the first of those."""
    found = next((name for stem, name in _STEMS.items() if stem in tensors), None)
    return found if found in variant.formats else variant.formats[0]


def _pointwise_dense(here: str, there: str, before: int, after: int) -> list[formats.Entry]:
    """A linear layer that the file holds as a convolution of one pixel."""
    shape = (after, before, 1, 1)
    kernel = formats.Entry(f"{here}.kernel", (f"{there}.weight",), (shape,), lambda value: value[:, :, 0, 0].T)
    return [kernel, formats.same(f"{here}.bias", f"{there}.bias", after)]


def entries_of(variant: Variant, tensors: Mapping[str, np.ndarray]) -> list[formats.Entry]:
    """Returns the entries of a network, in the names of the file's format."""
    kind = format_of(variant, tensors)
    second = variant.gate == "none"
    if kind == TIMM:
        names_of, stem, last, head = _timm_names, ("conv_stem", "bn1"), ("conv_head", "bn2"), "classifier"
        if variant.hidden:
            root = f"blocks.{_timm_places(variant)[-1][0] + 1}.0"
            last = (f"{root}.conv", f"{root}.bn1")
    elif kind == EFFICIENTNET_PYTORCH:
        names_of, stem, last, head = _efficientnet_pytorch_names, ("_conv_stem", "_bn0"), ("_conv_head", "_bn1"), "_fc"
    else:
        names_of = _torchvision_v2_names if second else _torchvision_names
        number = 1 + (sum(map(len, variant.stages)) if variant.hidden or second else len(variant.stages))
        stem, last = ("features.0.0", "features.0.1"), (f"features.{number}.0", f"features.{number}.1")
        head = "classifier.3" if variant.hidden else "classifier.1"
    epsilon = variant.epsilon_in(kind)
    entries = convolutions.folded("stem", *stem, convolutions.Shape(3, variant.stem, 3, 2), epsilon)
    before = variant.stem
    for stage, rows in enumerate(variant.stages, start=1):
        for block, row in enumerate(rows):
            here, shapes = f"stage{stage}_block{block}", block_shapes(row, before, variant.same)
            names = names_of(variant, stage, block, shapes.expand is not None)
            if shapes.expand is not None:
                entries += convolutions.folded(f"{here}.expand", *names.expand, shapes.expand, epsilon)
            entries += convolutions.folded(f"{here}.depthwise", *names.depthwise, shapes.depthwise, epsilon)
            if row.squeezed:
                down, up = names.squeeze
                entries += convolutions.plain(
                    f"{here}.squeeze.down", down, convolutions.Shape(row.expanded, row.squeezed, 1)
                )
                entries += convolutions.plain(
                    f"{here}.squeeze.up", up, convolutions.Shape(row.squeezed, row.expanded, 1)
                )
            entries += convolutions.folded(f"{here}.project", *names.project, shapes.project, epsilon)
            before = row.after
    entries += convolutions.folded("last", *last, convolutions.Shape(before, variant.last, 1), epsilon)
    if variant.hidden and kind == TIMM:
        entries += _pointwise_dense("hidden", "conv_head", variant.last, variant.hidden)
    elif variant.hidden:
        entries += formats.dense("hidden", "classifier.0", variant.last, variant.hidden)
    classes = convolutions.num_classes(tensors, f"{head}.bias")
    return entries + formats.dense("head", head, variant.hidden or variant.last, classes)


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The tensors a file of a variant holds, name -> shape; the number of classes is the file's own."""
    return formats.layout(entries_of(VARIANTS[name], tensors))


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout; `input_size`: its side if not the variant's."""
    variant = VARIANTS[name]
    preprocessing = networks.Preprocessing(
        variant.size,
        variant.crop_fraction,
        *variant.pixels,
        smallest=64,
        interpolation=variant.interpolation_in(format_of(variant, checkpoint.tensors)),
        feature_side=variant.feature_side,
    )
    preprocessing = networks.as_stated(preprocessing, checkpoint.stated, input_size, checkpoint.path)
    params = formats.convert(entries_of(variant, checkpoint.tensors), checkpoint.tensors)
    num_classes = len(params["head"]["bias"])
    stages = ("stem", *(f"stage{i}" for i in range(1, len(variant.stages) + 1)), networks.PENULTIMATE)
    module = EfficientNet(variant, preprocessing, num_classes)
    return networks.classifier_network(name, module, params, preprocessing, num_classes, stages, checkpoint.sha256)
