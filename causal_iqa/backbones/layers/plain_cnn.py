"""Chains of convolutions, ReLUs and max pools with a fully connected head, and the pools of torchvision.

AlexNet and VGG are such chains; SqueezeNet shares the pools.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.backbones import networks, numerics
from causal_iqa.backbones.weights import checkpoints

# torchvision's, for every network trained on ImageNet with its reference recipe.
IMAGENET = {"size": 224, "crop_fraction": 0.875, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution with bias and ReLU.

    Attributes:
      index: its number in torchvision's `features`.
      features: output channels as published.
      kernel: side of the kernel.
      stride: stride of the convolution.
      padding: zeros on every side.
      stage: name under which its output is returned, or "".
    """

    index: int
    features: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    stage: str = ""


@dataclasses.dataclass(frozen=True)
class Pool:
    """A maximum over squares without padding."""

    size: int
    stride: int


@dataclasses.dataclass(frozen=True)
class Chain:
    """A published chain.

    Attributes:
      layers: the layers, from the input to the last feature map.
      pooled: side of the map the head reads, after adaptive mean pooling.
      hidden: torchvision's `classifier` numbers of the two hidden layers and the output.
      smallest: smallest input side in pixels that leaves a map.
    """

    layers: tuple[Conv | Pool, ...]
    pooled: int
    hidden: tuple[int, int, int]
    smallest: int

    @property
    def convolutions(self) -> tuple[Conv, ...]:
        """The convolutions, in order."""
        return tuple(layer for layer in self.layers if isinstance(layer, Conv))

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages, in order."""
        return (*(conv.stage for conv in self.convolutions if conv.stage), networks.PENULTIMATE)


def max_pool(x: jax.Array, size: int, stride: int, *, ceil: bool = False) -> jax.Array:
    """Maximum over size x size squares, as elementwise maxima of strided slices, which XLA's CPU fuses.

    Args:
      x: float32 [B, H, W, C].
      size: static int.
      stride: static int.
      ceil: whether a last square that lacks pixels counts (PyTorch's ceil_mode), static.

    Returns:
      float32 [B, H', W', C], H' = floor or ceil of (H - size) / stride, plus 1.
    """
    for axis in (1, 2):
        length = x.shape[axis]
        count = (length - size + (stride - 1 if ceil else 0)) // stride + 1
        missing = max(0, (count - 1) * stride + size - length)
        if missing:
            widths = [(0, missing if a == axis else 0) for a in range(4)]
            x = jnp.pad(x, widths, constant_values=-jnp.inf)
        stops = [k + (count - 1) * stride + 1 for k in range(size)]
        parts = [jax.lax.slice_in_dim(x, k, stop, stride, axis=axis) for k, stop in enumerate(stops)]
        x = functools.reduce(jnp.maximum, parts)
    return x


@functools.lru_cache(maxsize=32)
def _bins(length: int, count: int) -> np.ndarray:
    weights = np.zeros((count, length), np.float32)
    for i in range(count):
        start, stop = i * length // count, -(-(i + 1) * length // count)
        weights[i, start:stop] = 1.0 / (stop - start)
    return weights


def adaptive_mean(x: jax.Array, side: int) -> jax.Array:
    """PyTorch's adaptive average pooling of [B, H, W, C] to [B, side, side, C]; `side` is static."""
    if x.shape[1:3] == (side, side):
        return x
    rows, columns = (jnp.asarray(_bins(length, side), x.dtype) for length in x.shape[1:3])
    x = jnp.einsum("yh,bhwc->bywc", rows, x, precision=numerics.of_products())
    return jnp.einsum("xw,bywc->byxc", columns, x, precision=numerics.of_products())


class PlainCNN(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (logits [B, num_classes], {stage: features}).

    Attributes:
      chain: the layers.
      widths: output channels of the convolutions.
      hidden: widths of the two hidden layers and the output; empty for features alone (logits are then None).
      normalised: whether images come normalised already.
    """

    chain: Chain
    widths: tuple[int, ...]
    hidden: tuple[int, ...]
    normalised: bool = False

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array | None, dict[str, jax.Array]]:
        x = (
            images
            if self.normalised
            else jax.vmap(functools.partial(networks.normalise, preprocessing(self.chain)))(images)
        )
        widths, features = iter(self.widths), {}
        for layer in self.chain.layers:
            if isinstance(layer, Pool):
                if not self.hidden and set(features) == set(self.chain.stages[:-1]):
                    break
                x = max_pool(x, layer.size, layer.stride)
                continue
            pads = [(layer.padding, layer.padding)] * 2
            kernel, stride, name = (layer.kernel,) * 2, layer.stride, f"conv{layer.index}"
            x = nn.relu(nn.Conv(next(widths), kernel, stride, pads, precision=numerics.of_products(), name=name)(x))
            if layer.stage:
                features[layer.stage] = x
        if not self.hidden:
            return None, features
        x = adaptive_mean(x, self.chain.pooled).reshape(x.shape[0], -1)
        for i, width in enumerate(self.hidden[:-1]):
            x = nn.relu(nn.Dense(width, precision=numerics.of_products(), name=f"hidden{i}")(x))
        features[networks.PENULTIMATE] = x
        return nn.Dense(self.hidden[-1], precision=numerics.of_products(), name="head")(x), features


def preprocessing(chain: Chain) -> networks.Preprocessing:
    """Returns torchvision's preprocessing."""
    return networks.Preprocessing(**IMAGENET, smallest=chain.smallest)


def _outputs(tensors: Mapping[str, np.ndarray], name: str, published: int) -> int:
    weight = tensors.get(f"{name}.weight")
    return weight.shape[0] if weight is not None and weight.ndim > 1 else published


def layout(chain: Chain, tensors: Mapping[str, np.ndarray], *, head: bool = True) -> dict[str, tuple[int, ...]]:
    """Returns the tensors a torchvision file of this chain holds, with the widths of the file.

    Args:
      chain: the layers.
      tensors: the file's, for the widths; where one is missing the published width stands in.
      head: whether the classifier is among them.

    Returns:
      Name in PyTorch -> shape.
    """
    shapes, channels = {}, 3
    for conv in chain.convolutions:
        name = f"features.{conv.index}"
        width = _outputs(tensors, name, conv.features)
        shapes[f"{name}.weight"] = (width, channels, conv.kernel, conv.kernel)
        shapes[f"{name}.bias"] = (width,)
        channels = width
    inputs = channels * chain.pooled**2
    for index, published in zip(chain.hidden, (4096, 4096, 1000), strict=True):
        if head:
            name = f"classifier.{index}"
            width = _outputs(tensors, name, published)
            shapes[f"{name}.weight"] = (width, inputs)
            shapes[f"{name}.bias"] = (width,)
            inputs = width
    return shapes


def kernel(weight: np.ndarray) -> np.ndarray:
    """PyTorch's convolution [out, in, h, w] in Flax's order."""
    return weight.transpose(2, 3, 1, 0)


def convert(chain: Chain, tensors: Mapping[str, np.ndarray], *, head: bool = True) -> dict[str, Any]:
    """Turns PyTorch tensors of the right layout into parameters of PlainCNN."""
    flat = {}
    for conv in chain.convolutions:
        flat[f"conv{conv.index}.kernel"] = kernel(tensors[f"features.{conv.index}.weight"])
        flat[f"conv{conv.index}.bias"] = tensors[f"features.{conv.index}.bias"]
    if head:
        for name, index in zip(("hidden0", "hidden1", "head"), chain.hidden, strict=True):
            weight = tensors[f"classifier.{index}.weight"]
            if name == "hidden0":  # PyTorch flattens channels first.
                weight = weight.reshape(len(weight), -1, chain.pooled, chain.pooled).transpose(0, 2, 3, 1)
            flat[f"{name}.kernel"] = weight.reshape(len(weight), -1).T
            flat[f"{name}.bias"] = tensors[f"classifier.{index}.bias"]
    return checkpoints.unflatten(flat)


def widths(chain: Chain, tensors: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """Returns the output channels of a file's convolutions."""
    return tuple(tensors[f"features.{conv.index}.bias"].shape[0] for conv in chain.convolutions)


def build(name: str, chain: Chain, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout.

    Args:
      name: name of the architecture.
      chain: its layers.
      checkpoint: the file.
      input_size: side of the input in pixels when not 224.

    Returns:
      The network.
    """
    prepared = networks.with_size(preprocessing(chain), input_size)
    hidden = tuple(checkpoint.tensors[f"classifier.{index}.bias"].shape[0] for index in chain.hidden)
    module = PlainCNN(chain, widths(chain, checkpoint.tensors), hidden)
    return networks.Network(
        name=name,
        apply=networks.applier(module, prepared, smallest_inner=prepared.smallest),
        params=convert(chain, checkpoint.tensors),
        preprocessing=prepared,
        num_classes=hidden[-1],
        stages=chain.stages,
        weights_sha256=checkpoint.sha256,
        classifier=lambda params: networks.classifier_of(params, "head"),
    )


def staged(blocks: Sequence[Sequence[Conv]], pool: Pool) -> tuple[Conv | Pool, ...]:
    """Blocks of convolutions with a pool after each."""
    return tuple(layer for block in blocks for layer in (*block, pool))
