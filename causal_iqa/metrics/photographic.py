"""What photographers look at in one image: focus, colourfulness, clipping, block edges, and the fall of its spectrum.

Images are float32 [H, W, 3], sRGB, in [0, 1]. Each row fixes the direction in which the field reads the statistic.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import images
from causal_iqa._roots import safe_sqrt
from causal_iqa.metrics import _filters, _pixels, spec

__all__ = ["clipped_highlights", "clipped_shadows", "colourfulness", "jpeg_quality", "spectral_slope", "tenengrad"]

_SOBEL = (1.0, 2.0, 1.0)
_JPEG_BLOCK = 8
# Wang, Sheikh, Bovik (2002), section 3: alpha, beta, gamma 1 to 3, fitted on JPEG images of LIVE.
_JPEG_QUALITY = (-245.8909, 261.9373, -0.02398886, 0.01601664, 0.00642859)
_SPECTRUM_SIDE = 16


def tenengrad(image: jax.Array) -> jax.Array:
    """Mean squared Sobel gradient of the luma in grey levels, a focus measure without threshold.

    mean (Gx^2 + Gy^2), Gx = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]] * Y. The border is mirrored without repeating the edge
    and the luma is not rounded.

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 2.

    Returns:
      Scalar in squared grey levels, not negative; higher is read as sharper, so better. Noise raises it too. 0 for a
      flat image.

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 2 pixels.

    References:
      [1] Krotkov, "Focusing", International Journal of Computer Vision 1, 1987, section 3.
      [2] Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative study", ICPR 2000.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> print(f"{jax.jit(metrics.tenengrad)(image):.0f}")
      39868
    """
    _pixels.check_single(image, 2, "tenengrad")
    y = _filters.pad(255.0 * images.luma(image), (1, 1), (1, 1), "reflect")
    across = _filters.shifted_sum(y[:, 2:] - y[:, :-2], _SOBEL, 0)
    down = _filters.shifted_sum(y[2:] - y[:-2], _SOBEL, 1)
    return jnp.mean(jnp.square(across) + jnp.square(down))


def colourfulness(image: jax.Array) -> jax.Array:
    """Colourfulness, sqrt(var(rg) + var(yb)) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2), rg = R - G, yb = (R + G) / 2 - B.

    Args:
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in grey levels (0..255 sRGB), not negative; higher is better. The paper's words: 0 not colourful, 33
      averagely, 59 highly, 109 extremely colourful. 0 for a grey image.

    Raises:
      ValueError: when the shape is not [H, W, 3].

    References:
      [1] Hasler, Suesstrunk, "Measuring colourfulness in natural images", SPIE Human Vision and Electronic Imaging
          2003, eq. for M3.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.5).at[:16, :, 0].set(1.0)
      >>> print(f"{jax.jit(metrics.colourfulness)(image):.2f}")
      92.66
    """
    _pixels.check_single(image, 1, "colourfulness")
    r, g, b = (image[..., k] for k in range(3))
    # Differences first: a grey image then gives exact zeros.
    red_green, yellow_blue = 255.0 * (r - g), 127.5 * ((r - b) + (g - b))
    spread = safe_sqrt(_pixels.variance(red_green) + _pixels.variance(yellow_blue))
    offset = safe_sqrt(jnp.square(jnp.mean(red_green)) + jnp.square(jnp.mean(yellow_blue)))
    return spread + 0.3 * offset


def clipped_highlights(image: jax.Array) -> jax.Array:
    """Share of the channel values at 255 in the 8-bit image: overexposed, or saturated beyond the gamut.

    Args:
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 1]; lower is better.

    Raises:
      ValueError: when the shape is not [H, W, 3].

    References:
      [1] Adams, "The Print", 1983 (loss of detail at the ends of the scale); here counted per channel.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.5).at[:8].set(1.0)  # a quarter is clipped
      >>> print(f"{jax.jit(metrics.clipped_highlights)(image):.2f}")
      0.25
    """
    _pixels.check_single(image, 1, "clipped_highlights")
    return jnp.mean((images.to_uint8(image) == 255).astype(image.dtype))


def clipped_shadows(image: jax.Array) -> jax.Array:
    """Share of the channel values at 0 in the 8-bit image: underexposed, or saturated beyond the gamut.

    Args:
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 1]; lower is better.

    Raises:
      ValueError: when the shape is not [H, W, 3].

    References:
      [1] Adams, "The Print", 1983 (loss of detail at the ends of the scale); here counted per channel.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.5).at[:8].set(0.0)  # a quarter is clipped
      >>> print(f"{jax.jit(metrics.clipped_shadows)(image):.2f}")
      0.25
    """
    _pixels.check_single(image, 1, "clipped_shadows")
    return jnp.mean((images.to_uint8(image) == 0).astype(image.dtype))


def _jpeg_features(grey: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Blockiness, activity and zero-crossing rate along the rows of [H, W], [Wang 2002] eq. 1 to 3."""
    height, width = grey.shape
    difference = grey[:, 1:] - grey[:, :-1]
    blocks = width // _JPEG_BLOCK
    # The last boundary belongs to a whole block after it, as in the original code's count.
    at_edges = jnp.abs(difference[:, _JPEG_BLOCK - 1 : _JPEG_BLOCK * (blocks - 1) : _JPEG_BLOCK])
    blockiness = jnp.sum(at_edges) / (height * (blocks - 1))
    activity = (_JPEG_BLOCK * jnp.mean(jnp.abs(difference)) - blockiness) / (_JPEG_BLOCK - 1)
    rises = difference[:, 1:] * difference[:, :-1]
    return blockiness, activity, jnp.mean((rises < 0).astype(grey.dtype))


