"""Conventional metrics that compare an image with its pristine reference.

Images are float32 [H, W, 3], sRGB, in [0, 1]. What differs between implementations of one name (colour, rounding,
border, downsampling) makes another name here.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import images
from causal_iqa.metrics import _pixels, spec

# Wang et al. (2004), section III-C: 11 x 11 Gaussian of 1.5 pixels, K1 = 0.01, K2 = 0.03, dynamic range 1.
_SSIM_SIZE = 11
_SSIM_SIGMA = 1.5
_SSIM_C1 = 0.01**2
_SSIM_C2 = 0.03**2
# Wang's ssim.m (2009): shrink until the shorter side is about 256 pixels.
_SSIM_VIEWING_SIDE = 256


def mse(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Mean squared error over pixels and channels.

    Args:
      reference: float32 [H, W, 3] in [0, 1].
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 1]; lower is better, 0 for equal images.

    Raises:
      ValueError: when shapes differ or are not [H, W, 3].

    References:
      [1] Wang, Bovik, "Mean squared error: love it or leave it?", IEEE Signal Processing Magazine 2009.
    """
    _pixels.check_pair(reference, image, 1, "mse")
    return jnp.mean(jnp.square(reference - image))


def _decibels(error: jax.Array) -> jax.Array:
    positive = error > 0
    return jnp.where(positive, -10.0 * jnp.log10(jnp.where(positive, error, 1.0)), jnp.nan)


