"""A coder like lossy WebP: VP8 key frames by prediction, the 4 x 4 transform and the quantisers of RFC 6386.

Kept of VP8: BT.601 colour of limited range at 4:2:0, macroblocks of 16 x 16 predicted from the pixels already coded
above and to the left (DC, vertical, horizontal, TrueMotion), the 4 x 4 transform, the Walsh-Hadamard transform of its
16 DCs, the quantiser tables. Left out: prediction of single 4 x 4 blocks, segments, rate-distortion search (a mode is
chosen by its squared error), the loop filter. Entropy coding loses nothing. All is in whole numbers.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa.degradations import _jpeg, _light, ladder, spec

__all__ = ["webp_compression"]

WEBP_QUALITY = {spec.ANY_SIZE: (60.0, 35.0, 18.0, 8.0, 1.0)}

# RFC 6386, section 14.1: quantiser steps of DC and AC by index 0..127.
_DC_STEPS = (
    *(4, 5, 6, 7, 8, 9, 10, 10, 11, 12, 13, 14, 15, 16, 17, 17, 18, 19, 20, 20, 21, 21, 22, 22, 23, 23, 24, 25, 25),
    *(26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, *range(46, 77)),
    *(76, *range(77, 90), 91, 93, 95, 96, 98, 100, 101, 102, 104, 106, 108, 110, 112, 114, 116, 118, 122, 124, 126),
    *(128, 130, 132, 134, 136, 138, 140, 143, 145, 148, 151, 154, 157),
)
_AC_STEPS = (
    *range(4, 59),
    *range(60, 117, 2),
    *range(119, 174, 3),
    *(177, 181, 185, 189, 193, 197, 201, 205, 209, 213, 217, 221, 225, 229, 234, 239, 245, 249, 254, 259, 264),
    *(269, 274, 279, 284),
)
# Section 14.3: the irrational factors of the inverse transform in 16 bits, the first beyond 1.
_SQRT2_COS = 20091
_SQRT2_SIN = 35468
# libwebp's rounding of quotients, in 1/256: luma, Walsh-Hadamard, chroma, each (DC, AC).
_ROUNDING = ((96, 110), (96, 108), (110, 115))
# Section 12.2: what stands above, to the left and, without left or above, in the corner outside the frame.
_ABOVE, _LEFT = 127, 129
# Fractional bits kept between the two passes of the forward transform.
_FORWARD_BITS = 3


def webp_compression(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Codes and decodes as a coder like lossy WebP does.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced; the quality is rounded to a whole number.
      family: static; checked, but the parameters hold at every size.

    Returns:
      float32 [H, W, 3] in [0, 1], multiples of 1 / 255.

    References:
      [1] Bankoski et al. (2011). VP8 data format and decoding guide. RFC 6386.

    Examples:
      >>> image = jax.ShapeDtypeStruct((32, 32, 3), jnp.float32)
      >>> jax.eval_shape(degradations.webp_compression, jax.random.key(0), image, 3.0)  # traced, not run
      ShapeDtypeStruct(shape=(32, 32, 3), dtype=float32)
    """
    del key
    _light.check_any_size(image, family)
    quality = jnp.round(ladder.mix(100.0, WEBP_QUALITY[spec.ANY_SIZE], severity))
    return ladder.finish(image, webp(image, quality), severity)


