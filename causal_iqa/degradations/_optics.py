"""Effects of the lens other than focus: shading, colour fringes, distortion, veiling glare and flare."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, colour
from causal_iqa.degradations import _light, _resampling, ladder, spec

__all__ = ["chromatic_aberration", "lens_distortion", "lens_flare", "veiling_glare", "vignetting"]

# Angle between the optical axis and the corner of the image, in degrees.
VIGNETTING_DEGREES = {spec.ANY_SIZE: (25.0, 35.0, 43.0, 50.0, 57.0)}
# Magnification of red over green minus 1; blue has the opposite sign.
CHROMATIC_ABERRATION_SCALE = {spec.ANY_SIZE: (0.002, 0.005, 0.01, 0.016, 0.025)}
# Coefficient of r^2, r = 1 at the corner.
LENS_DISTORTION_K = {spec.ANY_SIZE: (0.04, 0.08, 0.15, 0.25, 0.4)}
# Share of the light that is scattered over the whole image.
VEILING_GLARE_SHARE = {spec.ANY_SIZE: (0.04, 0.1, 0.18, 0.28, 0.42)}
# Strength of the flare, white = 1.
LENS_FLARE_STRENGTH = {spec.ANY_SIZE: (0.2, 0.4, 0.7, 1.2, 2.0)}

_SHAPES = ("barrel", "pincushion")
# Flare: lengths as shares of the shorter side.
_GLOW_RADIUS = 0.08
_RAY_LENGTH = 0.3
_RAY_SHARPNESS = 60.0
_GHOSTS = 5
_GHOST_RADIUS = (0.03, 0.12)
_GHOST_STRENGTH = 0.12


def vignetting(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Darkens towards the corners by the law of cos^4, linear light times cos^4 t, tan t = r tan(t_corner).

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Goldman (2010). Vignette and exposure calibration and compensation. IEEE PAMI, section 2 (natural vignetting).

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.3).at[:, 16:].set(0.6)
      >>> degraded = jax.jit(degradations.vignetting)(jax.random.key(0), image, 3.0)
      >>> [f"{x.mean():.2f} {x.std():.2f}" for x in (image, degraded)]  # mean and standard deviation
      ['0.45 0.15', '0.36 0.13']
    """
    del key
    _light.check_any_size(image, family)
    angle = ladder.mix(0.0, VIGNETTING_DEGREES[spec.ANY_SIZE], severity)
    squared = _radius_squared(*image.shape[:2], copies=3)
    falloff = jnp.square(1.0 / (1.0 + squared * jnp.square(jnp.tan(jnp.deg2rad(angle)))))
    return _light.finish_wide(image, colour.to_srgb(colour.to_linear(_light.wide(image)) * falloff), severity)


def _corner(down: np.ndarray, right: np.ndarray) -> np.float32:
    """Squared distance of the corner from the centre in pixels, 1 where both are one pixel."""
    return (down[0, 0] ** 2 + right[0, 0] ** 2) or np.float32(1.0)


def _radius_squared(height: int, width: int, copies: int = 1) -> jax.Array:
    """Squared distance from the image centre, 1 at the centre of the corner pixels, [H, copies W]."""
    down, right = _light.centred_grid(height, width, copies)
    # A single pixel is the centre, at radius 0.
    scale = np.float32(1.0) / _corner(down, right)
    return jnp.asarray(down**2 * scale) + jnp.asarray(right**2 * scale)


def chromatic_aberration(
    key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None
) -> jax.Array:
    """Magnifies red by 1 + k and blue by 1 - k against green: coloured fringes that grow towards the corners.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Boult, Wolberg (1992). Correcting chromatic aberrations using image warping. CVPR (lateral aberration as a
      magnification per channel).

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[:, 13:].set(0.8)  # an edge
      >>> degraded = jax.jit(degradations.chromatic_aberration)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).max():.2f}"  # the largest change
      ((32, 32, 3), '0.03')
    """
    del key
    _light.check_any_size(image, family)
    k = ladder.mix(0.0, CHROMATIC_ABERRATION_SCALE[spec.ANY_SIZE], severity)
    height, width, _ = image.shape
    down, right = _light.centred_grid(height, width)
    middle_row, middle_column = _resampling.centre_of(height, width)

    def magnified(plane: jax.Array, factor: jax.Array) -> jax.Array:
        row, column = middle_row + down / factor, middle_column + right / factor
        return _resampling.sample(plane[..., None], row, column, border="edge")

    planes = [magnified(image[..., 0], 1.0 + k), image[..., 1:2], magnified(image[..., 2], 1.0 - k)]
    return ladder.finish(image, jnp.concatenate(planes, axis=-1), severity)


