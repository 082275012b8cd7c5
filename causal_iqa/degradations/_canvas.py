"""Arithmetic, shared by `shared_sizes`, of an image of traced size that lies on a larger canvas."""

import jax
import jax.numpy as jnp
import numpy as np


def held(place: jax.Array | np.ndarray, side: jax.Array) -> jax.Array:
    """Places along an axis, those beyond the image replaced by that of its last pixel."""
    return jnp.minimum(jnp.asarray(place, jnp.int32), side - 1)


def continued(plane: jax.Array, size: jax.Array) -> jax.Array:
    """Continues [H, W, ...] beyond the image by the image's outer pixels.

    Args:
      plane: plane of any type; values beyond the image are not read.
      size: int32 [2], height and width of the image, traced.

    Returns:
      Of the same shape and type.
    """
    rows, columns = (held(np.arange(side), n) for side, n in zip(plane.shape[:2], size, strict=True))
    return jnp.take(jnp.take(plane, rows, axis=0), columns, axis=1)


def in_reading_order(drawn: jax.Array, size: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Lays draws for an image out on its canvas.

    Draws of JAX are counted off in reading order, so a longer sequence starts with the draws of a shorter one.

    Args:
      drawn: [n], n at least the number of places of the canvas.
      size: int32 [2], height and width of the image, traced.
      shape: shape of the canvas, [..., H, W]; draws of one plane follow those of another.

    Returns:
      [..., H, W]: in the image what `shape` with the image's own sides would have been filled with.
    """
    *lead, height, width = shape
    rows, columns = held(np.arange(height), size[0]), held(np.arange(width), size[1])
    planes = np.arange(int(np.prod(lead, dtype=int)), dtype=np.int32).reshape(*lead, 1, 1)
    place = planes * (size[0] * size[1]) + (rows[:, None] * size[1] + columns[None]).reshape(
        *[1] * len(lead), height, width
    )
    return jnp.take(drawn, place, mode="clip")


def draws_are_counted() -> bool:
    """Whether draws depend only on their place in reading order, which is the default of JAX."""
    counted = jax.config.jax_threefry_partitionable  # pyright: ignore[reportAttributeAccessIssue]
    kind = jax.config.jax_default_prng_impl  # pyright: ignore[reportAttributeAccessIssue]
    return bool(counted) and kind == "threefry2x32"
