"""Structural similarity under its several conventions, and the universal quality index it grew from.

Images are float32 [H, W, 3], sRGB, in [0, 1]. What differs between implementations of one name (colour, rounding,
window, border, downsampling) makes another name here.
"""

from typing import Any

import jax
import jax.numpy as jnp

from causal_iqa.metrics import _filters, _pixels, spec

__all__ = ["ssim", "ssim_scikit_image", "ssim_wang2004", "ssim_wang2004_downsampled", "uqi"]

# Wang et al. (2004), section III-C: 11 x 11 Gaussian of 1.5 pixels, K1 = 0.01, K2 = 0.03, dynamic range 1.
WINDOW_SIZE = 11
WINDOW_SIGMA = 1.5
C1 = 0.01**2
C2 = 0.03**2
# Wang's ssim.m (2009): shrink until the shorter side is about 256 pixels.
_VIEWING_SIDE = 256
# scikit-image 0.26, structural_similarity: defaults.
_UNIFORM_SIZE = 7
# Wang and Bovik (2002), section IV; img_qi.m.
_UQI_SIZE = 8


def similarity_maps(x: jax.Array, y: jax.Array, channels: int = 1) -> tuple[jax.Array, jax.Array]:
    """Returns the luminance map and the contrast-structure map of SSIM under the Gaussian window, valid border.

    Local moments are taken about each image's mean, which keeps E[x^2] - E[x]^2 from cancelling in float32.

    Args:
      x: float32 [H, W * channels] in [0, 1], the channels alternating along the rows.
      y: float32 of the same shape.
      channels: static.

    Returns:
      Two float32 [H - 10, (W - 10) * channels]; SSIM is the mean of their product.
    """
    window = _filters.gaussian(WINDOW_SIZE, WINDOW_SIGMA)
    centre_x, centre_y = jnp.mean(x), jnp.mean(y)
    x, y = x - centre_x, y - centre_y
    moments = jnp.stack([x, y, x * x + y * y, x * y])
    moments = _filters.separable(moments, window, window, step=channels)
    mean_x, mean_y, squares, product = moments
    variances = squares - (mean_x * mean_x + mean_y * mean_y)
    covariance = product - mean_x * mean_y
    mean_x, mean_y = mean_x + centre_x, mean_y + centre_y
    luminance = (2.0 * mean_x * mean_y + C1) / (mean_x * mean_x + mean_y * mean_y + C1)
    return luminance, (2.0 * covariance + C2) / (variances + C2)


def _mean_ssim(x: jax.Array, y: jax.Array, channels: int = 1) -> jax.Array:
    luminance, structure = similarity_maps(x, y, channels)
    return jnp.mean(luminance * structure)


def ssim(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Structural similarity on RGB: 11 x 11 Gaussian window, valid border, mean over channels and pixels.

    SSIM = (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sx^2 + sy^2 + C2)), C1 = 0.01^2, C2 = 0.03^2. No
    downsampling, no clamp: what dm_pix, piq (downsample=False) and scikit-image (Gaussian weights, population
    covariance) compute on colour images.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 11.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [-1, 1]; higher is better, 1 for equal images.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 11 pixels.

    References:
      [1] Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004,
          eq. 13, applied per channel.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.ssim)(reference, image):.2f}")
      0.80
    """
    _pixels.check_pair(reference, image, WINDOW_SIZE, "ssim")
    height = image.shape[0]
    return _mean_ssim(reference.reshape(height, -1), image.reshape(height, -1), 3)


def ssim_scikit_image(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Structural similarity with scikit-image's defaults: 7 x 7 uniform window, sample covariance (N - 1), on RGB.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 7.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [-1, 1]; higher is better, 1 for equal images.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 7 pixels.

    References:
      [1] Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004,
          eq. 13; window and covariance as in scikit-image's structural_similarity(channel_axis=-1, data_range=1).

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.ssim_scikit_image)(reference, image):.2f}")
      0.83
    """
    _pixels.check_pair(reference, image, _UNIFORM_SIZE, "ssim_scikit_image")
    x, y = (part.reshape(part.shape[0], -1) for part in (reference, image))
    centre_x, centre_y = jnp.mean(x), jnp.mean(y)
    x, y = x - centre_x, y - centre_y
    moments = jnp.stack([x, y, x * x + y * y, x * y])
    uniform = (1.0 / _UNIFORM_SIZE,) * _UNIFORM_SIZE
    mean_x, mean_y, squares, product = _filters.separable(moments, uniform, uniform, step=3)
    unbiased = _UNIFORM_SIZE**2 / (_UNIFORM_SIZE**2 - 1.0)
    variances = unbiased * (squares - (mean_x * mean_x + mean_y * mean_y))
    covariance = unbiased * (product - mean_x * mean_y)
    mean_x, mean_y = mean_x + centre_x, mean_y + centre_y
    luminance = (2.0 * mean_x * mean_y + C1) / (mean_x * mean_x + mean_y * mean_y + C1)
    return jnp.mean(luminance * (2.0 * covariance + C2) / (variances + C2))


