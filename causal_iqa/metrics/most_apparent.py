"""Most apparent distortion: detection of near-threshold errors blended with a comparison of appearance.

Images are float32 [H, W, 3], sRGB, in [0, 1]. Statistics are taken over blocks of 16 x 16 pixels, 4 pixels apart, built
from cells of 4 x 4 pixels about the cells' own means, so that no power sum cancels in float32.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._arrays import pair, total
from causal_iqa._roots import safe_sqrt
from causal_iqa._xla import settle
from causal_iqa.metrics import _filters, _pixels, spec

__all__ = ["mad"]

# Larson and Chandler (2010), sections 3.1 to 3.3, as in the authors' code of 2011.
_LUMINANCE_GAIN, _LUMINANCE_POWER = 0.02874, 2.2 / 3.0
_DISPLAY_FREQUENCY = 32.0  # cycles per degree at the edge of the spectrum
_CONTRAST_THRESHOLD = -5.0  # log contrast of a reference below which masking stays constant
_DETECTION_GAIN = 200.0
_DARK = 0.5  # mean luminance below which nothing is seen
_BLEND_1, _BLEND_2 = math.exp(-2.55 / 3.35), 1.0 / (math.log(10.0) * 3.35)
_WAVELENGTHS = (3.0, 9.0, 27.0, 81.0, 243.0)
_SCALE_WEIGHTS = tuple(w / 13.25 for w in (0.5, 0.75, 1.0, 5.0, 6.0))
_ORIENTATIONS = 4
_BANDWIDTH = 0.55
_ANGULAR_SIGMA = math.pi / _ORIENTATIONS / 1.5

_CELL, _BLOCK, _MARGIN = 4, 16, 16
_SMALLEST_SIDE = 2 * _MARGIN + 2
# Float32 rounding of a filtered image, in grey levels: a smaller deviation has no shape.
_NOISE_FLOOR = 1e-4


class Moments(NamedTuple):
    """Mean, and sums of the second to fourth powers of the deviations from it."""

    mean: jax.Array
    second: jax.Array
    third: jax.Array
    fourth: jax.Array


@functools.lru_cache(maxsize=8)
def _contrast_sensitivity(height: int, width: int) -> np.ndarray:
    """Mannos and Sakrison's sensitivity [H, W // 2 + 1] on the grid of rfft2, low frequencies kept.

    The authors' grid lies half a sample off the frequencies, and they keep the real part of the filtered image: that is
    the mean of the grid and its mirror image.
    """
    y, x = np.meshgrid(*(np.arange(side) - side / 2.0 + 0.5 for side in (height, width)), indexing="ij")
    frequency = 2.0 * _DISPLAY_FREQUENCY * np.hypot(x, y) / width
    frequency = frequency / (0.15 * np.cos(4.0 * np.arctan2(y, x)) + 0.85)
    sensitivity = 2.6 * (0.0192 + 0.114 * frequency) * np.exp(-((0.114 * frequency) ** 1.1))
    sensitivity = np.fft.ifftshift(np.where(frequency < 7.8909, 0.9809, sensitivity))
    mirrored = np.roll(sensitivity[::-1, ::-1], 1, axis=(0, 1))
    return (0.5 * (sensitivity + mirrored))[:, : width // 2 + 1].astype(np.float32)


@functools.lru_cache(maxsize=8)
def _log_gabor(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Radial [5, H, W] and angular [4, H, W] factors of the filters on the grid of fft2, as the authors sample them."""
    y, x = np.meshgrid(*((np.arange(side) - side / 2.0) / (side / 2.0) for side in (height, width)), indexing="ij")
    radius, angle = np.hypot(x, y), np.arctan2(-y, x)
    centre = tuple(math.floor(side / 2.0 + 1.5) - 1 for side in (height, width))
    radius[centre] = 1.0
    radial = np.stack(
        [np.exp(-(np.log(radius * w / 2.0) ** 2) / (2.0 * math.log(_BANDWIDTH) ** 2)) for w in _WAVELENGTHS]
    )
    radial[(slice(None), *centre)] = 0.0
    turned = [np.angle(np.exp(1j * (angle - k * np.pi / _ORIENTATIONS))) for k in range(_ORIENTATIONS)]
    angular = np.exp(-np.square(np.stack(turned)) / (2.0 * _ANGULAR_SIGMA**2))
    # fftshift, not its inverse: on odd sides the two differ, and the authors call this one.
    return pair(np.fft.fftshift(part, axes=(1, 2)).astype(np.float32) for part in (radial, angular))


