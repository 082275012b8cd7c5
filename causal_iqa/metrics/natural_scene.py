"""Natural scene statistics: locally normalised luma, its blocks and neighbours, and the half-size image.

What BRISQUE, NIQE and PIQE share. Local sums are taken about the pixel they belong to, so float32 follows the float64
of the original code, and a flat neighbourhood gives exact zeros.

References:
  [1] Mittal, Moorthy, Bovik, "No-reference image quality assessment in the spatial domain", IEEE TIP 2012.
"""

import fractions
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _cubic
from causal_iqa._roots import safe_sqrt
from causal_iqa._xla import settle
from causal_iqa.metrics import _filters, generalised_gaussian

# Reference [1], section III-A: 7 x 7 Gaussian of 7/6 pixels, C = 1 on grey levels.
WINDOW = _filters.gaussian(7, 7.0 / 6.0)
_C = 1.0
# Cubic convolution stretched by two, at the eight half-odd offsets: MATLAB's imresize(x, 0.5).
_HALVING = tuple(_cubic.kernel(np.abs(np.arange(8) - 3.5) / 2.0) / 2.0)

# Row and column into which a singular value decomposition splits the window, as MATLAB's filter2 and imfilter do: the
# last bits are those of dgesdd in Intel's Math Kernel Library 2021.4, on the window of fspecial.
SPLIT = (
    (
        "0x1.9b92991f24880p-7 0x1.42e11ca517a5fp-4 0x1.e5fb7c557fad1p-3 0x1.5edacbc602378p-2 "
        "0x1.e5fb7c557fad1p-3 0x1.42e11ca517a60p-4 0x1.9b92991f24881p-7"
    ),
    (
        "0x1.9b92991f24884p-7 0x1.42e11ca517a60p-4 0x1.e5fb7c557fad1p-3 0x1.5edacbc602378p-2 "
        "0x1.e5fb7c557fad1p-3 0x1.42e11ca517a60p-4 0x1.9b92991f24881p-7"
    ),
)


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


def _taps(x: jax.Array, size: int, axis: int) -> tuple[jax.Array, list[jax.Array]]:
    """The middle of each valid window along one axis, and the window's values minus that middle."""
    half = size // 2
    length = x.shape[axis] - 2 * half
    shifted = [jax.lax.slice_in_dim(x, k, k + length, axis=axis) for k in range(size)]
    return shifted[half], [s - shifted[half] for s in shifted]


def _weighted(terms: list[jax.Array], window: tuple[float, ...]) -> jax.Array:
    half = len(window) // 2
    total = window[half] * terms[half]
    for k in range(half):
        total = total + window[k] * (terms[k] + terms[-1 - k])
    return total


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def _deviate(grey: jax.Array, border: str, window: tuple[float, ...]) -> tuple[jax.Array, jax.Array]:
    """(x - local mean, local variance) under the Gaussian window.

    The variance is the mean of the column variances plus the variance of the column means: sums of squares, where
    E[x^2] - E[x]^2 would cancel.
    """
    half = len(window) // 2
    middle, off = _taps(_filters.pad(grey, (half, half), (half, half), border), len(window), 0)
    shift = _weighted(off, window)
    within = _weighted([jnp.square(o - shift) for o in off], window)
    _, off = _taps(middle + shift, len(window), 1)
    across = _weighted(off, window)
    between = _weighted([jnp.square(o - across) for o in off], window)
    own = jax.lax.slice_in_dim(shift, half, half + grey.shape[1], axis=1)
    return -(own + across), _filters.shifted_sum(within, window, 1) + between


