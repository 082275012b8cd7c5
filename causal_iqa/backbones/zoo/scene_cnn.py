"""Small networks for the embedded scenes: three to be judged, one to give features. No batch statistics.

All take images of 48 pixels or other sides from 16 up; each costs at most 8 MFLOP per 48-pixel image.

References:
  [1] Wu, He. Group normalization. ECCV 2018.
  [2] He, Zhang, Ren, Sun. Identity mappings in deep residual networks. ECCV 2016, for the residual variant.
"""

import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from causal_iqa import _checks
from causal_iqa.backbones import networks, numerics
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.backbones.zoo import flax_modules

REFERENCE = "this library"

_PREPROCESSING = networks.Preprocessing(
    size=48, crop_fraction=1.0, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), smallest=16
)
_GROUP_CHANNELS = 4


@dataclasses.dataclass(frozen=True)
class Stage:
    """One step of a variant.

    Attributes:
      features: output channels.
      kernel: side of the convolution.
      stride: stride of the convolution.
      pool: whether a 2x2 max pooling follows.
      residual: a pre-activation residual block of two convolutions instead of one convolution.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    pool: bool = False
    residual: bool = False


@dataclasses.dataclass(frozen=True)
class Variant:
    """A network as a list of stages.

    Attributes:
      stages: the stages, in order.
      group_norm: whether group normalisation [1] precedes every activation.
    """

    stages: tuple[Stage, ...]
    group_norm: bool


VARIANTS = types.MappingProxyType(
    {
        "scene_cnn_a": Variant((Stage(16, stride=2), Stage(32, stride=2), Stage(48), Stage(64, stride=2)), True),
        "scene_cnn_b": Variant(
            (Stage(16, kernel=5, stride=2, pool=True), Stage(32, kernel=5, pool=True), Stage(48, kernel=5)), True
        ),
        "scene_cnn_c": Variant(
            (
                Stage(12, stride=2),
                Stage(24, stride=2, residual=True),
                Stage(48, stride=2, residual=True),
                Stage(48, residual=True),
            ),
            True,
        ),
        "scene_features": Variant((Stage(16, stride=2), Stage(32, stride=2), Stage(64, stride=2), Stage(96)), True),
    }
)


def _conv(features: int, kernel: int, stride: int, name: str) -> nn.Conv:
    return nn.Conv(features, (kernel, kernel), stride, "SAME", precision=numerics.of_products(), name=name)


def _activate(x: jax.Array, group_norm: bool, name: str) -> jax.Array:
    if group_norm:
        x = nn.GroupNorm(num_groups=None, group_size=_GROUP_CHANNELS, name=name)(x)
    return nn.relu(x)


class _Residual(nn.Module):
    stage: Stage
    group_norm: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        stage = self.stage
        y = _activate(x, self.group_norm, "norm1")
        y = _conv(stage.features, stage.kernel, stage.stride, "conv1")(y)
        y = _conv(stage.features, stage.kernel, 1, "conv2")(_activate(y, self.group_norm, "norm2"))
        if stage.stride != 1 or x.shape[-1] != stage.features:
            x = _conv(stage.features, 1, stage.stride, "shortcut")(x)
        return x + y


class SceneCnn(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (outputs [B, num_outputs], {stage: features}).

    Attributes:
      variant: the network as data.
      num_outputs: number of classes or of regressed factors.
    """

    variant: Variant
    num_outputs: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        x = jax.vmap(functools.partial(networks.normalise, _PREPROCESSING))(images)
        features = {}
        for i, stage in enumerate(self.variant.stages, start=1):
            if stage.residual:
                x = _Residual(stage, self.variant.group_norm, name=f"stage{i}")(x)
            else:
                x = _conv(stage.features, stage.kernel, stage.stride, f"stage{i}")(x)
                x = _activate(x, self.variant.group_norm, f"norm{i}")
            if stage.pool:
                x = nn.max_pool(x, (2, 2), (2, 2))
            features[f"stage{i}"] = x
        if self.variant.stages[-1].residual:
            x = _activate(x, self.variant.group_norm, "norm")
        x = x.mean(axis=(1, 2))
        features[networks.PENULTIMATE] = x
        return nn.Dense(self.num_outputs, precision=numerics.of_products(), name="head")(x), features


@dataclasses.dataclass(frozen=True)
class _Factory:
    """A variant by name, looked up when it is made."""

    name: str

    def __call__(self, num_outputs: int) -> SceneCnn:
        return SceneCnn(_checks.lookup(VARIANTS, self.name, "scene network"), num_outputs)


def trainable(name: str) -> flax_modules.Trainable:
    """Returns the description of a variant that training needs.

    Args:
      name: a variant of VARIANTS.

    Raises:
      InputError: for an unknown name.
    """
    count = len(_checks.lookup(VARIANTS, name, "scene network").stages)
    stages = (*(f"stage{i + 1}" for i in range(count)), networks.PENULTIMATE)
    return flax_modules.Trainable(_Factory(name), _PREPROCESSING, stages)


def module(name: str, num_outputs: int) -> SceneCnn:
    """Returns the Flax module of a variant, for training.

    Args:
      name: a variant of VARIANTS.
      num_outputs: width of the head, static.

    Returns:
      A module from images float32 [B, H, W, 3] in [0, 1] to (outputs [B, num_outputs], {stage: features}).

    Raises:
      InputError: for an unknown name.
    """
    return SceneCnn(_checks.lookup(VARIANTS, name, "scene network"), num_outputs)


def init(name: str, key: jax.Array, *, num_outputs: int) -> dict[str, Any]:
    """Returns fresh parameters of a variant.

    Args:
      name: a variant of VARIANTS.
      key: random key.
      num_outputs: width of the head, static.

    Returns:
      Nested dictionaries of float32 arrays, what `module(...).apply({"params": params}, images)` takes.

    Raises:
      InputError: for an unknown name.
    """
    return flax_modules.init(trainable(name), key, num_outputs=num_outputs)


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the tensors a file of this variant holds; the head's width is the file's own.

    Args:
      name: a variant of VARIANTS.
      tensors: the file's, for the head's width.

    Returns:
      Name -> shape.
    """
    return flax_modules.layout(trainable(name), tensors)


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout.

    Args:
      name: a variant of VARIANTS.
      checkpoint: the file.
      input_size: side of the input in pixels when not 48.

    Returns:
      The network.
    """
    return flax_modules.build(trainable(name), name, checkpoint, input_size)
