"""Baseline JPEG, coded and decoded in whole-number arithmetic, as libjpeg does by default.

The image is rounded to 8 bits; everything after is int32: fixed-point YCbCr, 4:2:0 or 4:4:4 chroma, the accurate
integer DCT of Loeffler, Ligtenberg and Moschytz with 13-bit constants, quantisation by the tables of Annex K,
triangle upsampling. Entropy coding loses nothing and is left out. Sums of whole numbers do not depend on order, so
neither does the result on batch or device.
"""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa._arrays import total
from causal_iqa._xla import settle
from causal_iqa.degradations import _canvas, ladder, spec

__all__ = ["jpeg_compression"]

# Hendrycks and Dietterich (2019), released scripts for 224, 299, 64 and 32 pixels; severities 1..5.
JPEG_QUALITY = {
    "imagenet224": (25.0, 18.0, 15.0, 10.0, 7.0),
    "inception299": (23.0, 16.0, 13.0, 8.0, 5.0),
    "tiny64": (65.0, 58.0, 50.0, 40.0, 25.0),
    "cifar32": (80.0, 65.0, 58.0, 50.0, 40.0),
}

# Chroma at half resolution along both axes, or at full.
CHROMA = ("420", "444")

# ITU-T T.81, tables K.1 and K.2, row by row.
_LUMA_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA_STEPS = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)


def _fixed(value: float, bits: int) -> int:
    return int(value * (1 << bits) + 0.5)


# Loeffler, Ligtenberg, Moschytz (1989): the rotations of the 8-point transform with 13 fractional bits, written out as
# the two matrices they amount to. Nothing is rounded between them, so the whole numbers are those of the flow graph.
_BITS = 13
_C541, _C765, _C1847 = (_fixed(c, _BITS) for c in (0.541196100, 0.765366865, 1.847759065))
_EVEN = ((_C541 + _C765, _C541), (_C541, _C541 - _C1847))


def _odd_rotation() -> tuple[tuple[int, ...], ...]:
    """Outputs 1, 3, 5, 7 from the differences 0-7, 1-6, 2-5, 3-4."""
    own = [_fixed(c, _BITS) for c in (1.501321110, 3.072711026, 2.053119869, 0.298631336)]
    outer, inner = -_fixed(0.899976223, _BITS), -_fixed(2.562915447, _BITS)
    cross, skip = -_fixed(1.961570560, _BITS), -_fixed(0.390180644, _BITS)
    common = _fixed(1.175875602, _BITS)
    return (
        (own[0] + outer + skip + common, common, skip + common, outer + common),
        (common, own[1] + inner + cross + common, inner + common, cross + common),
        (skip + common, inner + common, own[2] + inner + skip + common, common),
        (outer + common, cross + common, common, own[3] + outer + cross + common),
    )


_ODD = _odd_rotation()


def _matrix() -> np.ndarray:
    """The whole 8-point transform, scaled by sqrt(8): int32 [8, 8], outputs by inputs."""
    one = 1 << _BITS
    half = {0: (one,) * 4, 4: (one, -one, -one, one)}
    half |= {k: (a, b, -b, -a) for k, (a, b) in zip((2, 6), _EVEN, strict=True)}
    rows = {k: (*row, *row[::-1]) for k, row in half.items()}
    rows |= {k: (*row, *(-c for c in row[::-1])) for k, row in zip((1, 3, 5, 7), _ODD, strict=True)}
    return np.asarray([rows[k] for k in range(8)], np.int32)


_FORWARD = _matrix()


def jpeg_compression(
    key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None, chroma: str = "420"
) -> jax.Array:
    """Codes and decodes as JPEG. The quality between rows is rounded to a whole number; row 0 is quality 100.

    Args:
      key: ignored.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.
      chroma: static, "420" (half resolution, as the original) or "444" (full).

    Returns:
      float32 [H, W, 3] in [0, 1], multiples of 1 / 255.

    Raises:
      InputError: when the chroma is unknown.

    References:
      [1] Hendrycks, Dietterich (2019). [2] ITU-T T.81 (1992).

    Examples:
      >>> image = jax.ShapeDtypeStruct((32, 32, 3), jnp.float32)
      >>> jax.eval_shape(degradations.jpeg_compression, jax.random.key(0), image, 3.0)  # traced, not run
      ShapeDtypeStruct(shape=(32, 32, 3), dtype=float32)
    """
    del key
    family = ladder.family_of(image, family)
    quality = jnp.round(ladder.mix(100.0, JPEG_QUALITY[family], severity)).astype(jnp.int32)
    return ladder.finish(image, jpeg(image, quality, chroma=chroma), severity)


def jpeg(image: jax.Array, quality: jax.Array, *, chroma: str = "420") -> jax.Array:
    """Rounds an image to 8 bits, codes it as JPEG and decodes it.

    Args:
      image: float32 [H, W, 3] in [0, 1].
      quality: int32 scalar 1..100, traced.
      chroma: static, "420" (half resolution along both axes) or "444" (full).

    Returns:
      float32 [H, W, 3] in [0, 1], multiples of 1 / 255.

    Raises:
      InputError: when the chroma is unknown.

    References:
      [1] ITU-T T.81 (1992).
    """
    _checks.check_image(image)
    pixels = jnp.round(jnp.clip(image, 0.0, 1.0) * 255.0).astype(jnp.int32)
    return jpeg_roundtrip(pixels, jnp.asarray(quality, jnp.int32), chroma=chroma).astype(jnp.float32) / 255.0