def _deviate_forward(
    grey: jax.Array, border: str, window: tuple[float, ...]
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    difference, variance = _deviation(grey, border, window)
    return (difference, variance), (grey, grey - difference)


def _deviate_backward(
    border: str,
    window: tuple[float, ...],
    residual: tuple[jax.Array, jax.Array],
    cotangents: tuple[jax.Array, jax.Array],
) -> tuple[jax.Array]:
    """Computes x - F x and F x^2 - (F x)^2 with two filters, where the sums above would take dozens."""
    (grey, mean), (by_difference, by_variance) = residual, cotangents
    _, transposed = jax.vjp(lambda x: _filters.separable(x, window, window, border=border), grey)
    (through_mean,) = transposed(by_difference + 2.0 * mean * by_variance)
    (through_square,) = transposed(by_variance)
    return (by_difference - through_mean + 2.0 * grey * through_square,)


_deviate.defvjp(_deviate_forward, _deviate_backward)


def _deviation(grey: jax.Array, border: str, window: tuple[float, ...]) -> tuple[jax.Array, jax.Array]:
    return _deviate(grey, border, window)


def local_deviation(grey: jax.Array, border: str) -> jax.Array:
    """Local standard deviation under the Gaussian window, [1] eq. 3.

    Args:
      grey: float32 [H, W] in grey levels.
      border: "edge" or "zero", static.

    Returns:
      float32 [H, W].
    """
    return safe_sqrt(_deviation(grey, border, WINDOW)[1])


def normalise(grey: jax.Array, border: str, *, window: tuple[float, ...] = WINDOW, original: bool = False) -> jax.Array:
    """Mean-subtracted contrast-normalised luma, (x - mean) / (deviation + 1), of Gaussian windows.

    Args:
      grey: float32 [H, W] in grey levels.
      border: "edge" or "zero", static.
      window: odd number of symmetric taps of sum 1, static.
      original: whether a flat window gives the sign that its rounding error has in the original code, see
        `flat_signs`, static; else zero.

    Returns:
      float32 [H, W].

    References:
      [1] eq. 1 to 3.
    """
    difference, variance = _deviation(grey, border, window)
    value = difference / (safe_sqrt(variance) + _C)
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


def neighbour_products(x: jax.Array, shifts: tuple[tuple[int, int], ...]) -> list[jax.Array]:
    """Products of every value with its neighbour, wrapping around the last two axes (MATLAB's circshift).

    Args:
      x: float32 [..., H, W].
      shifts: (rows, columns) of each kind of neighbour, static.

    Returns:
      float32 [..., H, W] for each shift.
    """
    return [x * jnp.roll(x, shift, (-2, -1)) for shift in shifts]


def neighbour_features(blocks: jax.Array, shifts: tuple[tuple[int, int], ...]) -> tuple[jax.Array, jax.Array]:
    """NIQE's features of normalised luma: of the values, and of their products with each kind of neighbour.

    Args:
      blocks: float32 [blocks, side, side].
      shifts: n, as in `neighbour_products`.

    Returns:
      (float32 [2 + 4 n, blocks], bool of that shape): shape and mean scale of the values, then shape, mean, left and
      right scale of the products; and which are defined.
    """
    fit = generalised_gaussian.fit_asymmetric([blocks, *neighbour_products(blocks, shifts)])
    alpha, scale = fit.shape.read("shape"), fit.shape.read("scale")
    left, right = fit.left * scale, fit.right * scale
    mean = (right - left) * fit.shape.read("mean")
    first = jnp.stack([alpha[0], (left[0] + right[0]) / 2.0])
    rest = jnp.stack([alpha, mean, left, right], axis=1)[1:].reshape(-1, alpha.shape[1])
    defined = jnp.concatenate([jnp.stack([fit.defined[0]] * 2), jnp.repeat(fit.defined[1:], 4, axis=0)])
    return jnp.concatenate([first, rest]), defined


@functools.lru_cache(maxsize=1)
def flat_signs() -> tuple[float, ...]:
    """Sign of (x - mean) where all pixels under the window are equal, as float64 rounding has it in the original code.

    There the sum of weights times a constant may miss the constant by a rounding error, and the error's sign decides
    whether such a pixel counts as negative, positive or not at all in the asymmetric fits: it moves BRISQUE by up to
    ten per cent on images with flat patches. Which it is depends on the last bits of a singular value decomposition
    and on the order of a sum, so on the release of MATLAB and the processor. Those assumed here, Intel's library and
    fused multiply-adds from the last tap to the first, are one of twelve arithmetics that all give I08: the one choice
    of 729 for the six grey levels of the flat patches of TID2013's I08 that has both its published NIQE (to twelve
    digits) and its published BRISQUE, and of NIQE of I03 to 1e-3. Other orders of the sum and dgesvd do too, and
    differ from this in up to 76 of the 256 levels; docs/metrics.md says how far scores lie apart between them.

    Returns:
      -1, 0 or 1 for each grey level 0..255.
    """
    return rounding_signs(SPLIT, range(len(WINDOW))[::-1])


def rounding_signs(split: Sequence[str], order: Sequence[int]) -> tuple[float, ...]:
    """Sign of (level - mean) of a constant image under a split window, in float64 with fused multiply-adds.

    Args:
      split: the taps of each pass in hexadecimal, as `float.hex` writes them.
      order: order of the taps in each sum.

    Returns:
      -1, 0 or 1 for each grey level 0..255.
    """
    passes = [[fractions.Fraction(float.fromhex(weight)) for weight in window.split()] for window in split]
    signs = []
    for level in range(256):
        mean = float(level)
        for taps in passes:
            total = 0.0
            for k in order:
                total = float(taps[k] * fractions.Fraction(mean) + fractions.Fraction(total))  # Rounded once: fused.
            mean = total
        signs.append(float(np.sign(level - mean)))
    return tuple(signs)