def _cells(x: jax.Array) -> Moments:
    """Moments of the 4 x 4 cells of [..., H, W]; pixels beyond the last whole cell are left out."""
    height, width = (side // _CELL for side in x.shape[-2:])
    x = x[..., : _CELL * height, : _CELL * width].reshape(*x.shape[:-2], height, _CELL, width, _CELL)
    # The place in the cell first: sums over it are then sums of whole planes, which a CPU does many times faster.
    places = settle(jnp.moveaxis(x, (-3, -1), (0, 1)).reshape(_CELL**2, *x.shape[:-4], height, width))
    mean = settle(total(places) / _CELL**2)
    deviations = [place - mean for place in places]
    second, third, fourth = (total(d**power for d in deviations) for power in (2, 3, 4))
    return settle(Moments(mean, second, third, fourth))


def _merge(a: Moments, b: Moments, count: int) -> Moments:
    """Moments of the union of two groups of `count` pixels each (Pebay 2008, eq. 2.1 for equal groups)."""
    d = b.mean - a.mean
    square, second = d * d, a.second + b.second
    return Moments(
        a.mean + 0.5 * d,
        second + (0.5 * count) * square,
        a.third + b.third + 1.5 * d * (b.second - a.second),
        a.fourth + b.fourth + 2.0 * d * (b.third - a.third) + square * (1.5 * second + (0.125 * count) * square),
    )


def _double(blocks: Moments, count: int, step: int) -> Moments:
    """Moments of blocks twice as long and wide, one cell apart, of blocks of `count` pixels and `step` cells a side."""
    for axis in (blocks.mean.ndim - 2, blocks.mean.ndim - 1):
        kept = blocks.mean.shape[axis] - step
        first = Moments(*(jax.lax.slice_in_dim(m, 0, kept, axis=axis) for m in blocks))
        second = Moments(*(jax.lax.slice_in_dim(m, step, step + kept, axis=axis) for m in blocks))
        blocks = settle(_merge(first, second, count))
        count *= 2
    return blocks


def _blocks(cells: Moments) -> tuple[Moments, Moments]:
    """Moments of the blocks of 8 x 8 and of 16 x 16 pixels, 4 pixels apart."""
    eighths = _double(cells, _CELL**2, 1)
    return eighths, _double(eighths, 4 * _CELL**2, 2)


def _weights(side: int, blocks: int) -> np.ndarray:
    """Pixels of each block's cell that lie inside the margin, [blocks]."""
    first = _CELL * np.arange(blocks)
    inside = np.minimum(first + _CELL, side - _MARGIN - 1) - np.maximum(first, _MARGIN)
    return np.maximum(inside, 0).astype(np.float32)


def _detection(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Visibility-weighted local squared error of two grey images [H, W], root mean square."""
    height, width = image.shape
    luminance = [
        _LUMINANCE_GAIN * jnp.where(g > 0, jnp.where(g > 0, g, 1.0) ** _LUMINANCE_POWER, 0.0)
        for g in (reference, image)
    ]
    pair = jnp.stack([luminance[0], luminance[1] - luminance[0]])
    pair = jnp.fft.irfft2(jnp.fft.rfft2(pair) * _contrast_sensitivity(height, width)[None], s=(height, width))
    eighths, block = _blocks(_cells(pair))
    mean, error = block.mean[0], block.second[1] / (_BLOCK**2 - 1.0)
    quarter = eighths.second[0] / 63.0
    rows, columns = mean.shape
    # The least active of the four 8 x 8 blocks at the corner: the reference's own masking.
    masking = functools.reduce(jnp.minimum, [quarter[r : r + rows, c : c + columns] for r in (0, 1) for c in (0, 1)])
    seen = (mean >= _DARK) & (error > 0.0)
    safe_mean = jnp.where(seen, mean, 1.0)
    floor = math.exp(2.0 * _CONTRAST_THRESHOLD)
    contrast = jnp.maximum(masking / jnp.square(safe_mean), floor)
    visible = jnp.where(seen, error, 1.0) / jnp.square(safe_mean) / contrast
    visibility = jnp.where(seen, jnp.maximum(0.5 * jnp.log(visible), 0.0), 0.0)
    local = _filters.box_mean(jnp.square(reference - image), _BLOCK)
    first = _MARGIN - (_BLOCK // 2 - 1)
    local = local[first : first + height - 2 * _MARGIN - 1, first : first + width - 2 * _MARGIN - 1]
    visibility = jnp.repeat(jnp.repeat(visibility, _CELL, axis=0), _CELL, axis=1)
    visibility = visibility[_MARGIN : _MARGIN + local.shape[0], _MARGIN : _MARGIN + local.shape[1]]
    return _DETECTION_GAIN * safe_sqrt(jnp.mean(jnp.square(visibility * local)))


def _shape_statistics(response: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Standard deviation, skewness and kurtosis of the blocks of [..., H, W]."""
    _, block = _blocks(_cells(response))
    count = float(_BLOCK**2)
    var = block.second / count
    some = var > _NOISE_FLOOR**2
    var = jnp.where(some, var, 1.0)
    deviation = jnp.sqrt(var)
    skewness = jnp.where(some, block.third / count / (var * deviation), 0.0)
    kurtosis = jnp.where(some, block.fourth / count / (var * var), 0.0)
    return safe_sqrt(block.second / (count - 1.0)), skewness, kurtosis


def _appearance(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Difference of the block statistics of log-Gabor magnitudes of two grey images [H, W], root mean square."""
    height, width = image.shape
    radial, angular = _log_gabor(height, width)
    spectrum = jnp.fft.fft2(jnp.stack([reference, image]))[:, None]

    def add_scale(total: jax.Array, scale: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        factor, weight = scale
        response = jnp.fft.ifft2(spectrum * (factor[None] * angular)[None])
        magnitude = safe_sqrt(jnp.square(response.real) + jnp.square(response.imag))
        deviation, skewness, kurtosis = (jnp.abs(s[0] - s[1]) for s in _shape_statistics(magnitude))
        return total + weight * jnp.sum(deviation + 2.0 * skewness + kurtosis, axis=0), None

    blocks = tuple((side // _CELL) - _BLOCK // _CELL + 1 for side in (height, width))
    weights = jnp.asarray(_SCALE_WEIGHTS, image.dtype)
    total, _ = jax.lax.scan(add_scale, jnp.zeros(blocks, image.dtype), (jnp.asarray(radial), weights))
    rows, columns = (jnp.asarray(_weights(side, n)) for side, n in zip((height, width), blocks, strict=True))
    pixels = (height - 2 * _MARGIN - 1) * (width - 2 * _MARGIN - 1)
    # Summed elementwise: a product of matrices would round by the batch.
    return safe_sqrt(jnp.sum(jnp.square(total) * rows[:, None] * columns[None, :]) / pixels)


def mad(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Most apparent distortion on the rounded 8-bit luma.

    MAD = detection^a appearance^(1 - a), a = 1 / (1 + b1 detection^b2): near threshold the visible error counts, far
    above it the change of the statistics of log-Gabor magnitudes (five scales, four orientations).

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 34.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar, not negative; lower is better, 0 for equal luma.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 34 pixels.

    References:
      [1] Larson, Chandler, "Most apparent distortion: full-reference image quality assessment and the role of
          strategy", Journal of Electronic Imaging 2010, eqs. 1 to 12, and the authors' code of October 2011.

    Examples:
      >>> image = jax.ShapeDtypeStruct((192, 192, 3), jnp.float32)
      >>> jax.eval_shape(metrics.mad, image, image).shape  # traced, not run
      ()
      >>> metrics.TABLE["mad"].higher_is_better
      False
    """
    _pixels.check_pair(reference, image, _SMALLEST_SIDE, "mad")
    x, y = _filters.grey_levels(reference), _filters.grey_levels(image)
    detection, appearance = _detection(x, y), _appearance(x, y)
    some = (detection > 0.0) & (appearance > 0.0)
    log_detection = jnp.log(jnp.where(some, detection, 1.0))
    log_appearance = jnp.log(jnp.where(some, appearance, 1.0))
    share = 1.0 / (1.0 + _BLEND_1 * jnp.exp(_BLEND_2 * log_detection))
    blended = jnp.exp(share * log_detection + (1.0 - share) * log_appearance)
    # Without a visible error the share is 1, and the product the detection: 0.
    return jnp.where(some, blended, 0.0)


SPECS = (
    spec.MetricSpec(
        name="mad",
        fn=mad,
        family="full_reference",
        higher_is_better=False,
        colour="Y BT.601",
        range=(0.0, None),
        smallest_side=_SMALLEST_SIDE,
        differentiable=True,
        convention=(
            "luma rounded to 0..255, gradient straight through the rounding; contrast sensitivity at 32 cycles per "
            "degree, log-Gabor magnitudes of 5 scales and 4 orientations, margin of 16 pixels left out"
        ),
        reference="Larson, Chandler, Journal of Electronic Imaging 19(1), 2010; code of 2011",
        worse_with=("blur", "noise"),
        perfect=0.0,
        data_range="0-255 rounded",
        window="16x16 blocks, 4 pixels apart",
        border="periodic in the filters, valid blocks",
    ),
)
