"""Means over the pixels of maps, and the statistics of the diagnosis that are made of them.

Many means are taken of the same map. On a CPU XLA computes a map anew for every reduction that reads it, whatever
barrier lies between; the operands of a loop and of a matrix product are computed once. So maps of one shape are stacked
and worked off in a loop, and weighted means of several maps are one product.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._arrays import total

STEP = 1.0 / 255.0
TINY = 1e-3
Named = dict[str, jax.Array]


def sum_of(x: jax.Array) -> jax.Array:
    """The sum of a map [h, w], column by column first: a CPU adds columns in vectors, but rows number by number."""
    return x.astype(jnp.float32).sum(axis=0).sum()


def mean_of(x: jax.Array) -> jax.Array:
    return sum_of(x) / x.size


def products(first: Sequence[jax.Array], second: Sequence[jax.Array | np.ndarray]) -> jax.Array:
    """Means over pixels of the products of every map of one list with every map of another, [first, second]."""
    left, right = (jnp.stack([x.reshape(-1) for x in maps]) for maps in (first, second))
    return jnp.matmul(left, right.T, precision="highest") / left.shape[1]


def padded(maps: list[jax.Array], shape: tuple[int, ...]) -> tuple[jax.Array, np.ndarray]:
    """Maps of several shapes, zeros behind each, as one array; and how many zeros were put behind each."""
    size = shape[0] * shape[1]
    flat = jnp.stack([jnp.pad(x, [(0, n - m) for n, m in zip(shape, x.shape, strict=True)]) for x in maps])
    return flat, np.asarray([size - x.size for x in maps], np.float32)


def below(maps: Sequence[jax.Array], steps: tuple[float, ...]) -> jax.Array:
    """Log odds that a value of each map lies below each of some thresholds in units of 1/255, [maps, thresholds]."""
    limits = jnp.asarray(steps, jnp.float32) * STEP
    shares = jax.lax.map(lambda limit: jnp.stack([mean_of(x < limit) for x in maps]), limits).T
    return log_odds(shares)


def log_odds(share: jax.Array) -> jax.Array:
    return jnp.log(share + TINY) - jnp.log(1.0 - share + TINY)


def log(x: jax.Array, floor: float = 1e-8) -> jax.Array:
    return jnp.log(x + floor)


def shape_of_tails(first: jax.Array, second: jax.Array, fourth: jax.Array) -> jax.Array:
    """Log of the mean size, and how heavy the tails are, from the mean size and the second and fourth moment."""
    return jnp.stack(
        [log(first, 1e-5), 0.5 * log(second, 1e-10) - log(first, 1e-5), log(fourth, 1e-12) - 2 * log(second, 1e-6)]
    )


def half(x: jax.Array) -> jax.Array:
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    x = x[:h, :w]
    return 0.25 * (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2])


def quarter(x: jax.Array) -> jax.Array:
    """Means of the 2 x 2 blocks of maps [k, h, w]."""
    return jax.vmap(half)(x)


@functools.lru_cache(maxsize=64)
def _window_means(side: int, size: int, stride: int) -> np.ndarray:
    starts = np.arange(0, side - size + 1, stride)
    pixel = np.arange(side)
    return ((pixel >= starts[:, None]) & (pixel < starts[:, None] + size)).astype(np.float32) / size


def box(x: jax.Array, size: int, stride: int = 1) -> jax.Array:
    """Means over square windows: few windows, or few pixels a window, are fastest in their own way on a CPU."""
    rows, columns = (_window_means(side, size, stride) for side in x.shape)
    if stride > 4:
        return jnp.matmul(rows, x) @ columns.T
    x = total(x[i : i + stride * len(rows) : stride][: len(rows)] for i in range(size)) / size
    if stride > 1:
        return x @ columns.T
    return total(x[:, i : i + len(columns)] for i in range(size)) / size


def lowest(x: jax.Array, size: int, stride: int) -> jax.Array:
    """The lowest value of square windows, rows and then columns."""
    rows = jax.lax.reduce_window(x, jnp.inf, jax.lax.min, (size, 1), (stride, 1), "VALID")
    return jax.lax.reduce_window(rows, jnp.inf, jax.lax.min, (1, size), (1, stride), "VALID")
