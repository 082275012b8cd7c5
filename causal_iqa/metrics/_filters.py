"""Filters, borders and local moments that several metrics share, on arrays whose last two axes are rows and columns.

XLA's convolution is slow on the CPU. Here a separable window is a sum of shifted copies, which compiles to one loop,
and a box is built by doubling. No function reduces over the batch, so a score cannot depend on other images of the
batch.
"""

import functools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import images
from causal_iqa._arrays import total
from causal_iqa._xla import settle

# numpy's names; "reflect" leaves the edge pixel single, "symmetric" repeats it.
_PAD_MODES = {"zero": "constant", "symmetric": "symmetric", "reflect": "reflect", "edge": "edge"}
# The first row of the inverse of the NTSC matrix, as rgb2gray computes it, in units of 2^-23: 255 of it fits int32.
_GREY_BITS = 23
_GREY_WEIGHTS = tuple(round(w * 2**_GREY_BITS) for w in (0.298936021293775, 0.587043074451121, 0.114020904255103))


@functools.lru_cache(maxsize=32)
def gaussian(size: int, sigma: float) -> tuple[float, ...]:
    """Returns `size` samples of a Gaussian about the middle, of sum 1."""
    offset = np.arange(size) - (size - 1) / 2.0
    weights = np.exp(-(offset**2) / (2.0 * sigma**2))
    return tuple(float(w) for w in weights / weights.sum())


@jax.custom_jvp
def grey_levels(image: jax.Array) -> jax.Array:
    """Grey levels of the 8-bit image as MATLAB's rgb2gray makes them, which published code reads a photograph with.

    Its weights are BT.601's to more digits, 0.298936, 0.587043, 0.114021: on colour images a few pixels in a thousand
    round to another level than with 0.299, 0.587, 0.114. Rounded half up in integers, so alike for any batch size. The
    gradient passes straight through the roundings.

    Args:
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      float32 [H, W], integers in 0..255.
    """
    pixels = images.to_uint8(image).astype(jnp.int32)
    red, green, blue = _GREY_WEIGHTS
    levels = (
        red * pixels[..., 0] + green * pixels[..., 1] + blue * pixels[..., 2] + 2 ** (_GREY_BITS - 1)
    ) >> _GREY_BITS
    # Settled: a filter would else weigh and round its pixels anew at every tap.
    return settle(levels.astype(image.dtype))


@grey_levels.defjvp
def _grey_levels_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return grey_levels(*primals), 255.0 * images.luma(*tangents)


def pad(x: jax.Array, rows: tuple[int, ...], columns: tuple[int, ...], border: str) -> jax.Array:
    """Pads the last two axes by (before, after); `border` is "zero", "symmetric", "reflect" or "edge"."""
    widths = [(0, 0)] * (x.ndim - 2) + [rows, columns]
    # Materialised: fused into the filter that follows, the border would be a case distinction at every tap.
    return settle(jnp.pad(x, widths, mode=_PAD_MODES[border]))


def shifted_sum(x: jax.Array, weights: Sequence[float], axis: int, *, step: int = 1, stride: int = 1) -> jax.Array:
    """Correlates along one axis with `weights`, valid border: out[i] = sum_k weights[k] x[stride i + step k].

    Args:
      x: float32 [..., H, W].
      weights: static taps; a symmetric window costs half the products.
      axis: static.
      step: elements between taps, static; the number of channels where they alternate along the axis.
      stride: between outputs, static.

    Returns:
      float32, the axis shorter by step * (len(weights) - 1), then every `stride`-th element.
    """
    return _shifted_sum(x, tuple(weights), axis, step, stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3, 4))
