"""Processing: contrast, saturation and pixelation, after Hendrycks and Dietterich (2019)."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._xla import settle
from causal_iqa.degradations import _filters, ladder, spec

__all__ = ["contrast", "pixelate", "saturate"]

# Hendrycks and Dietterich (2019), released scripts for 224, 299, 64 and 32 pixels; severities 1..5.
_CONTRAST_LARGE = (0.4, 0.3, 0.2, 0.1, 0.05)
CONTRAST_GAIN = {
    "imagenet224": _CONTRAST_LARGE,
    "inception299": _CONTRAST_LARGE,
    "tiny64": _CONTRAST_LARGE,
    "cifar32": (0.75, 0.5, 0.4, 0.3, 0.15),
}
# Gain and offset of the saturation of HSV.
_SATURATE_LARGE = ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2))
SATURATE_GAIN = {
    "imagenet224": _SATURATE_LARGE,
    "inception299": _SATURATE_LARGE,
    "tiny64": ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (30.0, 0.2)),
    "cifar32": ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
}
# Share of the side that is left.
PIXELATE_SHARE = {
    "imagenet224": (0.6, 0.5, 0.4, 0.3, 0.25),
    "inception299": (0.5, 0.4, 0.3, 0.25, 0.2),
    "tiny64": (0.9, 0.8, 0.7, 0.6, 0.5),
    "cifar32": (0.95, 0.9, 0.85, 0.75, 0.65),
}

# Less than half a level of 8 bits apart, channels count as equal: a grey pixel has hue 0.
_GREY = 0.5 / 255.0


def contrast(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Shrinks towards the mean of each channel, (x - m) g + m.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019).

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.3).at[:, 16:].set(0.6)
      >>> degraded = jax.jit(degradations.contrast)(jax.random.key(0), image, 3.0)
      >>> [f"{x.mean():.2f} {x.std():.2f}" for x in (image, degraded)]  # mean and standard deviation
      ['0.45 0.15', '0.45 0.06']
    """
    del key
    family = ladder.family_of(image, family)
    gain = ladder.mix(1.0, CONTRAST_GAIN[family], severity)
    mean = jnp.mean(image, axis=(0, 1), keepdims=True)
    return ladder.finish(image, (image - mean) * gain + mean, severity)


def saturate(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Changes the saturation of HSV, s' = clip(a s + b, 0, 1), hue and value kept; grey pixels turn red when b > 0.

    Severities 1 and 2 remove colour, 3 to 5 add it, so the ladder passes the identity between 2 and 3.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019), extra corruptions; Smith (1978). Color gamut transform pairs.

    Examples:
      >>> orange = jnp.broadcast_to(jnp.array([0.8, 0.5, 0.2]), (32, 32, 3))
      >>> degraded = jax.jit(degradations.saturate)(jax.random.key(0), orange, 3.0)
      >>> [f"{x:.2f}" for x in degraded[0, 0]]
      ['0.80', '0.40', '0.00']
    """
    del key
    family = ladder.family_of(image, family)
    gain, offset = ladder.mix((1.0, 0.0), SATURATE_GAIN[family], severity)
    value = jnp.max(image, axis=-1, keepdims=True)
    spread = value - jnp.min(image, axis=-1, keepdims=True)
    grey = spread < _GREY
    safe = jnp.where(grey, 1.0, spread)
    saturation = jnp.where(grey, 0.0, spread / jnp.where(value > 0, value, 1.0))
    depth = value * jnp.clip(gain * saturation + offset, 0.0, 1.0)
    # How far each channel lies below the value, as a share of the spread, is fixed by the hue alone.
    value, depth, grey, share = settle((value, depth, grey, depth / safe))
    red = np.asarray([[[0.0, 1.0, 1.0]]], np.float32)
    return ladder.finish(image, value - jnp.where(grey, depth * red, share * (value - image)), severity)


def pixelate(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Shrinks to int(side * share) by box means and enlarges by repeating pixels.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019); Pillow `resize` with BOX.

    Examples:
      >>> ramp = jnp.broadcast_to(jnp.linspace(0, 1, 32)[:, None], (32, 32, 3))
      >>> degraded = jax.jit(degradations.pixelate)(jax.random.key(0), ramp, 3.0)
      >>> len(jnp.unique(degraded))  # of 32 levels
      27
    """
    del key
    family = ladder.family_of(image, family)
    shares = PIXELATE_SHARE[family]
    out = _pixelate_axis(_pixelate_axis(image, 0, shares, severity), 1, shares, severity)
    return ladder.finish(image, out, severity)


def _pixelate_axis(image: jax.Array, axis: int, shares: tuple[float, ...], severity: jax.Array) -> jax.Array:
    """Shrinks and enlarges one axis: every pixel becomes the mean of a run of pixels about it."""
    side = image.shape[axis]
    cells, least = _cells(side, shares, severity)
    table = _cell_table(side, least)
    first, last = jnp.asarray(table)[cells - least].astype(jnp.int32)
    return _mean_of_runs(image, axis, first, last, int(np.abs(table - np.arange(side)).max()))


