"""SqueezeNet 1.1 with torchvision's weights.

References:
  [1] Iandola et al. SqueezeNet: AlexNet-level accuracy with 50x fewer parameters. 2016; version 1.1 of the authors'
      repository.
"""

import functools
import types
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.backbones import networks, numerics
from causal_iqa.backbones.layers import plain_cnn
from causal_iqa.backbones.weights import checkpoints

REFERENCE = "Iandola et al. 2016"

_STEM = 64
# torchvision's `features` number: (squeeze, expand) channels. The pools, 3 x 3 with stride 2, are at 2, 5 and 8.
_FIRES = types.MappingProxyType(
    {3: (16, 64), 4: (16, 64), 6: (32, 128), 7: (32, 128), 9: (48, 192), 10: (48, 192), 11: (64, 256), 12: (64, 256)}
)
_POOLS = (2, 5, 8)
# The maps that LPIPS reads: the last before each pool, then every one.
_STAGES = types.MappingProxyType(
    {1: "relu1", 4: "fire2", 7: "fire4", 9: "fire5", 10: "fire6", 11: "fire7", 12: "fire8"}
)
VARIANTS = types.MappingProxyType({"squeezenet1_1": _FIRES})
STAGES = (*_STAGES.values(), networks.PENULTIMATE)
_PREPROCESSING = networks.Preprocessing(**plain_cnn.IMAGENET, smallest=17)


class _Fire(nn.Module):
    squeeze: int
    expand: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.relu(nn.Conv(self.squeeze, (1, 1), precision=numerics.of_products(), name="squeeze")(x))
        point = nn.Conv(self.expand, (1, 1), precision=numerics.of_products(), name="expand1x1")(x)
        around = nn.Conv(self.expand, (3, 3), padding=[(1, 1)] * 2, precision=numerics.of_products(), name="expand3x3")(
            x
        )
        return nn.relu(jnp.concatenate([point, around], axis=-1))


class SqueezeNet(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (logits [B, num_classes], {stage: features}).

    The classifier is a convolution with ReLU whose maps are averaged, so no linear head reads the pooled features.

    Attributes:
      num_classes: number of logits; None for features alone (logits are then None).
      normalised: whether images come normalised already.
    """

    num_classes: int | None
    normalised: bool = False

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array | None, dict[str, jax.Array]]:
        x = images if self.normalised else jax.vmap(functools.partial(networks.normalise, _PREPROCESSING))(images)
        x = nn.relu(nn.Conv(_STEM, (3, 3), 2, padding=[(0, 0)] * 2, precision=numerics.of_products(), name="stem")(x))
        features = {_STAGES[1]: x}
        for index in range(2, 13):
            if index in _POOLS:
                x = plain_cnn.max_pool(x, 3, 2, ceil=True)
            else:
                x = _Fire(*_FIRES[index], name=f"fire{index}")(x)
            if index in _STAGES:
                features[_STAGES[index]] = x
        if self.num_classes is None:
            return None, features
        features[networks.PENULTIMATE] = x.mean(axis=(1, 2))
        x = nn.relu(nn.Conv(self.num_classes, (1, 1), precision=numerics.of_products(), name="classifier")(x))
        return x.mean(axis=(1, 2)), features


def _convolutions() -> list[tuple[str, str, tuple[int, int, int]]]:
    """(name here, name in torchvision, (input channels, output channels, kernel side)) of every feature convolution."""
    found, channels = [("stem", "features.0", (3, _STEM, 3))], _STEM
    for index, (squeeze, expand) in _FIRES.items():
        parts = {
            "squeeze": (channels, squeeze, 1),
            "expand1x1": (squeeze, expand, 1),
            "expand3x3": (squeeze, expand, 3),
        }
        found += [(f"fire{index}.{part}", f"features.{index}.{part}", shape) for part, shape in parts.items()]
        channels = 2 * expand
    return found


def layout(name: str, tensors: Mapping[str, np.ndarray], *, head: bool = True) -> dict[str, tuple[int, ...]]:
    """Returns the tensors a torchvision file of this variant holds; the number of classes is the file's own.

    Args:
      name: a variant of VARIANTS.
      tensors: the file's, for the number of classes.
      head: whether the classifier is among them.

    Returns:
      Name in PyTorch -> shape.
    """
    del name
    shapes: dict[str, tuple[int, ...]] = {}
    for _, there, (before, after, side) in _convolutions():
        shapes[f"{there}.weight"] = (after, before, side, side)
        shapes[f"{there}.bias"] = (after,)
    if head:
        bias = tensors.get("classifier.1.bias")
        num_classes = bias.shape[0] if bias is not None and bias.ndim == 1 else 1000
        shapes |= {"classifier.1.weight": (num_classes, 512, 1, 1), "classifier.1.bias": (num_classes,)}
    return shapes


def convert(tensors: Mapping[str, np.ndarray], *, head: bool = True) -> dict[str, Any]:
    """Turns PyTorch tensors of the right layout into parameters of SqueezeNet."""
    names = [(here, there) for here, there, _ in _convolutions()] + ([("classifier", "classifier.1")] if head else [])
    flat = {}
    for here, there in names:
        flat[f"{here}.kernel"] = plain_cnn.kernel(tensors[f"{there}.weight"])
        flat[f"{here}.bias"] = tensors[f"{there}.bias"]
    return checkpoints.unflatten(flat)


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout; `input_size` is its input side when not 224."""
    preprocessing = networks.with_size(_PREPROCESSING, input_size)
    num_classes = checkpoint.tensors["classifier.1.bias"].shape[0]
    return networks.Network(
        name=name,
        apply=networks.applier(SqueezeNet(num_classes), preprocessing, smallest_inner=preprocessing.smallest),
        params=convert(checkpoint.tensors),
        preprocessing=preprocessing,
        num_classes=num_classes,
        stages=STAGES,
        weights_sha256=checkpoint.sha256,
        classifier=None,
    )