def ssim_wang2004(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Structural similarity as first published: rounded 8-bit luma, valid border, no downsampling.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 11.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [-1, 1]; higher is better, 1 for equal luma.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 11 pixels.

    References:
      [1] Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004,
          eq. 13, and the authors' ssim_index.m.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.ssim_wang2004)(reference, image):.2f}")
      0.80
    """
    _pixels.check_pair(reference, image, WINDOW_SIZE, "ssim_wang2004")
    return _mean_ssim(_filters.grey_levels(reference) / 255.0, _filters.grey_levels(image) / 255.0)


def ssim_wang2004_downsampled(reference: jax.Array, image: jax.Array) -> jax.Array:
    """`ssim_wang2004` after the automatic downsampling of the authors' later code.

    The luma is first averaged over f x f boxes and subsampled by f = max(1, round(min(H, W) / 256)), so the value
    equals `ssim_wang2004` when the shorter side is below 384 pixels.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 11.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [-1, 1]; higher is better, 1 for equal luma.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 11 pixels.

    References:
      [1] Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004,
          eq. 13, and the authors' ssim.m (2009), which adds the downsampling.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.ssim_wang2004_downsampled)(reference, image):.2f}")
      0.80
    """
    _pixels.check_pair(reference, image, WINDOW_SIZE, "ssim_wang2004_downsampled")
    factor = max(1, (min(image.shape[:2]) + _VIEWING_SIDE // 2) // _VIEWING_SIDE)
    x, y = (_filters.shrink(_filters.grey_levels(part) / 255.0, factor) for part in (reference, image))
    return _mean_ssim(x, y)


def uqi(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Universal quality index: SSIM without constants, over 8 x 8 boxes of the rounded 8-bit luma, valid border.

    Q = 4 sxy mx my / ((sx^2 + sy^2)(mx^2 + my^2)); where both boxes are flat Q = 2 mx my / (mx^2 + my^2), and where
    both are black Q = 1. The sums are exact: products of 64 grey levels fit in 32-bit integers.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 8.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [-1, 1]; higher is better, 1 for equal luma.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 8 pixels.

    References:
      [1] Wang, Bovik, "A universal image quality index", IEEE Signal Processing Letters 2002, eq. 2, and the authors'
          img_qi.m for flat boxes.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.uqi)(reference, image):.2f}")
      0.82
    """
    _pixels.check_pair(reference, image, _UQI_SIZE, "uqi")
    x, y = _pixels.luma_uint8(reference), _pixels.luma_uint8(image)
    moments = jnp.stack([x, y, x * x + y * y, x * y])
    sum_x, sum_y, squares, product = _filters.box_sum(_filters.box_sum(moments, _UQI_SIZE, 2), _UQI_SIZE, 1)
    cross, both = sum_x * sum_y, sum_x * sum_x + sum_y * sum_y
    covariance = (_UQI_SIZE**2 * product - cross).astype(image.dtype)
    variances = (_UQI_SIZE**2 * squares - both).astype(image.dtype)
    luminance = 2.0 * cross.astype(image.dtype) / jnp.where(both > 0, both, 1).astype(image.dtype)
    structure = 2.0 * covariance / jnp.where(variances > 0.0, variances, 1.0)
    quality = jnp.where(variances > 0.0, luminance * structure, luminance)
    return jnp.mean(jnp.where(both > 0, quality, 1.0))


_WANG2004 = "Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004"
_GAUSSIAN_WINDOW = "11x11 Gaussian, sigma 1.5"
_CONSTANTS = "K1 0.01, K2 0.03, no clamp"


def _row(**fields: Any) -> spec.MetricSpec:
    """Fills in the fields that all rows of this file have in common."""
    common = {
        "family": "full_reference",
        "higher_is_better": True,
        "range": (-1.0, 1.0),
        "differentiable": True,
        "worse_with": ("blur", "noise"),
        "perfect": 1.0,
        "symmetric": True,
        "border": "valid",
        "window": _GAUSSIAN_WINDOW,
        "smallest_side": WINDOW_SIZE,
        "reference": _WANG2004,
    }
    return spec.MetricSpec(**(common | fields))


_ROUNDED = "luma rounded to 0..255, gradient straight through the rounding"

SPECS = (
    _row(
        name="ssim",
        fn=ssim,
        colour="RGB",
        convention=f"{_CONSTANTS}, population moments, per channel then mean; piq downsample=False, dm_pix",
    ),
    _row(
        name="ssim_scikit_image",
        fn=ssim_scikit_image,
        colour="RGB",
        window="7x7 uniform",
        smallest_side=_UNIFORM_SIZE,
        convention=f"{_CONSTANTS}, sample covariance (N - 1), per channel then mean; scikit-image's defaults",
        reference=f"{_WANG2004}; scikit-image structural_similarity",
    ),
    _row(
        name="ssim_wang2004",
        fn=ssim_wang2004,
        colour="Y BT.601",
        data_range="0-255 rounded",
        convention=f"{_ROUNDED}, {_CONSTANTS}, population moments",
        reference=f"{_WANG2004}; ssim_index.m",
    ),
    _row(
        name="ssim_wang2004_downsampled",
        fn=ssim_wang2004_downsampled,
        colour="Y BT.601",
        data_range="0-255 rounded",
        downsampling="box mean and subsampling by round(shorter side / 256), symmetric border",
        convention=f"{_ROUNDED}, {_CONSTANTS}, population moments",
        reference=f"{_WANG2004}; ssim.m of 2009",
    ),
    _row(
        name="uqi",
        fn=uqi,
        colour="Y BT.601",
        data_range="0-255 rounded",
        window="8x8 uniform",
        smallest_side=_UQI_SIZE,
        differentiable=False,
        convention="luma rounded to 0..255, no constants, exact integer sums; luminance term alone where both are flat",
        reference="Wang, Bovik, IEEE Signal Processing Letters 9(3), 2002; img_qi.m",
    ),
)
