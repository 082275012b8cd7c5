"""Small networks of four families for images of 32 pixels, to be trained here.

Plain and residual convolutions, a transformer and a ConvNeXt.

They exist so that judged networks and backbones can differ in family. None keeps batch statistics: a network computes
the same in training and afterwards.

References:
  [1] He, Zhang, Ren, Sun. Identity mappings in deep residual networks. ECCV 2016.
  [2] Wu, He. Group normalization. ECCV 2018.
  [3] Dosovitskiy et al. An image is worth 16x16 words. ICLR 2021; Xiao et al. Early convolutions help transformers see
      better. NeurIPS 2021 (the convolutional stem); Beyer et al. Better plain ViT baselines for ImageNet-1k. 2022 (mean
      of the tokens instead of a class token).
  [4] Liu et al. A ConvNet for the 2020s. CVPR 2022.
  [5] Simonyan, Zisserman. Very deep convolutional networks for large-scale image recognition. ICLR 2015.
"""

import dataclasses
import functools
import types
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa.backbones import networks, numerics
from causal_iqa.backbones.layers import transformer
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.backbones.zoo import flax_modules

REFERENCE = "this library, after He et al. ECCV 2016; Dosovitskiy et al. ICLR 2021; Liu et al. CVPR 2022"

PREPROCESSING = networks.Preprocessing(
    size=32, crop_fraction=1.0, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), smallest=16
)
_WIDTHS = (16, 32, 64)
_CHANNELS_OF_A_GROUP = 8
_EPSILON = 1e-6


def _conv(features: int, kernel: int, stride: int, name: str) -> nn.Conv:
    return nn.Conv(
        features, (kernel, kernel), stride, "SAME", use_bias=False, precision=numerics.of_products(), name=name
    )


def _normalised(x: jax.Array, name: str) -> jax.Array:
    """Group normalisation [2] and the rectifier."""
    return nn.relu(nn.GroupNorm(num_groups=None, group_size=_CHANNELS_OF_A_GROUP, name=name)(x))


def _prepared(images: jax.Array) -> jax.Array:
    return jax.vmap(functools.partial(networks.normalise, PREPROCESSING))(images)


class SmallVgg(nn.Module):
    """Plain convolutions and poolings after [5], and a hidden layer that reads every place.

    Images [B, 32, 32, 3] in [0, 1] -> (outputs [B, num_outputs], {stage: features}). A network that reads the mean over
    places instead learns little of what lies where, such as digits in a ring.

    Attributes:
      convolutions: convolutions of each stage.
      widths: channels of each stage; every stage ends in a pooling that halves the side.
      hidden: units of the hidden layer.
      num_outputs: width of the head.
    """

    convolutions: tuple[int, ...]
    widths: tuple[int, ...]
    hidden: int
    num_outputs: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        x = _prepared(images)
        features = {}
        for stage, (count, width) in enumerate(zip(self.convolutions, self.widths, strict=True), start=1):
            for layer in range(count):
                x = _conv(width, 3, 1, f"stage{stage}_conv{layer}")(x)
                x = _normalised(x, f"stage{stage}_norm{layer}")
            x = nn.max_pool(x, (2, 2), (2, 2))
            features[f"stage{stage}"] = x
        x = nn.relu(
            transformer.layer_norm(_EPSILON, "norm")(transformer.dense(self.hidden, "hidden")(x.reshape(len(x), -1)))
        )
        features[networks.PENULTIMATE] = x
        return transformer.dense(self.num_outputs, "head")(x), features


class _ResidualBlock(nn.Module):
    """The pre-activation block of [1]."""

    features: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = _normalised(x, "norm1")
        shortcut = x
        if self.stride != 1 or x.shape[-1] != self.features:
            shortcut = _conv(self.features, 1, self.stride, "shortcut")(y)
        y = _conv(self.features, 3, self.stride, "conv1")(y)
        return shortcut + _conv(self.features, 3, 1, "conv2")(_normalised(y, "norm2"))


