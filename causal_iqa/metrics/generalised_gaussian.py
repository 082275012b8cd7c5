"""Generalised Gaussian distributions fitted by moment matching, as natural scene statistics use them.

Shapes are sought on the grid of the original codes, so that features agree with theirs to the digit.

References:
  [1] Mittal, Moorthy, Bovik, "No-reference image quality assessment in the spatial domain", IEEE TIP 2012.
  [2] Sharifi, Leon-Garcia, "Estimation of shape parameter for generalized Gaussian distributions in subband
      decompositions of video", IEEE TCSVT 1995.
  [3] Lasmar, Stitou, Berthoumieu, "Multiscale skewed heavy tailed model for texture analysis", ICIP 2009.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

from causal_iqa._xla import settle

# The grid on which the original code seeks a shape: 0.2:0.001:10.
_SHAPES = np.arange(200, 10001) / 1000.0
_STEP = 0.001


def _ratio(shape: np.ndarray) -> np.ndarray:
    """Squared mean modulus over mean square of a generalised Gaussian of this shape, [2] eq. 10; it rises."""
    gamma = scipy.special.gamma
    return gamma(2.0 / shape) ** 2 / (gamma(1.0 / shape) * gamma(3.0 / shape))


@functools.lru_cache(maxsize=1)
def _tables() -> dict[str, np.ndarray]:
    gamma = scipy.special.gamma
    ratio = _ratio(_SHAPES)
    return {
        "shape": _SHAPES,
        "ratio": ratio,
        "inverse": -1.0 / ratio,
        "scale": np.sqrt(gamma(1.0 / _SHAPES) / gamma(3.0 / _SHAPES)),
        "mean": gamma(2.0 / _SHAPES) / gamma(1.0 / _SHAPES),
    }


class Shape(NamedTuple):
    """A shape on the grid of the original code.

    Attributes:
      index: where on the grid.
      change: zero, with the gradient of the shape that interpolation would give.
    """

    index: jax.Array
    change: jax.Array

    def read(self, name: str) -> jax.Array:
        """Returns a table's value at this shape: "shape", or "scale" and "mean" of the generalised Gaussian."""
        table = _tables()[name]
        value = jnp.asarray(table, self.change.dtype)[self.index]
        slope = jnp.asarray(np.gradient(table, _STEP), self.change.dtype)[self.index]
        return value + slope * self.change


def _nearest(table: str, value: jax.Array) -> Shape:
    """The grid's nearest shape by the values of a rising table; the first for NaN, as MATLAB's min has it."""
    ascending = _tables()[table]
    middles = jnp.asarray((ascending[1:] + ascending[:-1]) / 2.0, value.dtype)
    index = jnp.where(jnp.isnan(value), 0, jnp.searchsorted(middles, value, side="left"))
    slope = jnp.asarray(np.gradient(ascending, _STEP), value.dtype)[index]
    safe = jnp.where(jnp.isnan(value), 0.0, value)
    return Shape(index, (safe - jax.lax.stop_gradient(safe)) / slope)


class Asymmetric(NamedTuple):
    """An asymmetric generalised Gaussian, fitted by moments.

    Attributes:
      shape: a value of the grid; the first value where undefined.
      left: root mean square of the negative values, 1 where undefined.
      right: root mean square of the positive values, 1 where undefined.
      defined: whether there were values of both signs.
    """

    shape: Shape
    left: jax.Array
    right: jax.Array
    defined: jax.Array


def block_sums(x: jax.Array, side: int) -> jax.Array:
    """Sums over the squares that `blocks` would cut, without cutting.

    Args:
      x: float32 [..., H, W], sides multiples of `side`.
      side: static.

    Returns:
      float32 [..., blocks] in row order.
    """
    *lead, height, width = x.shape
    # Down the rows first: that XLA adds in vectors.
    rows = jnp.sum(x.reshape(*lead, height // side, side, width), axis=-2)
    return jnp.sum(rows.reshape(*lead, height // side, width // side, side), axis=-1).reshape(*lead, -1)


def _moments(x: jax.Array, total: Callable[[jax.Array], jax.Array]) -> tuple[jax.Array, ...]:
    """Counts and sums of squares below and above zero, and the sum of moduli."""
    # Without it the product behind x would be computed anew in each of the five loops.
    x = settle(x)
    square, zero = jnp.square(x), jnp.zeros((), x.dtype)
    below, above = x < 0, x > 0
    parts = (
        below.astype(x.dtype),
        above.astype(x.dtype),
        jnp.where(below, square, zero),
        jnp.where(above, square, zero),
        jnp.abs(x),
    )
    return tuple(total(part) for part in parts)


def fit_asymmetric(fields: Sequence[jax.Array]) -> Asymmetric:
    """Fits asymmetric generalised Gaussians over the last two axes by moment matching.

    Zeros belong to neither side, as in the original code.

    Args:
      fields: n arrays, float32 [..., H, W], of one shape.

    Returns:
      The fits, each field [n, ...].

    References:
      [3] section 3; [1] eq. 7 to 12.
    """
    count = fields[0].shape[-2] * fields[0].shape[-1]
    moments = zip(*(_moments(x, lambda part: jnp.sum(part, (-2, -1))) for x in fields), strict=True)
    return _asymmetric(count, *(jnp.stack(part) for part in moments))


def fit_asymmetric_blocks(x: jax.Array, side: int) -> Asymmetric:
    """Fits asymmetric generalised Gaussians to every square of `side` pixels, as `fit_asymmetric` to `blocks`.

    Args:
      x: float32 [..., H, W], sides multiples of `side`.
      side: static.

    Returns:
      The fits, each field [..., blocks].
    """
    return _asymmetric(side * side, *_moments(x, lambda part: block_sums(part, side)))


def _asymmetric(
    count: int,
    below: jax.Array,
    above: jax.Array,
    square_below: jax.Array,
    square_above: jax.Array,
    modulus: jax.Array,
) -> Asymmetric:
    defined = (square_below > 0) & (square_above > 0)
    left = jnp.sqrt(jnp.where(defined, square_below / jnp.maximum(below, 1.0), 1.0))
    right = jnp.sqrt(jnp.where(defined, square_above / jnp.maximum(above, 1.0), 1.0))
    skew = left / right
    total = jnp.where(defined, square_below + square_above, 1.0)
    ratio = jnp.square(modulus) / (count * total)
    corrected = ratio * (skew**3 + 1.0) * (skew + 1.0) / jnp.square(jnp.square(skew) + 1.0)
    return Asymmetric(_nearest("ratio", jnp.where(defined, corrected, jnp.nan)), left, right, defined)


def fit_symmetric(x: jax.Array) -> tuple[Shape, jax.Array, jax.Array]:
    """Fits a generalised Gaussian over the last two axes by moment matching, [2].

    Args:
      x: float32 [..., H, W].

    Returns:
      (shape, variance, whether any value differs from zero), each [...].
    """
    variance = jnp.mean(jnp.square(x), (-2, -1))
    modulus = jnp.mean(jnp.abs(x), (-2, -1))
    defined = variance > 0
    ratio = jnp.square(jnp.where(defined, modulus, 1.0)) / jnp.where(defined, variance, 1.0)
    return _nearest("inverse", -1.0 / ratio), variance, defined
