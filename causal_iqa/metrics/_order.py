"""Order statistics without sorting: on a CPU XLA sorts 50,000 numbers in 10 ms and selects in half a millisecond."""

import functools

import jax
import jax.numpy as jnp

_COUNT_ROWS = 16


def _select(x: jax.Array, rank: int) -> jax.Array:
    """The value of that rank, found bit by bit from the sign down: one count over the array per bit."""
    integer = jnp.int64 if x.dtype == jnp.float64 else jnp.int32
    width = jnp.iinfo(integer).bits
    magnitude = jnp.array(jnp.iinfo(integer).max, integer)

    def sortable(bits: jax.Array) -> jax.Array:
        # Of negative numbers the bits grow with the magnitude: flipped, integers order as the floats. Its own inverse.
        return bits ^ ((bits >> (width - 1)) & magnitude)

    keys = sortable(jax.lax.bitcast_convert_type(x.ravel(), integer))
    # Counted in rows that are added elementwise first, which a CPU does much faster than one long sum.
    short = -keys.size % _COUNT_ROWS
    keys = jnp.pad(keys, (0, short), constant_values=magnitude).reshape(_COUNT_ROWS, -1)

    def count_below(limit: jax.Array) -> jax.Array:
        rows = (keys < limit).astype(jnp.int32)
        while rows.shape[0] > 1:
            half = rows.shape[0] // 2
            rows = rows[:half] + rows[half:]
        return jnp.sum(rows, dtype=jnp.int32)

    def refine(step: jax.Array, prefix: jax.Array) -> jax.Array:
        candidate = prefix | (jnp.array(1, integer) << (width - 2 - step).astype(integer))
        return jnp.where(count_below(candidate) <= rank, candidate, prefix)

    zero, lowest = jnp.array(0, integer), jnp.array(jnp.iinfo(integer).min, integer)
    start = jnp.where(count_below(zero) <= rank, zero, lowest)
    key = jax.lax.fori_loop(0, width - 1, refine, start)
    return jax.lax.bitcast_convert_type(sortable(key), x.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def order_statistic(x: jax.Array, rank: int) -> jax.Array:
    """The `rank`-th smallest element, counted from zero, of all elements of `x`.

    Its gradient goes to the element itself, in equal parts where several are equal.

    Args:
      x: float32 (or float64) of any shape, without NaN.
      rank: static, from 0 to the number of elements less one.

    Returns:
      Scalar, one of the elements.
    """
    return _select(x, rank)


@order_statistic.defjvp
def _order_statistic_jvp(rank: int, primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple:
    (x,), (tangent,) = primals, tangents
    value = order_statistic(x, rank)
    chosen = (x == value).astype(x.dtype)
    return value, jnp.sum(chosen * tangent) / jnp.maximum(jnp.sum(chosen), 1.0)


def median(x: jax.Array) -> jax.Array:
    """Median of all elements; the mean of the middle two of an even number."""
    low = order_statistic(x, (x.size - 1) // 2)
    if x.size % 2:
        return low
    # The next value up is the same one if enough elements equal it, else the smallest that is larger.
    reached = jnp.sum(x <= low, dtype=jnp.int32)
    high = jnp.min(jnp.where(x > low, x, jnp.inf))
    return 0.5 * (low + jnp.where(reached > x.size // 2, low, high))


def mean_of_smallest(x: jax.Array, count: int) -> jax.Array:
    """Mean of the `count` smallest elements, `count` static and at least 1."""
    limit = order_statistic(x, count - 1)
    below = x < limit
    kept = jnp.sum(jnp.where(below, x, 0.0)) + (count - jnp.sum(below)) * limit
    return kept / count
