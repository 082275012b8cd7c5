"""Natural scene statistics: locally normalised luma, its shape parameters, and the half-size image.

What BRISQUE, NIQE and PIQE share. Local sums are taken about the pixel they belong to, so float32 follows the float64
of the original code, and a flat neighbourhood gives exact zeros.

References:
  [1] Mittal, Moorthy, Bovik, "No-reference image quality assessment in the spatial domain", IEEE TIP 2012.
  [2] Sharifi, Leon-Garcia, "Estimation of shape parameter for generalized Gaussian distributions in subband
      decompositions of video", IEEE TCSVT 1995.
  [3] Lasmar, Stitou, Berthoumieu, "Multiscale skewed heavy tailed model for texture analysis", ICIP 2009.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

from causal_iqa import images
from causal_iqa._settle import settle
from causal_iqa.metrics import _filters, _pixels

# Reference [1], section III-A: 7 x 7 Gaussian of 7/6 pixels, C = 1 on grey levels.
WINDOW = _filters.gaussian(7, 7.0 / 6.0)
_C = 1.0
# First row of the inverse of MATLAB's RGB to YIQ matrix, which rgb2gray uses, in units of 2^-23 (their sum is 2^23).
_RGB2GRAY = (2507657, 4924474, 956477)
# Cubic convolution (a = -1/2) stretched by two, at the eight half-odd offsets: MATLAB's imresize(x, 0.5).
_HALVING = tuple(np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256.0)
# The grid on which the original code seeks a shape: 0.2:0.001:10.
_SHAPES = np.arange(200, 10001) / 1000.0
_STEP = 0.001

# Columns and rows into which MATLAB's singular value decomposition splits the window, to within some last bits; of the
# choices that give the published NIQE and BRISQUE of TID2013's I03 and I08, one of those with the fewest changes.
_SPLIT = (
    (
        "0x1.9b92991f248c4p-7 0x1.42e11ca517a63p-4 0x1.e5fb7c557fad2p-3 0x1.5edacbc602378p-2 "
        "0x1.e5fb7c557fad1p-3 0x1.42e11ca517a60p-4 0x1.9b92991f24883p-7"
    ),
    (
        "0x1.9b92991f2487fp-7 0x1.42e11ca517a5ep-4 0x1.e5fb7c557facep-3 0x1.5edacbc602379p-2 "
        "0x1.e5fb7c557facdp-3 0x1.42e11ca517a5fp-4 0x1.9b92991f24881p-7"
    ),
)


@jax.custom_jvp
def grey_levels(image: jax.Array) -> jax.Array:
    """MATLAB's rgb2gray of the 8-bit image: 0.29894 R + 0.58704 G + 0.11402 B, rounded half up.

    In integers, so the rounding cannot depend on how a compiler orders float operations. The gradient passes straight
    through the roundings.

    Args:
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      float32 [H, W], integers in 0..255.
    """
    pixels = images.to_uint8(image).astype(jnp.int32)
    r, g, b = _RGB2GRAY
    return ((r * pixels[..., 0] + g * pixels[..., 1] + b * pixels[..., 2] + 2**22) >> 23).astype(image.dtype)


@grey_levels.defjvp
def _grey_levels_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (image,), (change,) = primals, tangents
    r, g, b = (255.0 * weight / 2**23 for weight in _RGB2GRAY)
    return grey_levels(image), r * change[..., 0] + g * change[..., 1] + b * change[..., 2]


def halve(x: jax.Array) -> jax.Array:
    """MATLAB's imresize(x, 0.5): antialiased bicubic, symmetric border, sides rounded up.

    Args:
      x: float32 [H, W].

    Returns:
      float32 [ceil(H / 2), ceil(W / 2)].
    """
    for axis in (0, 1):
        rows, columns = ((3, 3 + x.shape[axis] % 2) if axis == a else (0, 0) for a in (0, 1))
        x = _filters.shifted_sum(_filters.pad(x, rows, columns, "symmetric"), _HALVING, axis, stride=2)
    return settle(x)


def _taps(x: jax.Array, axis: int) -> tuple[jax.Array, list[jax.Array]]:
    """The middle of each valid window along one axis, and the window's values less that middle."""
    half = len(WINDOW) // 2
    length = x.shape[axis] - 2 * half
    shifted = [jax.lax.slice_in_dim(x, k, k + length, axis=axis) for k in range(len(WINDOW))]
    return shifted[half], [s - shifted[half] for s in shifted]


def _weighted(terms: list[jax.Array]) -> jax.Array:
    half = len(WINDOW) // 2
    total = WINDOW[half] * terms[half]
    for k in range(half):
        total = total + WINDOW[k] * (terms[k] + terms[-1 - k])
    return total


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _deviate(grey: jax.Array, border: str) -> tuple[jax.Array, jax.Array]:
    """(x - local mean, local variance) under the Gaussian window.

    The variance is the mean of the column variances plus the variance of the column means: sums of squares, where
    E[x^2] - E[x]^2 would cancel.
    """
    half = len(WINDOW) // 2
    middle, off = _taps(_filters.pad(grey, (half, half), (half, half), border), 0)
    shift = _weighted(off)
    within = _weighted([jnp.square(o - shift) for o in off])
    _, off = _taps(middle + shift, 1)
    across = _weighted(off)
    between = _weighted([jnp.square(o - across) for o in off])
    own = jax.lax.slice_in_dim(shift, half, half + grey.shape[1], axis=1)
    return -(own + across), _filters.shifted_sum(within, WINDOW, 1) + between


