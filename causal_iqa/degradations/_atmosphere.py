"""Between scene and camera: haze by depth and rain streaks, in linear light."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, colour
from causal_iqa.degradations import _light, ladder, spec

__all__ = ["haze", "rain"]

# Optical thickness at the largest depth.
HAZE_THICKNESS = {spec.ANY_SIZE: (0.4, 0.8, 1.3, 2.0, 3.0)}
# Share of the places that have a drop, opacity of its streak, transmission of the distant rain.
RAIN_STREAKS = {
    spec.ANY_SIZE: ((0.04, 0.3, 0.97), (0.08, 0.4, 0.94), (0.13, 0.5, 0.9), (0.2, 0.58, 0.84), (0.28, 0.66, 0.76))
}

# Linear light of the haze and of what the drops refract: an overcast sky.
_AIRLIGHT = 0.8
_DROP_LIGHT = 0.9
# Depth of the ground at the lower edge over the largest depth; relief as the standard deviation of log depth.
_NEAREST = 0.12
_RELIEF = 0.25
_RELIEF_CELLS = 5
# Rain: layers from far to near, each with the width of a streak and the height of a drop's place as shares of the
# shorter side; a streak's length as a share of that height, least and largest.
_LAYERS = ((0.005, 0.12), (0.008, 0.2), (0.014, 0.35))
_LEAST_WIDTH = 1.0
_LENGTHS = (0.35, 0.85)
_STEEPEST = np.tan(np.deg2rad(20.0))

_DEPTHS = ("ground", "uniform")


def haze(
    key: jax.Array,
    image: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    depth: str | jax.Array = "ground",
    airlight: float = _AIRLIGHT,
) -> jax.Array:
    """Mixes in the airlight by depth, I = J t + A (1 - t), t = exp(-b d), in linear light.

    Args:
      key: random key; it determines the depth "ground", which is the same for all severities.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.
      depth: static, "ground" (a plane that rises to a horizon, with gentle relief, as in `ground_depth`) or "uniform";
        or the depth of every pixel, float32 [H, W] in [0, 1], 1 where it is b.
      airlight: linear light A of the haze, white = 1.

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      InputError: when the name of the depth is unknown.
      ValueError: when an array of depths is not [H, W].

    References:
      [1] Koschmieder (1924). Theorie der horizontalen Sichtweite.
      [2] Narasimhan, Nayar (2002). Vision and the atmosphere. IJCV, eq. 6.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.3).at[:, 16:].set(0.6)
      >>> degraded = jax.jit(degradations.haze)(jax.random.key(0), image, 3.0)
      >>> [f"{x.mean():.2f} {x.std():.2f}" for x in (image, degraded)]  # mean and standard deviation
      ['0.45 0.15', '0.70 0.12']
    """
    _light.check_any_size(image, family)
    height, width, _ = image.shape
    if isinstance(depth, str):
        _checks.check_choice(depth, _DEPTHS, "depth")
        distance = ground_depth(key, height, width) if depth == "ground" else jnp.ones((height, width), jnp.float32)
    elif jnp.shape(depth) != (height, width):
        raise ValueError(f"depth: expected the shape {(height, width)} of the image, got {jnp.shape(depth)}")
    else:
        distance = depth
    thickness = ladder.mix(0.0, HAZE_THICKNESS[spec.ANY_SIZE], severity)
    transmission = jnp.repeat(jnp.exp(-thickness * distance), 3, axis=1)
    linear = colour.to_linear(_light.wide(image))
    return _light.finish_wide(image, colour.to_srgb(airlight + (linear - airlight) * transmission), severity)


def ground_depth(key: jax.Array, height: int, width: int) -> jax.Array:
    """Draws the depth of an outdoor view: far above a horizon, below it a plane, all with gentle relief.

    A plane seen at y rows below the horizon is 1 / y away.

    Args:
      key: random key; decides the horizon (0.1 to 0.5 of the height from above) and the relief.
      height: static int, in pixels.
      width: static int, in pixels.

    Returns:
      float32 [H, W] in (0, 1].
    """
    horizon_key, relief_key = jax.random.split(key)
    horizon = jax.random.uniform(horizon_key, (), jnp.float32, 0.1, 0.5)
    y = (np.arange(height, dtype=np.float32) + np.float32(0.5)) / np.float32(height)
    below = jnp.maximum(0.0, y - horizon) / (1.0 - horizon)
    plane = 1.0 / (1.0 + (1.0 / _NEAREST - 1.0) * below)
    cells = jax.random.normal(relief_key, (_RELIEF_CELLS, _RELIEF_CELLS), jnp.float32)
    rows, columns = _cosine_weights(height), _cosine_weights(width)
    relief = jnp.einsum("yi,ij,xj->yx", rows, cells, columns, precision="highest")
    return jnp.minimum(1.0, plane[:, None] * jnp.exp(_RELIEF * relief))


def _cosine_weights(side: int) -> np.ndarray:
    """Smooth interpolation between cells along one axis, float32 [side, cells], rows of sum 1."""
    place = (np.arange(side) + 0.5) / side * (_RELIEF_CELLS - 1)
    apart = np.minimum(np.abs(place[:, None] - np.arange(_RELIEF_CELLS)[None, :]), 1.0)
    return (0.5 + 0.5 * np.cos(np.pi * apart)).astype(np.float32)


def rain(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Rain streaks in three layers over a veil of distant rain, in linear light.

    Drops show the bright sky they refract: I = (1 - a) (L t + A (1 - t)) + a D, a the opacity of the streaks, t the
    transmission of the distant rain, A its light, D the drops'. The length of a streak is the exposure's, not the
    rain's, so it does not change with severity.

    Args:
      key: random key; decides wind and drops; under one key drops of a lower severity are among those of a higher.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Garg, Nayar (2007). Vision and rain. IJCV, sections 4 and 5 (drops are brighter than what they hide).
      [2] Li, Cheong, Tan (2019). Heavy rain image restoration. CVPR, eq. 2 (streaks and veil).

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.3).at[:, 16:].set(0.6)
      >>> degraded = jax.jit(degradations.rain)(jax.random.key(0), image, 3.0)
      >>> [f"{x.mean():.2f} {x.std():.2f}" for x in (image, degraded)]  # mean and standard deviation
      ['0.45 0.15', '0.57 0.12']
    """
    side = _light.check_any_size(image, family)
    density, opacity, transmission = ladder.mix((0.0, 0.0, 1.0), RAIN_STREAKS[spec.ANY_SIZE], severity)
    presence, strength = _streaks(key, image.shape[0], image.shape[1], side)
    # A drop fades in over a twentieth of the ladder of densities, so that severity has a slope.
    seen = jnp.clip(20.0 * (density - presence), 0.0, 1.0)
    clear = jnp.prod(1.0 - opacity * strength * seen, axis=0)
    linear = colour.to_linear(_light.wide(image))
    veiled = _AIRLIGHT + (linear - _AIRLIGHT) * transmission
    rainy = _DROP_LIGHT + (veiled - _DROP_LIGHT) * jnp.repeat(clear, 3, axis=1)
    return _light.finish_wide(image, colour.to_srgb(rainy), severity)


