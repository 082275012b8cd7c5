"""A coder like lossy WebP: VP8 key frames by prediction, the 4 x 4 transform and the quantisers of RFC 6386.

Kept of VP8: BT.601 colour of limited range at 4:2:0, macroblocks of 16 x 16 predicted from the pixels already coded
above and to the left (DC, vertical, horizontal, TrueMotion), the 4 x 4 transform, the Walsh-Hadamard transform of its
16 DCs, the quantiser tables. Left out: prediction of single 4 x 4 blocks, segments, rate-distortion search (a mode is
chosen by its squared error), the loop filter. Entropy coding loses nothing. All is in whole numbers.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa.degradations import jpeg, ladder, light, spec

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
    """
    del key
    light.check_any_size(image, family)
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
    luma = _code_plane(luma[None], index, 16)[0, :height, :width]
    half = (-(-height // 2), -(-width // 2))
    chroma = _code_plane(chroma, index, 8)[:, : half[0], : half[1]]
    u, v = (jpeg.enlarge(plane)[:height, :width] for plane in chroma)
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


def _code_plane(planes: jax.Array, index: jax.Array, side: int) -> jax.Array:
    """Codes planes [p, H, W] of whole macroblocks of `side` pixels, all planes of one by one mode.

    A macroblock needs those above, to the left and above left: the anti-diagonals are coded one after the other, all
    rows of macroblocks at once.
    """
    count, height, width = planes.shape
    rows, columns = height // side, width // side
    lanes, steps = np.arange(rows), np.arange(rows + columns - 1)
    column = steps[:, None] - lanes[None, :]
    inside = (column >= 0) & (column < columns)
    # [rows, columns, p, side, side], then slanted so that a step is an anti-diagonal, rows last.
    blocks = planes.reshape(count, rows, side, columns, side).transpose(1, 3, 0, 2, 4)
    slanted = blocks[lanes[None, :], np.where(inside, column, 0)].transpose(0, 2, 3, 4, 1)
    has_above, has_left = lanes > 0, column > 0
    step_of = functools.partial(_code_blocks, index=index, has_above=has_above, is_luma=side == 16)

    def step(carry: tuple[jax.Array, ...], now: tuple[jax.Array, jax.Array]) -> tuple[tuple[jax.Array, ...], jax.Array]:
        bottom, right, corner = carry
        source, has_left = now
        above = jnp.roll(bottom, 1, axis=-1)
        coded = step_of(source, above, right, corner, has_left)
        return (coded[:, -1], coded[:, :, -1], above[:, -1]), coded

    edge = jnp.zeros((count, side, rows), jnp.int32)
    _, coded = jax.lax.scan(step, (edge, edge, edge[:, -1]), (slanted, jnp.asarray(has_left)))
    straight = coded[lanes[:, None] + np.arange(columns)[None, :], :, :, :, lanes[:, None]]
    return straight.transpose(2, 0, 3, 1, 4).reshape(planes.shape)


def _code_blocks(
    source: jax.Array,
    above: jax.Array,
    left: jax.Array,
    corner: jax.Array,
    has_left: jax.Array,
    *,
    index: jax.Array,
    has_above: np.ndarray,
    is_luma: bool,
) -> jax.Array:
    """Codes and restores one macroblock per lane: source [p, n, n, L], edges [p, n, L], corner [p, L]."""
    above = jnp.where(has_above, above, _ABOVE)
    left = jnp.where(has_left, left, _LEFT)
    corner = jnp.where(has_above, jnp.where(has_left, corner, _LEFT), _ABOVE)
    n = source.shape[1]
    both = (above.sum(axis=1) + left.sum(axis=1) + n) // (2 * n)
    only = jnp.where(has_above, (above.sum(axis=1) + n // 2) // n, (left.sum(axis=1) + n // 2) // n)
    mean = jnp.where(has_above & has_left, both, jnp.where(has_above | has_left, only, 128))
    flat = jnp.broadcast_to(mean[:, None, None], source.shape)
    down, across = above[:, None], left[:, :, None]
    true_motion = jnp.clip(across + down - corner[:, None, None], 0, 255)
    best, least = flat, jnp.square(source - flat).sum(axis=(0, 1, 2))
    for other in (jnp.broadcast_to(down, source.shape), jnp.broadcast_to(across, source.shape), true_motion):
        error = jnp.square(source - other).sum(axis=(0, 1, 2))
        best = jnp.where(error < least, other, best)
        least = jnp.minimum(error, least)
    return jnp.clip(best + _quantised(source - best, index, is_luma), 0, 255)


def _quantised(residual: jax.Array, index: jax.Array, is_luma: bool) -> jax.Array:
    """Residuals [p, n, n, L] after the transforms, the quantisers and back."""
    p, n, _, lanes = residual.shape
    dc, ac = jnp.asarray(_DC_STEPS)[index], jnp.asarray(_AC_STEPS)[index]
    x = residual.reshape(p, n // 4, 4, n // 4, 4, lanes)
    x = _forward(_forward(x, 2, 12 - _FORWARD_BITS), 4, 13 + _FORWARD_BITS)
    first = np.arange(4) == 0
    is_dc = (first[:, None, None, None] & first[None, None, :, None])[None, None]
    if is_luma:
        means = x[:, :, 0, :, 0]
        second = (_walsh(_walsh(means, 1), 2) + 1) >> 1
        step = jnp.where(is_dc[0, :, :, 0], 2 * dc, jnp.maximum(8, ac * 155 // 100))
        second = _restored(second, step, np.where(is_dc[0, :, :, 0], *_ROUNDING[1]))
        means = (_walsh(_walsh(second, 1), 2) + 3) >> 3
        x = jnp.where(is_dc, means[:, :, None, :, None], _restored(x, ac, _ROUNDING[0][1]))
    else:
        step = jnp.where(is_dc, jnp.minimum(dc, 132), ac)
        x = _restored(x, step, np.where(is_dc, *_ROUNDING[2]))
    return ((_inverse(_inverse(x, 2), 4) + 4) >> 3).reshape(residual.shape)


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
