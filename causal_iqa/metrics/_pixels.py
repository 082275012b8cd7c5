"""Checks and pixel operations that several metrics share."""

import jax
import jax.numpy as jnp

from causal_iqa import _checks, images
from causal_iqa._xla import settle


def check_side(image: jax.Array, smallest_side: int, metric: str) -> None:
    """Raises ValueError when a side of `image` is shorter than the metric can read."""
    height, width = image.shape[:2]
    if min(height, width) < smallest_side:
        raise ValueError(
            f"image: {metric} is undefined below its smallest side of {smallest_side} pixels, got {height} x {width}"
        )


def check_single(image: jax.Array, smallest_side: int, metric: str) -> None:
    """Raises unless `image` is one image that `metric` can read."""
    _checks.check_image(image)
    check_side(image, smallest_side, metric)


def check_pair(reference: jax.Array, image: jax.Array, smallest_side: int, metric: str) -> None:
    """Raises unless `reference` and `image` are two images of one shape that `metric` can read."""
    _checks.check_image(reference, "reference")
    _checks.check_image(image)
    _checks.check_same_shape(reference, image, "reference, image")
    check_side(image, smallest_side, metric)


def luma_uint8(image: jax.Array) -> jax.Array:
    """BT.601 luma of the 8-bit image, rounded half up in integer arithmetic.

    Integers make the rounding independent of how a compiler orders float operations, so of the batch size.

    Args:
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      int32 [H, W] in 0..255.
    """
    pixels = images.to_uint8(image).astype(jnp.int32)
    return (299 * pixels[..., 0] + 587 * pixels[..., 1] + 114 * pixels[..., 2] + 500) // 1000


def variance(x: jax.Array) -> jax.Array:
    """Population variance, exactly zero for a constant array (a rounded mean would leave a remainder)."""
    x = settle(x - jax.lax.stop_gradient(x[0, 0]))
    return total(jnp.square(x - total(x) / x.size)) / x.size


def total(x: jax.Array) -> jax.Array:
    """Sum of a map [H, ...], first over rows: XLA on the CPU adds rows in vectors, but a whole map number by number."""
    return jnp.sum(jnp.sum(settle(x), axis=0))
