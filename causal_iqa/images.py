"""The image contract: float32 [H, W, 3], sRGB, in [0, 1]. uint8 enters and leaves here and nowhere else."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, _cubic
from causal_iqa._arrays import Array

# Rec. ITU-R BT.601-7, section 2.5.1: luma of R'G'B'.
_BT601_LUMA = (0.299, 0.587, 0.114)
# How far outside [0, 1] a filter or noise may take an image before it is stored.
_OVERSHOOT = 1.0


def from_uint8(image: Array) -> jax.Array:
    """Converts stored pixels to the working contract, x / 255.

    Args:
      image: uint8 [..., H, W, 3].

    Returns:
      float32 of the same shape, in [0, 1].

    Raises:
      TypeError: when the dtype is not uint8.

    Examples:
      >>> images.from_uint8(np.uint8([[[0, 51, 255]]])).tolist()
      [[[0.0, 0.20000001788139343, 1.0]]]
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

    Raises:
      ValueError: when values are NaN, or so far outside [0, 1] that they are of another range; where they are traced
        they cannot be looked at.

    Examples:
      >>> images.to_uint8(np.float32([[[0, 0.2, 1]]])).tolist()
      [[[0, 51, 255]]]
    """
    _checks.check_unit_range(image, slack=_OVERSHOOT)
    return jnp.round(jnp.clip(image, 0.0, 1.0) * 255.0).astype(jnp.uint8)


def luma(image: jax.Array) -> jax.Array:
    """BT.601 luma Y' = 0.299 R' + 0.587 G' + 0.114 B', full range.

    Args:
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      float32 [H, W] in [0, 1].

    References:
      [1] Rec. ITU-R BT.601-7 (2011), section 2.5.1.

    Examples:
      >>> np.round(images.luma(np.float32([[[1, 0, 0], [1, 1, 1]]])), 3).tolist()
      [[0.29899999499320984, 1.0]]
    """
    _checks.check_image(image)
    r, g, b = _BT601_LUMA
    return r * image[..., 0] + g * image[..., 1] + b * image[..., 2]


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - distance)


# Method -> (filter of the distance, its half width in pixels of the coarser grid).
KERNELS = types.MappingProxyType({"bilinear": (_triangle, 1.0), "bicubic": (_cubic.kernel, _cubic.HALF_WIDTH)})
INTERPOLATIONS = tuple(KERNELS)


@functools.lru_cache(maxsize=64)
def resize_weights(source: int, target: int, method: str = "bilinear") -> np.ndarray:
    """Weights of an antialiased resize along one axis.

    Args:
      source: pixels there are.
      target: pixels wanted.
      method: "bilinear" or "bicubic".

    Returns:
      float32 [target, source], rows sum to 1.

    Raises:
      InputError: for an unknown method.
    """
    _checks.check_choice(method, INTERPOLATIONS, "method")
    kernel, half_width = KERNELS[method]
    scale = source / target
    stretch = max(scale, 1.0)
    centre = (np.arange(target) + 0.5) * scale
    # Pillow takes the pixels whose centres lie in the filter's support rounded to whole pixels.
    first = np.floor(np.maximum(centre - half_width * stretch + 0.5, 0.0))
    last = np.floor(np.minimum(centre + half_width * stretch + 0.5, source))
    pixel = np.arange(source)
    weights = kernel(np.abs(pixel[None, :] + 0.5 - centre[:, None]) / stretch)
    weights = np.where((pixel >= first[:, None]) & (pixel < last[:, None]), weights, 0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def resize(image: jax.Array, height: int, width: int, method: str = "bilinear") -> jax.Array:
    """Antialiased resize as Pillow does it: the filter is widened by the scale when shrinking.

    Pillow also rounds to 8 bits after each axis; this does not.

    Args:
      image: float32 [H, W, 3] in [0, 1].
      height: target height in pixels, static.
      width: target width in pixels, static.
      method: "bilinear" (triangle) or "bicubic" (Keys, a = -1/2; what it overshoots is clipped), static.

    Returns:
      float32 [height, width, 3] in [0, 1]; the image itself when the size is unchanged.

    Raises:
      ValueError: when a side is not positive, or the method is unknown.

    Examples:
      >>> images.resize(np.zeros((8, 6, 3), np.float32), 4, 3).shape
      (4, 3, 3)
    """
    _checks.check_image(image)
    if height < 1 or width < 1:
        raise ValueError(f"height, width: expected positive sides, got {height} x {width}")
    if image.shape[:2] == (height, width):
        return image
    rows = jnp.asarray(resize_weights(image.shape[0], height, method))
    columns = jnp.asarray(resize_weights(image.shape[1], width, method))
    out = jnp.einsum("yh,hwc->ywc", rows, image, precision="highest")
    out = jnp.einsum("xw,ywc->yxc", columns, out, precision="highest")
    return out if method == "bilinear" else jnp.clip(out, 0.0, 1.0)
