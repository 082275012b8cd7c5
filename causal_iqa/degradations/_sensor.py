"""What the sensor adds: ISO noise, row noise, defective pixels and interlaced reading."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, colour
from causal_iqa.degradations import _light, _mosaic, _resampling, ladder, spec

__all__ = ["dead_pixels", "interlacing", "iso_noise", "row_noise"]

ISO_NOISE_ISO = {spec.ANY_SIZE: (800.0, 1600.0, 3200.0, 6400.0, 12800.0)}
# Standard deviation of a row's offset in linear light.
ROW_NOISE_SIGMA = {spec.ANY_SIZE: (0.002, 0.005, 0.01, 0.02, 0.04)}
# Share of the sites.
DEAD_PIXELS_SHARE = {spec.ANY_SIZE: (0.002, 0.005, 0.012, 0.03, 0.06)}
# Distance the scene moves between the two fields, as a share of the shorter side.
INTERLACING_SHARE = {spec.ANY_SIZE: (0.005, 0.012, 0.025, 0.045, 0.08)}

# A small sensor, as of a telephone: electrons at saturation at ISO 100, electrons of read noise.
FULL_WELL = 6000.0
READ_NOISE = 2.0
# Gains of daylight white balance on red, green, blue: what turns equal raw noise into coloured noise.
CHANNEL_GAINS = (2.0, 1.0, 1.6)

_AXES = ("rows", "columns")
_CHANNELS = ("site", "all")


def iso_noise(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Adds Poisson-Gaussian noise in linear light L, variance a_c L + b_c per channel, in its normal approximation.

    a_c = g_c ISO / (100 F), b_c = (g_c R ISO / (100 F))^2: g_c the channel's white balance gain, F electrons at
    saturation at ISO 100, R electrons of read noise.

    Args:
      key: random key; severities under one key share the draws.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Foi, Trimeche, Katkovnik, Egiazarian (2008). Practical Poissonian-Gaussian noise modeling and fitting for
      single-image raw-data. IEEE TIP, eq. 3 and section III.

    Examples:
      >>> grey = jnp.full((32, 32, 3), 0.5)
      >>> noisy = jax.jit(degradations.iso_noise)(jax.random.key(0), grey, 3.0)
      >>> print(f"{noisy.std():.2f}")
      0.05
    """
    _light.check_any_size(image, family)
    iso = ladder.mix(0.0, ISO_NOISE_ISO[spec.ANY_SIZE], severity)
    per_electron = _light.per_channel(CHANNEL_GAINS, image.shape[1]) * (iso / (100.0 * FULL_WELL))
    linear = colour.to_linear(_light.wide(image))
    variance = per_electron * linear + jnp.square(READ_NOISE * per_electron)
    # The square root has no slope at 0.
    sigma = jnp.sqrt(jnp.maximum(variance, 1e-12))
    normal = jax.random.normal(key, (image.size,), jnp.float32).reshape(linear.shape)
    return _light.finish_wide(image, colour.to_srgb(linear + sigma * normal), severity)


def row_noise(
    key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None, axis: str = "rows"
) -> jax.Array:
    """Adds one normal offset per row in linear light, as the read-out circuits do, times the white balance gains.

    Args:
      key: random key; severities under one key share the draws.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      axis: static, "rows" or "columns".

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when the axis is unknown.

    References:
      [1] Wei, Fu, Yang, Huang (2020). A physics-based noise formation model for extreme low-light raw denoising. CVPR,
      section 3.2 (row noise).

    Examples:
      >>> grey = jnp.full((32, 32, 3), 0.5)
      >>> noisy = jax.jit(degradations.row_noise)(jax.random.key(0), grey, 3.0)
      >>> print(f"{noisy.std():.2f}")
      0.02
    """
    _light.check_any_size(image, family)
    _checks.check_choice(axis, _AXES, "axis")
    sigma = ladder.mix(0.0, ROW_NOISE_SIGMA[spec.ANY_SIZE], severity)
    height, width, _ = image.shape
    if axis == "rows":
        offset = jax.random.normal(key, (height,), jnp.float32)[:, None]
    else:
        offset = jnp.repeat(jax.random.normal(key, (width,), jnp.float32), 3)[None, :]
    noisy = colour.to_linear(_light.wide(image)) + sigma * offset * _light.per_channel(CHANNEL_GAINS, width)
    return _light.finish_wide(image, colour.to_srgb(noisy), severity)