def _streaks(key: jax.Array, height: int, width: int, side: int) -> tuple[jax.Array, jax.Array]:
    """Draws the streaks of all layers, as two sets of lanes each: the density from which each streak is visible, and
      its strength.

    A layer is cut into slanted lanes as wide as a streak, each lane into places as high as `_LAYERS` says, with one
    drop each. A pixel sees the two lanes it lies between.

    Returns:
      Two float32 [2 layers, H, W] in [0, 1].
    """
    layers = np.asarray([(max(broad * side, _LEAST_WIDTH), tall * side) for broad, tall in _LAYERS], np.float32)
    lanes = int((width + _STEEPEST * height) / layers[:, 0].min()) + 3
    places = int(height / layers[:, 1].min()) + 3
    draws = jax.random.uniform(key, (1 + len(layers) * lanes * (1 + 3 * places),), jnp.float32)
    wind = _STEEPEST * (2.0 * draws[0] - 1.0)
    draws = draws[1:].reshape(len(layers), lanes, 1 + 3 * places)
    row = np.arange(height, dtype=np.float32)[:, None]
    # Slanted to either side, lanes are counted from the leftmost.
    slant = (
        np.arange(width, dtype=np.float32)[None, :] - wind * (row - 0.5 * height) + np.float32(0.5 * _STEEPEST * height)
    )

    def one(step: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
        draw, (broad, tall), offset = step
        across = slant / broad
        lane = jnp.floor(across) + offset
        index = lane.astype(jnp.int32)
        along = row / tall + draw[:, 0][index]
        place = jnp.floor(along)
        first = index * places + place.astype(jnp.int32)
        presence, size, start = (draw[:, 1 + i * places : 1 + (i + 1) * places].reshape(-1)[first] for i in range(3))
        length = _LENGTHS[0] + (_LENGTHS[1] - _LENGTHS[0]) * size
        within = (along - place - start * (1.0 - length)) / length
        profile = jnp.maximum(0.0, 4.0 * within * (1.0 - within))
        return presence, profile * (0.5 + 0.5 * size) * jnp.maximum(0.0, 1.0 - jnp.abs(across - lane))

    # One step for both lanes of each layer: a loop keeps what severities share from being done for each anew.
    twice = lambda values: jnp.repeat(values, 2, axis=0)  # noqa: E731
    offsets = jnp.tile(jnp.asarray((0.0, 1.0)), len(layers))
    return jax.lax.map(one, (twice(draws), twice(jnp.asarray(layers)), offsets))


SPECS = (
    spec.DegradationSpec(
        name="haze",
        fn=haze,
        group="weather",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=HAZE_THICKNESS,
        convention="optical thickness at the largest depth; depth of a random outdoor view or given, airlight 0.8 of "
        "linear white; neutral 0",
        options={
            "depth": "ground (default), uniform, or depths as float32 [H, W] in [0, 1]",
            "airlight": "linear light of the haze, white = 1; 0.8",
        },
        published=False,
        reference="Narasimhan, Nayar (2002). Vision and the atmosphere. IJCV; rows reasoned",
    ),
    spec.DegradationSpec(
        name="rain",
        fn=rain,
        group="weather",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=True,
        monotone=True,
        parameters=RAIN_STREAKS,
        convention="(share of places with a drop, opacity of its streak, transmission of distant rain); three layers, "
        "one wind within 20 degrees; neutral (0, 0, 1)",
        published=False,
        reference="Garg, Nayar (2007). Vision and rain. IJCV; Li, Cheong, Tan (2019). Heavy rain image restoration. "
        "CVPR; rows reasoned",
    ),
)
