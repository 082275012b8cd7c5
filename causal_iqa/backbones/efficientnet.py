"""EfficientNet-B0, MobileNet V3 and PyTorch's MobileNet V2: inverted residuals, batch norm folded in.

References:
  [1] Tan, Le. EfficientNet: rethinking model scaling for convolutional neural networks. ICML 2019, table 1.
  [2] Howard et al. Searching for MobileNetV3. ICCV 2019, tables 1 and 2.
  [3] Sandler et al. MobileNetV2: inverted residuals and linear bottlenecks. CVPR 2018, table 2; mobilenet.py has the
      one with TensorFlow's padding.
"""

import dataclasses
import functools
import types
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np

from causal_iqa.backbones import checkpoints, formats, layers, networks


class Row(NamedTuple):
    """One block: kernel size, expanded and output channels, squeezed channels (0: none), activation and stride."""

    size: int
    expanded: int
    after: int
    squeezed: int
    activation: str
    stride: int


# PyTorch's default, which timm trains all of them with; torchvision's MobileNet V3 has its own.
_TIMM_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class Variant:
    """A published network.

    Attributes:
      stem: channels of the first convolution.
      stages: blocks, grouped by stage.
      last: channels of the last convolution.
      hidden: units of a hidden layer of the classifier, None without.
      activation: of stem, last convolution and hidden layer.
      gate: of squeeze and excitation, "sigmoid" or "hard_sigmoid", after `squeeze_activation`; "none": not used.
      squeeze_activation: between its two layers.
      epsilon: of batch norm, of torchvision's weights.
      interpolation: of the resize, of torchvision's weights; timm's are bicubic.
    """

    stem: int
    stages: tuple[tuple[Row, ...], ...]
    last: int
    hidden: int | None
    activation: str
    gate: str
    squeeze_activation: str
    epsilon: float
    interpolation: str


def _stages(
    rows: Sequence[tuple[int, int, int, int, int]], before: int, squeezes: bool, activation: str
) -> tuple[tuple[Row, ...], ...]:
    """Stages of rows (expansion, kernel, stride of the first block, output channels, blocks)."""
    stages = []
    for expansion, size, stride, after, count in rows:
        stage = []
        for block in range(count):
            squeezed = before // 4 if squeezes else 0
            stage.append(Row(size, expansion * before, after, squeezed, activation, 1 if block else stride))
            before = after
        stages.append(tuple(stage))
    return tuple(stages)


_EFFICIENTNET_B0 = (  # [1], table 1
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)  # fmt: skip
_MOBILENET_V2 = (  # [3], table 2
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 3, 2, 32, 3), (6, 3, 2, 64, 4), (6, 3, 1, 96, 3), (6, 3, 2, 160, 3),
    (6, 3, 1, 320, 1),
)  # fmt: skip


