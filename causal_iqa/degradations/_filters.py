"""Linear filters the degradations share: Gaussians of a traced width, and shifts summed instead of convolutions.

XLA's convolution is slow on a CPU. Short kernels are sums of shifted images here, long ones matrices.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._xla import settle

# scikit-image cuts its Gaussian at this many sigmas unless told otherwise.
TRUNCATE = 4.0


def gaussian_reach(sigma: float, truncate: float = TRUNCATE) -> int:
    """Taps on each side of the centre of the widest Gaussian of a table, static."""
    return int(truncate * sigma + 0.5)


def gaussian_taps(sigma: jax.Array, reach: int, truncate: float = TRUNCATE) -> jax.Array:
    """Taps at offsets 0..reach of a Gaussian cut at floor(truncate sigma + 1/2), summing to 1 with their mirror images.

    Args:
      sigma: scalar >= 0 in pixels, traced; 0 gives the identity.
      reach: static, at least the reach of the widest sigma.
      truncate: where the Gaussian is cut, in sigmas, static.

    Returns:
      float32 [reach + 1].
    """
    offset = np.arange(reach + 1, dtype=np.float32)
    taps = jnp.exp(-0.5 * jnp.square(offset / jnp.maximum(sigma, 1e-3)))
    taps = jnp.where(offset <= jnp.floor(truncate * sigma + 0.5), taps, 0.0)
    return taps / (2.0 * jnp.sum(taps) - taps[0])


def shifts(image: jax.Array, reach: int, axis: int, mode: str = "edge") -> Callable[[int], jax.Array]:
    """Returns `shifted(by)`, the image whose pixel p is pixel p + by of the given one along one axis; |by| <= reach."""
    side = image.shape[axis]
    pad = [(0, 0)] * image.ndim
    pad[axis] = (reach, reach)
    padded = settle(jnp.pad(image, pad, mode=mode))

    def shifted(by: int) -> jax.Array:
        return jax.lax.slice_in_dim(padded, reach + by, reach + by + side, axis=axis)

    return shifted


def symmetric(image: jax.Array, taps: jax.Array, axis: int, mode: str = "edge") -> jax.Array:
    """Filters one axis by a short symmetric kernel, as a sum of shifted images.

    Args:
      image: float32 [H, W, ...].
      taps: float32 [reach + 1], the kernel from its centre outwards.
      axis: 0 or 1, static.
      mode: mode of the border, as `jnp.pad`'s, static.

    Returns:
      float32 of the shape of `image`.
    """
    reach = taps.shape[0] - 1
    shifted = shifts(image, reach, axis, mode)
    total = taps[0] * shifted(0)
    for i in range(1, reach + 1):
        total = total + taps[i] * (shifted(-i) + shifted(i))
    return total


def short_gaussian(image: jax.Array, sigma: jax.Array, reach: int, mode: str = "edge") -> jax.Array:
    """Blurs [H, W, ...] by a Gaussian of few taps, edge pixels repeated; for a reach up to some 30 pixels."""
    taps = gaussian_taps(sigma, reach)
    return symmetric(symmetric(image, taps, 0, mode), taps, 1, mode)


def edge_gaussian(side: int, sigma: jax.Array, reach: int) -> jax.Array:
    """The Gaussian blur of one axis as a matrix [side, side]; weights outside are folded onto the edge pixels."""
    half = gaussian_taps(sigma, reach)
    taps = jnp.concatenate([half[:0:-1], half])
    distance = np.arange(-reach, side + reach)[None, :] - np.arange(side)[:, None]
    wide = jnp.where(np.abs(distance) <= reach, taps[np.clip(distance + reach, 0, 2 * reach)], 0.0)
    first = jnp.sum(wide[:, : reach + 1], axis=1, keepdims=True)
    last = jnp.sum(wide[:, reach + side - 1 :], axis=1, keepdims=True)
    return jnp.concatenate([first, wide[:, reach + 1 : reach + side - 1], last], axis=1)


def reflecting_gaussian(side: int, sigma: float | jax.Array, reach: int, truncate: float) -> jax.Array:
    """The Gaussian blur of one axis as a matrix, borders mirrored with the edge pixel repeated, as often as it takes.

    Args:
      side: length of the axis, static.
      sigma: scalar >= 0 in pixels, traced; may be many times the side.
      reach: static, at least the reach of the widest sigma.
      truncate: where the Gaussian is cut, in sigmas, static.

    Returns:
      float32 [side, side]; rows sum to 1.
    """
    copies = math.ceil((reach + side) / (2 * side))
    place = np.arange(side)
    start = 2 * side * np.arange(-copies, copies + 1)[:, None]
    # Where pixel k appears again in the mirrors: [2 copies + 1, 2, side].
    seen = np.stack([start + place, start - 1 - place], axis=1)
    distance = np.abs(seen.reshape(-1, 1, side) - place[None, :, None]).astype(np.float32)
    cut = jnp.floor(truncate * sigma + 0.5)
    weights = jnp.exp(-0.5 * jnp.square(distance / jnp.maximum(sigma, 1e-3)))
    matrix = jnp.sum(jnp.where(distance <= cut, weights, 0.0), axis=0)
    return matrix / jnp.sum(matrix, axis=1, keepdims=True)


def separable(image: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Applies one matrix to the rows and one to the columns of [H, W, C]: rows [H', H], columns [W', W]."""
    out = jnp.einsum("yh,hwc->ywc", rows, image, precision="highest")
    return jnp.einsum("xw,ywc->yxc", columns, out, precision="highest")
