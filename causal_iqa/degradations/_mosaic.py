"""The colour mosaic of a sensor and the errors of its interpolation."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, colour
from causal_iqa.degradations import _light, ladder, spec

__all__ = ["demosaicing"]

# Share of the error of demosaicing that is left.
DEMOSAICING_SHARE = {spec.ANY_SIZE: (0.2, 0.4, 0.6, 0.8, 1.0)}

_METHODS = ("bilinear", "malvar")
# Place of the red site within two rows and two columns.
_RED_SITE = {"rggb": (0, 0), "grbg": (0, 1), "gbrg": (1, 0), "bggr": (1, 1)}


def demosaicing(
    key: jax.Array,
    image: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    method: str = "bilinear",
    pattern: str = "rggb",
) -> jax.Array:
    """Samples one channel per pixel in linear light and interpolates the others; a share s of the error is kept.

    Photos are usually shrunk after demosaicing, which reduces its error; the share accounts for this.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      method: static, "bilinear" or "malvar".
      pattern: static, colours of the first two rows: "rggb", "grbg", "gbrg" or "bggr".

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when an option is unknown.

    References:
      [1] Bayer (1976). Color imaging array. US patent 3971065.
      [2] Malvar, He, Cutler (2004). High-quality linear interpolation for demosaicing of Bayer-patterned color images.

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[:, 13:].set(0.8)  # an edge
      >>> degraded = jax.jit(degradations.demosaicing)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).max():.2f}"  # the largest change
      ((32, 32, 3), '0.35')
    """
    del key
    _light.check_any_size(image, family)
    share = ladder.mix(0.0, DEMOSAICING_SHARE[spec.ANY_SIZE], severity)
    linear = colour.to_linear(_light.wide(image)).reshape(image.shape)
    rebuilt = colour.to_srgb(_light.wide(demosaic(mosaic(linear, pattern), method=method, pattern=pattern)))
    flat = _light.wide(image)
    return _light.finish_wide(image, flat + share * (rebuilt - flat), severity)


def mosaic(image: jax.Array, pattern: str = "rggb") -> jax.Array:
    """Keeps at each pixel only the channel that a Bayer mosaic records at that pixel.

    Args:
      image: float32 [H, W, 3].
      pattern: static, "rggb", "grbg", "gbrg" or "bggr".

    Returns:
      float32 [H, W].

    Raises:
      InputError: when the pattern is unknown.
    """
    red, green, _ = sites(image.shape[0], image.shape[1], pattern)
    return jnp.where(red, image[..., 0], jnp.where(green, image[..., 1], image[..., 2]))


def demosaic(raw: jax.Array, *, method: str = "bilinear", pattern: str = "rggb") -> jax.Array:
    """Interpolates the two channels that each pixel of a Bayer mosaic lacks, borders mirrored.

    Args:
      raw: float32 [H, W].
      method: static, "bilinear" (means of the nearest sites) or "malvar" (corrected by the Laplacian of the own site).
      pattern: static, "rggb", "grbg", "gbrg" or "bggr".

    Returns:
      float32 [H, W, 3]; "malvar" may leave the range of the samples.

    Raises:
      InputError: when the method or the pattern is unknown.

    References:
      [1] Malvar, He, Cutler (2004), figure 2.
    """
    _checks.check_choice(method, _METHODS, "method")
    height, width = raw.shape
    padded = jnp.pad(raw, 2, mode="reflect")

    def at(down: int, right: int) -> jax.Array:
        return padded[2 + down : 2 + down + height, 2 + right : 2 + right + width]

    across, along = at(0, -1) + at(0, 1), at(-1, 0) + at(1, 0)
    corners = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)
    if method == "bilinear":
        green, beside, above, opposite = 0.25 * (across + along), 0.5 * across, 0.5 * along, 0.25 * corners
    else:
        far_across, far_along = at(0, -2) + at(0, 2), at(-2, 0) + at(2, 0)
        green = (4.0 * raw + 2.0 * (across + along) - far_across - far_along) / 8.0
        beside = (5.0 * raw + 4.0 * across - far_across + 0.5 * far_along - corners) / 8.0
        above = (5.0 * raw + 4.0 * along - far_along + 0.5 * far_across - corners) / 8.0
        opposite = (6.0 * raw + 2.0 * corners - 1.5 * (far_across + far_along)) / 8.0
    is_red, is_green, is_blue = sites(height, width, pattern)
    red_row = is_red.any(axis=1, keepdims=True)
    red = jnp.where(is_red, raw, jnp.where(is_blue, opposite, jnp.where(red_row, beside, above)))
    blue = jnp.where(is_blue, raw, jnp.where(is_red, opposite, jnp.where(red_row, above, beside)))
    return jnp.stack([red, jnp.where(is_green, raw, green), blue], axis=-1)


def sites(height: int, width: int, pattern: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where a Bayer mosaic has its red, green and blue sites.

    Args:
      height: static int, in pixels.
      width: static int, in pixels.
      pattern: static, colours of the first two rows: "rggb", "grbg", "gbrg" or "bggr".

    Returns:
      Three masks, bool [H, W], of which one is true at each pixel.

    Raises:
      InputError: when the pattern is unknown.
    """
    _checks.check_choice(pattern, _RED_SITE, "pattern")
    down, right = _RED_SITE[pattern]
    row = (np.arange(height)[:, None] + down) % 2
    column = (np.arange(width)[None, :] + right) % 2
    red, blue = (row == 0) & (column == 0), (row == 1) & (column == 1)
    return red, ~(red | blue), blue


SPECS = (
    spec.DegradationSpec(
        name="demosaicing",
        fn=demosaicing,
        group="sensor",
        stochastic=False,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=DEMOSAICING_SHARE,
        convention="share kept of the error of one Bayer mosaic at the image's own size, interpolated in linear light, "
        "borders mirrored; neutral 0",
        options={"method": _METHODS, "pattern": tuple(_RED_SITE)},
        published=False,
        reference="Bayer (1976). Color imaging array. US patent 3971065; Malvar, He, Cutler (2004). High-quality "
        "linear interpolation for demosaicing. ICASSP; rows reasoned",
        stage="demosaicing",
    ),
)