def _mobilenet_v3(rows: tuple[tuple[int, int, int, bool, str, int], ...], last: int, hidden: int) -> Variant:
    stages: list[list[Row]] = [[]]
    for size, expanded, after, squeeze, letter, stride in rows:
        if stride == 2 and stages[-1]:
            stages.append([])
        squeezed = _divisible(expanded // 4) if squeeze else 0
        activation = "hard_swish" if letter == "h" else "relu"
        stages[-1].append(Row(size, expanded, after, squeezed, activation, stride))
    return Variant(16, tuple(map(tuple, stages)), last, hidden, "hard_swish", "hard_sigmoid", "relu", 1e-3, "bilinear")


def _divisible(channels: int) -> int:
    """The multiple of 8 nearest to `channels`, at least 8 and not below nine tenths of it."""
    rounded = max(8, (channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


VARIANTS: Mapping[str, Variant] = types.MappingProxyType(
    {
        "efficientnet_b0": Variant(
            32, _stages(_EFFICIENTNET_B0, 32, True, "silu"), 1280, None, "silu", "sigmoid", "silu", 1e-5, "bicubic"
        ),
        "mobilenet_v2_torch": Variant(
            32, _stages(_MOBILENET_V2, 32, False, "relu6"), 1280, None, "relu6", "none", "none", 1e-5, "bilinear"
        ),
        "mobilenet_v3_large": _mobilenet_v3(
            (
                (3, 16, 16, False, "r", 1), (3, 64, 24, False, "r", 2), (3, 72, 24, False, "r", 1),
                (5, 72, 40, True, "r", 2), (5, 120, 40, True, "r", 1), (5, 120, 40, True, "r", 1),
                (3, 240, 80, False, "h", 2), (3, 200, 80, False, "h", 1), (3, 184, 80, False, "h", 1),
                (3, 184, 80, False, "h", 1), (3, 480, 112, True, "h", 1), (3, 672, 112, True, "h", 1),
                (5, 672, 160, True, "h", 2), (5, 960, 160, True, "h", 1), (5, 960, 160, True, "h", 1),
            ),
            960,
            1280,
        ),
        "mobilenet_v3_small": _mobilenet_v3(
            (
                (3, 16, 16, True, "r", 2), (3, 72, 24, False, "r", 2), (3, 88, 24, False, "r", 1),
                (5, 96, 40, True, "h", 2), (5, 240, 40, True, "h", 1), (5, 240, 40, True, "h", 1),
                (5, 120, 48, True, "h", 1), (5, 144, 48, True, "h", 1), (5, 288, 96, True, "h", 2),
                (5, 576, 96, True, "h", 1), (5, 576, 96, True, "h", 1),
            ),
            576,
            1024,
        ),
    }
)  # fmt: skip


class BlockShapes(NamedTuple):
    """Convolutions of a block; `expand` is None where nothing is expanded."""

    expand: layers.Shape | None
    depthwise: layers.Shape
    project: layers.Shape


def block_shapes(row: Row, before: int) -> BlockShapes:
    """Sizes of a block with `before` input channels."""
    expand = layers.Shape(before, row.expanded, 1) if row.expanded != before else None
    depthwise = layers.Shape(row.expanded, row.expanded, row.size, row.stride, row.expanded)
    return BlockShapes(expand, depthwise, layers.Shape(row.expanded, row.after, 1))


class SqueezeExcite(nn.Module):
    """Scales channels by a gate computed from their means."""

    channels: int
    squeezed: int
    activation: str
    gate: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        means = x.mean(axis=(1, 2), keepdims=True)
        down, up = layers.Shape(self.channels, self.squeezed, 1), layers.Shape(self.squeezed, self.channels, 1)
        gate = layers.Conv(up, name="up")(layers.Conv(down, self.activation, name="down")(means))
        return x * (layers.hard_sigmoid(gate) if self.gate == "hard_sigmoid" else jax.nn.sigmoid(gate))


class Block(nn.Module):
    """Expand, filter every channel, gate, project; added to the input where shapes match."""

    variant: Variant
    row: Row
    before: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        row, shapes, y = self.row, block_shapes(self.row, self.before), x
        if shapes.expand is not None:
            y = layers.Conv(shapes.expand, row.activation, name="expand")(y)
        y = layers.Conv(shapes.depthwise, row.activation, name="depthwise")(y)
        if row.squeezed:
            variant = self.variant
            squeeze = (row.expanded, row.squeezed, variant.squeeze_activation, variant.gate)
            y = SqueezeExcite(*squeeze, name="squeeze")(y)
        y = layers.Conv(shapes.project, name="project")(y)
        return x + y if row.stride == 1 and self.before == row.after else y


class EfficientNet(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (logits [B, num_classes], {stage: features})."""

    variant: Variant
    preprocessing: networks.Preprocessing
    num_classes: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        variant = self.variant
        x = jax.vmap(functools.partial(networks.normalise, self.preprocessing))(images)
        x = layers.Conv(layers.Shape(3, variant.stem, 3, 2), variant.activation, name="stem")(x)
        features, before = {"stem": x}, variant.stem
        for stage, rows in enumerate(variant.stages, start=1):
            for block, row in enumerate(rows):
                x = Block(variant, row, before, name=f"stage{stage}_block{block}")(x)
                before = row.after
            features[f"stage{stage}"] = x
        x = layers.Conv(layers.Shape(before, variant.last, 1), variant.activation, name="last")(x).mean(axis=(1, 2))
        if variant.hidden:
            x = layers.ACTIVATIONS[variant.activation](nn.Dense(variant.hidden, precision="highest", name="hidden")(x))
        features[networks.PENULTIMATE] = x
        return nn.Dense(self.num_classes, precision="highest", name="head")(x), features


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

    def pair(used: bool) -> tuple[str, str]:
        number = next(at) if used else 0
        return f"{root}.{number}.0", f"{root}.{number}.1"

    expand, depthwise = pair(expands), pair(True)
    number = next(at) if squeezes else 0
    return _Names(expand, depthwise, (f"{root}.{number}.fc1", f"{root}.{number}.fc2"), pair(True))


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
    expand, depthwise, project = (tuple(f"{root}.{name}" for name in part) for part in parts)
    return _Names(expand, depthwise, squeeze, project)


def _is_timm(tensors: Mapping[str, np.ndarray]) -> bool:
    return "conv_stem.weight" in tensors


def _pointwise_dense(here: str, there: str, before: int, after: int) -> list[formats.Entry]:
    """A linear layer that the file holds as a convolution of one pixel."""
    shape = (after, before, 1, 1)
    kernel = formats.Entry(f"{here}.kernel", (f"{there}.weight",), (shape,), lambda value: value[:, :, 0, 0].T)
    return [kernel, formats.same(f"{here}.bias", f"{there}.bias", after)]


def entries_of(variant: Variant, tensors: Mapping[str, np.ndarray]) -> list[formats.Entry]:
    """Returns the entries of a network, in timm's names or torchvision's, as the file has it."""
    timm = _is_timm(tensors)
    second = variant.gate == "none"
    names_of = _timm_names if timm else _torchvision_v2_names if second else _torchvision_names
    number = 1 + (sum(map(len, variant.stages)) if variant.hidden or second else len(variant.stages))
    stem, last, head = (
        ("features.0.0", "features.0.1"),
        (f"features.{number}.0", f"features.{number}.1"),
        "classifier.1",
    )
    if timm:
        stem, last, head = ("conv_stem", "bn1"), ("conv_head", "bn2"), "classifier"
        if variant.hidden:
            root = f"blocks.{_timm_places(variant)[-1][0] + 1}.0"
            last = (f"{root}.conv", f"{root}.bn1")
    epsilon = _TIMM_EPSILON if timm else variant.epsilon
    entries = layers.folded("stem", *stem, layers.Shape(3, variant.stem, 3, 2), epsilon)
    before = variant.stem
    for stage, rows in enumerate(variant.stages, start=1):
        for block, row in enumerate(rows):
            here, shapes = f"stage{stage}_block{block}", block_shapes(row, before)
            names = names_of(variant, stage, block, shapes.expand is not None)
            if shapes.expand is not None:
                entries += layers.folded(f"{here}.expand", *names.expand, shapes.expand, epsilon)
            entries += layers.folded(f"{here}.depthwise", *names.depthwise, shapes.depthwise, epsilon)
            if row.squeezed:
                down, up = names.squeeze
                entries += layers.plain(f"{here}.squeeze.down", down, layers.Shape(row.expanded, row.squeezed, 1))
                entries += layers.plain(f"{here}.squeeze.up", up, layers.Shape(row.squeezed, row.expanded, 1))
            entries += layers.folded(f"{here}.project", *names.project, shapes.project, epsilon)
            before = row.after
    entries += layers.folded("last", *last, layers.Shape(before, variant.last, 1), epsilon)
    if variant.hidden and timm:
        entries += _pointwise_dense("hidden", "conv_head", variant.last, variant.hidden)
    elif variant.hidden:
        entries += formats.dense("hidden", "classifier.0", variant.last, variant.hidden)
        head = "classifier.3"
    classes = layers.num_classes(tensors, f"{head}.bias")
    return entries + formats.dense("head", head, variant.hidden or variant.last, classes)


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the tensors a file of this variant holds; the number of classes is the file's own.

    Args:
      name: a variant of VARIANTS.
      tensors: the file's.

    Returns:
      Name -> shape.
    """
    return formats.layout(entries_of(VARIANTS[name], tensors))


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network of a file whose layout has been checked.

    Args:
      name: a variant of VARIANTS.
      checkpoint: the file.
      input_size: side of the input in pixels when not 224.

    Returns:
      The network.
    """
    variant, (mean, std) = VARIANTS[name], layers.IMAGENET_PIXELS
    interpolation = "bicubic" if _is_timm(checkpoint.tensors) else variant.interpolation
    preprocessing = networks.with_size(
        networks.Preprocessing(224, 0.875, mean, std, smallest=64, interpolation=interpolation), input_size
    )
    params = formats.convert(entries_of(variant, checkpoint.tensors), checkpoint.tensors)
    num_classes = len(params["head"]["bias"])
    return networks.Network(
        name=name,
        apply=networks.applier(EfficientNet(variant, preprocessing, num_classes), preprocessing),
        params=params,
        preprocessing=preprocessing,
        num_classes=num_classes,
        stages=("stem", *(f"stage{i}" for i in range(1, len(variant.stages) + 1)), networks.PENULTIMATE),
        weights_sha256=checkpoint.sha256,
        classifier=lambda params: networks.classifier_of(params, "head"),
    )
