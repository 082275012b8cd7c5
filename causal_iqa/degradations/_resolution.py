"""Fineness: low resolution and over-sharpening."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import images
from causal_iqa._arrays import total
from causal_iqa.degradations import _light, ladder, spec

__all__ = ["low_resolution", "over_sharpening"]

# Share of the side that is left.
LOW_RESOLUTION_SHARE = {spec.ANY_SIZE: (0.7, 0.5, 0.35, 0.25, 0.16)}
# Share of the detail that is added once more.
OVER_SHARPENING_AMOUNT = {spec.ANY_SIZE: (0.5, 1.0, 2.0, 3.5, 6.0)}

# Sigma of the unsharp mask: this share of the shorter side, and at least this many pixels.
_MASK_SHARE = 0.005
_MASK_LEAST = 0.8
_MASK_CUT = 3.0


def low_resolution(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Shrinks with antialiasing and enlarges again, both by the triangle filter of `images.resize`.

    Between rows the two images are mixed, as a side has whole pixels.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Wang, Xie, Dong, Shan (2021). Real-ESRGAN. ICCV workshops, section 3 (resizing as a step of degradation).

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[:, 13:].set(0.8)  # an edge
      >>> degraded = jax.jit(degradations.low_resolution)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).max():.2f}"  # the largest change
      ((32, 32, 3), '0.34')
    """
    del key
    _light.check_any_size(image, family)
    weights = ladder.weights(severity)
    height, width, _ = image.shape
    versions = [image]
    for share in LOW_RESOLUTION_SHARE[spec.ANY_SIZE]:
        small = images.resize(image, max(round(share * height), 1), max(round(share * width), 1))
        versions.append(images.resize(small, height, width))
    return ladder.finish(image, total(weights[i] * version for i, version in enumerate(versions)), severity)


def over_sharpening(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Unsharp mask, x + a (x - G x) on the encoded values: bright and dark rims along edges, noise raised.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Polesel, Ramponi, Mathews (2000). Image enhancement via adaptive unsharp masking. IEEE TIP, eq. 1.

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[:, 13:].set(0.8)  # an edge
      >>> degraded = jax.jit(degradations.over_sharpening)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).max():.2f}"  # the largest change
      ((32, 32, 3), '0.20')
    """
    del key
    side = _light.check_any_size(image, family)
    amount = ladder.mix(0.0, OVER_SHARPENING_AMOUNT[spec.ANY_SIZE], severity)
    detail = image - _smoothed(image, max(_MASK_LEAST, _MASK_SHARE * side))
    return ladder.finish(image, image + amount * detail, severity)


def _smoothed(image: jax.Array, sigma: float) -> jax.Array:
    """Gaussian blur of static sigma in pixels, cut at three sigmas, border mirrored."""
    reach = min(int(_MASK_CUT * sigma + 0.5), min(image.shape[:2]) - 1)
    taps = np.exp(-0.5 * np.square(np.arange(reach + 1) / sigma))
    taps = (taps / (2.0 * taps.sum() - taps[0])).astype(np.float32)
    for axis in (0, 1):
        pad = [(0, 0)] * 3
        pad[axis] = (reach, reach)
        padded, size = jnp.pad(image, pad, mode="reflect"), image.shape[axis]
        total = taps[0] * image
        for i in range(1, reach + 1):
            before = jax.lax.slice_in_dim(padded, reach - i, reach - i + size, axis=axis)
            total = total + taps[i] * (before + jax.lax.slice_in_dim(padded, reach + i, reach + i + size, axis=axis))
        image = total
    return image


SPECS = (
    spec.DegradationSpec(
        name="low_resolution",
        fn=low_resolution,
        group="digital",
        stochastic=False,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=LOW_RESOLUTION_SHARE,
        convention="share of each side, rounded to whole pixels; triangle filter down (antialiased) and up on the "
        "encoded values, as Pillow's BILINEAR without its rounding; images are mixed between rows, neutral the image",
        published=False,
        reference="Wang, Xie, Dong, Shan (2021). Real-ESRGAN. ICCV workshops; rows reasoned",
    ),
    spec.DegradationSpec(
        name="over_sharpening",
        fn=over_sharpening,
        group="digital",
        stochastic=False,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=OVER_SHARPENING_AMOUNT,
        convention="amount of an unsharp mask of sigma max(0.8 pixels, 0.5 % of the shorter side) on the encoded "
        "values, clipped; neutral 0",
        published=False,
        reference="Polesel, Ramponi, Mathews (2000). Image enhancement via adaptive unsharp masking. IEEE TIP; rows "
        "reasoned",
    ),
)
