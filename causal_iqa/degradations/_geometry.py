"""Where the scene lands on the sensor: rotation, translation, scale and the shear of a rolling shutter."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa.degradations import _light, _resampling, ladder, spec

__all__ = ["rolling_shutter", "rotation", "scale", "translation"]

ROTATION_DEGREES = {spec.ANY_SIZE: (3.0, 7.0, 15.0, 30.0, 45.0)}
# Share of the shorter side.
TRANSLATION_SHARE = {spec.ANY_SIZE: (0.02, 0.05, 0.1, 0.15, 0.25)}
# Magnification, in and out.
SCALE_FACTOR = {spec.ANY_SIZE: ((1.05, 0.95), (1.1, 0.9), (1.2, 0.8), (1.35, 0.7), (1.6, 0.6))}
# Distance the scene moves while the frame is read, as a share of the shorter side.
ROLLING_SHUTTER_SHARE = {spec.ANY_SIZE: (0.02, 0.05, 0.1, 0.2, 0.3)}

_TURNS = ("counterclockwise", "clockwise")
_DIRECTIONS = ("in", "out")
_MOTIONS = ("pan", "vibration")
# Swings of a vibrating camera while one frame is read; Liang, Chang, Chen (2008) call the result wobble.
_SWINGS = 3.0
_RESAMPLING_OPTIONS = {"method": _resampling.METHODS, "border": _resampling.BORDERS}


def rotation(
    key: jax.Array,
    image: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    turn: str = "counterclockwise",
    method: str = "bilinear",
    border: str = "reflect",
) -> jax.Array:
    """Turns the image about its centre.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      turn: static, "counterclockwise" or "clockwise".
      method: static, "bilinear" or "bicubic".
      border: static, "reflect", "edge" or "constant" (grey).

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when an option is unknown.

    References:
      [1] Engstrom, Tran, Tsipras, Schmidt, Madry (2019). Exploring the landscape of spatial robustness. ICML (rotations
      up to 30 degrees).

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[8:24, 8:24].set(1.0)
      >>> degraded = jax.jit(degradations.rotation)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).mean():.2f}"  # the mean change
      ((32, 32, 3), '0.05')
    """
    del key
    _light.check_any_size(image, family)
    _checks.check_choice(turn, _TURNS, "turn")
    degrees = ladder.mix(0.0, ROTATION_DEGREES[spec.ANY_SIZE], severity)
    degrees = degrees if turn == "counterclockwise" else -degrees
    return ladder.finish(image, rotate(image, degrees, method=method, border=border), severity)


def rotate(
    image: jax.Array, degrees: jax.Array, *, method: str = "bilinear", border: str = "reflect", fill: float = 0.5
) -> jax.Array:
    """Turns an image about its centre; exact at multiples of 90 degrees where the turned frame fits.

    Args:
      image: float32 [H, W, C].
      degrees: scalar, counterclockwise, traced.
      method: static, "bilinear" or "bicubic".
      border: static, "reflect", "edge" or "constant".
      fill: value outside when the border is "constant".

    Returns:
      float32 [H, W, C].

    Raises:
      InputError: when the method or the border is unknown.
    """
    quarters = jnp.round(degrees / 90.0)
    angle = jnp.deg2rad(degrees - 90.0 * quarters)
    # Whole quarters are turned without trigonometry, whose rounding would miss the pixel centres.
    which = quarters.astype(jnp.int32) % 4
    cos = jnp.cos(angle) * jnp.asarray((1.0, 0.0, -1.0, 0.0))[which]
    cos = cos - jnp.sin(angle) * jnp.asarray((0.0, 1.0, 0.0, -1.0))[which]
    sin = jnp.sin(angle) * jnp.asarray((1.0, 0.0, -1.0, 0.0))[which]
    sin = sin + jnp.cos(angle) * jnp.asarray((0.0, 1.0, 0.0, -1.0))[which]
    height, width, _ = image.shape
    down, right = _light.centred_grid(height, width)
    middle_row, middle_column = _resampling.centre_of(height, width)
    row = middle_row + (cos * down + sin * right)
    column = middle_column + (cos * right - sin * down)
    return _resampling.sample(image, row, column, method=method, border=border, fill=fill)


def translation(
    key: jax.Array,
    image: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    method: str = "bilinear",
    border: str = "reflect",
) -> jax.Array:
    """Moves the image in a random direction.

    Args:
      key: random key; it determines the direction, which is the same for all severities.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      method: static, "bilinear" or "bicubic".
      border: static, "reflect", "edge" or "constant" (grey).

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when an option is unknown.

    References:
      [1] Engstrom et al. (2019). Exploring the landscape of spatial robustness. ICML (shifts to a tenth of the side).

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[8:24, 8:24].set(1.0)
      >>> degraded = jax.jit(degradations.translation)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).mean():.2f}"  # the mean change
      ((32, 32, 3), '0.12')
    """
    side = _light.check_any_size(image, family)
    distance = side * ladder.mix(0.0, TRANSLATION_SHARE[spec.ANY_SIZE], severity)
    angle = jax.random.uniform(key, (), jnp.float32, 0.0, 2.0 * np.pi)
    down, right = distance * jnp.sin(angle), distance * jnp.cos(angle)
    return ladder.finish(image, translate(image, down, right, method=method, border=border), severity)


def translate(
    image: jax.Array,
    down: jax.Array,
    right: jax.Array,
    *,
    method: str = "bilinear",
    border: str = "reflect",
    fill: float = 0.5,
) -> jax.Array:
    """Moves an image; exact by whole pixels.

    Args:
      image: float32 [H, W, C].
      down: scalar in pixels, traced.
      right: scalar in pixels, traced.
      method: static, "bilinear" or "bicubic".
      border: static, "reflect", "edge" or "constant".
      fill: value outside when the border is "constant".

    Returns:
      float32 [H, W, C].

    Raises:
      InputError: when the method or the border is unknown.
    """
    height, width, _ = image.shape
    row = np.arange(height, dtype=np.float32)[:, None] - down
    column = np.arange(width, dtype=np.float32)[None, :] - right
    return _resampling.sample(image, row, column, method=method, border=border, fill=fill)


def scale(
    key: jax.Array,
    image: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    direction: str = "in",
    method: str = "bilinear",
    border: str = "reflect",
) -> jax.Array:
    """Magnifies or shrinks the image about its centre.

    Shrinking is not antialiased: down to 0.6 of the side bilinear taps skip little.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      direction: static, "in" (larger) or "out" (smaller, the border shows).
      method: static, "bilinear" or "bicubic".
      border: static, "reflect", "edge" or "constant" (grey).

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when an option is unknown.

    References:
      [1] Hendrycks, Dietterich (2019), ImageNet-P "scale"; rows reasoned.

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[8:24, 8:24].set(1.0)
      >>> degraded = jax.jit(degradations.scale)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).mean():.2f}"  # the mean change
      ((32, 32, 3), '0.11')
    """
    del key
    _light.check_any_size(image, family)
    _checks.check_choice(direction, _DIRECTIONS, "direction")
    factor = ladder.mix((1.0, 1.0), SCALE_FACTOR[spec.ANY_SIZE], severity)[_DIRECTIONS.index(direction)]
    return ladder.finish(image, magnify(image, factor, method=method, border=border), severity)


def magnify(
    image: jax.Array, factor: jax.Array, *, method: str = "bilinear", border: str = "reflect", fill: float = 0.5
) -> jax.Array:
    """Magnifies an image about its centre on the same frame.

    Args:
      image: float32 [H, W, C].
      factor: scalar > 0, traced; above 1 enlarges.
      method: static, "bilinear" or "bicubic".
      border: static, "reflect", "edge" or "constant".
      fill: value outside when the border is "constant".

    Returns:
      float32 [H, W, C].

    Raises:
      InputError: when the method or the border is unknown.
    """
    height, width, _ = image.shape
    down, right = _light.centred_grid(height, width)
    middle_row, middle_column = _resampling.centre_of(height, width)
    # A scalar's reciprocal, as a division of the grid is compiled in more than one way.
    shrunk = 1.0 / factor
    row, column = middle_row + down * shrunk, middle_column + right * shrunk
    return _resampling.sample(image, row, column, method=method, border=border, fill=fill)


def rolling_shutter(
    key: jax.Array,
    image: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    motion: str = "pan",
    method: str = "bilinear",
    border: str = "reflect",
) -> jax.Array:
    """Reads row by row while the camera moves: each row is shifted by where the scene was at its time.

    At the time t in (0, 1) of a row the scene has moved by d (t - 1/2) in a pan, by d/2 sin(6 pi t + phase) in a
    vibration, d the distance: sideways a shear, up or down a stretch.

    Args:
      key: random key; it determines the direction and the phase, which are the same for all severities.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      motion: static, "pan" (shear, stretch) or "vibration" (wobble).
      method: static, "bilinear" or "bicubic".
      border: static, "reflect", "edge" or "constant" (grey).

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when an option is unknown.

    References:
      [1] Liang, Chang, Chen (2008). Analysis and compensation of rolling shutter effect. IEEE TIP; rows reasoned.

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[8:24, 8:24].set(1.0)
      >>> degraded = jax.jit(degradations.rolling_shutter)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).mean():.2f}"  # the mean change
      ((32, 32, 3), '0.02')
    """
    side = _light.check_any_size(image, family)
    _checks.check_choice(motion, _MOTIONS, "motion")
    distance = side * ladder.mix(0.0, ROLLING_SHUTTER_SHARE[spec.ANY_SIZE], severity)
    height, width, _ = image.shape
    time = (np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5)) / np.float32(height)
    angle, phase = jax.random.uniform(key, (2,), jnp.float32, 0.0, 2.0 * np.pi)
    if motion == "pan":
        moved = distance * (time - np.float32(0.5))
    else:
        moved = 0.5 * distance * jnp.sin(np.float32(2.0 * np.pi * _SWINGS) * time + phase)
    row = np.arange(height, dtype=np.float32)[:, None] - moved * jnp.sin(angle)
    column = np.arange(width, dtype=np.float32)[None, :] - moved * jnp.cos(angle)
    return ladder.finish(image, _resampling.sample(image, row, column, method=method, border=border), severity)


SPECS = (
    spec.DegradationSpec(
        name="rotation",
        fn=rotation,
        group="geometry",
        stochastic=False,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=ROTATION_DEGREES,
        convention="degrees about the image centre, bilinear, border mirrored about the outer pixels; neutral 0",
        options={"turn": _TURNS, **_RESAMPLING_OPTIONS},
        published=False,
        reference="Engstrom et al. (2019). Exploring the landscape of spatial robustness. ICML; rows reasoned",
    ),
    spec.DegradationSpec(
        name="translation",
        fn=translation,
        group="geometry",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=TRANSLATION_SHARE,
        convention="share of the shorter side in a random direction, bilinear, border mirrored; neutral 0",
        options=_RESAMPLING_OPTIONS,
        published=False,
        reference="Engstrom et al. (2019). Exploring the landscape of spatial robustness. ICML; rows reasoned",
    ),
    spec.DegradationSpec(
        name="scale",
        fn=scale,
        group="geometry",
        stochastic=False,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=SCALE_FACTOR,
        convention="(in, out) magnification about the image centre, bilinear without antialiasing, border mirrored; "
        "neutral 1",
        options={"direction": _DIRECTIONS, **_RESAMPLING_OPTIONS},
        published=False,
        reference="Hendrycks, Dietterich (2019), ImageNet-P; rows reasoned",
    ),
    spec.DegradationSpec(
        name="rolling_shutter",
        fn=rolling_shutter,
        group="geometry",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=ROLLING_SHUTTER_SHARE,
        convention="distance moved in one frame as a share of the shorter side, in a random direction; rows shifted, "
        "the centre row fixed, bilinear, border mirrored; neutral 0",
        options={"motion": _MOTIONS, **_RESAMPLING_OPTIONS},
        published=False,
        reference="Liang, Chang, Chen (2008). Analysis and compensation of rolling shutter effect. IEEE TIP; rows "
        "reasoned",
        stage="exposure",
    ),
)
