"""Complex wavelet structural similarity.

Images are float32 [H, W, 3], sRGB, in [0, 1].
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._roots import safe_sqrt
from causal_iqa.metrics import _filters, _pixels, spec

__all__ = ["cw_ssim"]

# cwssim_index.m as its authors call it: level 4 of a pyramid of 8 orientations, 7 x 7 boxes, K = 0, no guard band.
_LEVEL = 4
_ORIENTATIONS = 8
_BOX = 7
_SMALLEST_SIDE = 64


def _low_pass(log_radius: np.ndarray, octave: float) -> np.ndarray:
    """Cosine of a raised-cosine edge of one octave below 2^octave of the Nyquist frequency: 1 below, 0 above."""
    position = np.clip(log_radius - octave + 1.0, 0.0, 1.0)
    return np.cos(0.5 * np.pi * position)


@functools.lru_cache(maxsize=8)
def _transfer(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transfer functions [8, h, w] of the bands of level 4, and the rows and columns of the DFT they act on.

    Portilla and Simoncelli (2000), section 2.1: radial edges of one octave, angular parts cos^7 over half the plane.
    The band is sampled 8 times coarser, so only the lowest frequencies are kept.
    """
    ramps, starts, sizes = [], [], []
    for side in (height, width):
        start, size = 0, side
        for _ in range(_LEVEL - 1):
            smaller = math.ceil((size - 0.5) / 2)
            start += math.ceil((size + 0.5) / 2) - math.ceil((smaller + 0.5) / 2)
            size = smaller
        centre = math.ceil((side + 0.5) / 2) - 1
        ramps.append((np.arange(start, start + size) - centre) / (side / 2.0))
        starts.append(start)
        sizes.append(size)
    y, x = np.meshgrid(*ramps, indexing="ij")
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    # The mean's own place takes the radius of its neighbour; the band-pass edge removes it anyway.
    log_radius = np.log2(np.where(radius > 0.0, radius, 2.0 / width))
    radial = np.sqrt(1.0 - _low_pass(log_radius, -float(_LEVEL)) ** 2)
    for level in range(_LEVEL):
        radial = radial * _low_pass(log_radius, float(-level))
    order = _ORIENTATIONS - 1
    gain = 2.0 * math.sqrt(4.0**order * math.factorial(order) ** 2 / (_ORIENTATIONS * math.factorial(2 * order)))
    masks = []
    for k in range(_ORIENTATIONS):
        turned = np.angle(np.exp(1j * (angle - np.pi * k / _ORIENTATIONS)))
        masks.append(gain * np.where(np.abs(turned) < np.pi / 2, np.cos(turned) ** order, 0.0) * radial)
    wrapped = [
        (s + np.arange(n) - math.ceil((side + 0.5) / 2) + 1) % side
        for s, n, side in zip(starts, sizes, (height, width), strict=True)
    ]
    # ifftshift: the frequency zero of the kept square comes first.
    turn = [-(math.ceil((n + 0.5) / 2) - 1) for n in sizes]
    masks = np.roll(np.stack(masks), turn, axis=(1, 2))
    return masks.astype(np.float32), np.roll(wrapped[0], turn[0]), np.roll(wrapped[1], turn[1])


def cw_ssim(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Complex wavelet SSIM on the rounded 8-bit luma: level 4 of a steerable pyramid of 8 orientations.

    CW-SSIM = 2 |sum c_x c_y*| / (sum |c_x|^2 + sum |c_y|^2) over 7 x 7 boxes of complex coefficients, averaged with a
    Gaussian over the band and over orientations. Small translations turn phases together and cost little.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 64.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 1]; higher is better, 1 for equal luma. NaN when both images are flat.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 64 pixels.

    References:
      [1] Sampat, Wang, Gupta, Bovik, Markey, "Complex wavelet structural similarity: a new image similarity index",
          IEEE TIP 2009, eq. 9, and the authors' cwssim_index.m with level 4, 8 orientations.
      [2] Portilla, Simoncelli, "A parametric texture model based on joint statistics of complex wavelet
          coefficients", IJCV 2000, section 2.1, the pyramid.

    Examples:
      >>> reference = jnp.full((64, 64, 3), 0.2).at[16:32, 16:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.cw_ssim)(reference, image):.2f}")
      0.80
    """
    _pixels.check_pair(reference, image, _SMALLEST_SIDE, "cw_ssim")
    masks, rows, columns = _transfer(*image.shape[:2])
    pair = jnp.stack([_filters.grey_levels(reference), _filters.grey_levels(image)])
    # The bands drop the mean; a flat image then has no coefficients at all.
    pair = pair - jax.lax.stop_gradient(pair[:, :1, :1])
    spectrum = jnp.fft.fft2(pair)[:, rows[:, None], columns[None, :]]
    x, y = jnp.fft.ifft2(spectrum[:, None] * masks[None])
    cross = x * jnp.conj(y)
    energy = jnp.square(x.real) + jnp.square(x.imag) + jnp.square(y.real) + jnp.square(y.imag)
    real, imaginary, energy = _filters.box_mean(jnp.stack([cross.real, cross.imag, energy]), _BOX)
    size = x.shape[1]
    window = [np.array(_filters.gaussian(side - _BOX + 1, size / 4.0), np.float32) for side in x.shape[1:]]
    some = energy > 0.0
    similarity = 2.0 * safe_sqrt(real * real + imaginary * imaginary) / jnp.where(some, energy, 1.0)
    similarity = jnp.where(some, similarity, jnp.nan)
    return jnp.mean(jnp.einsum("kyx,y,x->k", similarity, *window, precision="highest"))


SPECS = (
    spec.MetricSpec(
        name="cw_ssim",
        fn=cw_ssim,
        family="full_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(0.0, 1.0),
        smallest_side=_SMALLEST_SIDE,
        differentiable=True,
        convention=(
            "luma rounded to 0..255, gradient straight through the rounding; complex steerable pyramid, level 4 of 8 "
            "orientations, K 0, Gaussian weighting of a quarter of the band's height"
        ),
        reference="Sampat, Wang, Gupta, Bovik, Markey, IEEE TIP 18(11), 2009; cwssim_index.m",
        worse_with=("blur", "noise"),
        perfect=1.0,
        symmetric=True,
        data_range="0-255 rounded",
        window="7x7 uniform in the band",
        border="periodic in the pyramid, valid windows",
        downsampling="by 8, in the frequency domain",
        undefined="both images flat: no coefficient to compare",
    ),
)