def webp(image: jax.Array, quality: jax.Array) -> jax.Array:
    """Rounds an image to 8 bits, codes it like WebP and decodes it.

    Args:
      image: float32 [H, W, 3] in [0, 1].
      quality: scalar 0..100, traced; chooses the quantiser as libwebp does.

    Returns:
      float32 [H, W, 3] in [0, 1], multiples of 1 / 255.

    References:
      [1] Bankoski et al. (2011). VP8 data format and decoding guide. RFC 6386.
    """
    _checks.check_image(image)
    height, width, _ = image.shape
    pixels = jnp.round(jnp.clip(image, 0.0, 1.0) * 255.0).astype(jnp.int32)
    luma, chroma = _to_yuv(jnp.pad(pixels, ((0, -height % 16), (0, -width % 16), (0, 0)), mode="edge"))
    index = jnp.asarray(_quantiser_indices())[jnp.clip(jnp.asarray(quality), 0, 100).astype(jnp.int32)]
    luma, chroma = _code(luma[None], chroma, index)
    luma, half = luma[0, :height, :width], (-(-height // 2), -(-width // 2))
    u, v = (_jpeg.enlarge(plane[: half[0], : half[1]])[:height, :width] for plane in chroma)
    return _to_rgb(luma, u, v).astype(jnp.float32) / 255.0


@functools.lru_cache(maxsize=1)
def _quantiser_indices() -> np.ndarray:
    """libwebp's quantiser index for every quality 0..100, int32 [101]."""
    share = np.arange(101) / 100.0
    linear = np.where(share < 0.75, share * (2.0 / 3.0), 2.0 * share - 1.0)
    return np.floor(127.0 * (1.0 - np.cbrt(linear)) + 0.5).astype(np.int32)


def _to_yuv(pixels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """BT.601 of limited range: luma int32 [H, W] and both chromas [2, H / 2, W / 2] of the means of 2 x 2 pixels."""
    r, g, b = (pixels[..., i] for i in range(3))
    half = 1 << 15
    luma = (16839 * r + 33059 * g + 6420 * b + half + (16 << 16)) >> 16
    rows, columns = luma.shape[0] // 2, luma.shape[1] // 2
    r, g, b = (c.reshape(rows, 2, columns, 2).sum(axis=(1, 3)) for c in (r, g, b))
    u = (-9719 * r - 19081 * g + 28800 * b + 4 * half + (128 << 18)) >> 18
    v = (28800 * r - 24116 * g - 4684 * b + 4 * half + (128 << 18)) >> 18
    return luma, jnp.clip(jnp.stack([u, v]), 0, 255)


def _to_rgb(y: jax.Array, u: jax.Array, v: jax.Array) -> jax.Array:
    half = 1 << 15
    y, u, v = 76309 * (y - 16) + half, u - 128, v - 128
    planes = [y + 104597 * v, y - 25675 * u - 53279 * v, y + 132201 * u]
    return jnp.clip(jnp.stack([plane >> 16 for plane in planes], axis=-1), 0, 255)


class _Edges(NamedTuple):
    """What a macroblock of n pixels is predicted from: above and left int32 [p, n, L], corner [p, L]; L lanes."""

    above: jax.Array
    left: jax.Array
    corner: jax.Array


def _code(luma: jax.Array, chroma: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Codes luma [1, H, W] and chroma [2, H / 2, W / 2] of whole macroblocks.

    A macroblock needs those above, to the left and above left: the anti-diagonals are coded one after the other, all
    rows of macroblocks, the lanes, at once.
    """
    rows, columns = luma.shape[1] // 16, luma.shape[2] // 16
    lanes, steps = np.arange(rows), np.arange(rows + columns - 1)
    column = steps[:, None] - lanes[None, :]
    place = np.where((column >= 0) & (column < columns), column, 0)
    has_above = lanes > 0

    def slanted(planes: jax.Array, side: int) -> jax.Array:
        blocks = planes.reshape(planes.shape[0], rows, side, columns, side).transpose(1, 3, 0, 2, 4)
        return blocks[lanes[None, :], place].transpose(0, 2, 3, 4, 1)

    def straight(coded: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        blocks = coded[lanes[:, None] + np.arange(columns)[None, :], :, :, :, lanes[:, None]]
        return blocks.transpose(2, 0, 3, 1, 4).reshape(shape)

    def step(
        carry: tuple[_Edges, ...], now: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[tuple[_Edges, ...], tuple[jax.Array, ...]]:
        *sources, has_left = now
        # The lane above coded its macroblock one step ago.
        edges = [edge._replace(above=jnp.roll(edge.above, 1, axis=-1)) for edge in carry]
        guesses = [_predicted(s, e, has_above, has_left) for s, e in zip(sources, edges, strict=True)]
        luma, chroma = (s - g for s, g in zip(sources, guesses, strict=True))
        residuals = _quantised(luma, chroma, index)
        coded = tuple(jnp.clip(g + r, 0, 255) for g, r in zip(guesses, residuals, strict=True))
        carry = tuple(_Edges(c[:, -1], c[:, :, -1], e.above[:, -1]) for c, e in zip(coded, edges, strict=True))
        return carry, coded

    start = []
    for count, side in ((1, 16), (2, 8)):
        edge = jnp.zeros((count, side, rows), jnp.int32)
        start.append(_Edges(edge, edge, edge[:, -1]))
    _, coded = jax.lax.scan(step, tuple(start), (slanted(luma, 16), slanted(chroma, 8), jnp.asarray(column > 0)))
    return straight(coded[0], luma.shape), straight(coded[1], chroma.shape)


def _predicted(source: jax.Array, edges: _Edges, has_above: np.ndarray, has_left: jax.Array) -> jax.Array:
    """The nearest of the four predictions of a macroblock per lane, one mode for its p planes: [p, n, n, L]."""
    above, left = jnp.where(has_above, edges.above, _ABOVE), jnp.where(has_left, edges.left, _LEFT)
    corner = jnp.where(has_above, jnp.where(has_left, edges.corner, _LEFT), _ABOVE)
    n = source.shape[1]
    over, beside = above.sum(axis=1), left.sum(axis=1)
    only = jnp.where(has_above, over, beside) + n // 2
    mean = jnp.where(has_above & has_left, (over + beside + n) // (2 * n), only // n)
    mean = jnp.where(has_above | has_left, mean, 128)
    down, across = above[:, None], left[:, :, None]
    true_motion = jnp.clip(across + down - corner[:, None, None], 0, 255)
    modes = [jnp.broadcast_to(mode, source.shape) for mode in (mean[:, None, None], down, across, true_motion)]
    errors = [jnp.square(source - mode).sum(axis=(0, 1, 2)) for mode in modes]
    best, least = modes[0], errors[0]
    for mode, error in zip(modes[1:], errors[1:], strict=True):
        best, least = jnp.where(error < least, mode, best), jnp.minimum(error, least)
    return best


def _quantised(luma: jax.Array, chroma: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Residuals [1, 16, 16, L] and [2, 8, 8, L] after the transforms, the quantisers and back."""
    dc, ac = jnp.asarray(_DC_STEPS)[index], jnp.asarray(_AC_STEPS)[index]
    # The 4 x 4 blocks of both as one array [16 + 8, 4, 4, L]: a third of the program to compile.
    parts = [x.reshape(-1, x.shape[1] // 4, 4, x.shape[1] // 4, 4, x.shape[-1]) for x in (luma, chroma)]
    blocks = [x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, 4, 4, x.shape[-1]) for x in parts]
    x = jnp.concatenate(blocks)
    x = _forward(_forward(x, 1, 12 - _FORWARD_BITS), 2, 13 + _FORWARD_BITS)
    second = x[:16, 0, 0].reshape(4, 4, -1)
    second = (_walsh(_walsh(second, 0), 1) + 1) >> 1
    first = np.arange(16).reshape(4, 4, 1) == 0
    step = jnp.where(first, 2 * dc, jnp.maximum(8, ac * 155 // 100))
    second = _restored(second, step, np.where(first, *_ROUNDING[1]))
    means = ((_walsh(_walsh(second, 0), 1) + 3) >> 3).reshape(16, 1, 1, -1)
    is_luma = (np.arange(24) < 16).reshape(24, 1, 1, 1)
    step = jnp.where(first[None] & ~is_luma, jnp.minimum(dc, 132), ac)
    x = _restored(x, step, np.where(is_luma, _ROUNDING[0][1], np.where(first[None], *_ROUNDING[2])))
    x = jnp.where(first[None] & is_luma, jnp.concatenate([means, x[16:, :1, :1]]), x)
    x = (_inverse(_inverse(x, 1), 2) + 4) >> 3
    out = []
    for values, part, shape in zip((x[:16], x[16:]), parts, (luma.shape, chroma.shape), strict=True):
        p, n, lanes = part.shape[0], part.shape[1], shape[-1]
        out.append(values.reshape(p, n, n, 4, 4, lanes).transpose(0, 1, 3, 2, 4, 5).reshape(shape))
    return out[0], out[1]


def _restored(value: jax.Array, step: jax.Array, rounding: np.ndarray | int) -> jax.Array:
    """value divided by its step to a whole number and multiplied again; |value| < 2^15."""
    # All whole numbers below 2^23 and quotients at least 1 / (256 step) from the next: float32 division suffices.
    size = (256 * jnp.abs(value) + rounding * step).astype(jnp.float32) + 0.5
    level = jnp.floor(size / (256 * step).astype(jnp.float32)).astype(jnp.int32)
    return jnp.sign(value) * level * step


def _quarters(x: jax.Array, axis: int) -> list[jax.Array]:
    return [jax.lax.index_in_dim(x, i, axis, keepdims=False) for i in range(4)]


def _forward(x: jax.Array, axis: int, shift: int) -> jax.Array:
    """The transpose of `_inverse` along an axis of 4, times 2^(12 - shift), rounded."""
    a, b, c, d = _quarters(x, axis)
    outer, inner, apart, between = a + d, b + c, a - d, b - c
    cos, sin = 4096 + (_SQRT2_COS + 8) // 16, (_SQRT2_SIN + 8) // 16
    out = [(outer + inner) << 12, cos * apart + sin * between, (outer - inner) << 12, sin * apart - cos * between]
    return jnp.stack([(value + (1 << (shift - 1))) >> shift for value in out], axis=axis)


def _inverse(x: jax.Array, axis: int) -> jax.Array:
    """Section 14.3 along an axis of 4."""
    a, b, c, d = _quarters(x, axis)
    cos = lambda value: value + ((value * _SQRT2_COS) >> 16)  # noqa: E731
    sin = lambda value: (value * _SQRT2_SIN) >> 16  # noqa: E731
    even, odd, rising, falling = a + c, a - c, cos(b) + sin(d), sin(b) - cos(d)
    return jnp.stack([even + rising, odd + falling, odd - falling, even - rising], axis=axis)


def _walsh(x: jax.Array, axis: int) -> jax.Array:
    """The Walsh-Hadamard transform of section 14.3 along an axis of 4; its own inverse up to the factor 4."""
    a, b, c, d = _quarters(x, axis)
    outer, inner, apart, between = a + d, b + c, a - d, b - c
    return jnp.stack([outer + inner, apart + between, outer - inner, apart - between], axis=axis)


SPECS = (
    spec.DegradationSpec(
        name="webp_compression",
        fn=webp_compression,
        group="compression",
        stochastic=False,
        differentiable=False,
        differentiable_in_severity=False,
        monotone=True,
        parameters=WEBP_QUALITY,
        convention="VP8 key frame with 16 x 16 prediction, 4 x 4 transform and the quantisers of libwebp's quality; "
        "without 4 x 4 prediction, segments and loop filter; quality rounded to a whole number, neutral 100",
        published=False,
        reference="Bankoski et al. (2011). VP8 data format and decoding guide. RFC 6386; rows reasoned",
    ),
)
