"""Colour: white balance, hue, greyscale and coarse colour levels."""

import jax
import jax.numpy as jnp

from causal_iqa import _checks, colour, images
from causal_iqa._arrays import total
from causal_iqa.degradations import _light, ladder, spec

__all__ = ["colour_quantization", "greyscale", "hue_shift", "white_balance"]

# Reciprocal megakelvin (mired) between the light and the white the camera assumed: towards warm, towards cool.
WHITE_BALANCE_MIRED = {spec.ANY_SIZE: ((20.0, -20.0), (45.0, -40.0), (75.0, -60.0), (110.0, -80.0), (150.0, -100.0))}
HUE_SHIFT_DEGREES = {spec.ANY_SIZE: (15.0, 30.0, 60.0, 100.0, 160.0)}
# Share of the way to grey.
GREYSCALE_SHARE = {spec.ANY_SIZE: (0.2, 0.4, 0.6, 0.8, 1.0)}
# Levels per channel.
COLOUR_QUANTIZATION_LEVELS = {spec.ANY_SIZE: (32.0, 16.0, 8.0, 5.0, 3.0)}

# Correlated colour temperature of D65, the white of sRGB, in mired.
_D65_MIRED = 1e6 / 6504.0
# Kim et al. (2002): chromaticity x of the Planckian locus as cubics in 1000 / T, below and above 4000 K, and y as
# cubics in x, below 2222 K, up to 4000 K and above. Highest power first.
_LOCUS_X = ((-0.2661239, -0.2343589, 0.8776956, 0.179910), (-3.0258469, 2.1070379, 0.2226347, 0.240390))
_LOCUS_Y = (
    (-1.1063814, -1.34811020, 2.18555832, -0.20219683),
    (-0.9549476, -1.37418593, 2.09137015, -0.16748867),
    (3.0817580, -5.87338670, 3.75112997, -0.37001483),
)
# IEC 61966-2-1:1999, equation 9: linear sRGB from CIE XYZ.
_XYZ_TO_RGB = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))

_WARM_COOL = ("warm", "cool")
_LUMA = ("bt601", "linear")


def white_balance(
    key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None, direction: str = "warm"
) -> jax.Array:
    """Shows the scene as if lit by a black body other than the camera's white: gains on linear R, G, B.

    The gains are the colour of a black body `shift` mired away from 6504 K over its colour at 6504 K, of luminance 1.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      direction: static, "warm" (light of lower temperature taken for daylight) or "cool".

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when the direction is unknown.

    References:
      [1] Afifi, Brown (2019). What else can fool deep learning? Addressing color constancy errors on deep neural
      network performance. ICCV (white balances of 2850 to 7500 K).
      [2] Kim, Cho, Kang, Hong (2002). Design of advanced color temperature control system for HDTV applications.

    Examples:
      >>> orange = jnp.broadcast_to(jnp.array([0.8, 0.5, 0.2]), (32, 32, 3))
      >>> degraded = jax.jit(degradations.white_balance)(jax.random.key(0), orange, 3.0)
      >>> [f"{x:.2f}" for x in degraded[0, 0]]
      ['0.89', '0.49', '0.15']
    """
    del key
    _light.check_any_size(image, family)
    _checks.check_choice(direction, _WARM_COOL, "direction")
    shift = ladder.mix((0.0, 0.0), WHITE_BALANCE_MIRED[spec.ANY_SIZE], severity)[_WARM_COOL.index(direction)]
    gains = planckian_rgb(_D65_MIRED + shift) / planckian_rgb(jnp.float32(_D65_MIRED))
    gains = gains / jnp.sum(gains * jnp.asarray(colour.BT709_LUMINANCE))
    lit = colour.to_linear(_light.wide(image)) * _light.per_channel(gains, image.shape[1])
    return _light.finish_wide(image, colour.to_srgb(lit), severity)


def planckian_rgb(mired: jax.Array) -> jax.Array:
    """Colour of a black body in linear sRGB, luminance 1.

    Args:
      mired: scalar, 10^6 over the temperature in kelvin, in [40, 600], traced.

    Returns:
      float32 [3]; a channel out of the gamut of sRGB is negative.

    References:
      [1] Kim, Cho, Kang, Hong (2002); approximation within 0.0006 of the locus from 1667 to 25000 K.
    """
    reciprocal = mired * 1e-3
    x = jnp.where(mired > 250.0, jnp.polyval(jnp.asarray(_LOCUS_X[0]), reciprocal), 0.0)
    x = jnp.where(mired > 250.0, x, jnp.polyval(jnp.asarray(_LOCUS_X[1]), reciprocal))
    low, middle, high = (jnp.polyval(jnp.asarray(row), x) for row in _LOCUS_Y)
    y = jnp.where(mired > 450.0, low, jnp.where(mired > 250.0, middle, high))
    xyz = x / y, 1.0, (1.0 - x - y) / y
    return jnp.stack([sum(w * v for w, v in zip(row, xyz, strict=True)) for row in _XYZ_TO_RGB])


