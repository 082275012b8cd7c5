"""The image contract: float32 [H, W, 3], sRGB, in [0, 1]. uint8 enters and leaves here and nowhere else."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks

# Rec. ITU-R BT.601-7, section 2.5.1: luma of R'G'B'.
_BT601_LUMA = (0.299, 0.587, 0.114)


def from_uint8(image: jax.Array) -> jax.Array:
    """Converts stored pixels to the working contract, x / 255.

    Args:
      image: uint8 [..., H, W, 3].

    Returns:
      float32 of the same shape, in [0, 1].

    Raises:
      TypeError: when the dtype is not uint8.
    """
    if image.dtype != np.uint8:
        raise TypeError(f"image: expected uint8, got {image.dtype}")
    return jnp.asarray(image).astype(jnp.float32) / 255.0


def to_uint8(image: jax.Array) -> jax.Array:
    """Converts to stored pixels: clip to [0, 1], scale by 255, round half to even.

    Args:
      image: float32 [..., H, W, 3].

    Returns:
      uint8 of the same shape.
    """
    return jnp.round(jnp.clip(image, 0.0, 1.0) * 255.0).astype(jnp.uint8)


def luma(image: jax.Array) -> jax.Array:
    """BT.601 luma Y' = 0.299 R' + 0.587 G' + 0.114 B', full range.

    Args:
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      float32 [H, W] in [0, 1].

    References:
      [1] Rec. ITU-R BT.601-7 (2011), section 2.5.1.
    """
    _checks.check_image(image)
    r, g, b = _BT601_LUMA
    return r * image[..., 0] + g * image[..., 1] + b * image[..., 2]


@functools.lru_cache(maxsize=64)
def _triangle_weights(source: int, target: int) -> np.ndarray:
    scale = source / target
    support = max(scale, 1.0)
    centre = (np.arange(target) + 0.5) * scale
    position = np.arange(source) + 0.5
    weights = np.maximum(0.0, 1.0 - np.abs(position[None, :] - centre[:, None]) / support)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def resize(image: jax.Array, height: int, width: int) -> jax.Array:
    """Bilinear resize, antialiased when shrinking: the triangle filter widened by the scale, as Pillow's BILINEAR.

    Pillow also rounds to 8 bits after each axis; this does not.

    Args:
      image: float32 [H, W, 3] in [0, 1].
      height: target height in pixels, static.
      width: target width in pixels, static.

    Returns:
      float32 [height, width, 3] in [0, 1]; the image itself when the size is unchanged.

    Raises:
      ValueError: when a side is not positive.
    """
    _checks.check_image(image)
    if height < 1 or width < 1:
        raise ValueError(f"height, width: expected positive sides, got {height} x {width}")
    if image.shape[:2] == (height, width):
        return image
    rows = jnp.asarray(_triangle_weights(image.shape[0], height))
    columns = jnp.asarray(_triangle_weights(image.shape[1], width))
    out = jnp.einsum("yh,hwc->ywc", rows, image, precision="highest")
    return jnp.einsum("xw,ywc->yxc", columns, out, precision="highest")