class SmallResNet(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (outputs [B, num_outputs], {stage: features}).

    Attributes:
      blocks: residual blocks of each of the three stages; the depth is 6 blocks + 2.
      num_outputs: width of the head.
    """

    blocks: int
    num_outputs: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        x = _conv(_WIDTHS[0], 3, 1, "stem")(_prepared(images))
        features = {"stem": x}
        for stage, width in enumerate(_WIDTHS, start=1):
            for block in range(self.blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                x = _ResidualBlock(width, stride, name=f"stage{stage}_block{block}")(x)
            features[f"stage{stage}"] = x
        x = _normalised(x, "norm").mean(axis=(1, 2))
        features[networks.PENULTIMATE] = x
        return transformer.dense(self.num_outputs, "head")(x), features


class SmallViT(nn.Module):
    """A transformer on the places of a convolutional stem [3], with learned positions and the mean of the tokens.

    Images [B, H, W, 3] in [0, 1] -> (outputs [B, num_outputs], {stage: features}). Positions are learned on the grid of
    32 pixels and resized to that of other sides.

    Attributes:
      encoder: size of the tower.
      num_outputs: width of the head.
    """

    encoder: transformer.Encoder
    num_outputs: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        width, side = self.encoder.width, PREPROCESSING.size // 4
        x = _normalised(_conv(width // 4, 3, 2, "stem1")(_prepared(images)), "norm1")
        x = _conv(width, 3, 2, "stem2")(x)
        places = self.param("position", nn.initializers.normal(0.02), (side, side, width))
        if x.shape[1:3] != (side, side):
            places = jax.image.resize(places, (*x.shape[1:3], width), "bilinear")
        grid = x.shape[:3]
        x = x + places[None]
        features = {"stem": x}
        x = x.reshape(len(x), -1, width)
        for block in range(self.encoder.depth):
            x, _ = transformer.Block(self.encoder, name=f"block{block}")(x, None)
            features[f"block{block + 1}"] = x.reshape(*grid, width)
        x = transformer.layer_norm(_EPSILON, "norm")(x).mean(axis=1)
        features[networks.PENULTIMATE] = x
        return transformer.dense(self.num_outputs, "head")(x), features


class _ConvNextBlock(nn.Module):
    """x + scale * perceptron(norm(depthwise(x))), the block of [4]."""

    width: int
    kernel: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("depthwise", nn.initializers.normal(1.0 / self.kernel), (self.kernel,) * 2 + (self.width,))
        y = _depthwise(x, kernel)
        y = transformer.layer_norm(_EPSILON, "norm")(y)
        y = transformer.ACTIVATIONS["gelu"](transformer.dense(4 * self.width, "fc1")(y))
        y = transformer.dense(self.width, "fc2")(y)
        return x + y * self.param("scale", nn.initializers.constant(0.1), (self.width,))[None, None, None]


def _depthwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Depthwise convolution as a sum of shifted products, whose gradient XLA's CPU computes many times faster."""
    height, width, side = x.shape[1], x.shape[2], kernel.shape[0]
    padded = jnp.pad(x, ((0, 0), (side // 2,) * 2, (side // 2,) * 2, (0, 0)))
    shifted = [
        padded[:, i : i + height, j : j + width] * kernel[i, j].astype(x.dtype)[None, None, None]
        for i in range(side)
        for j in range(side)
    ]
    return functools.reduce(jnp.add, shifted)


class SmallConvNeXt(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (outputs [B, num_outputs], {stage: features}).

    Attributes:
      blocks: blocks of each stage.
      widths: channels of each stage.
      kernel: side of the depthwise convolutions.
      num_outputs: width of the head.
    """

    blocks: tuple[int, ...]
    widths: tuple[int, ...]
    kernel: int
    num_outputs: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        x = _prepared(images)
        features = {}
        for stage, (count, width) in enumerate(zip(self.blocks, self.widths, strict=True), start=1):
            # Patches that do not overlap.
            x = nn.Conv(width, (2, 2), 2, "SAME", precision=numerics.of_products(), name=f"reduce{stage}")(x)
            x = transformer.layer_norm(_EPSILON, f"norm{stage}")(x)
            for block in range(count):
                x = _ConvNextBlock(width, self.kernel, name=f"stage{stage}_block{block}")(x)
            features[f"stage{stage}"] = x
        x = transformer.layer_norm(_EPSILON, "norm")(x.mean(axis=(1, 2)))
        features[networks.PENULTIMATE] = x
        return transformer.dense(self.num_outputs, "head")(x), features


_RESNET_STAGES = ("stem", "stage1", "stage2", "stage3", networks.PENULTIMATE)


@dataclasses.dataclass(frozen=True)
class _Factory:
    """A network without the width of its head; hashable, so that its compiled programs are kept."""

    kind: type[nn.Module]
    settings: tuple[tuple[str, object], ...]

    def __call__(self, num_outputs: int) -> nn.Module:
        return self.kind(**dict(self.settings), num_outputs=num_outputs)


def _resnet(blocks: int) -> flax_modules.Trainable:
    return flax_modules.Trainable(_Factory(SmallResNet, (("blocks", blocks),)), PREPROCESSING, _RESNET_STAGES)


def _vgg(convolutions: tuple[int, ...], widths: tuple[int, ...], hidden: int) -> flax_modules.Trainable:
    settings = (("convolutions", convolutions), ("widths", widths), ("hidden", hidden))
    fixed = dataclasses.replace(PREPROCESSING, smallest=PREPROCESSING.size, fixed_size=True)
    stages = (*(f"stage{i + 1}" for i in range(len(widths))), networks.PENULTIMATE)
    return flax_modules.Trainable(_Factory(SmallVgg, settings), fixed, stages)


def _vit(width: int, depth: int) -> flax_modules.Trainable:
    encoder = transformer.Encoder(width, depth, width // 32, 2 * width)
    stages = ("stem", *(f"block{i + 1}" for i in range(depth)), networks.PENULTIMATE)
    return flax_modules.Trainable(_Factory(SmallViT, (("encoder", encoder),)), PREPROCESSING, stages)


def _convnext(blocks: tuple[int, ...], widths: tuple[int, ...], kernel: int) -> flax_modules.Trainable:
    settings = (("blocks", blocks), ("widths", widths), ("kernel", kernel))
    stages = (*(f"stage{i + 1}" for i in range(len(blocks))), networks.PENULTIMATE)
    return flax_modules.Trainable(_Factory(SmallConvNeXt, settings), PREPROCESSING, stages)


VARIANTS: Mapping[str, flax_modules.Trainable] = types.MappingProxyType(
    {
        "small_vgg5": _vgg((1, 1, 1), (16, 32, 64), 128),
        "small_vgg8": _vgg((2, 2, 2), (16, 32, 64), 128),
        "small_resnet8": _resnet(1),
        "small_resnet14": _resnet(2),
        "small_resnet20": _resnet(3),
        "small_vit": _vit(128, 4),
        "small_convnext": _convnext((2, 2, 2), (32, 64, 128), 5),
    }
)


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the tensors that a file of this variant holds; the head's width is the file's own.

    Args:
      name: a variant of VARIANTS.
      tensors: the file's, for the head's width.

    Returns:
      Name -> shape.
    """
    return flax_modules.layout(VARIANTS[name], tensors)


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout.

    Args:
      name: a variant of VARIANTS.
      checkpoint: the file.
      input_size: side of the input in pixels when not 32.

    Returns:
      The network.
    """
    return flax_modules.build(_checks.lookup(VARIANTS, name, "small network"), name, checkpoint, input_size)