def _shifted_sum(x: jax.Array, weights: tuple[float, ...], axis: int, step: int, stride: int) -> jax.Array:
    taps = len(weights)
    length = x.shape[axis] - step * (taps - 1)
    shifted = [jax.lax.slice_in_dim(x, step * k, step * k + length, stride, axis=axis) for k in range(taps)]
    if weights != weights[::-1]:
        return total(w * s for w, s in zip(weights, shifted, strict=True) if w != 0.0)
    middle = [weights[taps // 2] * shifted[taps // 2]] if taps % 2 else []
    pairs = (weights[k] * (shifted[k] + shifted[-1 - k]) for k in range(taps // 2))
    return functools.reduce(operator.add, (*middle, *pairs))


def _shifted_sum_forward(
    x: jax.Array, weights: tuple[float, ...], axis: int, step: int, stride: int
) -> tuple[jax.Array, jax.Array]:
    # The residual is empty: its shape carries the length of the axis.
    return _shifted_sum(x, weights, axis, step, stride), jnp.zeros((x.shape[axis], 0), x.dtype)


def _shifted_sum_backward(
    weights: tuple[float, ...], axis: int, step: int, stride: int, size: jax.Array, out: jax.Array
) -> tuple[jax.Array]:
    """The transpose, again a sum of shifted copies; XLA takes minutes to compile the one that JAX derives."""
    reach = step * (len(weights) - 1)
    widths = [(0, 0, 0)] * out.ndim
    widths[axis] = (reach, size.shape[0] - stride * (out.shape[axis] - 1) - 1, stride - 1)
    padded = settle(jax.lax.pad(out, jnp.zeros((), out.dtype), widths))
    return (_shifted_sum(padded, weights[::-1], axis, step, 1),)


_shifted_sum.defvjp(_shifted_sum_forward, _shifted_sum_backward)


def box_sum(x: jax.Array, size: int, axis: int) -> jax.Array:
    """Sums over `size` neighbours along one axis, valid border, by doubling: about 2 log2(size) additions."""
    length = x.shape[axis] - size + 1
    parts: list[jax.Array] = []
    offset, power, width = 0, x, 1
    while True:
        if size & width:
            parts.append(jax.lax.slice_in_dim(power, offset, offset + length, axis=axis))
            offset += width
        if offset == size:
            return functools.reduce(operator.add, parts)
        kept = power.shape[axis] - width
        power = jax.lax.slice_in_dim(power, 0, kept, axis=axis) + jax.lax.slice_in_dim(
            power, width, width + kept, axis=axis
        )
        width *= 2


def _around(size: int) -> tuple[int, int]:
    """Returns the padding that keeps a side under a centred window, MATLAB's and SciPy's for odd sizes."""
    return (size // 2, size - 1 - size // 2)


def separable(
    x: jax.Array, rows: Sequence[float], columns: Sequence[float], *, border: str = "valid", step: int = 1
) -> jax.Array:
    """Correlates with the outer product of two windows.

    Args:
      x: float32 [..., H, W].
      rows: taps down the rows, static.
      columns: taps along the columns, static.
      border: "valid", or "zero", "symmetric", "reflect", "edge" which keep the size (only with `step` 1).
      step: channels that alternate along the columns, static.

    Returns:
      float32 [..., H', W'].
    """
    if border != "valid":
        x = pad(x, _around(len(rows)), _around(len(columns)), border)
    x = shifted_sum(x, columns, x.ndim - 1, step=step)
    # Fused into one loop the two passes would make as many products as the full window has taps.
    return shifted_sum(settle(x), rows, x.ndim - 2)


def box_mean(x: jax.Array, size: int, *, border: str = "valid") -> jax.Array:
    """Means over size x size boxes; `border` as in `separable`."""
    if border != "valid":
        x = pad(x, _around(size), _around(size), border)
    return box_sum(box_sum(x, size, x.ndim - 1), size, x.ndim - 2) / (size * size)


class LocalMoments(NamedTuple):
    """Windowed means, variances and the covariance of two arrays, each [H', W']."""

    mean_x: jax.Array
    mean_y: jax.Array
    var_x: jax.Array
    var_y: jax.Array
    cov: jax.Array


def _axis_moments(moments: LocalMoments, window: Sequence[float], axis: int) -> LocalMoments:
    """Pools moments along one axis; means enter relative to the middle of the window."""
    taps = len(window)
    length = moments.mean_x.shape[axis] - taps + 1
    middle = LocalMoments(*(jax.lax.slice_in_dim(m, taps // 2, taps // 2 + length, axis=axis) for m in moments))
    terms = []
    for k, weight in enumerate(window):
        tap = LocalMoments(*(jax.lax.slice_in_dim(m, k, k + length, axis=axis) for m in moments))
        x, y = tap.mean_x - middle.mean_x, tap.mean_y - middle.mean_y
        second = (weight * (tap.var_x + x * x), weight * (tap.var_y + y * y), weight * (tap.cov + x * y))
        terms.append((weight * x, weight * y, *second))
    dx, dy, xx, yy, xy = map(total, zip(*terms, strict=True))
    return LocalMoments(middle.mean_x + dx, middle.mean_y + dy, xx - dx * dx, yy - dy * dy, xy - dx * dy)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def local_moments(x: jax.Array, y: jax.Array, window: tuple[float, ...]) -> LocalMoments:
    """Moments under window x window, valid border, about the middle pixel of each window.

    E[x^2] - E[x]^2 cancels in float32 wherever a window is flatter than it is bright. Here the means are taken relative
    to the window's middle, so a flat window gives exact zeros.

    Args:
      x: float32 [H, W].
      y: float32 [H, W].
      window: odd number of symmetric taps of sum 1, static.

    Returns:
      LocalMoments of float32 [H - n + 1, W - n + 1].
    """
    zero = jnp.zeros_like(x)
    moments = _axis_moments(LocalMoments(x, y, zero, zero, zero), window, 1)
    return _axis_moments(settle(moments), window, 0)


def _local_moments_forward(
    x: jax.Array, y: jax.Array, window: tuple[float, ...]
) -> tuple[LocalMoments, tuple[jax.Array, ...]]:
    moments: LocalMoments = local_moments(x, y, window)
    return moments, (x, y, moments.mean_x, moments.mean_y)


def _local_moments_backward(
    window: tuple[float, ...], residuals: tuple[jax.Array, ...], out: LocalMoments
) -> tuple[jax.Array, jax.Array]:
    """From var_x = W x^2 - (W x)^2 and cov = W x y - (W x)(W y), with W the window's linear map."""
    x, y, mean_x, mean_y = residuals
    direct_x = out.mean_x - 2.0 * out.var_x * mean_x - out.cov * mean_y
    direct_y = out.mean_y - 2.0 * out.var_y * mean_y - out.cov * mean_x
    reach = (len(window) - 1,) * 2
    spread = pad(jnp.stack([direct_x, direct_y, out.var_x, out.var_y, out.cov]), reach, reach, "zero")
    direct_x, direct_y, var_x, var_y, cov = separable(settle(spread), window, window)
    return direct_x + 2.0 * x * var_x + y * cov, direct_y + 2.0 * y * var_y + x * cov


local_moments.defvjp(_local_moments_forward, _local_moments_backward)


def correlate(x: jax.Array, kernel: np.ndarray, *, border: str = "valid") -> jax.Array:
    """Correlates with a small two-dimensional kernel, as one sum of shifted copies over its non-zero taps.

    Args:
      x: float32 [..., H, W].
      kernel: [h, w], static; keep it below about 30 non-zero taps, compile time grows with them.
      border: treatment of the border, one of the values of `separable`.

    Returns:
      float32 [..., H', W'].
    """
    height, width = kernel.shape
    if border != "valid":
        x = pad(x, _around(height), _around(width), border)
    out_height, out_width = x.shape[-2] - height + 1, x.shape[-1] - width + 1
    taps = [(r, c, float(kernel[r, c])) for r in range(height) for c in range(width) if kernel[r, c] != 0.0]
    return total(weight * x[..., r : r + out_height, c : c + out_width] for r, c, weight in taps)


def shrink(x: jax.Array, factor: int, *, border: str = "symmetric") -> jax.Array:
    """Means over factor x factor boxes centred on every factor-th pixel from the first, sides rounded up.

    MATLAB's imfilter(x, ones(f) / f^2, border), then x(1:f:end, 1:f:end).

    Args:
      x: float32 [..., H, W].
      factor: static, at least 1.
      border: "symmetric" or "zero".

    Returns:
      float32 [..., ceil(H / factor), ceil(W / factor)].
    """
    if factor == 1:
        return x
    before = (factor - 1) // 2
    after = [max(0, factor * -(-side // factor) - side - before) for side in x.shape[-2:]]
    padded = pad(x, (before, after[0]), (before, after[1]), border)
    # Strided sums: XLA on the CPU is ten times slower at means over reshaped axes.
    mean = (1.0 / factor,) * factor
    return shifted_sum(shifted_sum(padded, mean, x.ndim - 2, stride=factor), mean, x.ndim - 1, stride=factor)
