"""MobileNet V1 and V2 of any width, batch norm folded into the convolutions, with TensorFlow's conventions.

SAME padding (the odd pixel goes after), ReLU6 after every layer except V2's projection and the classifier, global
average pooling, 1001 outputs of which the first is background and is dropped.

References:
  [1] Howard et al. MobileNets: efficient convolutional neural networks for mobile vision applications. 2017, table 1.
  [2] Sandler et al. MobileNetV2: inverted residuals and linear bottlenecks. CVPR 2018, table 2.
"""

import dataclasses
import functools
import json
import pathlib
import re
import types
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa.backbones import networks, numerics
from causal_iqa.backbones.layers import convolutions
from causal_iqa.backbones.weights import checkpoints

REFERENCE = "Howard et al. 2017 (V1); Sandler et al. CVPR 2018 (V2)"

_CLASSES = 1001
_STEM = 32


@dataclasses.dataclass(frozen=True)
class Layer:
    """One convolution: full (3x3), depthwise (3x3 per channel) or pointwise (1x1).

    Attributes:
      name: its name in the file, e.g. "block03.depthwise".
      kind: full, depthwise or pointwise.
      before: input channels.
      after: output channels.
      stride: stride of a full or depthwise layer.
      relu: whether ReLU6 follows.
    """

    name: str
    kind: str
    before: int
    after: int
    stride: int = 1
    relu: bool = True


@dataclasses.dataclass(frozen=True)
class Variant:
    """A version of MobileNet as published, at width 1.

    Attributes:
      expansion: whether blocks are inverted residuals with expansion and linear projection (V2).
      widths: output channels of each block.
      strides: strides of each block.
      head: output channels of the last pointwise layer (V2), or None.
    """

    expansion: bool
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    head: int | None


VARIANTS = types.MappingProxyType(
    {
        "mobilenet_v1": Variant(
            False,
            (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024),
            (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1),
            None,
        ),
        "mobilenet_v2": Variant(
            True,
            (16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320),
            (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1),
            1280,
        ),
    }
)
# Smallest: the lowest resolution for which the authors of [1] and [2] publish weights.
_PREPROCESSING = networks.Preprocessing(
    size=224, crop_fraction=0.875, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), smallest=96
)


