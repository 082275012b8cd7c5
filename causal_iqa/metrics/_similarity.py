"""Pieces of the similarity maps that the gradient, phase, saliency and wavelet metrics share.

Two metrics that need the same map call the same function here, so that a program with both computes it once.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import images
from causal_iqa._roots import safe_sqrt
from causal_iqa.metrics import _filters

# Zhang et al. (2011), section III: automatic downsampling brings the shorter side to about 256 pixels.
_VIEWING_SIDE = 256
# Zhang et al. (2011), eq. 17: YIQ with the rounding of the paper; luma is images.luma.
_I_WEIGHTS = (0.596, -0.274, -0.322)
_Q_WEIGHTS = (0.211, -0.523, 0.312)
# Geusebroek et al. (2001), as in Zhang et al. (2014), eq. 6, and Nafchi et al. (2016), eq. 8: opponent channels.
_L_WEIGHTS = (0.06, 0.63, 0.27)
_M_WEIGHTS = (0.30, 0.04, -0.35)
_N_WEIGHTS = (0.34, -0.60, 0.17)


def combine(image: jax.Array, weights: tuple[float, float, float]) -> jax.Array:
    """Returns the weighted sum [H, W] of the channels of an image taken as 0..255."""
    r, g, b = (255.0 * weight for weight in weights)
    return r * image[..., 0] + g * image[..., 1] + b * image[..., 2]


def luma(image: jax.Array) -> jax.Array:
    """Returns BT.601 luma [H, W] in 0..255, not rounded."""
    return 255.0 * images.luma(image)


def in_phase_quadrature(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the chroma planes I and Q of YIQ, each [H, W], of an image taken as 0..255."""
    return combine(image, _I_WEIGHTS), combine(image, _Q_WEIGHTS)


def opponent_luma(image: jax.Array) -> jax.Array:
    """Returns the plane L [H, W] of the Gaussian colour model LMN, of an image taken as 0..255."""
    return combine(image, _L_WEIGHTS)


