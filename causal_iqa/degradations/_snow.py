"""Falling snow, after Hendrycks and Dietterich (2019)."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._xla import settle
from causal_iqa.degradations import _blur, _canvas, ladder, spec

__all__ = ["snow"]

# Hendrycks and Dietterich (2019), released scripts for 224, 299, 64 and 32 pixels; severities 1..5. Mean and standard
# deviation of the noise that flakes are cut from, its enlargement, the level above which there is a flake, radius and
# sigma of the flakes' motion blur in pixels, share of the image that is not whitened.
_SNOW_LARGE = (
    (0.1, 0.3, 3.0, 0.5, 10.0, 4.0, 0.8),
    (0.2, 0.3, 2.0, 0.5, 12.0, 4.0, 0.7),
    (0.55, 0.3, 4.0, 0.9, 12.0, 8.0, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12.0, 8.0, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12.0, 12.0, 0.55),
)
SNOW_FLAKES = {
    "imagenet224": _SNOW_LARGE,
    "inception299": _SNOW_LARGE,
    "tiny64": (
        (0.1, 0.2, 1.0, 0.6, 8.0, 3.0, 0.8),
        (0.1, 0.2, 1.0, 0.5, 10.0, 4.0, 0.8),
        (0.15, 0.3, 1.75, 0.55, 10.0, 4.0, 0.7),
        (0.25, 0.3, 2.25, 0.6, 12.0, 6.0, 0.65),
        (0.3, 0.3, 1.25, 0.65, 14.0, 12.0, 0.6),
    ),
    "cifar32": (
        (0.1, 0.2, 1.0, 0.6, 8.0, 3.0, 0.95),
        (0.1, 0.2, 1.0, 0.5, 10.0, 4.0, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10.0, 4.0, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12.0, 6.0, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14.0, 12.0, 0.8),
    ),
}
# Straight down, within 45 degrees.
_FALL_DEGREES = -90.0
# At severity 0 the level lies this many standard deviations above the mean: no flakes.
_NO_FLAKES = 5.0
# OpenCV's RGB to grey.
_GREY = (0.299, 0.587, 0.114)


def snow(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Whitens the image and adds flakes: enlarged noise above a level, blurred along the fall, and that upside down.

    y = c x + (1 - c) max(x, 1.5 grey(x) + .5) + s + rot180(s).

    Args:
      key: random key; decides the flakes and the direction of their fall, in (-135, -45) degrees.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019).

    Examples:
      >>> image = jax.ShapeDtypeStruct((32, 32, 3), jnp.float32)
      >>> jax.eval_shape(degradations.snow, jax.random.key(0), image, 3.0)  # traced, not run
      ShapeDtypeStruct(shape=(32, 32, 3), dtype=float32)
    """
    return _snow(key, image, None, severity, family)


def snow_on_canvas(
    key: jax.Array, canvas: jax.Array, size: jax.Array, severity: jax.Array, *, family: str | None = None
) -> jax.Array:
    """`snow` of an image on a canvas, see `_canvas`."""
    return _snow(key, canvas, size, severity, family)


def _snow(key, image, size, severity, family) -> jax.Array:
    family = ladder.family_of(image, family)
    table = SNOW_FLAKES[family]
    mean, deviation, zoom, level, *_ = table[0]
    neutral = (level - _NO_FLAKES * deviation, deviation, zoom, level, *table[0][4:6], 1.0)
    mean, deviation, zoom, level, radius, sigma, kept = ladder.mix(neutral, table, severity)
    flake_key, angle_key = jax.random.split(key)
    height, width, _ = image.shape
    least = min(row[2] for row in table)
    cells = tuple(math.ceil(side / least) for side in (height, width))
    if size is None:
        noise, sides = jax.random.normal(flake_key, cells, jnp.float32), (height, width)
    else:
        noise = jax.random.normal(flake_key, (cells[0] * cells[1],), jnp.float32)
        # The least enlargements are whole numbers.
        noise, sides = _canvas.in_reading_order(noise, -(-size // int(least)), cells), (size[0], size[1])
    rows, columns = (
        _zoom_matrix(side, zoom, n, own) for side, n, own in zip((height, width), cells, sides, strict=True)
    )
    grown = jnp.einsum("yh,hw->yw", deviation * rows, noise, precision="highest")
    layer = mean + jnp.einsum("xw,yw->yx", columns, grown, precision="highest")
    layer = jnp.where(layer < level, 0.0, jnp.clip(layer, 0.0, 1.0))
    layer = layer if size is None else _canvas.continued(layer, size)
    taps = 2 * math.ceil(max(row[4] for row in table)) + 1
    offsets = _blur.line_offsets(angle_key, taps, _FALL_DEGREES)
    layer = settle(_blur.line_blur(layer[..., None], radius, sigma, offsets))
    red, green, blue = _GREY
    grey = settle(red * image[..., 0] + green * image[..., 1] + blue * image[..., 2])[..., None]
    white = jnp.maximum(image, 1.5 * grey + 0.5)
    # One product: which of two the compiler joins with their sum depends on the size of the image.
    whitened = white + kept * (image - white)
    return ladder.finish(image, whitened + layer + _turned(layer, size), severity)


def _turned(layer: jax.Array, size: jax.Array | None) -> jax.Array:
    """Turned by 180 degrees about the middle of the image."""
    if size is None:
        return layer[::-1, ::-1]
    rows, columns = (jnp.maximum(n - 1 - np.arange(side), 0) for n, side in zip(size, layer.shape[:2], strict=True))
    return jnp.take(jnp.take(layer, rows, axis=0), columns, axis=1)


def _zoom_matrix(length: int, factor: jax.Array, cells: int, side: int | jax.Array) -> jax.Array:
    """Linear enlargement of one axis, corner to corner, trimmed to `side`: a matrix [length, cells].

    The first ceil(side / factor) cells are enlarged. Independent noise looks the same everywhere, so it need not be cut
    from the middle.
    """
    # A quotient that is whole in exact arithmetic may lie above it in float32.
    crop = jnp.ceil(side / factor - 1e-4)
    grown = jnp.round(crop * factor)
    trim = jnp.floor((grown - side) * 0.5)
    place = (np.arange(length, dtype=np.float32) + trim) * ((crop - 1.0) / jnp.maximum(grown - 1.0, 1.0))
    place = jnp.clip(place, 0.0, crop - 1.0)
    return jnp.maximum(0.0, 1.0 - jnp.abs(place[:, None] - np.arange(cells, dtype=np.float32)[None]))


SPECS = (
    spec.DegradationSpec(
        name="snow",
        fn=snow,
        group="weather",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=False,
        monotone=True,
        parameters=SNOW_FLAKES,
        convention="(mean, deviation, zoom, level, radius, sigma, share kept); flakes not rounded to 8 bits; "
        "ImageMagick's one-sided motion blur, direction in U(-135, -45) from 1024 values; neutral: no flakes, all kept",
    ),
)
