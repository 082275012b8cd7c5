"""Wide residual networks of CIFAR, pre-activated; the batch norm after a convolution is folded into it.

References:
  [1] Zagoruyko, Komodakis. Wide residual networks. BMVC 2016, table 1; tensors are named as in the common PyTorch code,
      whose weights RobustBench hosts too.
"""

import dataclasses
import functools
import types
from collections.abc import Mapping

import flax.linen as nn
import jax
import numpy as np

from causal_iqa.backbones import networks, numerics
from causal_iqa.backbones.layers import convolutions
from causal_iqa.backbones.weights import checkpoints, formats

REFERENCE = "Zagoruyko, Komodakis. BMVC 2016"

_EPSILON = 1e-5
# Means and deviations of CIFAR-10's training pixels, as in the authors' code.
_CIFAR_PIXELS = ((125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255))
_RAW_PIXELS = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Variant:
    """A network of depth 6 `blocks` + 4, `width` times as wide, and the normalisation of its pixels."""

    blocks: int
    width: int
    pixels: tuple[tuple[float, float, float], tuple[float, float, float]]


VARIANTS: Mapping[str, Variant] = types.MappingProxyType(
    {
        "wide_resnet28_10": Variant(4, 10, _CIFAR_PIXELS),
        # RobustBench's undefended model reads pixels without normalisation.
        "wide_resnet28_10_raw": Variant(4, 10, _RAW_PIXELS),
    }
)
STAGES = ("stem", "stage1", "stage2", "stage3", networks.PENULTIMATE)


class Affine(nn.Module):
    """Batch norm of inference: a scale and an offset per channel."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, (self.channels,))
        offset = self.param("offset", nn.initializers.zeros, (self.channels,))
        return x * scale[None, None, None] + offset[None, None, None]


class Block(nn.Module):
    """conv2(relu(conv1(relu(norm(x))))) added to x, or to a convolution of relu(norm(x)) where sizes change."""

    before: int
    after: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = nn.relu(Affine(self.before, name="norm")(x))
        if self.before != self.after:
            x = convolutions.Conv(convolutions.Shape(self.before, self.after, 1, self.stride), name="shortcut")(y)
        y = convolutions.Conv(convolutions.Shape(self.before, self.after, 3, self.stride), "relu", name="conv1")(y)
        return x + convolutions.Conv(convolutions.Shape(self.after, self.after), name="conv2")(y)


def _sizes(variant: Variant) -> list[tuple[str, str, int, int, int]]:
    """(own name, name in the file, input channels, output channels, stride) of every block."""
    sizes, before = [], 16
    for stage in range(1, 4):
        after = 16 * 2 ** (stage - 1) * variant.width
        for block in range(variant.blocks):
            stride = 2 if stage > 1 and not block else 1
            sizes.append((f"stage{stage}_block{block}", f"block{stage}.layer.{block}", before, after, stride))
            before = after
    return sizes


class WideResNet(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (logits [B, num_classes], {stage: features})."""

    variant: Variant
    preprocessing: networks.Preprocessing
    num_classes: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        x = jax.vmap(functools.partial(networks.normalise, self.preprocessing))(images)
        x = convolutions.Conv(convolutions.Shape(3, 16), name="stem")(x)
        features = {"stem": x}
        for here, _, before, after, stride in _sizes(self.variant):
            x = Block(before, after, stride, name=here)(x)
            features[here.split("_")[0]] = x
        x = nn.relu(Affine(x.shape[-1], name="norm")(x)).mean(axis=(1, 2))
        features[networks.PENULTIMATE] = x
        return nn.Dense(self.num_classes, precision=numerics.of_products(), name="head")(x), features


def _bare(here: str, there: str, shape: convolutions.Shape) -> list[formats.Entry]:
    """A convolution without bias."""
    weight = (f"{there}.weight",)
    size = (shape.after, shape.before, shape.size, shape.size)
    return [
        formats.Entry(f"{here}.kernel", weight, (size,), lambda value: value.transpose(2, 3, 1, 0)),
        # Made of the weight only to know its size.
        formats.Entry(f"{here}.bias", weight, (size,), lambda value: np.zeros(len(value), np.float32)),
    ]


def _affine(here: str, there: str, channels: int) -> list[formats.Entry]:
    names = tuple(f"{there}.{part}" for part in ("weight", "bias", "running_mean", "running_var"))

    def scale(gamma, beta, mean, variance):
        return (gamma / np.sqrt(variance.astype(np.float64) + _EPSILON)).astype(np.float32)

    def offset(gamma, beta, mean, variance):
        return (beta - mean.astype(np.float64) * gamma / np.sqrt(variance.astype(np.float64) + _EPSILON)).astype(
            np.float32
        )

    shapes = ((channels,),) * 4
    return [
        formats.Entry(f"{here}.scale", names, shapes, scale),
        formats.Entry(f"{here}.offset", names, shapes, offset),
    ]


def entries_of(variant: Variant, num_classes: int) -> list[formats.Entry]:
    """Returns the entries of a network."""
    entries = _bare("stem", "conv1", convolutions.Shape(3, 16))
    for here, there, before, after, stride in _sizes(variant):
        entries += _affine(f"{here}.norm", f"{there}.bn1", before)
        first = convolutions.Shape(before, after, 3, stride)
        entries += convolutions.folded(f"{here}.conv1", f"{there}.conv1", f"{there}.bn2", first, _EPSILON)
        entries += _bare(f"{here}.conv2", f"{there}.conv2", convolutions.Shape(after, after))
        if before != after:
            entries += _bare(f"{here}.shortcut", f"{there}.convShortcut", convolutions.Shape(before, after, 1, stride))
    width = 64 * variant.width
    return [*entries, *_affine("norm", "bn1", width), *formats.dense("head", "fc", width, num_classes)]


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The tensors a file of a variant holds, name -> shape; the number of classes is the file's own."""
    return formats.layout(entries_of(VARIANTS[name], convolutions.num_classes(tensors, "fc.bias", 10)))


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout; `input_size` is its input side when not 32."""
    return network_of(name, VARIANTS[name], checkpoint, input_size)


def network_of(
    name: str, variant: Variant, checkpoint: checkpoints.Checkpoint, input_size: int | None = None
) -> networks.Network:
    """Makes a network of a variant and a file whose layout has been checked; see `build`."""
    preprocessing = networks.with_size(networks.Preprocessing(32, 1.0, *variant.pixels, smallest=8), input_size)
    num_classes = convolutions.num_classes(checkpoint.tensors, "fc.bias", 10)
    params = formats.convert(entries_of(variant, num_classes), checkpoint.tensors)
    module = WideResNet(variant, preprocessing, num_classes)
    return networks.classifier_network(name, module, params, preprocessing, num_classes, STAGES, checkpoint.sha256)
