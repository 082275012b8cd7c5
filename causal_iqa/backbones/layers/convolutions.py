"""Convolutions and poolings of PyTorch's networks, batch norm folded in, in forms that XLA's CPU runs well."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.backbones import numerics
from causal_iqa.backbones.layers import winograd
from causal_iqa.backbones.weights import formats

_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")
IMAGENET_PIXELS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def hard_sigmoid(x: jax.Array) -> jax.Array:
    """min(max(x + 3, 0), 6) / 6 of MobileNet V3."""
    return jnp.clip(x + 3.0, 0.0, 6.0) / 6.0


def hard_swish(x: jax.Array) -> jax.Array:
    """x hard_sigmoid(x) of MobileNet V3."""
    return x * hard_sigmoid(x)


def identity(x: jax.Array) -> jax.Array:
    """No activation."""
    return x


ACTIVATIONS: Mapping[str, Callable[[jax.Array], jax.Array]] = {
    "none": identity,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "silu": jax.nn.silu,
    "hard_swish": hard_swish,
}


class Shape(NamedTuple):
    """A convolution as PyTorch has it: odd kernel, symmetric zero padding of half of it unless `padding` says other.

    With `same` it pads as TensorFlow does: ceil(side / stride) outputs, and the odd zero goes after.
    """

    before: int
    after: int
    size: int = 3
    stride: int = 1
    groups: int = 1
    padding: int | None = None
    same: bool = False

    @property
    def pad(self) -> int:
        """Zeros on every side."""
        return self.size // 2 if self.padding is None else self.padding


def pad_same(x: jax.Array, size: int, stride: int) -> jax.Array:
    """Pads [B, H, W, C] with zeros as TensorFlow's SAME does for a kernel of this size and stride."""
    totals = (max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[1:3])
    return jnp.pad(x, ((0, 0), *((total // 2, total - total // 2) for total in totals), (0, 0)))


def _taps(x: jax.Array, shape: Shape):
    """Yields (row, column, the input seen through that tap of the kernel)."""
    batch, height, width, channels = x.shape
    rows = (height + 2 * shape.pad - shape.size) // shape.stride + 1
    columns = (width + 2 * shape.pad - shape.size) // shape.stride + 1
    x = jnp.pad(x, ((0, 0), (shape.pad, shape.pad), (shape.pad, shape.pad), (0, 0)))
    step = (1, shape.stride, shape.stride, 1)
    for i in range(shape.size):
        for j in range(shape.size):
            stop = (batch, i + (rows - 1) * shape.stride + 1, j + (columns - 1) * shape.stride + 1, channels)
            yield i, j, jax.lax.slice(x, (0, i, j, 0), stop, step)


def convolve(x: jax.Array, kernel: jax.Array, shape: Shape) -> jax.Array:
    """Convolution of any grouping.

    Pointwise ones are matrix products. Depthwise ones are sums of shifted copies and grouped ones sums of products of
    shifted copies: XLA's grouped convolution is an order of magnitude slower on a CPU. There, also very narrow and very
    wide ones are put into forms that its kernels are fast at.

    Args:
      x: [B, H, W, before].
      kernel: [size, size, before / groups, after], whose type is computed in: float32 or bfloat16.
      shape: shape of the convolution, static.

    Returns:
      [B, h, w, after] of the kernel's type.
    """
    x = x.astype(kernel.dtype)  # What stands before the first layer may have more digits than its weights.
    if shape.same and shape.stride > 1:  # At stride 1 it is the symmetric padding of an odd kernel.
        x, shape = pad_same(x, shape.size, shape.stride), shape._replace(padding=0, same=False)
    if shape.groups == shape.before == shape.after:
        # One product and one sum per tap, which fuse into a single loop.
        parts = [view * kernel[i, j].reshape(1, 1, 1, -1) for i, j, view in _taps(x, shape)]
        return sum(parts[1:], parts[0])
    if shape.groups > 1:
        inner = shape.before // shape.groups
        weights = kernel.reshape(shape.size, shape.size, inner, shape.groups, shape.after // shape.groups)
        parts = [
            jnp.einsum(
                "bhwgc,cgd->bhwgd",
                view.reshape(*view.shape[:3], shape.groups, inner),
                weights[i, j],
                precision=numerics.of_products(),
            )
            for i, j, view in _taps(x, shape)
        ]
        out = sum(parts[1:], parts[0])
        return out.reshape(*out.shape[:3], shape.after)
    if shape.size == 1 and shape.pad == 0:
        x = x[:, :: shape.stride, :: shape.stride]
        return jnp.einsum("bhwc,cd->bhwd", x, kernel[0, 0], precision=numerics.of_products())
    if kernel.dtype != jnp.float32:
        return _convolve_directly(x, kernel, shape)
    height, width = ((side + 2 * shape.pad - shape.size) // shape.stride + 1 for side in x.shape[1:3])
    columns = _columns_at_once(shape, width)
    if columns > 1:
        on_cpu = functools.partial(_convolve_columns, shape=shape, columns=columns)
    elif _minimal(shape, height):
        on_cpu = functools.partial(winograd.convolve, pad=shape.pad)
    elif shape.after >= _WIDE:
        on_cpu = functools.partial(_convolve_patches, shape=shape)
    else:
        return _convolve_directly(x, kernel, shape)
    direct = functools.partial(_convolve_directly, shape=shape)
    return jax.lax.platform_dependent(x, kernel, cpu=on_cpu, default=direct)


# From so many output channels on, a matrix product of patches beats XLA's convolution on a CPU (AVX-512, JAX 0.10).
_WIDE = 512


def _minimal(shape: Shape, height: int) -> bool:
    """Whether Winograd's form pays on a CPU: where products and not the transforms of rows take the time."""
    wide = min(shape.before, shape.after) >= 32
    return shape.size == 3 and shape.stride == 1 and wide and height >= 8 and height % winograd.ROWS == 0


def _columns_at_once(shape: Shape, width: int) -> int:
    """How many columns of the output, of `width`, to compute as channels of a single column.

    On a CPU, kernels of matrix products are 32 or more channels wide; with 16 most of it lies idle.
    """
    if shape.before <= 4 and shape.after <= 32:
        wanted = 64 // shape.after
    else:
        wanted = 2 if shape.before <= 16 and shape.after <= 16 else 1
    return next(n for n in (4, 2, 1) if n <= wanted and width % n == 0)


def _convolve_directly(x: jax.Array, kernel: jax.Array, shape: Shape, columns: int = 1) -> jax.Array:
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (shape.stride, shape.stride * columns),
        ((shape.pad, shape.pad),) * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=numerics.of_products(),
    )


def _convolve_columns(x: jax.Array, kernel: jax.Array, *, shape: Shape, columns: int) -> jax.Array:
    """The same with a kernel that sees `columns` places at once and gives their outputs side by side as channels."""
    places = [
        jnp.pad(kernel, ((0, 0), (shape.stride * n, shape.stride * (columns - 1 - n)), (0, 0), (0, 0)))
        for n in range(columns)
    ]
    out = _convolve_directly(x, jnp.concatenate(places, axis=3), shape, columns)
    return out.reshape(*out.shape[:2], out.shape[2] * columns, shape.after)


def _convolve_patches(x: jax.Array, kernel: jax.Array, *, shape: Shape) -> jax.Array:
    """The same as one matrix product."""
    patches = jnp.concatenate([view for _, _, view in _taps(x, shape)], axis=3)
    return jnp.einsum("bhwc,cd->bhwd", patches, kernel.reshape(-1, shape.after), precision=numerics.of_products())


class Conv(nn.Module):
    """Convolution, bias and activation: [B, H, W, before] -> [B, h, w, after]."""

    shape: Shape
    activation: str = "none"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = self.shape
        size = (shape.size, shape.size, shape.before // shape.groups, shape.after)
        kernel = self.param("kernel", nn.initializers.he_normal(), size)
        bias = self.param("bias", nn.initializers.zeros, (shape.after,))
        return ACTIVATIONS[self.activation](convolve(x, kernel, shape) + bias[None, None, None])


def max_pool(x: jax.Array, size: int, stride: int, padding: int = 0, ceil: bool = False) -> jax.Array:
    """PyTorch's MaxPool2d on [B, H, W, C]; `ceil` keeps a last window that hangs over the edge."""
    pads = []
    for side in x.shape[1:3]:
        count = (side + 2 * padding - size + (stride - 1 if ceil else 0)) // stride + 1
        # A window must start inside the image or its padding.
        count -= ceil and (count - 1) * stride >= side + padding
        pads.append((padding, max(0, (count - 1) * stride + size - side - padding)))
    window = (1, size, size, 1)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, (1, stride, stride, 1), ((0, 0), *pads, (0, 0)))


def average_pool(x: jax.Array, size: int) -> jax.Array:
    """Means over windows of `size` that do not overlap, the rest cut off: PyTorch's AvgPool2d on [B, H, W, C]."""
    b, h, w, c = x.shape
    rows, columns = h // size, w // size
    boxes = x[:, : rows * size, : columns * size].reshape(b, rows, size, columns, size, c)
    return boxes.mean(axis=(2, 4))


def folded(here: str, conv: str, norm: str, shape: Shape, epsilon: float = 1e-5) -> list[formats.Entry]:
    """Entries of a bias-free convolution followed by batch norm, which is folded in.

    kernel' = kernel gamma / sqrt(var + eps), bias' = beta - mean gamma / sqrt(var + eps), in float64.

    Args:
      here: path of the Conv.
      conv: name of the convolution in the file.
      norm: name of the batch norm in the file.
      shape: shape of the convolution.
      epsilon: epsilon of the batch norm.

    Returns:
      The entries.
    """

    def scale(gamma: np.ndarray, variance: np.ndarray) -> np.ndarray:
        return gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)

    def kernel(weight, gamma, beta, mean, variance):
        return (weight.transpose(2, 3, 1, 0).astype(np.float64) * scale(gamma, variance)).astype(np.float32)

    def bias(gamma, beta, mean, variance):
        return (beta - mean.astype(np.float64) * scale(gamma, variance)).astype(np.float32)

    weight = (shape.after, shape.before // shape.groups, shape.size, shape.size)
    parts = tuple(f"{norm}.{part}" for part in _BATCH_NORM)
    shapes = ((shape.after,),) * 4
    return [
        formats.Entry(f"{here}.kernel", (f"{conv}.weight", *parts), (weight, *shapes), kernel),
        formats.Entry(f"{here}.bias", parts, shapes, bias),
    ]


def plain(here: str, there: str, shape: Shape) -> list[formats.Entry]:
    """Entries of a convolution with a bias and no batch norm."""
    weight = (shape.after, shape.before // shape.groups, shape.size, shape.size)
    return [
        formats.Entry(f"{here}.kernel", (f"{there}.weight",), (weight,), lambda value: value.transpose(2, 3, 1, 0)),
        formats.same(f"{here}.bias", f"{there}.bias", shape.after),
    ]


def num_classes(tensors: Mapping[str, np.ndarray], bias: str, default: int = 1000) -> int:
    """Number of classes of a file: the length of its classifier's bias."""
    found = tensors.get(bias)
    return len(found) if found is not None and found.ndim == 1 else default