def lens_distortion(
    key: jax.Array,
    image: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    shape: str = "barrel",
    method: str = "bilinear",
) -> jax.Array:
    """Bends straight lines: a pixel at radius r shows what was at r (1 + k r^2) / s, k < 0 for a pincushion.

    s keeps the source within the frame and touching it, at the corners of a barrel and at the middles of the nearer
    edges of a pincushion, so no border shows.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      shape: static, "barrel" or "pincushion".
      method: static, "bilinear" or "bicubic".

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when an option is unknown.

    References:
      [1] Brown (1971). Close-range camera calibration. Photogrammetric Engineering, radial term of the first order.

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[8:24, 8:24].set(1.0)
      >>> degraded = jax.jit(degradations.lens_distortion)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).mean():.2f}"  # the mean change
      ((32, 32, 3), '0.06')
    """
    del key
    _light.check_any_size(image, family)
    _checks.check_choice(shape, _SHAPES, "shape")
    k = ladder.mix(0.0, LENS_DISTORTION_K[spec.ANY_SIZE], severity)
    height, width, _ = image.shape
    down, right = _light.centred_grid(height, width)
    middle_row, middle_column = _resampling.centre_of(height, width)
    squared = _radius_squared(height, width)
    if shape == "barrel":
        factor = (1.0 + k * squared) / (1.0 + k)
    else:
        # Weaker than the barrel: beyond k = -1/3 the corners would fold over.
        k = 0.6 * k
        nearest = np.float32(min(down[0, 0] ** 2, right[0, 0] ** 2) / _corner(down, right))
        factor = (1.0 - k * squared) / (1.0 - k * nearest)
    row, column = middle_row + down * factor, middle_column + right * factor
    return ladder.finish(image, _resampling.sample(image, row, column, method=method, border="edge"), severity)


def veiling_glare(
    key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None, source: float = 0.5
) -> jax.Array:
    """Scatters a share g of the light evenly over the sensor, (1 - g) L + g (mean(L) + source) in linear light L.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      source: mean light on the lens from outside the frame, white = 1; with 0 the mean of each channel stays.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Talvala, Adams, Horowitz, Levoy (2007). Veiling glare in high dynamic range imaging. ACM TOG, section 3.
      [2] ISO 9358:1994, the veiling glare index.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.3).at[:, 16:].set(0.6)
      >>> degraded = jax.jit(degradations.veiling_glare)(jax.random.key(0), image, 3.0)
      >>> [f"{x.mean():.2f} {x.std():.2f}" for x in (image, degraded)]  # mean and standard deviation
      ['0.45 0.15', '0.56 0.09']
    """
    del key
    _light.check_any_size(image, family)
    share = ladder.mix(0.0, VEILING_GLARE_SHARE[spec.ANY_SIZE], severity)
    linear = colour.to_linear(_light.wide(image))
    veil = jnp.mean(linear.reshape(-1, 3), axis=0) + source
    glared = linear + share * (_light.per_channel(veil, image.shape[1]) - linear)
    return _light.finish_wide(image, colour.to_srgb(glared), severity)


