"""Light on the sensor: exposure error and low light. Both work in linear light and return to sRGB."""

import jax
import jax.numpy as jnp

from causal_iqa import _checks, colour
from causal_iqa.degradations import _light, _noise, ladder, spec

__all__ = ["exposure_error", "low_light"]

# Stops (factors of 2 of light): over, under.
EXPOSURE_STOPS = {spec.ANY_SIZE: ((0.5, -1.0), (1.0, -2.0), (1.5, -3.0), (2.0, -4.0), (3.0, -5.0))}
# Photo-electrons a white pixel collects, read noise in electrons, stops by which the stored image stays dark.
LOW_LIGHT_EXPOSURE = {
    spec.ANY_SIZE: ((400.0, 2.0, 0.5), (150.0, 2.0, 1.0), (60.0, 2.0, 1.5), (25.0, 2.0, 2.0), (10.0, 2.0, 2.5))
}

_DIRECTIONS = ("over", "under")
_BRIGHTNESS = ("dark", "kept")


def exposure_error(
    key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None, direction: str = "over"
) -> jax.Array:
    """Exposes by the wrong number of stops: linear light times 2^stops, clipped where the sensor saturates.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      direction: static, "over" (highlights clip) or "under" (dark; nothing is lost until the image is stored).

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when the direction is unknown.

    References:
      [1] Afifi, Derpanis, Ommer, Brown (2021). Learning multi-scale photo exposure correction. CVPR (errors of -1.5 to
      +1.5 EV re-rendered from raw; the rows go beyond).

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.3).at[:, 16:].set(0.6)
      >>> degraded = jax.jit(degradations.exposure_error)(jax.random.key(0), image, 3.0)
      >>> [f"{x.mean():.2f} {x.std():.2f}" for x in (image, degraded)]  # mean and standard deviation
      ['0.45 0.15', '0.72 0.23']
    """
    del key
    _light.check_any_size(image, family)
    _checks.check_choice(direction, _DIRECTIONS, "direction")
    neutral, rows = (0.0, 0.0), EXPOSURE_STOPS[spec.ANY_SIZE]
    stops = ladder.mix(neutral, rows, severity)[_DIRECTIONS.index(direction)]
    exposed = colour.to_linear(_light.wide(image)) * jnp.exp2(stops)
    return _light.finish_wide(image, colour.to_srgb(exposed), severity)


def low_light(
    key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None, brightness: str = "dark"
) -> jax.Array:
    """Counts few photons: (Poisson(n L) + r z) / n in linear light L, then darkened by some stops and encoded as sRGB.

    n is the number of electrons of a white pixel, r the read noise. Between rows 1 / n and r / n are interpolated, as n
    has no neutral value.

    Args:
      key: random key; severities under one key share the draws.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      brightness: static, "dark" (the camera makes up for part of the lost light) or "kept" (for all of it).

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when the brightness is unknown.

    References:
      [1] Healey, Kondepudy (1994). Radiometric CCD camera calibration and noise estimation, eq. 2.
      [2] Wei, Fu, Yang, Huang (2020). A physics-based noise formation model for extreme low-light raw denoising. CVPR.

    Examples:
      >>> image = jax.ShapeDtypeStruct((32, 32, 3), jnp.float32)
      >>> jax.eval_shape(degradations.low_light, jax.random.key(0), image, 3.0)  # traced, not run
      ShapeDtypeStruct(shape=(32, 32, 3), dtype=float32)
    """
    _light.check_any_size(image, family)
    _checks.check_choice(brightness, _BRIGHTNESS, "brightness")
    rows = [(1.0 / n, read / n, stops) for n, read, stops in LOW_LIGHT_EXPOSURE[spec.ANY_SIZE]]
    inverse, read, stops = ladder.mix((0.0, 0.0, 0.0), rows, severity)
    electrons = 1.0 / jnp.maximum(inverse, 1e-6)
    photon_key, read_key = jax.random.split(key)
    gain = jnp.exp2(-stops) if brightness == "dark" else 1.0
    linear = colour.to_linear(_light.wide(image)).reshape(3, -1)
    level = jax.random.uniform(photon_key, (image.size,), jnp.float32, 2.0**-24).reshape(3, -1)
    normal = jax.random.normal(read_key, (image.size,), jnp.float32).reshape(3, -1)

    def expose(part: tuple[jax.Array, ...]) -> jax.Array:
        linear, level, normal = part
        counted = _noise.poisson_quantile(level, electrons * linear) / electrons
        return colour.to_srgb(gain * (counted + read * normal))

    # Three parts, one after the other: a loop keeps XLA from running the formula along the image's short axis.
    exposed = jax.lax.map(expose, (linear, level, normal)).reshape(image.shape[0], -1)
    return _light.finish_wide(image, exposed, severity)


SPECS = (
    spec.DegradationSpec(
        name="exposure_error",
        fn=exposure_error,
        group="exposure",
        stochastic=False,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=EXPOSURE_STOPS,
        convention="(stops over, stops under) of linear light, then clipped and encoded as sRGB; neutral 0",
        options={"direction": _DIRECTIONS},
        published=False,
        reference="Afifi, Derpanis, Ommer, Brown (2021). Learning multi-scale photo exposure correction. CVPR; rows "
        "reasoned",
    ),
    spec.DegradationSpec(
        name="low_light",
        fn=low_light,
        group="exposure",
        stochastic=True,
        differentiable=False,
        differentiable_in_severity=False,
        monotone=True,
        parameters=LOW_LIGHT_EXPOSURE,
        convention="(electrons of a white pixel n, read noise in electrons r, stops kept dark) in linear light: "
        "Poisson photons and normal read noise; 1 / n and r / n are interpolated, neutral 0",
        options={"brightness": _BRIGHTNESS},
        published=False,
        reference="Healey, Kondepudy (1994). Radiometric CCD camera calibration and noise estimation. PAMI; Wei et al. "
        "(2020). A physics-based noise formation model for extreme low-light raw denoising. CVPR; rows reasoned",
    ),
)