def jpeg_quality(image: jax.Array) -> jax.Array:
    """Quality of a JPEG image by its blockiness B, activity A and zero-crossing rate Z: a + b B^c A^d Z^e.

    B is the mean step across the edges of the 8 x 8 grid that begins at the top left corner, A and Z tell how much the
    image does between them; each is the mean over rows and columns. An image that was resized or cropped off the grid
    after compression has lost what is measured.

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 16.

    Returns:
      Scalar, about 1 (bad) to 10 (excellent) but not bounded; higher is better. NaN when a mean is zero, so for a flat
      image.

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 16 pixels.

    References:
      [1] Wang, Sheikh, Bovik, "No-reference perceptual quality assessment of JPEG compressed images", ICIP 2002,
          eq. 1 to 6; constants of the authors' jpeg_quality_score.m.

    Examples:
      >>> image = jax.random.uniform(jax.random.key(0), (32, 32, 3))
      >>> print(f"{jax.jit(metrics.jpeg_quality)(image):.2f}")
      6.94
    """
    _pixels.check_single(image, 2 * _JPEG_BLOCK, "jpeg_quality")
    grey = _filters.grey_levels(image)
    along, down = _jpeg_features(grey), _jpeg_features(grey.T)
    b, a, z = ((x + y) / 2.0 for x, y in zip(along, down, strict=True))
    defined = (b > 0) & (a > 0) & (z > 0)
    b, a, z = (jnp.where(defined, part, 1.0) for part in (b, a, z))
    alpha, beta, power_b, power_a, power_z = _JPEG_QUALITY
    # alpha and beta nearly cancel: added to each other first, they cost no digits.
    exponent = power_b * jnp.log(b) + power_a * jnp.log(a) + power_z * jnp.log(z)
    value = (alpha + beta) + beta * jnp.expm1(exponent)
    return jnp.where(defined, value, jnp.nan)