def pixelate_places(height: int, width: int, shape: tuple[int, int], severities: np.ndarray, family: str) -> tuple:
    """What `pixelate` reads of an image of one size, for `pixelate_on_canvas`.

    Args:
      height, width: of the image.
      shape: shape of the canvas; beyond the image a pixel is the mean of itself.
      severities: [K].
      family: family of the parameters.

    Returns:
      int32 [K, 2, H] and [K, 2, W] of the canvas: first and last pixel of the mean that each pixel shows.
    """
    found = []
    for side, more in zip((height, width), shape, strict=True):
        runs = np.tile(np.arange(more, dtype=np.int32), (len(severities), 2, 1))
        for row, severity in zip(runs, severities, strict=True):
            cells, least = _cells(side, PIXELATE_SHARE[family], severity)
            row[:, :side] = _cell_table(side, least)[int(cells) - least]
        found.append(runs)
    return tuple(found)


def pixelate_on_canvas(
    key: jax.Array,
    canvas: jax.Array,
    size: jax.Array,
    severity: jax.Array,
    places: tuple[jax.Array, jax.Array],
    *,
    family: str | None = None,
) -> jax.Array:
    """`pixelate` of an image on a canvas, see `shared_sizes`; places of `pixelate_places` for this severity."""
    del key, size
    reach = math.ceil(1.0 / min(PIXELATE_SHARE[ladder.family_of(canvas, family)])) + 1
    out = canvas
    for axis in (0, 1):
        out = _mean_of_runs(out, axis, places[axis][0], places[axis][1], reach)
    return ladder.finish(canvas, out, severity)


def _cells(side: int, shares: tuple[float, ...], severity: jax.Array) -> tuple[jax.Array, int]:
    """Cells along one axis at a severity, and the least at any."""
    counts = [max(int(side * share), 1) for share in shares]
    # The small term keeps a mix that is whole in exact arithmetic from falling below it in float32.
    return jnp.floor(ladder.mix(float(side), counts, severity) + 1e-4).astype(jnp.int32), min(counts)


def _mean_of_runs(image: jax.Array, axis: int, first: jax.Array, last: jax.Array, reach: int) -> jax.Array:
    """Every pixel becomes the mean of a run of pixels about it along one axis, at most `reach` away."""
    place = np.arange(image.shape[axis])
    shifted = _filters.shifts(image, reach, axis)
    share = 1.0 / (last - first + 1).astype(jnp.float32)
    total = jnp.zeros_like(image)
    for by in range(-reach, reach + 1):
        inside = (place + by >= first) & (place + by <= last)
        weight = jnp.where(inside, share, 0.0)
        total = total + jnp.expand_dims(weight, (1, 2) if axis == 0 else (0, 2)) * shifted(by)
    return total


@functools.lru_cache(maxsize=16)
def _cell_table(side: int, least: int) -> np.ndarray:
    """First and last pixel of the mean that each pixel shows, for every number of cells from `least` to `side`.

    In double precision and in Pillow's order of operations, as a pixel's centre may fall just on the border of a cell.

    Returns:
      int16 [side - least + 1, 2, side].
    """
    table = np.zeros((side - least + 1, 2, side), np.int16)
    for row, cells in zip(table, range(least, side + 1), strict=True):
        scale = side / cells
        centre = (np.arange(cells) + 0.5) * scale
        first = np.maximum((centre - 0.5 * scale + 0.5).astype(int), 0)
        last = np.minimum((centre + 0.5 * scale + 0.5).astype(int), side) - 1
        first += (first - centre + 0.5) * (1.0 / scale) <= -0.5
        last -= (last - centre + 0.5) * (1.0 / scale) > 0.5
        shown = (np.arange(side) + 0.5) * (cells / side)
        cell = np.minimum(shown.astype(int), cells - 1)
        row[:] = first[cell], last[cell]
    return table


SPECS = (
    spec.DegradationSpec(
        name="contrast",
        fn=contrast,
        group="digital",
        stochastic=False,
        differentiable=True,
        monotone=True,
        parameters=CONTRAST_GAIN,
        convention="gain about the mean of each channel; neutral 1; as the original but not truncated to 8 bits",
    ),
    spec.DegradationSpec(
        name="saturate",
        fn=saturate,
        group="digital",
        stochastic=False,
        differentiable=True,
        monotone=False,
        parameters=SATURATE_GAIN,
        convention="(gain, offset) of S of HSV, clipped; channels within half an 8-bit level count as grey, hue 0 "
        "(red), as in the original's 8-bit input; neutral (1, 0), passed again between severities 2 and 3",
        for_validation=True,
    ),
    spec.DegradationSpec(
        name="pixelate",
        fn=pixelate,
        group="digital",
        stochastic=False,
        differentiable=True,
        differentiable_in_severity=False,
        monotone=True,
        parameters=PIXELATE_SHARE,
        convention="box means down to int(side * share), pixels repeated up; Pillow rounds to 8 bits between, this "
        "does not; neutral 1",
    ),
)
