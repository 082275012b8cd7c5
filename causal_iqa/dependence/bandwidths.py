"""Length scales of kernels from the samples: the median heuristic, exact and from drawn pairs."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from causal_iqa import _checks
from causal_iqa.dependence import kernels, permutations

# Entries of a row in a fold.
_ROW = 2**14


def _check_two(x: jax.Array) -> int:
    _checks.check_samples(x)
    if x.shape[0] < 2:
        raise ValueError(f"x: the median heuristic needs at least 2 samples, got {x.shape[0]}")
    return x.shape[0]


def _fold(update: Callable[[jax.Array, jax.Array], jax.Array], first: jax.Array, rows: jax.Array) -> jax.Array:
    """Folds rows into one; on a CPU several times faster than a reduction of what `update` computes."""
    return jax.lax.scan(lambda carry, row: (update(carry, row), None), first, rows)[0]


def _rows(values: jax.Array) -> jax.Array:
    """Values in rows of one length, filled up with infinity: few long steps of a fold."""
    length = min(_ROW, values.size)
    return jnp.pad(values.reshape(-1), (0, -values.size % length), constant_values=jnp.inf).reshape(-1, length)


def _of_rank(rows: jax.Array, rank: int) -> jax.Array:
    """The value of a rank (from 0) among values that are not negative, by halving the range of their bit patterns."""
    integers = jnp.int64 if rows.dtype == jnp.float64 else jnp.int32
    # The bit patterns of floats that are not negative are in the order of the floats.
    bits = jax.lax.bitcast_convert_type(rows, integers)
    width = jnp.finfo(rows.dtype).bits - 1
    none = jnp.zeros(rows.shape[1], jnp.int32)

    def halve(i: jax.Array, low: jax.Array) -> jax.Array:
        middle = low | (jnp.ones((), integers) << (width - 1 - i).astype(integers))
        below = jnp.sum(_fold(lambda count, row: count + (row < middle).astype(jnp.int32), none, bits))
        return jnp.where(below <= rank, middle, low)

    low = jax.lax.fori_loop(0, width, halve, jnp.zeros((), integers))
    return jax.lax.bitcast_convert_type(low, rows.dtype)


def _next(rows: jax.Array, lower: jax.Array, rank: int) -> jax.Array:
    """The value of a rank that is that of `lower` or the next distinct one."""
    none, endless = jnp.zeros(rows.shape[1], jnp.int32), jnp.full(rows.shape[1], jnp.inf, rows.dtype)
    within = jnp.sum(_fold(lambda count, row: count + (row <= lower).astype(jnp.int32), none, rows))
    above = _fold(lambda least, row: jnp.minimum(least, jnp.where(row > lower, row, jnp.inf)), endless, rows)
    return jnp.where(within > rank, lower, jnp.min(above))


def _place(rows: jax.Array, value: jax.Array) -> jax.Array:
    """Where in the order of entries a value is."""
    numbered = (rows, jnp.arange(rows.shape[0], dtype=jnp.int32))
    of_column, _ = jax.lax.scan(
        lambda found, row: (jnp.where(row[0] == value, row[1], found), None),
        jnp.full(rows.shape[1], -1, jnp.int32),
        numbered,
    )
    column = jnp.argmax(of_column)
    return jnp.maximum(of_column[column], 0) * rows.shape[1] + column


def median_heuristic(x: jax.Array) -> jax.Array:
    """Median of the Euclidean distances over the n (n - 1) / 2 distinct pairs, exact, without subsampling.

    The bandwidth of `rbf`, which then falls to exp(-1/2) at the median distance. One call per variable: two variables
    share no bandwidth.

    Args:
      x: samples [n, d], n from 2 to 46000.

    Returns:
      Scalar in the unit of x; 0 when at least half of the pairs coincide, which no `rbf` accepts. NaN when a sample is.

    Raises:
      ValueError: when x is not [n, d] or n is below 2.

    References:
      [1] Gretton et al., "A kernel two-sample test", JMLR 2012, section 8.
      [2] Garreau, Jitkrittum, Kanagawa, "Large sample analysis of the median heuristic", 2017, eq. 1; there the median
          of squared distances, halved.
    """
    n = _check_two(x)
    # Every pair once: samples i and i + 1 + d, for d below n / 2.
    values = permutations.cyclic_diagonals(jax.lax.stop_gradient(kernels.squared_distances(x, x)))[:, 1:]
    if n % 2 == 0:  # The middle diagonal holds its pairs twice.
        values = values.at[n // 2 :, -1].set(jnp.inf)
    rows, pairs = _rows(values), n * (n - 1) // 2
    lower = _of_rank(rows, (pairs - 1) // 2)
    upper = lower if pairs % 2 else _next(rows, lower, pairs // 2)

    def distance(square: jax.Array) -> jax.Array:
        # Anew from its pair of samples, of which it is differentiable.
        first, step = jnp.divmod(_place(rows, square), values.shape[1])
        return kernels.safe_sqrt(jnp.sum(jnp.square(x[first] - x[(first + 1 + step) % n])))

    median = 0.5 * (distance(lower) + distance(upper))
    return jnp.where(jnp.all(jnp.isfinite(x)), median, jnp.nan)


def median_heuristic_subsampled(key: jax.Array, x: jax.Array, *, num_pairs: int) -> jax.Array:
    """Median of the Euclidean distances of random pairs of distinct samples, drawn with replacement.

    Costs num_pairs d numbers whatever n. Its standard error is that of a median of num_pairs draws, about
    1 / (2 f sqrt(num_pairs)) for a density f of distances there, if n is large against sqrt(num_pairs).

    Args:
      key: random key for the pairs.
      x: samples [n, d], n at least 2.
      num_pairs: static int, at least 1.

    Returns:
      Scalar in the unit of x; its expectation tends to `median_heuristic`.

    Raises:
      ValueError: when x is not [n, d], n is below 2, or num_pairs below 1.

    References:
      [1] Garreau, Jitkrittum, Kanagawa, "Large sample analysis of the median heuristic", 2017, section 2.
    """
    n = _check_two(x)
    if num_pairs < 1:
        raise ValueError(f"num_pairs: expected at least 1, got {num_pairs}")
    key_first, key_step = jax.random.split(key)
    first = jax.random.randint(key_first, (num_pairs,), 0, n)
    second = (first + jax.random.randint(key_step, (num_pairs,), 1, n)) % n
    return jnp.median(kernels.safe_sqrt(jnp.sum(jnp.square(x[first] - x[second]), axis=1)))