def psnr(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio over RGB, -10 log10(MSE) for a peak of 1.

    Args:
      reference: float32 [H, W, 3] in [0, 1].
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in decibels; higher is better. NaN for equal images, where the ratio has no value; no stabilising
      constant is added, so no 80 dB are invented.

    Raises:
      ValueError: when shapes differ or are not [H, W, 3].

    References:
      [1] Wang, Bovik, "Mean squared error: love it or leave it?", IEEE Signal Processing Magazine 2009.
    """
    _pixels.check_pair(reference, image, 1, "psnr")
    return _decibels(mse(reference, image))


def psnr_y(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio over full-range BT.601 luma, not rounded.

    Args:
      reference: float32 [H, W, 3] in [0, 1].
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in decibels; higher is better. NaN for images of equal luma.

    Raises:
      ValueError: when shapes differ or are not [H, W, 3].

    References:
      [1] Wang, Bovik, "Mean squared error: love it or leave it?", IEEE Signal Processing Magazine 2009.
      [2] Rec. ITU-R BT.601-7 (2011), section 2.5.1.
    """
    _pixels.check_pair(reference, image, 1, "psnr_y")
    return _decibels(jnp.mean(jnp.square(images.luma(reference - image))))


@functools.lru_cache(maxsize=1)
def _gaussian() -> tuple[float, ...]:
    offset = np.arange(_SSIM_SIZE) - _SSIM_SIZE // 2
    weights = np.exp(-(offset**2) / (2.0 * _SSIM_SIGMA**2))
    return tuple(float(w) for w in weights / weights.sum())


def _filter_valid(maps: jax.Array, axis: int, step: int) -> jax.Array:
    """Gaussian along one axis, valid border, as a sum of shifted copies `step` elements apart.

    XLA's CPU convolution is about ten times slower here. The window's symmetry halves the products.
    """
    weights, half = _gaussian(), _SSIM_SIZE // 2
    length = maps.shape[axis] - step * (_SSIM_SIZE - 1)
    shifted = [jax.lax.slice_in_dim(maps, step * k, step * k + length, axis=axis) for k in range(_SSIM_SIZE)]
    out = weights[half] * shifted[half]
    for k in range(half):
        out = out + weights[k] * (shifted[k] + shifted[-1 - k])
    return out


def _mean_ssim(x: jax.Array, y: jax.Array, channels: int) -> jax.Array:
    """Mean SSIM of two [H, W * channels] arrays whose channels alternate along the rows.

    Local moments are taken about each image's mean, which keeps E[x^2] - E[x]^2 from cancelling in float32.
    """
    centre_x, centre_y = jnp.mean(x), jnp.mean(y)
    x, y = x - centre_x, y - centre_y
    moments = jnp.stack([x, y, x * x, y * y, x * y])
    moments = _filter_valid(_filter_valid(moments, 1, 1), 2, channels)
    mean_x, mean_y, xx, yy, xy = moments
    variances = (xx - mean_x * mean_x) + (yy - mean_y * mean_y)
    covariance = xy - mean_x * mean_y
    mean_x, mean_y = mean_x + centre_x, mean_y + centre_y
    luminance = (2.0 * mean_x * mean_y + _SSIM_C1) / (mean_x * mean_x + mean_y * mean_y + _SSIM_C1)
    structure = (2.0 * covariance + _SSIM_C2) / (variances + _SSIM_C2)
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
    """
    _pixels.check_pair(reference, image, _SSIM_SIZE, "ssim")
    height = image.shape[0]
    return _mean_ssim(reference.reshape(height, -1), image.reshape(height, -1), 3)


def _luma_pair(reference: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
    dtype = jnp.result_type(reference, image)
    return _pixels.luma_uint8(reference).astype(dtype) / 255.0, _pixels.luma_uint8(image).astype(dtype) / 255.0


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
    """
    _pixels.check_pair(reference, image, _SSIM_SIZE, "ssim_wang2004")
    return _mean_ssim(*_luma_pair(reference, image), 1)


def _shrink(luma: jax.Array, factor: int) -> jax.Array:
    """Means over factor x factor boxes centred on every factor-th pixel from the first, symmetric border."""
    before = (factor - 1) // 2
    widths = []
    for side in luma.shape:
        covered = factor * -(-side // factor)
        widths.append((before, max(0, covered - side - before)))
    padded = jnp.pad(luma, widths, mode="symmetric")
    height, width = (-(-side // factor) for side in luma.shape)
    boxes = padded[: height * factor, : width * factor].reshape(height, factor, width, factor)
    return jnp.mean(boxes, axis=(1, 3))


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
    """
    _pixels.check_pair(reference, image, _SSIM_SIZE, "ssim_wang2004_downsampled")
    x, y = _luma_pair(reference, image)
    factor = max(1, (min(image.shape[:2]) + _SSIM_VIEWING_SIDE // 2) // _SSIM_VIEWING_SIDE)
    if factor > 1:
        x, y = _shrink(x, factor), _shrink(y, factor)
    return _mean_ssim(x, y, 1)


_WANG2004 = "Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004"
_WANG2009 = "Wang, Bovik, IEEE Signal Processing Magazine 26(1), 2009"
_SSIM_WINDOW = "11x11 Gaussian window, sigma 1.5, valid border, no clamp, K1 0.01, K2 0.03"

SPECS = (
    spec.MetricSpec(
        name="mse",
        fn=mse,
        family="full_reference",
        higher_is_better=False,
        colour="RGB",
        range=(0.0, 1.0),
        smallest_side=1,
        differentiable=True,
        convention="mean over pixels and channels, data range 1",
        reference=_WANG2009,
        worse_with=("blur", "noise"),
        perfect=0.0,
        symmetric=True,
    ),
    spec.MetricSpec(
        name="psnr",
        fn=psnr,
        family="full_reference",
        higher_is_better=True,
        colour="RGB",
        range=(0.0, None),
        smallest_side=1,
        differentiable=True,
        convention="one MSE over pixels and channels, peak 1, no stabilising constant; NaN for equal images",
        reference=_WANG2009,
        worse_with=("blur", "noise"),
        perfect=None,
        symmetric=True,
    ),
    spec.MetricSpec(
        name="psnr_y",
        fn=psnr_y,
        family="full_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(0.0, None),
        smallest_side=1,
        differentiable=True,
        convention="full-range luma, not rounded, peak 1, no stabilising constant; NaN for equal luma",
        reference=_WANG2009,
        worse_with=("blur", "noise"),
        perfect=None,
        symmetric=True,
    ),
    spec.MetricSpec(
        name="ssim",
        fn=ssim,
        family="full_reference",
        higher_is_better=True,
        colour="RGB",
        range=(-1.0, 1.0),
        smallest_side=_SSIM_SIZE,
        differentiable=True,
        convention=f"{_SSIM_WINDOW}, no downsampling, per channel then mean, data range 1",
        reference=_WANG2004,
        worse_with=("blur", "noise"),
        perfect=1.0,
        symmetric=True,
    ),
    spec.MetricSpec(
        name="ssim_wang2004",
        fn=ssim_wang2004,
        family="full_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(-1.0, 1.0),
        smallest_side=_SSIM_SIZE,
        differentiable=False,
        convention=f"luma rounded to 0..255, {_SSIM_WINDOW}, no downsampling",
        reference=f"{_WANG2004}; ssim_index.m",
        worse_with=("blur", "noise"),
        perfect=1.0,
        symmetric=True,
    ),
    spec.MetricSpec(
        name="ssim_wang2004_downsampled",
        fn=ssim_wang2004_downsampled,
        family="full_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(-1.0, 1.0),
        smallest_side=_SSIM_SIZE,
        differentiable=False,
        convention=f"luma rounded to 0..255, box mean and subsampling by round(shorter side / 256), {_SSIM_WINDOW}",
        reference=f"{_WANG2004}; ssim.m of 2009",
        worse_with=("blur", "noise"),
        perfect=1.0,
        symmetric=True,
    ),
)