def lens_flare(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Adds the flare of a bright source at a random place, in linear light: glow, rays and a line of ghosts.

    The source lies anywhere in the frame, its ghosts on the line through the centre: images of the aperture, of random
    size and tint.

    Args:
      key: random key; it determines the flare, which is the same for all severities.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hullin, Eisemann, Seidel, Lee (2011). Physically-based real-time lens flare rendering. ACM TOG (ghosts).
      [2] Wu, He, Xue, Garg, Chen, Veeraraghavan, Barron (2021). How to train neural networks for flare removal. ICCV
      (scattering flare, added in linear light).

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.3).at[:, 16:].set(0.6)
      >>> degraded = jax.jit(degradations.lens_flare)(jax.random.key(0), image, 3.0)
      >>> [f"{x.mean():.2f} {x.std():.2f}" for x in (image, degraded)]  # mean and standard deviation
      ['0.45 0.15', '0.47 0.16']
    """
    side = _light.check_any_size(image, family)
    strength = ladder.mix(0.0, LENS_FLARE_STRENGTH[spec.ANY_SIZE], severity)
    flare = _flare(key, image.shape[0], image.shape[1], side)
    lit = colour.to_linear(_light.wide(image)) + strength * flare
    return _light.finish_wide(image, colour.to_srgb(lit), severity)


def _flare(key: jax.Array, height: int, width: int, side: int) -> jax.Array:
    """Light of a flare of strength 1 in the wide layout, [H, 3 W]."""
    draws = jax.random.uniform(key, (3 + 5 * _GHOSTS,), jnp.float32)
    source_row, source_column, turn = height * (draws[0] - 0.5), width * (draws[1] - 0.5), np.pi * draws[2]
    where, size, *tints = draws[3:].reshape(5, _GHOSTS)
    down, right = _light.centred_grid(height, width)
    y, x = down - source_row, right - source_column
    squared = jnp.square(y) + jnp.square(x) + 1e-6
    radius = jnp.sqrt(squared)
    spread = 1.0 + squared / np.float32((_GLOW_RADIUS * side) ** 2)
    # Blades of an iris: narrow valleys of sin^2(3 t + c) of the bearing t, by the formulas for triple angles.
    cos, sin = x / radius, y / radius
    cos, sin = (4.0 * cos * cos - 3.0) * cos, (3.0 - 4.0 * sin * sin) * sin
    blades = jnp.square(sin * jnp.cos(turn) + cos * jnp.sin(turn))
    rays = jnp.exp(-_RAY_SHARPNESS * blades - radius / np.float32(_RAY_LENGTH * side))
    white = 1.0 / (spread * jnp.sqrt(spread)) + 0.7 * rays
    along = 0.6 - 1.8 * where
    span = side * (_GHOST_RADIUS[0] + (_GHOST_RADIUS[1] - _GHOST_RADIUS[0]) * size)

    def channel(tint: jax.Array) -> jax.Array:
        total = white
        for i in range(_GHOSTS):
            apart = jnp.sqrt(jnp.square(down - along[i] * source_row) + jnp.square(right - along[i] * source_column))
            total = total + (0.2 + 0.8 * tint[i]) * _GHOST_STRENGTH * jnp.clip(span[i] - apart + 0.5, 0.0, 1.0)
        return total

    # A loop, as XLA would work out all channels at every pixel of the interleaved result.
    return jnp.moveaxis(jax.lax.map(channel, jnp.stack(tints)), 0, -1).reshape(height, -1)


def _row(
    name: str, fn, parameters: dict, convention: str, reference: str, *, stochastic=False, **fields
) -> spec.DegradationSpec:
    """A row of this module: all are of group "optics" and have gradients in image and severity."""
    return spec.DegradationSpec(
        name=name,
        fn=fn,
        group="optics",
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=parameters,
        convention=convention,
        published=False,
        reference=reference + "; rows reasoned",
        stochastic=stochastic,
        **fields,
    )


SPECS = (
    _row(
        "vignetting",
        vignetting,
        VIGNETTING_DEGREES,
        "angle of the corner in degrees; cos^4 of linear light about the image centre; neutral 0",
        "Goldman (2010). Vignette and exposure calibration and compensation. IEEE PAMI",
    ),
    _row(
        "chromatic_aberration",
        chromatic_aberration,
        CHROMATIC_ABERRATION_SCALE,
        "red magnified by 1 + k, blue by 1 - k about the image centre, bilinear, edge repeated; neutral 0",
        "Boult, Wolberg (1992). Correcting chromatic aberrations using image warping. CVPR",
    ),
    _row(
        "lens_distortion",
        lens_distortion,
        LENS_DISTORTION_K,
        "k of r (1 + k r^2), r = 1 at the corner, -0.6 k for a pincushion; scaled so that no border shows; neutral 0",
        "Brown (1971). Close-range camera calibration. Photogrammetric Engineering",
        options={"shape": _SHAPES, "method": _resampling.METHODS},
    ),
    _row(
        "veiling_glare",
        veiling_glare,
        VEILING_GLARE_SHARE,
        "share of the light spread evenly, plus a source outside the frame, in linear light; neutral 0",
        "Talvala et al. (2007). Veiling glare in high dynamic range imaging. ACM TOG; ISO 9358:1994",
        options={"source": "light from outside the frame, white = 1; 0.5"},
    ),
    _row(
        "lens_flare",
        lens_flare,
        LENS_FLARE_STRENGTH,
        "strength of a procedural flare (glow, six rays, five ghosts) added in linear light; neutral 0",
        "Hullin et al. (2011). Physically-based real-time lens flare rendering. ACM TOG; Wu et al. (2021). How to "
        "train neural networks for flare removal. ICCV",
        stochastic=True,
    ),
)
