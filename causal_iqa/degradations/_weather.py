"""Weather and light: fog and brightness, after Hendrycks and Dietterich (2019)."""

import jax
import jax.numpy as jnp

from causal_iqa._xla import settle
from causal_iqa.degradations import ladder, spec

__all__ = ["brightness", "fog"]

# Hendrycks and Dietterich (2019), released scripts for 224, 299, 64 and 32 pixels; severities 1..5.
# Thickness of the fog and decay of the fractal's amplitude per level.
FOG_DENSITY = {
    "imagenet224": ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),
    "inception299": ((1.5, 2.0), (2.0, 2.0), (2.5, 1.8), (2.5, 1.6), (3.0, 1.5)),
    "tiny64": ((0.4, 3.0), (0.7, 3.0), (1.0, 2.5), (1.5, 2.0), (2.0, 1.75)),
    "cifar32": ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)),
}
# Added to the value of HSV.
_BRIGHTNESS_LARGE = (0.1, 0.2, 0.3, 0.4, 0.5)
BRIGHTNESS_ADDED = {
    "imagenet224": _BRIGHTNESS_LARGE,
    "inception299": _BRIGHTNESS_LARGE,
    "tiny64": _BRIGHTNESS_LARGE,
    "cifar32": (0.05, 0.1, 0.15, 0.2, 0.3),
}

_FIRST_WIBBLE = 100.0


def fog(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Adds a plasma fractal and dims, (x + c p) m / (m + c), m the image's own maximum, p the fractal in [0, 1].

    The fractal is drawn on the next power of two that holds the longer side, and cropped.

    Args:
      key: random key; decides the fractal.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019).

    Examples:
      >>> image = jax.ShapeDtypeStruct((32, 32, 3), jnp.float32)
      >>> jax.eval_shape(degradations.fog, jax.random.key(0), image, 3.0)  # traced, not run
      ShapeDtypeStruct(shape=(32, 32, 3), dtype=float32)
    """
    family = ladder.family_of(image, family)
    table = FOG_DENSITY[family]
    density, decay = ladder.mix((0.0, table[0][1]), table, severity)
    height, width, _ = image.shape
    levels = (max(height, width) - 1).bit_length()
    # Computed by itself: fused with what follows, how a product is rounded would depend on the size of the image.
    haze = settle(density * plasma_fractal(key, levels, decay))[:height, :width, None]
    peak = jnp.max(image)
    degraded = (image + haze) * (peak / jnp.maximum(peak + density, 1e-6))
    return ladder.finish(image, degraded, severity)


def plasma_fractal(key: jax.Array, levels: int, decay: jax.Array) -> jax.Array:
    """Diamond-square fractal on a torus, scaled to [0, 1].

    Every new point is the mean of its four neighbours plus a^2 U(-1, 1); a starts at 100 and is divided by `decay` per
    level (the original multiplies the amplitude in twice, so the spectrum falls with the decay squared).

    Args:
      key: random key.
      levels: log2 of the side, static int >= 1.
      decay: scalar > 0, traced.

    Returns:
      float32 [2^levels, 2^levels] in [0, 1].

    References:
      [1] Fournier, Fussell, Carpenter (1982). Computer rendering of stochastic models.
      [2] Hendrycks, Dietterich (2019).
    """
    draws = jax.random.uniform(key, (4**levels,), jnp.float32, -1.0, 1.0)
    grid = jnp.zeros((1, 1), jnp.float32)
    wibble, shakes = jnp.float32(_FIRST_WIBBLE), []
    for n in (2**level for level in range(levels)):
        shakes.append(wibble * wibble * draws[n * n : 4 * n * n].reshape(3, n, n))
        wibble = wibble / decay
    # Products by themselves, because the compiler decides which of two it joins with their sum.
    for shake in settle(shakes):
        grid = _subdivide(grid, shake)
    low = jnp.min(grid)
    return (grid - low) / jnp.maximum(jnp.max(grid) - low, 1e-12)


def _subdivide(corner: jax.Array, shake: jax.Array) -> jax.Array:
    """One level of diamond-square: corners [n, n] and shakes [3, n, n] give [2 n, 2 n]."""
    n = corner.shape[0]
    down = corner + jnp.roll(corner, -1, axis=0)
    right = corner + jnp.roll(corner, -1, axis=1)
    centre = 0.25 * (down + jnp.roll(down, -1, axis=1)) + shake[0]
    top = 0.25 * (right + centre + jnp.roll(centre, 1, axis=0)) + shake[1]
    left = 0.25 * (down + centre + jnp.roll(centre, 1, axis=1)) + shake[2]
    upper = jnp.stack([corner, top], axis=-1)
    lower = jnp.stack([left, centre], axis=-1)
    return jnp.stack([upper, lower], axis=1).reshape(2 * n, 2 * n)


def brightness(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Adds to the value of HSV, which scales a pixel to its new maximum; black becomes grey.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019); Smith (1978). Color gamut transform pairs.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.3).at[:, 16:].set(0.6)
      >>> degraded = jax.jit(degradations.brightness)(jax.random.key(0), image, 3.0)
      >>> [f"{x.mean():.2f} {x.std():.2f}" for x in (image, degraded)]  # mean and standard deviation
      ['0.45 0.15', '0.60 0.15']
    """
    del key
    family = ladder.family_of(image, family)
    added = ladder.mix(0.0, BRIGHTNESS_ADDED[family], severity)
    value = jnp.max(image, axis=-1, keepdims=True)
    raised = jnp.clip(value + added, 0.0, 1.0)
    gain = settle(raised / jnp.where(value > 0, value, 1.0))
    return ladder.finish(image, jnp.where(value > 0, image * gain, raised), severity)


SPECS = (
    spec.DegradationSpec(
        name="fog",
        fn=fog,
        group="weather",
        stochastic=True,
        differentiable=True,
        monotone=True,
        parameters=FOG_DENSITY,
        convention="(density, decay); diamond-square map of the next power of two >= the longer side, cropped; "
        "scaled by the image's own maximum; neutral density 0",
    ),
    spec.DegradationSpec(
        name="brightness",
        fn=brightness,
        group="weather",
        stochastic=False,
        differentiable=True,
        monotone=True,
        parameters=BRIGHTNESS_ADDED,
        convention="added to V of HSV, clipped; neutral 0; as the original but not truncated to 8 bits",
        stage="exposure",
    ),
)