def opponent_chroma(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the chroma planes M and N [H, W] of the Gaussian colour model, of an image taken as 0..255."""
    return combine(image, _M_WEIGHTS), combine(image, _N_WEIGHTS)


def viewing_factor(height: int, width: int) -> int:
    """Returns max(1, round(shorter side / 256)), halves up: the published code's downsampling."""
    return max(1, (min(height, width) + _VIEWING_SIDE // 2) // _VIEWING_SIDE)


def shrink(plane: jax.Array, factor: int) -> jax.Array:
    """Means over boxes of factor x factor, at every factor-th pixel: MATLAB's conv2(..., 'same'), (1:f:end, 1:f:end).

    The border is zero.

    Args:
      plane: float32 [H, W].
      factor: static, at least 1.

    Returns:
      float32 [ceil(H / factor), ceil(W / factor)].
    """
    return _filters.shrink(plane, factor, border="zero")


def to_viewing_size(plane: jax.Array) -> jax.Array:
    """Shrinks [H, W] by `viewing_factor`."""
    return shrink(plane, viewing_factor(*plane.shape))


def _gradient(plane: jax.Array, side: float, middle: float) -> tuple[jax.Array, jax.Array]:
    smooth, difference = (side, middle, side), (1.0, 0.0, -1.0)
    padded = _filters.pad(plane, (1, 1), (1, 1), "zero")
    along = _filters.shifted_sum(_filters.shifted_sum(padded, smooth, 0), difference, 1)
    down = _filters.shifted_sum(_filters.shifted_sum(padded, difference, 0), smooth, 1)
    return along, down


def prewitt_vector(plane: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Gradient along columns and rows by the 3 x 3 Prewitt operator over three, zero border; each [H, W]."""
    return _gradient(plane, 1.0 / 3.0, 1.0 / 3.0)


def magnitude(vector: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Returns the length of a gradient at every pixel."""
    along, down = vector
    return safe_sqrt(along * along + down * down)


def prewitt(plane: jax.Array) -> jax.Array:
    """Gradient magnitude by the 3 x 3 Prewitt operator over three, zero border; [H, W] to [H, W]."""
    return magnitude(prewitt_vector(plane))


def scharr(plane: jax.Array) -> jax.Array:
    """Gradient magnitude by the 3 x 3 Scharr operator over sixteen, zero border; [H, W] to [H, W]."""
    return magnitude(_gradient(plane, 3.0 / 16.0, 10.0 / 16.0))


def similarity(a: jax.Array, b: jax.Array, constant: float) -> jax.Array:
    """Returns (2 a b + c) / (a^2 + b^2 + c), in (-1, 1], 1 where a = b."""
    return (2.0 * a * b + constant) / (a * a + b * b + constant)


def dissimilarity(a: jax.Array, b: jax.Array, constant: float) -> jax.Array:
    """Returns 1 - similarity(a, b, c) = (a - b)^2 / (a^2 + b^2 + c), without the cancellation near a = b."""
    return jnp.square(a - b) / (a * a + b * b + constant)


def real_power(x: jax.Array, exponent: float) -> jax.Array:
    """Returns the real part of x ** exponent for real x of either sign; gradient zero, not infinite, at zero."""
    # As in `safe_sqrt`: no 1 that could get out.
    power = jnp.exp(exponent * jnp.log(jnp.maximum(jnp.abs(x), jnp.finfo(x.dtype).tiny)))
    return jnp.where(x > 0, power, jnp.where(x < 0, math.cos(math.pi * exponent) * power, 0.0))


def ratio(total: jax.Array, weight: jax.Array) -> jax.Array:
    """Returns total / weight, NaN where no weight is left, with finite gradients either way."""
    positive = weight > 0
    return jnp.where(positive, total / jnp.where(positive, weight, 1.0), jnp.nan)


# Rows of the weights that are multiplied together: of most widths the fastest on a CPU.
_RESIZE_BAND = 16


@functools.lru_cache(maxsize=64)
def _resize_weights(source: int, target: int, scale: float, method: str) -> np.ndarray:
    """Returns [target, source]: the kernel widened by 1 / scale when shrinking, the border mirrored."""
    kernel, support = images.KERNELS[method]
    widen = min(scale, 1.0)
    reach = support / widen
    centre = (np.arange(target) + 0.5) / scale - 0.5
    first = np.floor(centre - reach).astype(int)
    index = first[:, None] + np.arange(int(np.ceil(2.0 * reach)) + 2)
    taps = kernel(np.abs(widen * (centre[:, None] - index)))
    mirrored = np.mod(index, 2 * source)
    mirrored = np.where(mirrored < source, mirrored, 2 * source - 1 - mirrored)
    weights = np.zeros((target, source))
    np.add.at(weights, (np.arange(target)[:, None], mirrored), taps / taps.sum(axis=1, keepdims=True))
    return weights.astype(np.float32)


@functools.lru_cache(maxsize=64)
def _resize_bands(source: int, target: int, scale: float, method: str) -> tuple[np.ndarray, tuple[int, ...]]:
    """The weights cut into bands [bands, 16, window] of rows, without most of their zeros, and where windows begin."""
    weights = _resize_weights(source, target, scale, method)
    weights = np.pad(weights, ((0, -target % _RESIZE_BAND), (0, 0))).reshape(-1, _RESIZE_BAND, source)
    reach = [np.flatnonzero(band.any(axis=0))[[0, -1]] for band in weights]
    window = max(last - first + 1 for first, last in reach)
    starts = tuple(min(int(first), source - window) for first, _ in reach)
    return np.stack([band[:, k : k + window] for band, k in zip(weights, starts, strict=True)]), starts


def _resize_axis(plane: jax.Array, target: int, scale: float, method: str, axis: int) -> jax.Array:
    """Resizes the last axis but one, or the last."""
    bands, starts = _resize_bands(plane.shape[axis], target, scale, method)
    window = bands.shape[-1]
    windows = [jax.lax.slice_in_dim(plane, k, k + window, axis=axis) for k in starts]
    windows, bands = jnp.stack(windows, axis=-3), jnp.asarray(bands, plane.dtype)
    lead = plane.shape[:-2]
    if axis == plane.ndim - 2:
        out = jnp.einsum("boh,...bhw->...bow", bands, windows, precision="highest")
        return out.reshape(*lead, -1, plane.shape[-1])[..., :target, :]
    out = jnp.einsum("...bhw,bow->...hbo", windows, bands, precision="highest")
    return out.reshape(*lead, plane.shape[-2], -1)[..., :target]


def resize(plane: jax.Array, shape: tuple[int, ...], method: str, *, scale: float | None = None) -> jax.Array:
    """Resizes [..., H, W] as MATLAB's imresize: antialiased when shrinking, symmetric border.

    Args:
      plane: float32 [..., H, W].
      shape: rows and columns wanted, static.
      method: "bicubic" or "bilinear", static.
      scale: scale of both axes where it is not the ratio of the sides, as MATLAB's imresize(x, scale) has it; static.

    Returns:
      float32 [..., *shape].
    """
    for axis, target in ((plane.ndim - 1, shape[1]), (plane.ndim - 2, shape[0])):
        plane = _resize_axis(plane, target, scale or target / plane.shape[axis], method, axis)
    return plane
