"""Degradations whose compiled program serves images of many sizes, their pixels unchanged.

XLA compiles a program for each shape. The functions here take an image that lies on a larger array, and its size as an
argument: `fn(key, array, size, severity, *, family, **options)`, size int32 [2]. In the place of the image the result
equals the result of the degradation for the image by itself, bit for bit in 8 bits.

*Strips* are for degradations of which every pixel depends only on itself and on its place in reading order: the pixels
of the image are the first of the strip. *Canvases* are for those that read their neighbours: the image is the upper
left corner, continued by its outer pixels.

Sums over the whole image (means, Fourier transforms, matrix products) are no part of it, for on an array of another
size they would add in another order and round otherwise. Frost and the elastic transform make a field by such sums and
then apply it: `PREPARED` has what makes it, which is compiled for each size in little time, and the function on the
canvas takes the field, laid on the canvas, as a further argument. Tables that follow from the size go the same way.
Contrast and defocus blur are such sums and little else, and are not here.
"""

import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.degradations import (
    _blur,
    _canvas,
    _colour,
    _digital,
    _elastic,
    _exposure,
    _frost,
    _glass,
    _jpeg,
    _noise,
    _snow,
    _weather,
    _zoom,
)

Within = Callable[..., jax.Array]


class Prepared(NamedTuple):
    """The arrays prepared at the image's own size, in addition to the image.

    Attributes:
      fn: without `draw`, `fn(height, width, canvas, severities [K], family)` gives NumPy arrays on the canvas; else
        `fn(key, drawn, severity, *, family)`, key that of the degradation, gives one array [..., H, W].
      graded: whether it depends on the severity; it then has an axis of severities first.
      draw: `draw(key, shape)`, [2, H, W] random numbers in reading order; None: nothing is drawn, nothing compiled.
    """

    fn: Callable[..., Any]
    graded: bool
    draw: Callable[..., jax.Array] | None = None


def _ignoring_size(fn: Callable[..., jax.Array]) -> Within:
    def within(key: jax.Array, array: jax.Array, size: jax.Array, severity: jax.Array, **options: Any) -> jax.Array:
        del size
        return fn(key, array, severity, **options)

    return within


def _grain(key: jax.Array, waves: jax.Array, severity: jax.Array, *, family: str | None) -> jax.Array:
    del severity, family
    return jnp.stack(_frost.grain_of(key, waves))


def _displacement(key: jax.Array, noise: jax.Array, severity: jax.Array, *, family: str) -> jax.Array:
    del key
    return _elastic.smooth_displacement(noise, severity, family=family)


def _zooms(height: int, width: int, canvas: tuple[int, int], severities: np.ndarray, family: str) -> Any:
    del severities
    return _zoom.zoom_places(height, width, canvas, family)


ON_STRIP: Mapping[str, Within] = types.MappingProxyType(
    {
        "gaussian_noise": _ignoring_size(_noise.gaussian_noise),
        "speckle_noise": _ignoring_size(_noise.speckle_noise),
        "shot_noise": _ignoring_size(_noise.shot_noise),
        "impulse_noise": _noise.impulse_noise_on_strip,
        "brightness": _ignoring_size(_weather.brightness),
        "exposure_error": _ignoring_size(_exposure.exposure_error),
        "white_balance": _ignoring_size(_colour.white_balance),
        "hue_shift": _ignoring_size(_colour.hue_shift),
        "greyscale": _ignoring_size(_colour.greyscale),
        "colour_quantization": _ignoring_size(_colour.colour_quantization),
    }
)
ON_CANVAS: Mapping[str, Within] = types.MappingProxyType(
    {
        "motion_blur": _ignoring_size(_blur.motion_blur),
        "glass_blur": _glass.glass_blur_on_canvas,
        "fog": _ignoring_size(_weather.fog),
        "snow": _snow.snow_on_canvas,
        "jpeg_compression": _jpeg.jpeg_on_canvas,
        "frost": _frost.frost_on_canvas,
        "elastic_transform": _elastic.elastic_on_canvas,
        "zoom_blur": _zoom.zoom_blur_on_canvas,
        "pixelate": _digital.pixelate_on_canvas,
    }
)
PREPARED: Mapping[str, Prepared] = types.MappingProxyType(
    {
        "frost": Prepared(_grain, graded=False, draw=_frost.draw_waves),
        "elastic_transform": Prepared(_displacement, graded=True, draw=_elastic.draw_noise),
        "zoom_blur": Prepared(_zooms, graded=False),
        "pixelate": Prepared(_digital.pixelate_places, graded=True),
    }
)
# Drawn on the next power of two above the longer side, which must be that of the image.
SAME_OCTAVE = frozenset({"fog"})
# Options under which these functions are those of the degradation; without a row: all.
_OPTIONS = types.MappingProxyType({"frost": {}, "elastic_transform": {"definition": "hendrycks"}})


def layout_of(name: str, options: Mapping[str, object]) -> str:
    """Returns how images of many sizes are handed to the program of a degradation.

    Args:
      name: name of the degradation.
      options: that it is given.

    Returns:
      "strip", "canvas", or "own": each size has a program.
    """
    if not _canvas.draws_are_counted() or any(
        options[key] != _OPTIONS[name].get(key) for key in options if name in _OPTIONS
    ):
        return "own"
    return "strip" if name in ON_STRIP else "canvas" if name in ON_CANVAS else "own"
