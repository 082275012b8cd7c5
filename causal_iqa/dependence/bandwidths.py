"""Length scales of kernels from the samples: the median heuristic, exact and from drawn pairs."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from causal_iqa import _checks
from causal_iqa._roots import safe_sqrt
from causal_iqa.dependence import kernels, permutations

T = TypeVar("T")
# Candidates between which thresholds are guessed from their number; fewer are parted evenly.
_MANY = 64
_THRESHOLDS = 3


def _at_least_two(x: jax.Array) -> jax.Array:
    x = jnp.asarray(_checks.as_samples(x))
    if x.shape[0] < 2:
        raise ValueError(f"x: the median heuristic needs at least 2 samples, got {x.shape[0]}")
    return x


def _fold(update: Callable[[T, jax.Array], T], first: T, rows: jax.Array) -> T:
    """Folds rows into one; on a CPU several times faster than a reduction of what `update` computes."""
    return jax.lax.scan(lambda carry, row: (update(carry, row), None), first, rows)[0]


def _pairs(x: jax.Array) -> jax.Array:
    """Squared distances of samples i and (i + 1 + d) mod n for d below n / 2: every pair once, else infinity.

    In row d up to eight dimensions, else in column d.
    """
    n = x.shape[0]
    if kernels.is_direct(x):
        # Row by row, without the matrix of which they are the diagonals.
        columns, twice = x.T, jnp.concatenate([x, x]).T
        latter = jnp.arange(n) >= n // 2

        def row(step: jax.Array) -> jax.Array:
            others = jax.lax.dynamic_slice_in_dim(twice, step, n, axis=1)
            squares = sum(jnp.square(a - b) for a, b in zip(columns, others, strict=True))
            # The middle diagonal of an even number of samples holds its pairs twice.
            return jnp.where(latter & (2 * step == n), jnp.inf, squares)

        return jax.lax.map(row, jnp.arange(1, n // 2 + 1))
    values = permutations.cyclic_diagonals(kernels.squared_distances(x, x))[:, 1:]
    return values.at[n // 2 :, -1].set(jnp.inf) if n % 2 == 0 else values


class _Bracket(NamedTuple):
    """Bit patterns between which a value is, `low` included, and how many values are below each."""

    low: jax.Array
    high: jax.Array
    below_low: jax.Array
    below_high: jax.Array


def _thresholds(bracket: _Bracket, rank: int) -> jax.Array:
    """Three bit patterns inside a bracket: its middle, and where the rank would be if values were spread evenly."""
    low, high, count = bracket.low, bracket.high, bracket.below_high - bracket.below_low
    width = high - low
    many = count > _MANY
    # Twice the deviation of the number of values below a place in the middle.
    spread = jnp.where(many, 1.0 / jnp.sqrt(jnp.maximum(count, 1).astype(jnp.float32)), 0.25)
    place = jnp.where(many, (rank + 0.5 - bracket.below_low) / jnp.maximum(count, 1).astype(jnp.float32), 0.5)
    shares = jnp.clip(place + jnp.stack([-spread, spread]), 0.0, 1.0)
    guesses = jnp.minimum((shares * width.astype(jnp.float32)).astype(low.dtype), width - 1)
    return low + jnp.clip(jnp.sort(jnp.append(guesses, width // 2)), 1, width - 1)


def _of_rank(rows: jax.Array, rank: int, some: jax.Array) -> jax.Array:
    """The value of a rank (from 0) among values that are not negative, by narrowing the range of their bit patterns.

    `some` of the values say where to look first.

    References:
      [1] Floyd, Rivest, "Expected time bounds for selection", Communications of the ACM 1975: thresholds on both sides
          of where the value must be.
    """
    integers = jnp.int64 if rows.dtype == jnp.float64 else jnp.int32
    # The bit patterns of floats that are not negative are in the order of the floats.
    bits = jax.lax.bitcast_convert_type(rows, integers)
    infinity = jax.lax.bitcast_convert_type(jnp.asarray(jnp.inf, rows.dtype), integers)
    none = jnp.zeros(rows.shape[1], jnp.int32)

    def narrow(bracket: _Bracket, thresholds: jax.Array) -> _Bracket:
        def count(totals: tuple[jax.Array, ...], row: jax.Array) -> tuple[jax.Array, ...]:
            return tuple(c + (row < t).astype(jnp.int32) for c, t in zip(totals, thresholds, strict=True))

        below = jnp.stack([jnp.sum(c) for c in _fold(count, (none,) * _THRESHOLDS, bits)])
        left = jnp.sum(below <= rank)
        values = jnp.concatenate([bracket.low[None], thresholds, bracket.high[None]])
        counts = jnp.concatenate([bracket.below_low[None], below, bracket.below_high[None]])
        return _Bracket(values[left], values[left + 1], counts[left], counts[left + 1])

    def several(bracket: _Bracket) -> jax.Array:
        return (bracket.high - bracket.low > 1) & (bracket.below_high - bracket.below_low > 1)

    start = _Bracket(jnp.zeros((), integers), infinity + 1, jnp.int32(0), jnp.int32(rows.size))
    ordered, place, spread = jnp.sort(some), rank / rows.size * some.size, some.size**0.5
    first = jnp.stack([ordered[min(max(int(place + k * spread), 0), some.size - 1)] for k in (-1, 0, 1)])
    start = narrow(start, jax.lax.bitcast_convert_type(first, integers))
    found = jax.lax.while_loop(several, lambda b: narrow(b, _thresholds(b, rank)), start)
    low = jax.lax.bitcast_convert_type(found.low, rows.dtype)
    endless = jnp.full(rows.shape[1], jnp.inf, rows.dtype)
    return jnp.min(_fold(lambda least, row: jnp.minimum(least, jnp.where(row >= low, row, jnp.inf)), endless, rows))


def _next(rows: jax.Array, lower: jax.Array, rank: int) -> jax.Array:
    """The value of a rank that is that of `lower` or the next distinct one."""
    none, endless = jnp.zeros(rows.shape[1], jnp.int32), jnp.full(rows.shape[1], jnp.inf, rows.dtype)

    def update(carry: tuple[jax.Array, jax.Array], row: jax.Array) -> tuple[jax.Array, jax.Array]:
        count, least = carry
        above = row > lower
        return count + (~above).astype(jnp.int32), jnp.minimum(least, jnp.where(above, row, jnp.inf))

    within, above = _fold(update, (none, endless), rows)
    return jnp.where(jnp.sum(within) > rank, lower, jnp.min(above))


def _place(rows: jax.Array, value: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Row and column of an entry that has a value."""
    numbered = (rows, jnp.arange(rows.shape[0], dtype=jnp.int32))
    of_column, _ = jax.lax.scan(
        lambda found, row: (jnp.where(row[0] == value, row[1], found), None),
        jnp.full(rows.shape[1], -1, jnp.int32),
        numbered,
    )
    column = jnp.argmax(of_column)
    return jnp.maximum(of_column[column], 0), column


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
      [2] Garreau, Jitkrittum, Kanagawa, "Large sample analysis of the median heuristic", 2017, eq. 1; in that paper the
        median
          of squared distances, halved.

    Examples:
      >>> float(dependence.median_heuristic(np.float32([[0], [1], [3]])))  # of the distances 1, 2 and 3
      2.0
    """
    x = _at_least_two(x)
    n = x.shape[0]
    rows, pairs = _pairs(jax.lax.stop_gradient(x)), n * (n - 1) // 2
    lower = _of_rank(rows, (pairs - 1) // 2, rows[0] if kernels.is_direct(x) else rows[:, 0])
    upper = lower if pairs % 2 else _next(rows, lower, pairs // 2)

    def distance(square: jax.Array) -> jax.Array:
        # Anew from its pair of samples, of which it is differentiable.
        step, first = _place(rows, square) if kernels.is_direct(x) else _place(rows, square)[::-1]
        return safe_sqrt(jnp.sum(jnp.square(x[first] - x[(first + 1 + step) % n])))

    median = 0.5 * (distance(lower) + distance(upper))
    return jnp.where(jnp.all(jnp.isfinite(x)), median, jnp.nan)


def median_heuristic_subsampled(key: jax.Array, x: jax.Array, *, num_pairs: int) -> jax.Array:
    """Median of the Euclidean distances of random pairs of distinct samples, drawn with replacement.

    Costs num_pairs d numbers whatever n. Its standard error is that of a median of num_pairs draws, about
    1 / (2 f sqrt(num_pairs)) for a density f of the distances at the median, if n is large against sqrt(num_pairs).

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

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> bool(dependence.median_heuristic_subsampled(jax.random.key(0), x, num_pairs=100) > 0)
      True
    """
    x = _at_least_two(x)
    n = x.shape[0]
    if num_pairs < 1:
        raise ValueError(f"num_pairs: expected at least 1, got {num_pairs}")
    key_first, key_step = jax.random.split(key)
    first = jax.random.randint(key_first, (num_pairs,), 0, n)
    second = (first + jax.random.randint(key_step, (num_pairs,), 1, n)) % n
    return jnp.median(safe_sqrt(jnp.sum(jnp.square(x[first] - x[second]), axis=1)))