def hue_shift(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Turns the hue of HSV by some degrees, saturation and value kept.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Smith (1978). Color gamut transform pairs. SIGGRAPH.

    Examples:
      >>> orange = jnp.broadcast_to(jnp.array([0.8, 0.5, 0.2]), (32, 32, 3))
      >>> degraded = jax.jit(degradations.hue_shift)(jax.random.key(0), orange, 3.0)
      >>> [f"{x:.2f}" for x in degraded[0, 0]]
      ['0.50', '0.80', '0.20']
    """
    del key
    _light.check_any_size(image, family)
    degrees = ladder.mix(0.0, HUE_SHIFT_DEGREES[spec.ANY_SIZE], severity)
    red, green, blue = (image[..., c] for c in range(3))
    value, least = jnp.maximum(jnp.maximum(red, green), blue), jnp.minimum(jnp.minimum(red, green), blue)
    spread = value - least
    safe = jnp.where(spread > 0, spread, 1.0)
    sector = jnp.where(
        value == red,
        (green - blue) / safe,
        jnp.where(value == green, 2.0 + (blue - red) / safe, 4.0 + (red - green) / safe),
    )
    turned = sector + degrees / 60.0
    planes = []
    for start in (5.0, 3.0, 1.0):
        place = turned + start
        place = place - 6.0 * jnp.floor(place / 6.0)
        planes.append(value - spread * jnp.clip(jnp.minimum(place, 4.0 - place), 0.0, 1.0))
    return ladder.finish(image, jnp.stack(planes, axis=-1), severity)


def greyscale(
    key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None, luma: str = "bt601"
) -> jax.Array:
    """Takes the colour out: x + s (grey - x).

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      luma: static, "bt601" (luma of the encoded values, as image tools convert) or "linear" (BT.709 luminance of linear
        light, encoded).

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when the luma is unknown.

    References:
      [1] Rec. ITU-R BT.601-7 (2011), section 2.5.1. [2] Rec. ITU-R BT.709-6 (2015), section 3.2.

    Examples:
      >>> orange = jnp.broadcast_to(jnp.array([0.8, 0.5, 0.2]), (32, 32, 3))
      >>> degraded = jax.jit(degradations.greyscale)(jax.random.key(0), orange, 3.0)
      >>> [f"{x:.2f}" for x in degraded[0, 0]]
      ['0.65', '0.53', '0.41']
    """
    del key
    _light.check_any_size(image, family)
    _checks.check_choice(luma, _LUMA, "luma")
    share = ladder.mix(0.0, GREYSCALE_SHARE[spec.ANY_SIZE], severity)
    if luma == "bt601":
        grey = images.luma(image)
    else:
        linear = colour.to_linear(_light.wide(image)).reshape(image.shape)
        grey = colour.to_srgb(total(w * linear[..., c] for c, w in enumerate(colour.BT709_LUMINANCE)))
    return ladder.finish(image, image + share * (grey[..., None] - image), severity)


def colour_quantization(
    key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None
) -> jax.Array:
    """Keeps few levels per channel, round(x (n - 1)) / (n - 1): smooth shades break into bands.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced; the number of levels n is rounded to a whole number.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Heckbert (1982). Color image quantization for frame buffer display. SIGGRAPH (the uniform quantiser).

    Examples:
      >>> ramp = jnp.broadcast_to(jnp.linspace(0, 1, 32)[:, None], (32, 32, 3))
      >>> degraded = jax.jit(degradations.colour_quantization)(jax.random.key(0), ramp, 3.0)
      >>> len(jnp.unique(degraded))  # of 32 levels
      8
    """
    del key
    _light.check_any_size(image, family)
    steps = jnp.round(ladder.mix(256.0, COLOUR_QUANTIZATION_LEVELS[spec.ANY_SIZE], severity)) - 1.0
    return _light.finish_wide(image, jnp.round(_light.wide(image) * steps) / steps, severity)


SPECS = (
    spec.DegradationSpec(
        name="white_balance",
        fn=white_balance,
        group="colour",
        stochastic=False,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=WHITE_BALANCE_MIRED,
        convention="(warm, cool) shift in mired from 6504 K along the Planckian locus; diagonal gains on linear sRGB "
        "of luminance 1; neutral 0",
        options={"direction": _WARM_COOL},
        published=False,
        reference="Afifi, Brown (2019). What else can fool deep learning? ICCV; Kim et al. (2002), the locus; rows "
        "reasoned",
    ),
    spec.DegradationSpec(
        name="hue_shift",
        fn=hue_shift,
        group="colour",
        stochastic=False,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=HUE_SHIFT_DEGREES,
        convention="degrees added to the hue of HSV of the encoded values; grey stays; neutral 0",
        published=False,
        reference="Smith (1978). Color gamut transform pairs. SIGGRAPH; rows reasoned",
    ),
    spec.DegradationSpec(
        name="greyscale",
        fn=greyscale,
        group="colour",
        stochastic=False,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=GREYSCALE_SHARE,
        convention="share of the way to the luma of each pixel; neutral 0, row 5 is grey",
        options={"luma": _LUMA},
        published=False,
        reference="Rec. ITU-R BT.601-7 (2011), section 2.5.1; rows reasoned",
    ),
    spec.DegradationSpec(
        name="colour_quantization",
        fn=colour_quantization,
        group="colour",
        stochastic=False,
        differentiable=False,
        differentiable_in_severity=False,
        monotone=True,
        parameters=COLOUR_QUANTIZATION_LEVELS,
        convention="whole number of levels per channel of the encoded values, no dither; neutral 256",
        published=False,
        reference="Heckbert (1982). Color image quantization for frame buffer display. SIGGRAPH; rows reasoned",
    ),
)