def jpeg_on_canvas(
    key: jax.Array,
    canvas: jax.Array,
    size: jax.Array,
    severity: jax.Array,
    *,
    family: str | None = None,
    chroma: str = "420",
) -> jax.Array:
    """`jpeg_compression` of an image on a canvas, see `_canvas`."""
    del key
    quality = jnp.round(ladder.mix(100.0, JPEG_QUALITY[ladder.family_of(canvas, family)], severity)).astype(jnp.int32)
    pixels = jnp.round(jnp.clip(canvas, 0.0, 1.0) * 255.0).astype(jnp.int32)
    coded = jpeg_roundtrip(pixels, quality, chroma=chroma, size=size).astype(jnp.float32) / 255.0
    return ladder.finish(canvas, coded, severity)


def jpeg_roundtrip(
    pixels: jax.Array, quality: jax.Array, *, chroma: str = "420", size: jax.Array | None = None
) -> jax.Array:
    """Codes and decodes 8-bit pixels.

    Args:
      pixels: int32 [H, W, 3], 0..255.
      quality: int32 scalar 1..100, traced.
      chroma: static, "420" (half resolution along both axes) or "444" (full).
      size: height and width of the image where it lies on a canvas and is continued by its outer pixels, int32 [2],
        traced; None: H and W.

    Returns:
      int32 [H, W, 3], 0..255.

    Raises:
      InputError: when the chroma is unknown.

    References:
      [1] ITU-T T.81 (1992). [2] Loeffler, Ligtenberg, Moschytz (1989). Practical fast 1-D DCT algorithms with 11
      multiplications. [3] ITU-T T.871 (2011), the colour transform.
    """
    _checks.check_choice(chroma, CHROMA, "chroma")
    height, width, _ = pixels.shape
    steps = quality_steps(_LUMA_STEPS, quality), quality_steps(_CHROMA_STEPS, quality)
    y, cb, cr = _to_ycc(pixels)
    y = _code(_pad_to(y, -height % 8, -width % 8), steps[0]).swapaxes(-1, -2)[:height, :width]
    if chroma == "444":
        pair = jnp.stack([_pad_to(plane, -height % 8, -width % 8) for plane in (cb, cr)])
        pair = _code(pair, steps[1]).swapaxes(-1, -2)[:, :height, :width]
    else:
        halved = None if size is None else (size + 1) // 2
        pair = _code(jnp.stack([_shrink(plane, halved) for plane in (cb, cr)]), steps[1])
        # The decoder repeats the last true chroma sample, not what the coder padded it with.
        pair = pair[:, : -(-width // 2), : -(-height // 2)].swapaxes(-1, -2)
        if halved is not None:
            pair = jax.vmap(lambda plane: _canvas.continued(plane, halved))(pair)
        pair = enlarge(pair)[:, :height, :width]
    return _to_rgb(y, *pair)


def quality_steps(table: tuple[tuple[int, ...], ...], quality: jax.Array) -> jax.Array:
    """Scales a table of quantiser steps to a quality 1..100, int32 [8, 8] in 1..255."""
    scale = jnp.where(quality < 50, 5000 // jnp.maximum(quality, 1), 200 - 2 * quality)
    return jnp.clip((np.asarray(table, np.int32) * scale + 50) // 100, 1, 255)


def _to_ycc(pixels: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    r, g, b = (pixels[..., i] for i in range(3))
    half, centre = 1 << 15, (128 << 16) + (1 << 15) - 1
    y = (_fixed(0.299, 16) * r + _fixed(0.587, 16) * g + _fixed(0.114, 16) * b + half) >> 16
    cb = (half * b - _fixed(0.16874, 16) * r - _fixed(0.33126, 16) * g + centre) >> 16
    cr = (half * r - _fixed(0.41869, 16) * g - _fixed(0.08131, 16) * b + centre) >> 16
    return y, cb, cr


def _to_rgb(y: jax.Array, cb: jax.Array, cr: jax.Array) -> jax.Array:
    y, cb, cr = (plane[..., None] for plane in (y, cb - 128, cr - 128))
    from_cb = np.asarray([[[0, -_fixed(0.34414, 16), _fixed(1.772, 16)]]], np.int32)
    from_cr = np.asarray([[[_fixed(1.402, 16), -_fixed(0.71414, 16), 0]]], np.int32)
    return jnp.clip(y + ((from_cb * cb + from_cr * cr + (1 << 15)) >> 16), 0, 255)


def _pad_to(plane: jax.Array, down: int, right: int) -> jax.Array:
    return jnp.pad(plane, ((0, down), (0, right)), mode="edge")


def _shrink(plane: jax.Array, size: jax.Array | None = None) -> jax.Array:
    """Means of 2 x 2, rounding down and up in turn along a row, padded to whole blocks; `size`: true rows of means."""
    height, width = plane.shape
    # Columns are repeated before the means, rows below the last pair after them.
    plane = _pad_to(plane, height % 2, -width % 16)
    pairs = plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2)
    bias = np.tile(np.asarray([1, 2], np.int32), plane.shape[1] // 4)[None, :]
    means = (pairs[:, 0, :, 0] + pairs[:, 0, :, 1] + pairs[:, 1, :, 0] + pairs[:, 1, :, 1] + bias) >> 2
    if size is not None:
        means = jnp.take(means, _canvas.held(np.arange(means.shape[0]), size[0]), axis=0)
    return _pad_to(means, -means.shape[0] % 8, 0)


def enlarge(planes: jax.Array) -> jax.Array:
    """Doubles both sides by the triangle filter: 3/4 of the nearer and 1/4 of the farther sample along each axis.

    Args:
      planes: int32 [..., H, W], 0..255.

    Returns:
      int32 [..., 2 H, 2 W].

    References:
      [1] libjpeg's "fancy" upsampling, which rounds 8/16 up and 7/16 down in turn.
    """
    wide = _double_rows(planes.swapaxes(-1, -2)).swapaxes(-1, -2)
    shape = (*wide.shape[:-2], 2 * wide.shape[-2], wide.shape[-1])
    rounding = 8 - (jax.lax.broadcasted_iota(jnp.int32, shape, wide.ndim - 1) & 1)
    return _kept((_double_rows(wide) + rounding) >> 4)


def _double_rows(planes: jax.Array) -> jax.Array:
    *lead, height, width = planes.shape
    pad = [(0, 0)] * len(lead) + [(1, 1), (0, 0)]
    padded = _kept(jnp.pad(planes, pad, mode="edge"))
    # A choice, not a stack: the compiler does not vectorise what it concatenates.
    below = np.asarray([False, True]).reshape((1,) * (planes.ndim - 1) + (2, 1))
    farther = jnp.where(below, padded[..., 2:, None, :], padded[..., :-2, None, :])
    return _kept((3 * padded[..., 1:-1, None, :] + farther).reshape(*lead, 2 * height, width))


def _code(planes: jax.Array, steps: jax.Array) -> jax.Array:
    """Transforms, quantises and restores planes of whole blocks, int32 [..., 8 a, 8 b] to [..., 8 b, 8 a]."""
    *lead, height, width = planes.shape
    along_rows = _transform((planes - 128).swapaxes(-1, -2), _FORWARD, _BITS - 2)
    coefficients = _transform(along_rows.swapaxes(-1, -2), _FORWARD, _BITS + 2)
    blocks = coefficients.reshape(*lead, height // 8, 8, width // 8, 8)
    steps = steps.reshape((1,) * (len(lead) + 1) + (8, 1, 8))
    restored = (_divide(blocks, 8 * steps) * steps).reshape(planes.shape)
    down_columns = _transform(restored, _FORWARD.T, _BITS - 2)
    restored = _transform(down_columns.swapaxes(-1, -2), _FORWARD.T, _BITS + 5)
    return _kept(jnp.clip(restored + 128, 0, 255))


def _kept(x: jax.Array) -> jax.Array:
    """Computes it once, and keeps it in 16 bits: no plane between two steps needs more, and memory is slow."""
    return settle(x.astype(jnp.int16)).astype(jnp.int32)


def _transform(x: jax.Array, matrix: np.ndarray, bits: int) -> jax.Array:
    """Multiplies runs of eight rows by an integer matrix and divides by 2^bits, rounded; all rows at once."""
    *lead, height, width = x.shape
    x = _kept(x).reshape(*lead, height // 8, 8, width)
    columns = matrix.reshape((1,) * (x.ndim - 2) + (8, 8))
    summed = total(x[..., i : i + 1, :] * columns[..., i : i + 1] for i in range(8))
    return _kept(((summed + (1 << (bits - 1))) >> bits).reshape(*lead, height, width))


def _divide(value: jax.Array, step: jax.Array) -> jax.Array:
    """value / step to the nearest whole number, halves away from zero; |value| < 2^20."""
    # The quotient is at least 1 / (4 step) away from a whole number, far beyond what float32 division can be off.
    value = value.astype(jnp.float32)
    share = (jnp.abs(value) + ((step >> 1).astype(jnp.float32) + 0.5)) * (1.0 / step.astype(jnp.float32))
    return (jnp.sign(value) * jnp.floor(share)).astype(jnp.int32)


SPECS = (
    spec.DegradationSpec(
        name="jpeg_compression",
        fn=jpeg_compression,
        group="digital",
        stochastic=False,
        differentiable=False,
        differentiable_in_severity=False,
        monotone=True,
        parameters=JPEG_QUALITY,
        convention="input rounded to 8 bits; the pixels of libjpeg's baseline 4:2:0 with the accurate integer DCT, bit "
        "for bit; quality rounded to a whole number, neutral 100",
        options={"chroma": CHROMA},
        stage="compression",
    ),
)
