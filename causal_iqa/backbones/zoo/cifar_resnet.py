"""CIFAR residual networks of depth 6n + 2 with parameter-free (option A) shortcuts, for inference.

Batch normalisation is folded into the convolutions when the weights come in:
kernel' = kernel * gamma / sqrt(var + eps), bias' = beta - mean * gamma / sqrt(var + eps).

References:
  [1] He, Zhang, Ren, Sun. Deep residual learning for image recognition. CVPR 2016, section 4.2.
  [2] Yerlan Idelbayev's PyTorch weights, whose parameter names the files have.
"""

import functools
import types
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._xla import settle
from causal_iqa.backbones import networks, numerics
from causal_iqa.backbones.layers import convolutions
from causal_iqa.backbones.weights import checkpoints

REFERENCE = "He et al. CVPR 2016, section 4.2"

# Blocks per stage, n of [1].
VARIANTS = types.MappingProxyType(
    {"cifar_resnet20": 3, "cifar_resnet32": 5, "cifar_resnet44": 7, "cifar_resnet56": 9, "cifar_resnet110": 18}
)
STAGES = ("stem", "stage1", "stage2", "stage3", networks.PENULTIMATE)

_WIDTHS = (16, 32, 64)
_BATCH_NORM_EPSILON = 1e-5
_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
# ImageNet statistics, which the authors of the weights used for CIFAR-10 too.
_PREPROCESSING = networks.Preprocessing(
    size=32, crop_fraction=1.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), smallest=8
)


def _shortcut(x: jax.Array, features: int, stride: int) -> jax.Array:
    """Option A of [1]: every stride-th pixel, new channels zero, half of them before the old ones and half after."""
    before = (features - x.shape[-1]) // 2
    after = features - x.shape[-1] - before
    return jnp.pad(x[:, ::stride, ::stride, :], ((0, 0), (0, 0), (0, 0), (before, after)))


class _Block(nn.Module):
    before: int
    features: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = convolutions.Conv(convolutions.Shape(self.before, self.features, 3, self.stride), "relu", name="conv1")(x)
        y = convolutions.Conv(convolutions.Shape(self.features, self.features), name="conv2")(y)
        # Kept, not computed again with every block before it by each of its readers.
        return settle(nn.relu(y + _shortcut(x, self.features, self.stride)))


class CifarResNet(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (logits [B, num_classes], {stage: features}).

    Attributes:
      blocks: residual blocks per stage.
      num_classes: number of logits.
    """

    blocks: int
    num_classes: int

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        x = jax.vmap(functools.partial(networks.normalise, _PREPROCESSING))(images)
        x = convolutions.Conv(convolutions.Shape(3, _WIDTHS[0]), "relu", name="stem")(x)
        features = {"stem": x}
        for stage, width in enumerate(_WIDTHS, start=1):
            for block in range(self.blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                x = _Block(x.shape[-1], width, stride, name=f"stage{stage}_block{block}")(x)
            features[f"stage{stage}"] = x
        x = x.mean(axis=(1, 2))
        features[networks.PENULTIMATE] = x
        return nn.Dense(self.num_classes, precision=numerics.of_products(), name="head")(x), features


def _layers(blocks: int) -> list[tuple[str, str, str, int, int]]:
    """(own name, convolution and batch norm in the file, input channels, output channels) of every convolution."""
    rows = [("stem", "conv1", "bn1", 3, _WIDTHS[0])]
    channels = _WIDTHS[0]
    for stage, width in enumerate(_WIDTHS, start=1):
        for block in range(blocks):
            for i in (1, 2):
                here, there = f"stage{stage}_block{block}.conv{i}", f"layer{stage}.{block}"
                rows.append((here, f"{there}.conv{i}", f"{there}.bn{i}", channels, width))
                channels = width
    return rows


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the tensors a file of this variant holds; the number of classes is the file's own.

    Args:
      name: a variant of VARIANTS.
      tensors: the file's, for the number of classes.

    Returns:
      Name in PyTorch -> shape.
    """
    head = tensors.get("linear.weight")
    num_classes = head.shape[0] if head is not None and head.ndim == 2 else 10
    shapes: dict[str, tuple[int, ...]] = {}
    for _, conv, norm, before, after in _layers(VARIANTS[name]):
        shapes[f"{conv}.weight"] = (after, before, 3, 3)
        shapes.update({f"{norm}.{part}": (after,) for part in _BATCH_NORM})
    return {**shapes, "linear.weight": (num_classes, _WIDTHS[-1]), "linear.bias": (num_classes,)}


def _folded(tensors: Mapping[str, np.ndarray], conv: str, norm: str) -> dict[str, np.ndarray]:
    gamma, beta, mean, variance = (np.asarray(tensors[f"{norm}.{part}"], np.float64) for part in _BATCH_NORM)
    scale = gamma / np.sqrt(variance + _BATCH_NORM_EPSILON)
    kernel = np.asarray(tensors[f"{conv}.weight"], np.float64).transpose(2, 3, 1, 0)
    return {"kernel": (kernel * scale).astype(np.float32), "bias": (beta - mean * scale).astype(np.float32)}


def convert(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Turns PyTorch tensors of the right layout into parameters of CifarResNet, batch norm folded in."""
    flat: dict[str, np.ndarray] = {}
    for here, conv, norm, _, _ in _layers(VARIANTS[name]):
        flat.update({f"{here}.{k}": v for k, v in _folded(tensors, conv, norm).items()})
    flat["head.kernel"] = tensors["linear.weight"].T
    flat["head.bias"] = tensors["linear.bias"]
    return checkpoints.unflatten(flat)


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout.

    Args:
      name: a variant of VARIANTS.
      checkpoint: the file.
      input_size: side of the input in pixels when not 32.

    Returns:
      The network.
    """
    preprocessing = networks.with_size(_PREPROCESSING, input_size)
    num_classes = checkpoint.tensors["linear.bias"].shape[0]
    params = convert(name, checkpoint.tensors)
    module = CifarResNet(VARIANTS[name], num_classes)
    return networks.classifier_network(name, module, params, preprocessing, num_classes, STAGES, checkpoint.sha256)