def depthwise(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Depthwise 3x3 convolution with SAME padding, as nine shifted multiply-adds.

    XLA's grouped convolution is an order of magnitude slower on CPU; the sum fuses into one elementwise loop.

    Args:
      x: float32 [B, H, W, C].
      kernel: float32 [3, 3, 1, C].
      stride: static int.

    Returns:
      float32 [B, ceil(H / stride), ceil(W / stride), C].
    """
    batch, height, width, channels = x.shape
    rows, columns = -(-height // stride), -(-width // stride)
    x = convolutions.pad_same(x, 3, stride)
    total = jnp.zeros((batch, rows, columns, channels), x.dtype)
    for i in range(3):
        for j in range(3):
            stop = (batch, i + (rows - 1) * stride + 1, j + (columns - 1) * stride + 1, channels)
            shifted = jax.lax.slice(x, (0, i, j, 0), stop, (1, stride, stride, 1))
            total = total + shifted * kernel[i, j].reshape(1, 1, 1, channels)
    return total


def _kernel_shape(layer: Layer) -> tuple[int, int, int, int]:
    return {
        "full": (3, 3, layer.before, layer.after),
        "depthwise": (3, 3, 1, layer.before),
        "pointwise": (1, 1, layer.before, layer.after),
    }[layer.kind]


class _Conv(nn.Module):
    layer: Layer

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        layer = self.layer
        kernel = self.param("kernel", nn.initializers.he_normal(), _kernel_shape(layer))
        bias = self.param("bias", nn.initializers.zeros, (layer.after,))
        if layer.kind == "pointwise":
            x = jnp.einsum("bhwc,cd->bhwd", x, kernel[0, 0], precision=numerics.of_products())
        elif layer.kind == "depthwise":
            x = depthwise(x, kernel, layer.stride)
        else:
            shape = convolutions.Shape(layer.before, layer.after, 3, layer.stride, same=True)
            x = convolutions.convolve(x, kernel, shape)
        x = x + bias.reshape(1, 1, 1, layer.after)
        return jnp.clip(x, 0.0, 6.0) if layer.relu else x


class _Block(nn.Module):
    layers: tuple[Layer, ...]
    residual: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = x
        for layer in self.layers:
            y = _Conv(layer, name=layer.name.split(".")[-1])(y)
        return x + y if self.residual else y


class MobileNet(nn.Module):
    """Images [B, H, W, 3] in [0, 1] -> (logits [B, 1000], {stage: features}).

    Attributes:
      layers: every convolution, in order.
      expansion: whether blocks are V2's.
    """

    layers: tuple[Layer, ...]
    expansion: bool

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        x = jax.vmap(functools.partial(networks.normalise, _PREPROCESSING))(images)
        features = {}
        for name, layers in _grouped(self.layers):
            if name == "classifier":
                x = x.mean(axis=(1, 2))
                features[networks.PENULTIMATE] = x
                x = _Conv(layers[0], name=name)(x[:, None, None, :])
            elif name.startswith("block"):
                same = all(layer.stride == 1 for layer in layers) and layers[0].before == layers[-1].after
                x = features[name] = _Block(layers, self.expansion and same, name=name)(x)
            else:
                x = features[name] = _Conv(layers[0], name=name)(x)
        return x[:, 0, 0, 1:], features


def _grouped(layers: tuple[Layer, ...]) -> list[tuple[str, tuple[Layer, ...]]]:
    names = list(dict.fromkeys(layer.name.split(".")[0] for layer in layers))
    return [(name, tuple(layer for layer in layers if layer.name.split(".")[0] == name)) for name in names]


def _channels(tensors: Mapping[str, np.ndarray], layer: str, published: int) -> int:
    kernel = tensors.get(f"{layer}.kernel")
    return kernel.shape[-1] if kernel is not None and kernel.ndim == 4 else published


def layers(name: str, tensors: Mapping[str, np.ndarray], strides: Mapping[str, int]) -> tuple[Layer, ...]:
    """Returns every convolution of a version, with the widths of a file.

    Args:
      name: a version of VARIANTS.
      tensors: the file's; where a kernel is missing the published width at multiplier 1 stands in.
      strides: strides of the stem and the blocks, by name.

    Returns:
      The layers in network order.
    """
    variant = VARIANTS[name]
    channels = _channels(tensors, "stem", _STEM)
    found = [Layer("stem", "full", 3, channels, strides["stem"])]
    for i, published in enumerate(variant.widths):
        block = f"block{i:02d}"
        if variant.expansion and i > 0:
            wide = _channels(tensors, f"{block}.expand", 6 * channels)
            found.append(Layer(f"{block}.expand", "pointwise", channels, wide))
            channels = wide
        found.append(Layer(f"{block}.depthwise", "depthwise", channels, channels, strides[block]))
        last = "project" if variant.expansion else "pointwise"
        after = _channels(tensors, f"{block}.{last}", published)
        found.append(Layer(f"{block}.{last}", "pointwise", channels, after, relu=not variant.expansion))
        channels = after
    if variant.head is not None:
        after = _channels(tensors, "head", variant.head)
        found.append(Layer("head", "pointwise", channels, after))
        channels = after
    return (*found, Layer("classifier", "pointwise", channels, _CLASSES, relu=False))


def published_strides(name: str) -> dict[str, int]:
    """Returns the strides of [1] and [2] by layer name, for files that do not say."""
    return {"stem": 2, **{f"block{i:02d}": s for i, s in enumerate(VARIANTS[name].strides)}}


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the tensors a file of this version and these widths holds.

    Args:
      name: a version of VARIANTS.
      tensors: the file's, for the widths.

    Returns:
      Name -> shape.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers(name, tensors, published_strides(name)):
        shapes[f"{layer.name}.kernel"] = _kernel_shape(layer)
        shapes[f"{layer.name}.bias"] = (layer.after,)
    return shapes


def _strides(name: str, checkpoint: checkpoints.Checkpoint) -> dict[str, int]:
    published = published_strides(name)
    try:
        strides = json.loads(checkpoint.metadata.get("strides", json.dumps(published)))
    except json.JSONDecodeError:
        strides = None
    strides = strides if isinstance(strides, dict) else {}
    if set(strides) != set(published) or any(stride not in (1, 2) for stride in strides.values()):
        raise _checks.InputError(
            f"{checkpoint.path}: metadata `strides` should be JSON that gives 1 or 2 for each of {', '.join(published)}"
        )
    return strides


def _input_size(checkpoint: checkpoints.Checkpoint) -> int:
    """The side the file was trained at: its metadata, else its name (`_<width>_<size>`, as published), else 224."""
    if "input_size" in checkpoint.metadata:
        text = checkpoint.metadata["input_size"]
        if not text.isdecimal():
            raise _checks.InputError(
                f"{checkpoint.path}: metadata `input_size` should be a number of pixels, got {text!r}"
            )
        return int(text)
    sizes = re.search(r"_\d{3}_(\d{2,3})(?!\d)", pathlib.Path(checkpoint.path).stem)
    return int(sizes.group(1)) if sizes else _PREPROCESSING.size


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout.

    Args:
      name: a version of VARIANTS.
      checkpoint: the file.
      input_size: side of the input in pixels when not the file's own.

    Returns:
      The network.
    """
    size = _input_size(checkpoint) if input_size is None else input_size
    preprocessing = networks.with_size(_PREPROCESSING, size)
    parts = layers(name, checkpoint.tensors, _strides(name, checkpoint))
    stages = tuple(stage for stage, _ in _grouped(parts) if stage != "classifier")
    return networks.Network(
        name=name,
        apply=networks.applier(MobileNet(parts, VARIANTS[name].expansion), preprocessing),
        params=checkpoints.unflatten(checkpoint.tensors),
        preprocessing=preprocessing,
        num_classes=_CLASSES - 1,
        stages=(*stages, networks.PENULTIMATE),
        weights_sha256=checkpoint.sha256,
        classifier=_classifier,
    )


def _classifier(params: Mapping[str, Mapping[str, jax.Array]]) -> tuple[jax.Array, jax.Array]:
    kernel, bias = networks.classifier_of(params, "classifier")
    return kernel[0, 0, :, 1:], bias[1:]
