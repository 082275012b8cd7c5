"""Pixel-wise errors between an image and its pristine reference.

Images are float32 [H, W, 3], sRGB, in [0, 1]. The other full-reference metrics have modules of their own.
"""

import jax
import jax.numpy as jnp

from causal_iqa import images
from causal_iqa._xla import settle
from causal_iqa.metrics import _pixels, spec

__all__ = ["mse", "psnr", "psnr_y"]


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

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.mse)(reference, image):.2f}")
      0.02
    """
    _pixels.check_pair(reference, image, 1, "mse")
    rows = jnp.square(reference - image).reshape(image.shape[0], -1)
    return _pixels.total(rows) / image.size


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

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.psnr)(reference, image):.1f}")
      16.5
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

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.psnr_y)(reference, image):.1f}")
      16.5
    """
    _pixels.check_pair(reference, image, 1, "psnr_y")
    difference = settle(images.luma(reference - image))
    return _decibels(_pixels.total(jnp.square(difference)) / difference.size)


_WANG2009 = "Wang, Bovik, IEEE Signal Processing Magazine 26(1), 2009"

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
        convention="mean over pixels and channels",
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
        convention="one MSE over pixels and channels, peak 1, no stabilising constant",
        undefined="equal images: the ratio is infinite",
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
        convention="full-range luma, not rounded, peak 1, no stabilising constant",
        undefined="equal luma: the ratio is infinite",
        reference=_WANG2009,
        worse_with=("blur", "noise"),
        perfect=None,
        symmetric=True,
    ),
)
