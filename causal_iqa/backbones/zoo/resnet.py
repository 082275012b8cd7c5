"""Residual networks of ImageNet (ResNet, Wide ResNet, ResNeXt) and the Wide ResNet of CIFAR, batch norm folded in.

References:
  [1] He, Zhang, Ren, Sun. Deep residual learning for image recognition. CVPR 2016, table 1; torchvision puts the stride
      of a bottleneck on its 3x3 convolution, and its V2 weights are the same networks trained longer.
  [2] Xie et al. Aggregated residual transformations for deep neural networks. CVPR 2017.
  [3] Zagoruyko, Komodakis. Wide residual networks. BMVC 2016.
"""

import dataclasses
import functools
import types
from collections.abc import Mapping

import flax.linen as nn
import jax
import numpy as np

from causal_iqa._xla import settle
from causal_iqa.backbones import networks, numerics
from causal_iqa.backbones.layers import convolutions
from causal_iqa.backbones.weights import checkpoints, formats

REFERENCE = "He et al. CVPR 2016; Zagoruyko, Komodakis 2016; Xie et al. CVPR 2017"

_WIDTHS = (64, 128, 256, 512)


@dataclasses.dataclass(frozen=True)
class Variant:
    """A published network.

    Attributes:
      blocks: per stage.
      bottleneck: whether blocks are 1x1, 3x3, 1x1 instead of two 3x3.
      groups: groups of the 3x3 convolution.
      width: width of the 3x3 convolution of a bottleneck in the first stage.
      crop_fraction: 224 / 256 for torchvision's V1 weights, 224 / 232 for V2.
    """

    blocks: tuple[int, int, int, int]
    bottleneck: bool
    groups: int = 1
    width: int = 64
    crop_fraction: float = 0.875


def _variants() -> dict[str, Variant]:
    plain = {
        "resnet18": Variant((2, 2, 2, 2), False),
        "resnet34": Variant((3, 4, 6, 3), False),
        "resnet50": Variant((3, 4, 6, 3), True),
        "resnet101": Variant((3, 4, 23, 3), True),
        "resnet152": Variant((3, 8, 36, 3), True),
        "wide_resnet50_2": Variant((3, 4, 6, 3), True, width=128),
        "resnext50_32x4d": Variant((3, 4, 6, 3), True, groups=32, width=128),
    }
    second = {
        f"{name}_v2": dataclasses.replace(variant, crop_fraction=224 / 232)
        for name, variant in plain.items()
        if variant.bottleneck
    }
    return plain | second


VARIANTS: Mapping[str, Variant] = types.MappingProxyType(_variants())
STAGES = ("stem", "stage1", "stage2", "stage3", "stage4", networks.PENULTIMATE)


def block_shapes(
    variant: Variant, stage: int, block: int
) -> tuple[tuple[tuple[str, convolutions.Shape], ...], convolutions.Shape | None]:
    """Sizes of a block.

    Args:
      variant: variant of the network.
      stage: 0 to 3.
      block: number of the block in its stage, from 0.

    Returns:
      ((name, convolution), ...) of the branch, and the convolution of the shortcut, None where it is the identity.
    """
    expansion = 4 if variant.bottleneck else 1
    out = _WIDTHS[stage] * expansion
    before = out if block else (_WIDTHS[max(stage - 1, 0)] * expansion if stage else _WIDTHS[0])
    stride = 2 if stage and not block else 1
    if variant.bottleneck:
        inner = variant.width * 2**stage
        branch = (
            ("conv1", convolutions.Shape(before, inner, 1)),
            ("conv2", convolutions.Shape(inner, inner, 3, stride, variant.groups)),
            ("conv3", convolutions.Shape(inner, out, 1)),
        )
    else:
        branch = (("conv1", convolutions.Shape(before, out, 3, stride)), ("conv2", convolutions.Shape(out, out, 3)))
    shortcut = convolutions.Shape(before, out, 1, stride) if stride > 1 or before != out else None
    return branch, shortcut


class Block(nn.Module):
    """relu(branch(x) + shortcut(x))."""

    branch: tuple[tuple[str, convolutions.Shape], ...]
    shortcut: convolutions.Shape | None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = x
        for i, (name, shape) in enumerate(self.branch):
            y = convolutions.Conv(shape, "none" if i == len(self.branch) - 1 else "relu", name=name)(y)
        if self.shortcut is not None:
            x = convolutions.Conv(self.shortcut, name="shortcut")(x)
        return settle(nn.relu(x + y))  # See cifar_resnet.


class ResNet(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (logits [B, num_classes], {stage: features})."""

    variant: Variant
    preprocessing: networks.Preprocessing
    num_classes: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        x = jax.vmap(functools.partial(networks.normalise, self.preprocessing))(images)
        x = convolutions.Conv(_STEM, "relu", name="stem")(x)
        x = convolutions.max_pool(x, 3, 2, 1)
        features = {"stem": x}
        for stage, count in enumerate(self.variant.blocks):
            for block in range(count):
                x = Block(*block_shapes(self.variant, stage, block), name=f"stage{stage + 1}_block{block}")(x)
            features[f"stage{stage + 1}"] = x
        x = x.mean(axis=(1, 2))
        features[networks.PENULTIMATE] = x
        return nn.Dense(self.num_classes, precision=numerics.of_products(), name="head")(x), features


_STEM = convolutions.Shape(3, 64, 7, 2)


def entries_of(variant: Variant, num_classes: int) -> list[formats.Entry]:
    """Returns the entries of a network in torchvision's names, which timm shares."""
    entries = convolutions.folded("stem", "conv1", "bn1", _STEM)
    for stage, count in enumerate(variant.blocks):
        for block in range(count):
            here, there = f"stage{stage + 1}_block{block}", f"layer{stage + 1}.{block}"
            branch, shortcut = block_shapes(variant, stage, block)
            for name, shape in branch:
                norm = name.replace("conv", "bn")
                entries += convolutions.folded(f"{here}.{name}", f"{there}.{name}", f"{there}.{norm}", shape)
            if shortcut is not None:
                there = f"{there}.downsample"
                entries += convolutions.folded(f"{here}.shortcut", f"{there}.0", f"{there}.1", shortcut)
    width = _WIDTHS[-1] * (4 if variant.bottleneck else 1)
    return entries + formats.dense("head", "fc", width, num_classes)


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The tensors a file of a variant holds, name -> shape; the number of classes is the file's own."""
    return formats.layout(entries_of(VARIANTS[name], convolutions.num_classes(tensors, "fc.bias")))


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout; `input_size` is its input side when not 224."""
    return network_of(name, VARIANTS[name], checkpoint, input_size)


def network_of(
    name: str, variant: Variant, checkpoint: checkpoints.Checkpoint, input_size: int | None = None
) -> networks.Network:
    """Makes a network of a variant and a file whose layout has been checked; see `build`."""
    preprocessing = networks.Preprocessing(224, variant.crop_fraction, *convolutions.IMAGENET_PIXELS, smallest=64)
    preprocessing = networks.as_stated(preprocessing, checkpoint.stated, input_size, checkpoint.path)
    num_classes = convolutions.num_classes(checkpoint.tensors, "fc.bias")
    params = formats.convert(entries_of(variant, num_classes), checkpoint.tensors)
    module = ResNet(variant, preprocessing, num_classes)
    return networks.classifier_network(name, module, params, preprocessing, num_classes, STAGES, checkpoint.sha256)