def _deviate_forward(grey: jax.Array, border: str) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    difference, variance = _deviate(grey, border)
    return (difference, variance), (grey, grey - difference)


def _deviate_backward(
    border: str, residual: tuple[jax.Array, jax.Array], cotangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array]:
    """Of x - F x and F x^2 - (F x)^2: two filters, where the sums above would make dozens."""
    (grey, mean), (by_difference, by_variance) = residual, cotangents
    _, transposed = jax.vjp(lambda x: _filters.separable(x, WINDOW, WINDOW, border=border), grey)
    (through_mean,) = transposed(by_difference + 2.0 * mean * by_variance)
    (through_square,) = transposed(by_variance)
    return (by_difference - through_mean + 2.0 * grey * through_square,)


_deviate.defvjp(_deviate_forward, _deviate_backward)


def local_deviation(grey: jax.Array, border: str) -> jax.Array:
    """Local standard deviation under the Gaussian window, [1] eq. 3.

    Args:
      grey: float32 [H, W] in grey levels.
      border: "edge" or "zero", static.

    Returns:
      float32 [H, W].
    """
    return _pixels.safe_sqrt(_deviate(grey, border)[1])


def normalise(grey: jax.Array, border: str, *, original: bool = False) -> jax.Array:
    """Mean-subtracted contrast-normalised luma, (x - mean) / (deviation + 1), of Gaussian windows.

    Args:
      grey: float32 [H, W] in grey levels.
      border: "edge" or "zero", static.
      original: whether a flat window gives the sign that its rounding error has in the original code, see
        `flat_signs`, static; else zero.

    Returns:
      float32 [H, W].

    References:
      [1] eq. 1 to 3.
    """
    difference, variance = _deviate(grey, border)
    value = difference / (_pixels.safe_sqrt(variance) + _C)
    if original:
        # Small enough to leave every sum alone, large enough that a product of two is not flushed to zero.
        value = jnp.where(value == 0.0, 1e-12 * _flat_sign(grey), value)
    # Without it every reader of the result would filter the image anew.
    return settle(value)


def _flat_sign(grey: jax.Array) -> jax.Array:
    """`flat_signs` of every pixel by bits of eight words; a lookup per pixel is forty times slower on the CPU."""
    level = jnp.clip(grey, 0, 255).astype(jnp.uint32)
    word, bit = level >> 5, level & 31
    sign = jnp.zeros_like(grey)
    for wanted in (-1, 1):
        packed = np.packbits(np.array(flat_signs()) == wanted, bitorder="little").view("<u4")
        chosen = sum(jnp.where(word == k, np.uint32(value), np.uint32(0)) for k, value in enumerate(packed))
        sign = sign + wanted * ((chosen >> bit) & 1).astype(grey.dtype)
    return sign


def blocks(x: jax.Array, side: int) -> jax.Array:
    """Cuts [H, W] into squares.

    Args:
      x: float32 [H, W], sides multiples of `side`.
      side: static.

    Returns:
      float32 [blocks, side, side] in row order.
    """
    rows, columns = x.shape[0] // side, x.shape[1] // side
    cut = x.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(rows * columns, side, side)
    return settle(cut)


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
      shape: on the grid; its first where undefined.
      left: root mean square of the negative values, 1 where undefined.
      right: of the positive values, likewise.
      defined: whether there were values of both signs.
    """

    shape: Shape
    left: jax.Array
    right: jax.Array
    defined: jax.Array


def _moments(x: jax.Array) -> tuple[jax.Array, ...]:
    """Counts and sums of squares below and above zero, and the sum of moduli, over the last two axes."""
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
    return tuple(jnp.sum(part, (-2, -1)) for part in parts)


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
    moments = zip(*(_moments(x) for x in fields), strict=True)
    below, above, square_below, square_above, modulus = (jnp.stack(part) for part in moments)
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


def neighbour_products(x: jax.Array, shifts: tuple[tuple[int, int], ...]) -> list[jax.Array]:
    """Products of every value with its neighbour, wrapping around the last two axes (MATLAB's circshift).

    Args:
      x: float32 [..., H, W].
      shifts: (rows, columns) of each kind of neighbour, static.

    Returns:
      float32 [..., H, W] for each shift.
    """
    return [x * jnp.roll(x, shift, (-2, -1)) for shift in shifts]


@functools.lru_cache(maxsize=1)
def flat_signs() -> tuple[float, ...]:
    """Sign of (x - mean) where all pixels under the window are equal, as float64 rounding has it in the original code.

    There the sum of weights times a constant misses the constant by a rounding error, and the error's sign decides
    whether such a pixel counts as negative, positive or not at all in the asymmetric fits: it moves BRISQUE by up to
    ten per cent on images with flat patches. With these windows the published values follow: of TID2013's I08, whose
    six flat patches have the grey levels 74, 85, 87, 103, 140 and 162, exactly one choice of the 729 gives both the
    published NIQE (to twelve digits) and the published BRISQUE.

    Returns:
      -1, 0 or 1 for each grey level 0..255.
    """
    levels = np.arange(256.0)
    mean = levels
    for window in _SPLIT:
        total = np.zeros(256)
        for weight in window.split():
            total = total + float.fromhex(weight) * mean
        mean = total
    return tuple(np.sign(levels - mean))
