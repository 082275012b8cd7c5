"""Blur by zooming while the shutter is open, after Hendrycks and Dietterich (2019)."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._arrays import pair
from causal_iqa.degradations import ladder, spec

__all__ = ["zoom_blur"]

# End and step of the range of zoom factors, which starts at 1.
_ZOOM_LARGE = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
_ZOOM_SMALL = ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01))
ZOOM_BLUR_RANGE = {
    "imagenet224": _ZOOM_LARGE,
    "inception299": _ZOOM_LARGE,
    "tiny64": _ZOOM_SMALL,
    "cifar32": _ZOOM_SMALL,
}
# Zoomed pictures held at a time.
_ZOOMS_AT_ONCE = 12


def zoom_blur(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Averages the image with zooms into its centre by growing factors, the clean image counted once more.

    Each zoom is a centred crop of ceil(side / factor), stretched linearly corner to corner, then trimmed to size.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019); SciPy `ndimage.zoom(order=1)`.

    Examples:
      >>> image = jnp.zeros((32, 32, 3)).at[:, 13:].set(0.8)  # an edge
      >>> degraded = jax.jit(degradations.zoom_blur)(jax.random.key(0), image, 3.0)
      >>> degraded.shape, f"{jnp.abs(degraded - image).max():.2f}"  # the largest change
      ((32, 32, 3), '0.24')
    """
    del key
    family = ladder.family_of(image, family)
    image = jnp.asarray(image)
    zooms, shares = _zooms(ZOOM_BLUR_RANGE[family], image.shape[0], image.shape[1])
    share = ladder.mix(shares[0], shares[1:], severity)
    if not len(zooms):  # A single pixel looks the same at every zoom.
        return ladder.finish(image, image, severity)
    rows = _zoom_table(zooms, image.shape[0], 0)
    columns = _zoom_table(zooms, image.shape[1], 2)
    return _zoomed(image, severity, share, rows, columns)


