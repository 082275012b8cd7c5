"""Frost on the window, after Hendrycks and Dietterich (2019), drawn, or cut from texture files."""

import math
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from causal_iqa import _checks, _reading
from causal_iqa._xla import settle
from causal_iqa.degradations import ladder, spec

__all__ = ["FROST_TEXTURE_SCALE", "frost", "load_frost_textures"]

# Hendrycks and Dietterich (2019), released scripts for 224, 299, 64 and 32 pixels; severities 1..5.
# Weight of the image and of the frost.
_FROST_LARGE = ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
FROST_WEIGHTS = {
    "imagenet224": _FROST_LARGE,
    "inception299": _FROST_LARGE,
    "tiny64": ((1.0, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
    "cifar32": ((1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
}
# How much the released scripts shrink the texture files before cutting.
FROST_TEXTURE_SCALE = {"imagenet224": 1.0, "inception299": 1.0, "tiny64": 0.3, "cifar32": 0.2}
_TEXTURE_SUFFIXES = (".png", ".jpg", ".jpeg")

# The five textures that the released scripts draw from (they never reach the sixth; the second and third are the same),
# measured over all pieces of 224 pixels: the mean colour, two colour directions whose lengths are standard deviations,
# RGB in [0, 1], how much of the square of the light makes it as skewed, and the slope
# of the grain's power spectrum that together with the ferns comes nearest to theirs.
_MEANS = np.asarray(
    [[0.302, 0.579, 0.644], [0.776, 0.793, 0.829], [0.776, 0.793, 0.829], [0.568, 0.626, 0.677], [0.395, 0.440, 0.487]],
    np.float32,
)
_FIRST = np.asarray(
    [[0.108, 0.061, 0.045], [0.079, 0.082, 0.086], [0.079, 0.082, 0.086], [0.105, 0.105, 0.111], [0.150, 0.148, 0.144]],
    np.float32,
)
_SECOND = np.asarray(
    [[-0.027, 0.021, 0.037], [0.005, 0, -0.005], [0.005, 0, -0.005], [0.006, 0.004, -0.009], [-0.004, -0.001, 0.005]],
    np.float32,
)
_SQUARES = np.asarray([0.115, -0.176, -0.176, -0.027, 0.095], np.float32)
_SLOPES = np.asarray([-2.4, -2.0, -2.0, -1.4, -2.0], np.float32)
# Shares of the variance: ferns, and how bright a cut is as a whole; the rest is grain.
_FERN_SHARES = np.asarray([0.1, 0.35, 0.35, 0.4, 0.4], np.float32)
_WHOLE_SHARE = 0.1
_FERNS, _NEEDLES = 20, 48


def frost(
    key: jax.Array,
    image: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    textures: Sequence[jax.Array] | None = None,
) -> jax.Array:
    """Mixes the image with frost, a x + b t.

    Without texture files the frost is drawn: needles that fan out from seeds, over grain with the power spectrum of the
    original textures, in the colours of one of them.

    Args:
      key: random key; decides the frost.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.
      textures: float32 [h, w, 3] each, of `load_frost_textures`; one is drawn, and a piece of it. None: drawn frost.

    Returns:
      float32 [H, W, 3] in [0, 1].

    Raises:
      ValueError: when a texture is smaller than the image.

    References:
      [1] Hendrycks, Dietterich (2019).

    Examples:
      >>> image = jax.ShapeDtypeStruct((32, 32, 3), jnp.float32)
      >>> jax.eval_shape(degradations.frost, jax.random.key(0), image, 3.0)  # traced, not run
      ShapeDtypeStruct(shape=(32, 32, 3), dtype=float32)
    """
    family = ladder.family_of(image, family)
    kept, added = ladder.mix((1.0, 0.0), FROST_WEIGHTS[family], severity)
    height, width, _ = image.shape
    texture = frost_texture(key, height, width) if textures is None else _cut(key, textures, height, width)
    return ladder.finish(image, kept * image + settle(added * texture), severity)


def frost_texture(key: jax.Array, height: int, width: int) -> jax.Array:
    """Draws a piece of frost.

    Args:
      key: random key.
      height, width: in pixels, static.

    Returns:
      float32 [H, W, 3] in [0, 1], with mean, variance and power spectrum of one of the original textures.
    """
    return _texture(key, (height, width), None, *settle(draw_grain(key, height, width)))


def draw_grain(key: jax.Array, height: int, width: int) -> tuple[jax.Array, jax.Array]:
    """Draws the grain of the frost that `frost_texture` draws under a key: of its light and of its colour, [H, W]."""
    return grain_of(key, draw_waves(key, (2, height, width)))


def draw_waves(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Draws the independent normal numbers that the grain of a key is made of, in reading order."""
    return jax.random.normal(jax.random.split(key, 4)[1], shape, jnp.float32)


def grain_of(key: jax.Array, waves: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Makes the grain of the frost that `frost_texture` draws under a key.

    Args:
      key: random key.
      waves: float32 [2, H, W] of `draw_waves`.

    Returns:
      Two float32 [H, W] of variance 1: of its light, and of its colour.
    """
    kind = jax.random.randint(jax.random.split(key, 4)[0], (), 0, len(_MEANS))
    return _grain(waves, jnp.asarray(_SLOPES)[kind])


def frost_on_canvas(
    key: jax.Array,
    canvas: jax.Array,
    size: jax.Array,
    severity: jax.Array,
    grain: jax.Array,
    *,
    family: str | None = None,
) -> jax.Array:
    """Drawn `frost` of an image on a canvas, see `shared_sizes`; grain [2, H, W] of `draw_grain`, laid on it, too."""
    family = ladder.family_of(canvas, family)
    kept, added = ladder.mix((1.0, 0.0), FROST_WEIGHTS[family], severity)
    texture = _texture(key, canvas.shape[:2], size, grain[0], grain[1])
    return ladder.finish(canvas, kept * canvas + settle(added * texture), severity)


def _texture(
    key: jax.Array, shape: tuple[int, ...], size: jax.Array | None, grain: jax.Array, colour: jax.Array
) -> jax.Array:
    """The texture [*shape, 3]; `size` of the image where that is a canvas."""
    kind_key, _, fern_key, whole_key = jax.random.split(key, 4)
    kind = jax.random.randint(kind_key, (), 0, len(_MEANS))
    tables = (_MEANS, _FIRST, _SECOND, _SQUARES, _FERN_SHARES)
    mean, first, second, square, fern = (jnp.asarray(table)[kind] for table in tables)
    whole = jax.random.normal(whole_key) * math.sqrt(_WHOLE_SHARE)
    # One product to a sum: which of two the compiler joins with it depends on the size of the image.
    ferns = settle(jnp.sqrt(fern) * settle(_ferns(fern_key, shape, size)) + whole)
    light = ferns + jnp.sqrt(1.0 - fern - _WHOLE_SHARE) * grain
    light = (light + square * (jnp.square(light) - 1.0)) * jax.lax.rsqrt(1.0 + 2.0 * square * square)
    mean, first, second = (direction[None, None] for direction in (mean, first, second))
    return jnp.clip(mean + first * light[..., None] + second * colour[..., None], 0.0, 1.0)


def _grain(waves: jax.Array, slope: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Two independent Gaussian fields [H, W] with a power spectrum f^slope and variance 1, of normal numbers."""
    _, height, width = waves.shape
    if height * width == 1:
        return jnp.zeros((1, 1)), jnp.zeros((1, 1))  # A single pixel has no grain.
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]).astype(np.float32)
    frequency[0, 0] = 1.0
    amplitude = jnp.exp(0.5 * slope * np.log(frequency)) * (np.arange(height * width).reshape(height, width) > 0)
    amplitude = amplitude * jax.lax.rsqrt(jnp.sum(jnp.square(amplitude)))
    waves = settle(waves) * amplitude[None]
    field = jnp.fft.ifft2(jax.lax.complex(waves[0], waves[1])) * float(height * width)
    return field.real, field.imag


def _ferns(key: jax.Array, shape: tuple[int, ...], size: jax.Array | None) -> jax.Array:
    """Needles fanning out from seeds, each pixel belonging to the nearest: [H, W], about mean 0 and variance 1."""
    height, width = shape
    seed_key, needle_key = jax.random.split(key)
    y, x = (jnp.asarray(axis) for axis in np.mgrid[0:height, 0:width].astype(np.int32))
    most = np.asarray([[height, width]], np.int32) if size is None else size[None]
    seeds = jax.random.randint(seed_key, (_FERNS, 2), 0, jnp.tile(most, (_FERNS, 1)))
    needles = jax.random.normal(needle_key, (_FERNS, _NEEDLES), jnp.float32)

    def nearer(state: tuple, step: tuple) -> tuple[tuple, None]:
        nearest, *best = state
        number, (seed_y, seed_x) = step
        away = jnp.square(y - seed_y) + jnp.square(x - seed_x)
        closer = away < nearest
        here = (number, y - seed_y, x - seed_x)
        chosen = [jnp.where(closer, new, old) for new, old in zip(here, best, strict=True)]
        return (jnp.where(closer, away, nearest), *chosen), None

    start = (jnp.full((height, width), np.iinfo(np.int32).max), *[jnp.zeros((height, width), jnp.int32)] * 3)
    (_, fern, dy, dx), _ = jax.lax.scan(nearer, start, (jnp.arange(_FERNS), seeds))
    turn = jnp.arctan2(dy.astype(jnp.float32), dx.astype(jnp.float32)) * (0.5 / np.pi) + 0.5
    place = jnp.clip(turn, 0.0, 1.0) * _NEEDLES
    low = jnp.floor(place)
    part = place - low
    table = needles.reshape(-1)

    def needle(step: int) -> jax.Array:
        which = (low.astype(jnp.int32) + step) % _NEEDLES
        return jnp.take(table, fern * _NEEDLES + which, mode="clip")

    # Halfway between two independent needles the variance is half of that of each: the mean along the way is 2 / 3.
    return (needle(0) * (1.0 - part) + needle(1) * part) * np.float32(1.5**0.5)


def _cut(key: jax.Array, textures: Sequence[jax.Array], height: int, width: int) -> jax.Array:
    for i, texture in enumerate(textures):
        if texture.ndim != 3 or texture.shape[-1] != 3 or texture.shape[0] < height or texture.shape[1] < width:
            raise ValueError(f"textures[{i}]: expected [h >= {height}, w >= {width}, 3], got shape {texture.shape}")
    if not textures:
        raise ValueError("textures: expected one or more, got none")
    which_key, *place_keys = jax.random.split(key, 1 + len(textures))
    which = jax.random.randint(which_key, (), 0, len(textures))
    pieces = []
    for place_key, texture in zip(place_keys, textures, strict=True):
        room = np.asarray([texture.shape[0] - height + 1, texture.shape[1] - width + 1], np.int32)
        top, left = jax.random.randint(place_key, (2,), 0, room)
        pieces.append(jax.lax.dynamic_slice(texture, (top, left, 0), (height, width, 3)))
    return jax.lax.select_n(which, *pieces)


def load_frost_textures(
    paths: Iterable[str | os.PathLike], *, scale: float = 1.0, smallest: tuple[int, ...] = (0, 0)
) -> tuple[np.ndarray, ...]:
    """Reads texture files for `frost`.

    The released scripts draw from frost1.png, frost2.png, frost3.png, frost4.jpg and frost5.jpg.

    Args:
      paths: image files.
      scale: FROST_TEXTURE_SCALE of the family; shrunk bilinearly without antialiasing, as OpenCV's resize does.
      smallest: height and width that a texture must have at least; a smaller one is enlarged to it.

    Returns:
      float32 [h, w, 3] each, in [0, 1].

    Raises:
      ValueError: when the scale is not positive, or a file holds no image.
      FileNotFoundError: when a file is missing.

    Examples:
      >>> import tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     Image.new("RGB", (40, 30)).save(f"{folder}/frost.png")
      ...     textures = degradations.load_frost_textures([f"{folder}/frost.png"], scale=0.5)
      >>> textures[0].shape
      (15, 20, 3)
    """
    if scale <= 0:
        raise ValueError(f"scale: expected a positive number, got {scale}")
    textures = []
    for path in paths:
        try:
            with _reading.open_regular(path) as file, Image.open(file) as image:
                pixels = np.asarray(image.convert("RGB"), np.float32) / 255.0
        except FileNotFoundError:
            raise
        except (OSError, SyntaxError, ValueError) as error:
            reason = _reading.reason_of(error)
            raise _checks.InputError(f"textures: {os.fspath(path)!r} cannot be read: {reason}") from error
        factor = max(scale, *(want / have for want, have in zip(smallest, pixels.shape, strict=False)))
        textures.append(_resampled(_resampled(pixels, factor, 0), factor, 1))
    return tuple(textures)


def _resampled(pixels: np.ndarray, factor: float, axis: int) -> np.ndarray:
    if factor == 1.0:
        return pixels
    side = pixels.shape[axis]
    place = np.clip((np.arange(round(side * factor)) + 0.5) / factor - 0.5, 0, side - 1)
    low = np.minimum(place.astype(int), side - 2)
    part = np.expand_dims((place - low).astype(np.float32), tuple(range(1, pixels.ndim)))
    pixels = np.moveaxis(pixels, axis, 0)
    return np.moveaxis(pixels[low] * (1 - part) + pixels[low + 1] * part, 0, axis)


def _read_textures(options: Mapping[str, Any], image: jax.Array | None, family: str | None) -> dict[str, Any]:
    """The options with the files of the folder `textures` as arrays; see `DegradationSpec.read_options`."""
    folder = options.get("textures")
    if folder is None:
        return dict(options)
    files = sorted(path for path in pathlib.Path(str(folder)).glob("*") if path.suffix.lower() in _TEXTURE_SUFFIXES)
    if not files:
        raise _checks.InputError(f"frost[textures]: no {', '.join(_TEXTURE_SUFFIXES)} files in {str(folder)!r}")
    if image is None:
        return dict(options)
    scale = FROST_TEXTURE_SCALE[ladder.family_of(image, family)]
    return {**options, "textures": load_frost_textures(files, scale=scale, smallest=image.shape[:2])}


SPECS = (
    spec.DegradationSpec(
        name="frost",
        fn=frost,
        group="weather",
        stochastic=True,
        differentiable=True,
        monotone=False,
        parameters=FROST_WEIGHTS,
        convention="(weight of the image, weight of the frost); frost drawn with the colours, variance and power "
        "spectrum of the five original textures, or cut from files; "
        "from severity 3 to 4 only the image is dimmed, which may undo damage; neutral (1, 0)",
        options={"textures": "None: drawn; or the arrays of load_frost_textures"},
        read_options=_read_textures,
    ),
)
