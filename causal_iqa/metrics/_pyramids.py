"""Laplacian and steerable pyramids of one array [..., H, W]."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._arrays import total
from causal_iqa._xla import settle
from causal_iqa.metrics import _filters

# Symmetric taps of the order-5 ("sp5") steerable pyramid: first quadrants including the middle row and column.
# Karasaridis and Simoncelli, "A filter design technique for steerable pyramid image transforms", ICASSP 1996; the
# numbers as published with matlabPyrTools (sp5Filters.m).
_LOW0 = (
    (0.00341614, -0.01551246, -0.03848215),
    (-0.01551246, 0.05586982, 0.15925570),
    (-0.03848215, 0.15925570, 0.40304148),
)
_LOW = (
    (0.00170808, -0.00489834, -0.00775624, -0.01888864, -0.01924108),
    (-0.00489834, -0.01046562, -0.01322234, 0.00821200, 0.02005976),
    (-0.00775624, -0.01322234, 0.02793492, 0.06554076, 0.07962786),
    (-0.01888864, 0.00821200, 0.06554076, 0.12852666, 0.16339236),
    (-0.01924108, 0.02005976, 0.07962786, 0.16339236, 0.20193080),
)
# The band across columns: even down the rows (first four of seven), odd along the columns (first three of seven).
_BAND = (
    (0.00277643, -0.00986904, -0.01021852),
    (0.00496194, -0.00893064, -0.03075356),
    (0.01026699, 0.01189859, -0.08226445),
    (0.01455399, 0.02755155, -0.11732297),
)


def reduce(x: jax.Array, taps: Sequence[float], border: str) -> jax.Array:
    """Low-passes with taps x taps and keeps every second element from the first.

    Args:
      x: float32 [..., H, W].
      taps: odd number of taps, static.
      border: "symmetric" or "reflect".

    Returns:
      float32 [..., ceil(H / 2), ceil(W / 2)].
    """
    half = len(taps) // 2
    x = _filters.pad(x, (half, half), (half, half), border)
    x = _filters.shifted_sum(x, taps, x.ndim - 2, stride=2)
    return _filters.shifted_sum(settle(x), taps, x.ndim - 1, stride=2)


def _expand_axis(x: jax.Array, taps: Sequence[float], size: int, border: str, axis: int) -> jax.Array:
    """Doubles one axis: zeros between the elements, then the five taps, twice their gain."""
    outer, inner, middle = (2.0 * t for t in taps[:3])
    after = "reflect" if border == "reflect" and size % 2 else "edge"
    width = [(0, 0)] * x.ndim
    width[axis] = (1, 0)
    x = jnp.pad(x, width, mode="reflect" if border == "reflect" else "edge")
    width[axis] = (0, 1)
    x = settle(jnp.pad(x, width, mode=after))
    before, here, behind = (jax.lax.slice_in_dim(x, k, k + x.shape[axis] - 2, axis=axis) for k in range(3))
    pairs = jnp.stack([outer * (before + behind) + middle * here, inner * (here + behind)], axis=axis + 1)
    shape = (*x.shape[:axis], 2 * pairs.shape[axis], *x.shape[axis + 1 :])
    return jax.lax.slice_in_dim(pairs.reshape(shape), 0, size, axis=axis)


def expand(x: jax.Array, taps: Sequence[float], shape: tuple[int, ...], border: str) -> jax.Array:
    """Interpolates to twice the size: zeros between the elements, then taps x taps with four times their gain.

    Args:
      x: float32 [..., ceil(H / 2), ceil(W / 2)].
      taps: five symmetric taps, static.
      shape: (H, W), static.
      border: "edge" (the coarse array repeated) or "reflect" (the fine array mirrored about its edge).

    Returns:
      float32 [..., H, W].
    """
    x = _expand_axis(x, taps, shape[0], border, x.ndim - 2)
    return _expand_axis(settle(x), taps, shape[1], border, x.ndim - 1)


def laplacian(
    x: jax.Array, taps: Sequence[float], levels: int, *, reduce_border: str, expand_border: str, gain: float = 1.0
) -> list[jax.Array]:
    """Laplacian pyramid, finest band first, the low-pass rest last.

    Args:
      x: float32 [..., H, W].
      taps: five symmetric taps of sum 1, static.
      levels: number of arrays returned, static.
      reduce_border: "symmetric" or "reflect".
      expand_border: "edge" or "reflect".
      gain: gain of each low-pass step; every level is larger than the previous level by this factor.

    Returns:
      `levels` arrays; level k has sides of ceil(side / 2^k).

    References:
      [1] Burt, Adelson, "The Laplacian pyramid as a compact image code", IEEE Transactions on Communications 1983.
    """
    bands = []
    for _ in range(levels - 1):
        low = reduce(x, taps, reduce_border)
        band = x - settle(expand(low, taps, x.shape[-2:], expand_border))
        bands.append(settle(band))
        x = gain * low
    return [*bands, x]


def _even_even(x: jax.Array, quadrant: Sequence[Sequence[float]], stride: int) -> jax.Array:
    """Correlates with a kernel that is symmetric in both axes, border mirrored about the edge."""
    size = 2 * len(quadrant) - 1
    half = size // 2
    x = _filters.pad(x, (half, half), (half, half), "reflect")
    rows = [jax.lax.slice_in_dim(x, k, k + x.shape[-2] - size + 1, stride, axis=x.ndim - 2) for k in range(size)]
    rows = [rows[k] + rows[size - 1 - k] for k in range(half)] + [rows[half]]
    return total(
        _filters.shifted_sum(row, (*weights, *weights[-2::-1]), x.ndim - 1, stride=stride)
        for row, weights in zip(rows, quadrant, strict=True)
    )


def _band(x: jax.Array, axis: int) -> jax.Array:
    """The odd derivative-like band across `axis`. Differences first: a flat region gives exact zeros."""
    x = _filters.pad(x, (3, 3), (3, 3), "reflect")
    other = x.ndim - 1 if axis == x.ndim - 2 else x.ndim - 2
    length = x.shape[axis] - 6
    shifted = [jax.lax.slice_in_dim(x, k, k + length, axis=axis) for k in range(7)]
    taps = [tuple(float(w) for w in (*weights, *weights[-2::-1])) for weights in np.transpose(_BAND)]
    return total(_filters.shifted_sum(shifted[k] - shifted[6 - k], own, other) for k, own in enumerate(taps))


def steerable_pairs(x: jax.Array, levels: int) -> list[jax.Array]:
    """The two axis-aligned of the six orientations of the order-5 steerable pyramid, space domain.

    Args:
      x: float32 [..., H, W], shorter side at least 9 * 2^(levels - 1).
      levels: static.

    Returns:
      `levels` arrays [2, ..., H', W'], finest first: across columns, then across rows (up to sign).

    References:
      [1] Simoncelli, Freeman, "The steerable pyramid: a flexible architecture for multi-scale derivative
          computation", ICIP 1995; filters of Karasaridis and Simoncelli, ICASSP 1996.
    """
    low = _even_even(x, _LOW0, 1)
    bands = []
    for level in range(levels):
        low = settle(low)
        bands.append(jnp.stack([_band(low, low.ndim - 1), _band(low, low.ndim - 2)]))
        if level < levels - 1:
            low = _even_even(low, _LOW, 2)
    return bands