def zoom_places(
    height: int, width: int, shape: tuple[int, int], family: str
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """What `zoom_blur` reads of an image of one size, for `zoom_blur_on_canvas`.

    Args:
      height, width: of the image.
      shape: shape of the canvas; places beyond the image read its first pixel.
      family: family of the parameters.

    Returns:
      The shares of the image and the zooms at severities 0..5, and the places, as NumPy arrays.
    """
    zooms, shares = _zooms(ZOOM_BLUR_RANGE[family], height, width)
    tables = (*_zoom_table(zooms, height, 0), *_zoom_table(zooms, width, 2)) if len(zooms) else ()
    shares = np.pad(shares, ((0, 0), (0, -len(zooms) % _ZOOMS_AT_ONCE)))
    sides = (height, height, width, width)
    wanted = (shape[0], shape[0], shape[1], shape[1])
    return shares, tuple(
        np.pad(table, ((0, 0), (0, 0), (0, more - side)))
        for table, side, more in zip(tables, sides, wanted, strict=bool(tables))
    )


def zoom_blur_on_canvas(
    key: jax.Array,
    canvas: jax.Array,
    size: jax.Array,
    severity: jax.Array,
    places: tuple[jax.Array, tuple[jax.Array, ...]],
    *,
    family: str | None = None,
) -> jax.Array:
    """`zoom_blur` of an image on a canvas, see `shared_sizes`; places of `zoom_places`."""
    del key, size, family
    shares, tables = places
    if not tables:
        return canvas
    share = jnp.sum(ladder.weights(severity)[:, None] * shares, axis=0)
    return _zoomed(canvas, severity, share, tables[:2], tables[2:])


def _zoomed(image: jax.Array, severity: jax.Array, share: jax.Array, rows: tuple, columns: tuple) -> jax.Array:
    parts = rows[0].shape[0]
    weights = jnp.pad(share[1:], (0, parts * _ZOOMS_AT_ONCE - (share.shape[0] - 1))).reshape(parts, _ZOOMS_AT_ONCE)

    def zoomed(_: None, step: tuple) -> tuple[None, jax.Array]:
        low_y, part_y, low_x, part_x = step
        part_y, part_x = part_y[:, None, None], part_x[None, :, None]
        out = image[low_y] * (1.0 - part_y) + image[low_y + 1] * part_y
        return None, jnp.take(out, low_x, axis=1) * (1.0 - part_x) + jnp.take(out, low_x + 1, axis=1) * part_x

    def add(total: jax.Array, part: tuple) -> tuple[jax.Array, None]:
        weight, steps = part
        # The zooms do not depend on the severity; only their sum does.
        _, pictures = jax.lax.scan(zoomed, None, steps)
        return total + jnp.einsum("z,zhwc->hwc", weight, pictures, precision="highest"), None

    out, _ = jax.lax.scan(add, share[0] * image, (weights, (*rows, *columns)))
    return ladder.finish(image, out, severity)


def _zoom_table(zooms: tuple, side: int, which: int) -> tuple[np.ndarray, np.ndarray]:
    """`_zoom_taps` of every zoom along one axis, [parts, zooms at once, side]; the last part is filled up."""
    taps = [_zoom_taps(side, *zoom[which : which + 2]) for zoom in zooms]
    taps += taps[:1] * (-len(taps) % _ZOOMS_AT_ONCE)
    return pair(np.stack(column).reshape(-1, _ZOOMS_AT_ONCE, side) for column in zip(*taps, strict=True))


@functools.lru_cache(maxsize=16)
def _zooms(ranges: tuple[tuple[float, float], ...], height: int, width: int) -> tuple[tuple, np.ndarray]:
    """All different zooms of a family at this size, and their shares.

    Returns:
      Per zoom (crop of the height, its grown size, crop of the width, its grown size), each in pixels; and the shares
      of the image and of each zoom at severities 0..5, float32 [6, zooms + 1].
    """

    def sizes(factor: float) -> tuple[int, int, int, int]:
        crop = math.ceil(height / factor), math.ceil(width / factor)
        return crop[0], round(crop[0] * factor), crop[1], round(crop[1] * factor)

    # arange's float end decides how many factors there are (12, 16, 11, 13, 11 at 224 pixels), its float steps which
    # way a crop of half a pixel rounds.
    ladders = [[sizes(float(factor)) for factor in np.arange(1.0, end, step)] for end, step in ranges]
    none = sizes(1.0)
    zooms = tuple(sorted(set().union(*ladders) - {none}, reverse=True))
    shares = np.zeros((len(ranges) + 1, len(zooms) + 1))
    shares[0, 0] = 1.0
    for row, steps in zip(shares[1:], ladders, strict=True):
        row[0] = 1.0
        for zoom in steps:
            row[0 if zoom == none else 1 + zooms.index(zoom)] += 1.0
        row /= row.sum()
    return zooms, shares.astype(np.float32)


@functools.lru_cache(maxsize=256)
def _zoom_taps(side: int, crop: int, grown: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each output pixel reads: index of the lower neighbour (int32 [side]) and share of the upper (float32)."""
    start = (side - crop) // 2
    trim = (grown - side) // 2
    position = (np.arange(side) + trim) * (crop - 1) / max(grown - 1, 1)
    low = np.clip(np.floor(position), 0, crop - 2).astype(np.int32)
    return low + start, (position - low).astype(np.float32)


SPECS = (
    spec.DegradationSpec(
        name="zoom_blur",
        fn=zoom_blur,
        group="blur",
        stochastic=False,
        differentiable=True,
        monotone=True,
        parameters=ZOOM_BLUR_RANGE,
        convention="(end, step) of the factors, end included or not as NumPy's arange rounds; corner-aligned linear "
        "zooms of each axis' own centred crop; weights of the factors are mixed between rows, neutral the image alone",
    ),
)