def dead_pixels(
    key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None, channels: str = "site"
) -> jax.Array:
    """Sticks a share of the sites at 0 (dead) or 1 (hot), half each.

    Args:
      key: random key; under one key the sites of a lower severity are among those of a higher.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      channels: static, "site" (only the channel that an RGGB mosaic records at each pixel) or "all".

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when the channels are unknown.

    References:
      [1] Dudas, Jung, Wu, Chapman, Koren (2007). On-line mapping of in-field defects in image sensor arrays. IEEE DFT.

    Examples:
      >>> grey = jnp.full((32, 32, 3), 0.5)
      >>> noisy = jax.jit(degradations.dead_pixels)(jax.random.key(0), grey, 3.0)
      >>> print(f"{noisy.std():.2f}")
      0.03
    """
    _light.check_any_size(image, family)
    _checks.check_choice(channels, _CHANNELS, "channels")
    share = ladder.mix(0.0, DEAD_PIXELS_SHARE[spec.ANY_SIZE], severity)
    height, width, _ = image.shape
    draw = jax.random.uniform(key, (height * width,), jnp.float32).reshape(height, width, 1)
    stuck = draw < share
    # Which of the two a site becomes does not change with the share that is hit.
    value = (jnp.floor(draw * 2.0**20).astype(jnp.int32) % 2).astype(jnp.float32)
    if channels == "site":
        stuck = stuck & np.stack(_mosaic.sites(height, width, "rggb"), axis=-1)
    return ladder.finish(image, jnp.where(stuck, value, image), severity)


def interlacing(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Weaves two fields of a moving scene: odd rows are read later, when the scene has moved on.

    Args:
      key: random key; it determines the direction, which is the same for all severities.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] de Haan, Bellers (1998). Deinterlacing: an overview. Proceedings of the IEEE, section II.

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[:, 13:].set(0.8)  # an edge
      >>> degraded = jax.jit(degradations.interlacing)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).max():.2f}"  # the largest change
      ((32, 32, 3), '0.61')
    """
    side = _light.check_any_size(image, family)
    distance = side * ladder.mix(0.0, INTERLACING_SHARE[spec.ANY_SIZE], severity)
    height, width, _ = image.shape
    angle = jax.random.uniform(key, (), jnp.float32, 0.0, 2.0 * np.pi)
    later = (np.arange(height) % 2)[:, None].astype(np.float32) * distance
    row = np.arange(height, dtype=np.float32)[:, None] - later * jnp.sin(angle)
    column = np.arange(width, dtype=np.float32)[None, :] - later * jnp.cos(angle)
    return ladder.finish(image, _resampling.sample(image, row, column), severity)


SPECS = (
    spec.DegradationSpec(
        name="iso_noise",
        fn=iso_noise,
        group="sensor",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=ISO_NOISE_ISO,
        convention="ISO of a sensor of 6000 electrons at ISO 100, read noise 2 electrons, white balance gains (2, 1, "
        "1.6); normal of the Poisson-Gaussian variance in linear light; neutral 0",
        published=False,
        reference="Foi, Trimeche, Katkovnik, Egiazarian (2008). Practical Poissonian-Gaussian noise modeling. IEEE "
        "TIP; rows reasoned",
    ),
    spec.DegradationSpec(
        name="row_noise",
        fn=row_noise,
        group="sensor",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=ROW_NOISE_SIGMA,
        convention="standard deviation in linear light of an offset per row, times the white balance gains; neutral 0",
        options={"axis": _AXES},
        published=False,
        reference="Wei et al. (2020). A physics-based noise formation model for extreme low-light raw denoising. CVPR; "
        "rows reasoned",
    ),
    spec.DegradationSpec(
        name="dead_pixels",
        fn=dead_pixels,
        group="sensor",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=False,
        monotone=True,
        parameters=DEAD_PIXELS_SHARE,
        convention="share of the sites stuck at 0 or 1, in the channel of an RGGB mosaic, not interpolated over; "
        "nested in severity under one key; neutral 0",
        options={"channels": _CHANNELS},
        published=False,
        reference="Dudas et al. (2007). On-line mapping of in-field defects in image sensor arrays. IEEE DFT; rows "
        "reasoned",
    ),
    spec.DegradationSpec(
        name="interlacing",
        fn=interlacing,
        group="sensor",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=INTERLACING_SHARE,
        convention="shift of the odd rows as a share of the shorter side in a random direction, bilinear, border "
        "mirrored; neutral 0",
        published=False,
        reference="de Haan, Bellers (1998). Deinterlacing: an overview. Proceedings of the IEEE; rows reasoned",
    ),
)
