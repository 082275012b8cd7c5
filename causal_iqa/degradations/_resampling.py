"""Reading an image between its pixels, by the gather that all geometric conditions share."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, _cubic
from causal_iqa._arrays import Array, total

METHODS = ("bilinear", "bicubic")
BORDERS = ("reflect", "edge", "constant")


def sample(
    image: jax.Array,
    row: Array,
    column: Array,
    *,
    method: str = "bilinear",
    border: str = "reflect",
    fill: float = 0.5,
) -> jax.Array:
    """Reads an image at given places; differentiable in the image and, between pixels, in the places.

    Args:
      image: float32 [H, W, C].
      row: float32, broadcasting with `column` to [h, w]: places in pixels, 0 the centre of the first row.
      column: float32, the same along a row.
      method: static, "bilinear" or "bicubic" (cubic convolution with a = -1/2; may leave the range of the image).
      border: static, what lies outside: "reflect" (mirrored about the outer pixels' centres), "edge" (outer pixels
        repeated) or "constant".
      fill: value outside when the border is "constant".

    Returns:
      float32 [h, w, C].

    Raises:
      InputError: when the method or the border is unknown.

    References:
      [1] Keys (1981). Cubic convolution interpolation for digital image processing, eq. 15.
    """
    _checks.check_choice(method, METHODS, "method")
    _checks.check_choice(border, BORDERS, "border")
    height, width, channels = image.shape
    # Farther out than the taps reach nothing changes, unless mirrored, which folds every place into the image.
    taps = 2 if method == "bicubic" else 1
    margin = 0 if border == "reflect" else taps
    reach = margin + taps
    pad = ((reach, reach), (reach, reach), (0, 0))
    fills = {"constant_values": fill} if border == "constant" else {}
    padded = jnp.pad(image, pad, mode=border, **fills)
    low_row, part_row = _split(row, height, border, margin)
    low_column, part_column = _split(column, width, border, margin)
    stride = width + 2 * reach
    corner = (low_row + reach) * stride + (low_column + reach)
    pixels = padded.reshape(-1, channels)
    rows, columns = _taps(part_row, method), _taps(part_column, method)
    first = 1 - taps

    def line(i: int) -> jax.Array:
        places = (corner + (i * stride + j) for j in range(first, first + len(columns)))
        return total(
            right[..., None] * pixels.at[place].get(mode="promise_in_bounds")
            for right, place in zip(columns, places, strict=True)
        )

    return total(down[..., None] * line(i) for i, down in enumerate(rows, first))


def _split(place: Array, size: int, border: str, margin: int) -> tuple[jax.Array, jax.Array]:
    """Index of the pixel before each place, int32 in [-margin, size - 1 + margin], and the share of the next one."""
    if size == 1 and border == "reflect":
        # One pixel mirrored is that pixel everywhere.
        return jnp.zeros(jnp.shape(place), jnp.int32), jnp.zeros(jnp.shape(place), jnp.float32)
    if border == "reflect":
        period = 2.0 * (size - 1)
        place = place - period * jnp.floor(place / period)
        place = (size - 1) - jnp.abs(place - (size - 1))
    place = jnp.clip(place, -margin, size - 1 + margin)
    low = jnp.floor(place)
    return low.astype(jnp.int32), place - low


def _taps(part: jax.Array, method: str) -> list[jax.Array]:
    if method == "bilinear":
        return [1.0 - part, part]
    before, after = part, 1.0 - part
    return [_cubic.far(1.0 + before), _cubic.near(before), _cubic.near(after), _cubic.far(1.0 + after)]


def centre_of(height: int, width: int) -> tuple[np.float32, np.float32]:
    """Place of the image centre between its pixels, (row, column)."""
    return np.float32(0.5 * (height - 1)), np.float32(0.5 * (width - 1))