@functools.lru_cache(maxsize=16)
def _rings(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns, for the half plane of a real FFT, each frequency's ring and share of it, and log10 frequencies."""
    down, along = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    short = min(height, width)
    ring = np.rint(np.hypot(down, along) * short).astype(int)
    # A column other than the first and, for even widths, the last stands for its mirror image too.
    mirrored = np.full(along.shape[1], 2.0)
    mirrored[0] = 1.0
    if width % 2 == 0:
        mirrored[-1] = 1.0
    times = np.broadcast_to(mirrored, ring.shape)
    count = short // 4
    used = (ring >= 1) & (ring <= count)
    total = np.bincount(ring[used], times[used], count + 1)
    share = np.where(used, times / total[np.where(used, ring, 1)], 0.0)
    return np.where(used, ring, 0), share, np.log10(np.arange(1, count + 1) / short)


def spectral_slope(image: jax.Array) -> jax.Array:
    """Slope of the power spectrum: log10 of rotational mean power against log10 of frequency, by least squares.

    The luma minus its mean is windowed (Hann along both axes) and the power averaged over rings one cycle per shorter
    side wide, from one cycle to half the Nyquist frequency, all rings with equal weight; beyond, the rounding to 8 bits
    would hide how blurred an image is.

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 16.

    Returns:
      Scalar, about -2 to -3 for photographs, 0 for white noise; higher is read as sharper, so better. Noise raises it
      too. NaN for an image without power in some ring, so for a flat one.

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 16 pixels.

    References:
      [1] Field, "Relations between the statistics of natural images and the response properties of cortical cells",
          JOSA A 1987.
      [2] van der Schaaf, van Hateren, "Modelling the power spectra of natural images", Vision Research 1996, section 2.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> print(f"{jax.jit(metrics.spectral_slope)(image):.2f}")
      -3.07
    """
    _pixels.check_single(image, _SPECTRUM_SIDE, "spectral_slope")
    height, width = image.shape[:2]
    ring, share, frequency = _rings(height, width)
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    y = images.luma(image)
    y = y - jax.lax.stop_gradient(y[0, 0])
    y = (y - jnp.mean(y)) * jnp.asarray(window, y.dtype)
    transform = jnp.fft.rfft2(y)
    power = (jnp.square(transform.real) + jnp.square(transform.imag)) * jnp.asarray(share, y.dtype)
    rings = jnp.zeros(len(frequency) + 1, y.dtype).at[ring.reshape(-1)].add(power.reshape(-1))[1:]
    # Below this a ring holds only the rounding of the transform.
    defined = jnp.all(rings > 1e-12 * jnp.sum(rings))
    logarithm = jnp.log10(jnp.where(defined, rings, 1.0))
    centred = frequency - frequency.mean()
    weights = jnp.asarray(centred / np.square(centred).sum(), y.dtype)
    return jnp.where(defined, jnp.sum(weights * logarithm), jnp.nan)


SPECS = (
    spec.MetricSpec(
        name="tenengrad",
        fn=tenengrad,
        family="no_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(0.0, None),
        smallest_side=2,
        differentiable=True,
        convention="mean squared 3x3 Sobel gradient, kernels not divided, no threshold, luma not rounded",
        reference="Krotkov, International Journal of Computer Vision 1(3), 1987",
        worse_with=("blur",),
        data_range="0-255 not rounded",
        window="3x3 Sobel",
        border="reflect",
    ),
    spec.MetricSpec(
        name="colourfulness",
        fn=colourfulness,
        family="no_reference",
        higher_is_better=True,
        colour="opponent",
        range=(0.0, None),
        smallest_side=1,
        differentiable=True,
        convention="M3 on sRGB values, population deviations",
        reference="Hasler, Suesstrunk, SPIE Human Vision and Electronic Imaging VIII, 2003",
        worse_with=("blur",),
        data_range="0-255 not rounded",
    ),
    spec.MetricSpec(
        name="clipped_highlights",
        fn=clipped_highlights,
        family="no_reference",
        higher_is_better=False,
        colour="RGB",
        range=(0.0, 1.0),
        smallest_side=1,
        differentiable=False,
        convention="share of channel values at 255",
        reference="Adams, The Print, 1983; this library's count",
        worse_with=("noise",),
        data_range="0-255 rounded",
    ),
    spec.MetricSpec(
        name="clipped_shadows",
        fn=clipped_shadows,
        family="no_reference",
        higher_is_better=False,
        colour="RGB",
        range=(0.0, 1.0),
        smallest_side=1,
        differentiable=False,
        convention="share of channel values at 0",
        reference="Adams, The Print, 1983; this library's count",
        worse_with=("noise",),
        data_range="0-255 rounded",
    ),
    spec.MetricSpec(
        name="jpeg_quality",
        fn=jpeg_quality,
        family="no_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(None, None),
        smallest_side=2 * _JPEG_BLOCK,
        differentiable=False,
        convention=(
            "blockiness of the 8x8 grid from the top left corner, activity and zero-crossing rate, mean of rows and "
            "columns, constants of jpeg_quality_score.m"
        ),
        reference="Wang, Sheikh, Bovik, ICIP 2002",
        worse_with=("blur",),
        data_range="0-255 rounded",
        undefined="no block edge, no activity or no zero crossing in the luma, so a flat image",
    ),
    spec.MetricSpec(
        name="spectral_slope",
        fn=spectral_slope,
        family="no_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(None, None),
        smallest_side=_SPECTRUM_SIDE,
        differentiable=True,
        convention=(
            "least squares slope of log10 rotational mean power over log10 frequency, rings of one cycle per shorter "
            "side up to half of Nyquist with equal weight"
        ),
        reference="Field, JOSA A 4(12), 1987; van der Schaaf, van Hateren, Vision Research 36(17), 1996",
        worse_with=("blur",),
        window="Hann along both axes",
        undefined="no power in some ring of frequencies, so a flat image",
    ),
)
