"""Exact moments, over all n! permutations, of the inner product of a centred matrix with a permuted one.

The part of <A, P B P'> that depends on the permutation is unchanged when the trace of both matrices is removed: A -
tr(A) / (n - 1) H and B - tr(B) / (n - 1) H, where H is the centring matrix, which no permutation changes. Their rows,
columns and diagonals sum to zero, so that the mean is zero and nothing cancels in the higher moments.
"""

import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._xla import settle
from causal_iqa.dependence import hsic

_PRECISION = jax.lax.Precision.HIGHEST
# Samples up to which the trace of a cube is one matrix product; beyond, it is taken on so many leading directions and
# estimated from so many probes on the rest.
EXACT_SAMPLES = 512
_DIRECTIONS, _PROBES = 32, 16
# Sums that third moments are made of, as the edges of a graph whose vertices are the summed indices.
_GRAPHS: dict[tuple[tuple[int, ...], ...], int] = {
    ((0, 0), (0, 0), (0, 0)): 0,  # sum_i a_ii^3
    ((0, 0), (0, 1), (1, 1)): 1,  # sum_ij a_ii a_ij a_jj
    ((0, 0), (0, 1), (0, 1)): 2,  # sum_ij a_ii a_ij^2
    ((0, 1), (0, 1), (0, 1)): 3,  # sum_ij a_ij^3
    ((0, 1), (0, 2), (1, 2)): 4,  # sum_ijk a_ij a_jk a_ki
}


def _partitions(size: int) -> Iterator[tuple[int, ...]]:
    """Set partitions of range(size), each as the number of the block of every element."""

    def extend(blocks: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(blocks) == size:
            yield blocks
            return
        for block in range(max(blocks, default=-1) + 2):
            yield from extend((*blocks, block))

    return extend(())


@functools.cache
def _graph(indices: tuple[int, ...]) -> int | None:
    """Which of `_GRAPHS` the product a_{i0 i1} a_{i2 i3} a_{i4 i5} sums to, None where the sum vanishes."""
    edges = [tuple(sorted(indices[i : i + 2])) for i in (0, 2, 4)]
    degree = Counter(indices)
    # A row sum, or a trace as a factor of its own, is zero.
    lone_loop = any(a == b and degree[a] == 2 for a, b in edges)
    if min(degree.values()) == 1 or lone_loop:
        return None
    for names in itertools.permutations(range(len(degree))):
        named = tuple(sorted(tuple(sorted((names[a], names[b]))) for a, b in edges))
        if named in _GRAPHS:
            return _GRAPHS[named]
    raise AssertionError(f"the product over {indices} is none of the known sums")  # pragma: no cover


def _distinct_sum(partition: Sequence[int]) -> np.ndarray:
    """The sum over distinct indices, one for each block, as a combination of the sums of `_GRAPHS`."""
    combination = np.zeros(len(_GRAPHS), dtype=int)
    for merged in _partitions(max(partition) + 1):
        graph = _graph(tuple(merged[block] for block in partition))
        if graph is not None:
            sizes = Counter(merged).values()
            combination[graph] += math.prod((-1) ** (size - 1) * math.factorial(size - 1) for size in sizes)
    return combination


@functools.cache
def _third_moment_form(n: int) -> np.ndarray:
    """The bilinear form that takes the sums of A and of B to the mean of <A, P B P'>^3, by Moebius inversion."""
    form = np.zeros((len(_GRAPHS), len(_GRAPHS)), dtype=object)
    for partition in _partitions(6):
        blocks = max(partition) + 1
        if blocks <= n:
            combination = _distinct_sum(partition).astype(object)
            form += np.outer(combination, combination) * Fraction(1, math.perm(n, blocks))
    # Times n^3, so that float32 holds it for every n.
    return np.asarray(form * n**3, dtype=float)


def probes(n: int, count: int) -> jax.Array:
    """Fixed signs [n, count] without a pattern: quadrature nodes of a trace, not random draws.

    References:
      [1] Appleby, MurmurHash3, the 32-bit finaliser.
    """
    bits = jnp.arange(n * count, dtype=jnp.uint32).reshape(n, count) + jnp.uint32(0x9E3779B9)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        bits = (bits ^ (bits >> shift)) * jnp.uint32(factor)
    return jnp.where(bits >> 31 == 0, 1.0, -1.0)


def leading_subspace(apply: Callable[[jax.Array], jax.Array], n: int, count: int) -> tuple[jax.Array, jax.Array]:
    """An orthonormal basis [n, count] near the leading eigenvectors, and its image: one step of subspace iteration.

    References:
      [1] Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 2011, algorithm 4.4.
    """
    basis = orthonormal(apply(apply(probes(n, count))))
    return basis, apply(basis)


def orthonormal(vectors: jax.Array, *, rounding_units: float = 1e2) -> jax.Array:
    """Gram-Schmidt, every column twice; zero columns where no more than rounding tells them from those before.

    Without a linear algebra library, whose calls wait for each other on a CPU when side by side in one program.

    References:
      [1] Giraud, Langou, Rozloznik, "The loss of orthogonality in the Gram-Schmidt process", Computers and Mathematics
          with Applications 2005: twice is enough.
    """
    # As rows, which lie together in memory.
    rows = vectors.T

    def add(i: jax.Array, basis: jax.Array) -> jax.Array:
        row = rows[i]
        for _ in range(2):
            shares = jnp.matmul(basis, row, precision=_PRECISION)
            row = row - jnp.matmul(shares, basis, precision=_PRECISION)
        norm, before = jnp.sqrt(jnp.sum(row**2)), jnp.sqrt(jnp.sum(rows[i] ** 2))
        new = norm > rounding_units * jnp.finfo(vectors.dtype).eps * before
        return basis.at[i].set(jnp.where(new, row / jnp.where(new, norm, 1.0), 0.0))

    return jax.lax.fori_loop(0, len(rows), add, jnp.zeros_like(rows)).T


class Traceless(NamedTuple):
    """A centred matrix minus its trace, brought to entries near 1.

    Attributes:
      entries: [n, n], of the kernel, less one of them.
      rows: [n], the means of their rows over `unit`.
      diagonal: [n], the diagonal, summing to zero.
      squares: [n], the sums of the squares of rows, the diagonal included.
      cubes: scalar, the sum of the cubes, the diagonal included.
      trace: scalar, the trace of the centred matrix.
      unit: scalar, the power of two above the largest entry of the kernel, over which all else is.
      norm: scalar, Frobenius norm of the remainder.
      varies: scalar bool, False where there is nothing but rounding.
    """

    entries: jax.Array
    rows: jax.Array
    diagonal: jax.Array
    squares: jax.Array
    cubes: jax.Array
    trace: jax.Array
    unit: jax.Array
    norm: jax.Array
    varies: jax.Array

    def _columns(self) -> jax.Array:
        """The values subtracted from each column, as `rows` are from each row."""
        return _column_shares(self.rows, self.trace)

    def apply(self, vectors: jax.Array) -> jax.Array:
        """Its product with vectors [n, m]."""
        # Less their mean, which the matrix takes to zero, but rounding not.
        vectors = vectors - jnp.mean(vectors, axis=0, keepdims=True)
        images = jnp.matmul(self.entries, vectors, precision=_PRECISION) / self.unit
        images = images - jnp.sum(self._columns()[:, None] * vectors, axis=0, keepdims=True)
        whole = jnp.diag(self.entries) / self.unit - self.rows - self._columns()
        return images + (self.diagonal - whole)[:, None] * vectors

    def apply_with_trace(self, vectors: jax.Array) -> jax.Array:
        """The product of the centred matrix with vectors [n, m]."""
        share = self.trace / (len(self.diagonal) - 1)
        return self.apply(vectors) + share * (vectors - jnp.mean(vectors, axis=0, keepdims=True))

    def matrix(self) -> jax.Array:
        """It, in one [n, n]."""
        whole = self.entries / self.unit - self.rows[:, None] - self._columns()[None, :]
        return jnp.where(jnp.eye(len(self.rows), dtype=bool), self.diagonal[:, None], whole)

    def row(self, i: jax.Array) -> jax.Array:
        """Row i of it; by symmetry its column."""
        row = jax.lax.dynamic_index_in_dim(self.entries, i, keepdims=False)
        whole = row / self.unit - self.rows[i] - self._columns()
        return jnp.where(jnp.arange(len(self.rows)) == i, self.diagonal, whole)

    def product(self, other: "Traceless") -> jax.Array:
        """Its inner product with another."""

        def add(i: jax.Array, totals: jax.Array) -> jax.Array:
            return totals + self.row(i) * other.row(i)

        # Row onto row, which a CPU adds in vectors, as it does not the entries of one row.
        return jnp.sum(jax.lax.fori_loop(0, len(self.rows), add, jnp.zeros_like(self.rows)))


def _column_shares(rows: jax.Array, trace: jax.Array) -> jax.Array:
    n = len(rows)
    return rows - jnp.mean(rows) - trace / (n - 1) / n


def traceless(K: jax.Array) -> Traceless:
    """Centres a Gram matrix and takes its trace away, in two passes over one [n, n] that is kept.

    Args:
      K: symmetric [n, n], n at least 2.

    Returns:
      `Traceless`.

    References:
      [1] Gretton, Bousquet, Smola, Schoelkopf, "Measuring statistical dependence with Hilbert-Schmidt norms", ALT 2005,
          definition 2: centring.
    """
    n = K.shape[0]
    # One entry taken off everywhere cancels in exact arithmetic, and leaves exact zeros of a constant kernel.
    corner = K[0, 0]
    # Stored, or each of the passes below would compute the kernel anew.
    entries = settle(K - corner)

    none = (jnp.zeros(n, K.dtype), jnp.zeros(n, K.dtype))

    # Sums of rows are sums over rows of a symmetric matrix, which a CPU adds in vectors.
    def add(totals: tuple[jax.Array, jax.Array], row: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
        return (jnp.maximum(totals[0], jnp.abs(row + corner)), totals[1] + row), None

    (largest, rows), _ = jax.lax.scan(add, none, entries)
    largest, rows = jnp.max(largest), rows / n
    # A power of two rounds nothing.
    unit = jnp.ldexp(jnp.ones((), K.dtype), jnp.frexp(jnp.where(jnp.isfinite(largest), largest, 1.0))[1])
    rows = rows / unit
    # Of a symmetric matrix the means of the rows are those of the columns.
    diagonal = jnp.diag(entries) / unit - rows - (rows - jnp.mean(rows))
    trace = jnp.sum(diagonal)
    left = diagonal + trace / (n - 1) / n - trace / (n - 1)
    columns, places = _column_shares(rows, trace), jnp.arange(n)

    def powers(totals: tuple[jax.Array, jax.Array], row: tuple) -> tuple[tuple[jax.Array, jax.Array], None]:
        values, mean, own, i = row
        rest = jnp.where(places == i, own, values / unit - mean - columns)
        square = rest * rest
        return (totals[0] + square * rest, totals[1] + square), None

    (cubes, squares), _ = jax.lax.scan(powers, none, (entries, rows, left, places))
    # Not "greater", which NaN is not.
    varies = ~(jnp.sqrt(jnp.max(squares) / n) <= hsic.ROUNDING_UNITS * jnp.finfo(K.dtype).eps)
    norm = jnp.sqrt(jnp.sum(squares))
    return Traceless(entries, rows, left, squares, jnp.sum(cubes), trace, unit, norm, varies)


def trace_of_cube(matrix: jax.Array) -> jax.Array:
    """tr(A^3) of a symmetric matrix: exact up to 512 samples, beyond `estimated_trace_of_cube`.

    Args:
      matrix: symmetric [n, n].

    Returns:
      Scalar.
    """
    if len(matrix) <= EXACT_SAMPLES:
        return jnp.sum(jnp.matmul(matrix, matrix, precision=_PRECISION) * matrix)
    apply = functools.partial(jnp.matmul, matrix, precision=_PRECISION)
    return estimated_trace_of_cube(apply, len(matrix), jnp.zeros(len(matrix), matrix.dtype))[0]


def estimated_trace_of_cube(
    apply: Callable[[jax.Array], jax.Array], n: int, vector: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """tr(A^3) on leading directions, and by Hutchinson's estimate on the rest: three products with A.

    Args:
      apply: the product of the symmetric A with vectors [n, m].
      n: number of samples, static int.
      vector: [n], one to multiply with A on the way.

    Returns:
      The trace, and A times the vector.

    References:
      [1] Meyer, Musco, Musco, Woodruff, "Hutch++: optimal stochastic trace estimation", SOSA 2021, algorithm 1.
    """
    signs = probes(n, _DIRECTIONS + _PROBES).astype(vector.dtype)
    images = apply(jnp.concatenate([signs[:, :_DIRECTIONS], vector[:, None]], axis=1))
    basis, rest = orthonormal(images[:, :_DIRECTIONS]), signs[:, _DIRECTIONS:]
    rest = rest - jnp.matmul(basis, jnp.matmul(basis.T, rest, precision=_PRECISION), precision=_PRECISION)
    once = apply(jnp.concatenate([basis, rest], axis=1))
    terms = jnp.sum(once * apply(once), axis=0)
    return jnp.sum(terms[:_DIRECTIONS]) + jnp.sum(terms[_DIRECTIONS:]) / _PROBES, images[:, _DIRECTIONS]


def permutation_std(M: Traceless, N: Traceless) -> jax.Array:
    """Standard deviation of <A, P B P'> over all permutations P of the samples; the mean is zero.

    Args:
      M: `traceless` of n samples, n at least 4.
      N: the same for the second variable.

    Returns:
      Scalar.

    References:
      [1] Kazi-Aoual et al., "Refined approximations to permutation tests for multivariate inference", Computational
          Statistics and Data Analysis 1995; the terms of the trace are zero here.
    """
    n = len(M.diagonal)

    def rest(matrix: Traceless) -> jax.Array:
        return (n + 1) * jnp.sum(matrix.diagonal**2) - 2 * (n - 1) / n * matrix.norm**2

    variance = 2 * (M.norm * N.norm) ** 2 / ((n + 1) * (n - 2))
    variance += rest(M) * rest(N) / n * (n * n / ((n + 1) * (n - 1) * (n - 2) * (n - 3)))
    return jnp.sqrt(jnp.maximum(variance, 0.0))


def permutation_skewness(M: Traceless, N: Traceless) -> jax.Array:
    """Skewness of <A, P B P'> over all permutations P of the samples.

    Up to n = 512 exact, in O(n^3) by one product of each matrix with itself; beyond, tr(A^3) comes from 32 leading
    directions and a trace estimate of the rest, in O(n^2): to 1e-3 for usual kernels, to 3e-2 for those that hardly
    find samples alike, whose skewness is near zero.

    Args:
      M: `traceless` of n samples, n at least 4.
      N: the same for the second variable.

    Returns:
      Scalar; NaN where the deviation is zero.

    References:
      [1] Kazi-Aoual, Hitier, Sabatier, Lebreton, "Refined approximations to permutation tests for multivariate
          inference", Computational Statistics and Data Analysis 1995: the first three moments.
      [2] Josse, Pages, Husson, "Testing the significance of the RV coefficient", CSDA 2008, section 2.
    """
    n = len(M.diagonal)

    def third(matrix: Traceless) -> jax.Array:
        diagonal = matrix.diagonal
        if n <= EXACT_SAMPLES:
            products, cube = matrix.apply(diagonal[:, None])[:, 0], trace_of_cube(matrix.matrix())
        else:
            cube, products = estimated_trace_of_cube(matrix.apply, n, diagonal)
        sums = (diagonal**3, diagonal * products, diagonal * matrix.squares)
        # In powers of the norm, so that float32 holds them in any unit.
        return jnp.stack([*(jnp.sum(s) for s in sums), matrix.cubes, cube]) / matrix.norm**3

    form = jnp.asarray(_third_moment_form(n), M.entries.dtype)
    moment = jnp.sum(third(M)[:, None] * form * third(N)[None, :])
    std = n * permutation_std(M, N) / (M.norm * N.norm)
    varies = std > 0
    return jnp.where(varies, moment / jnp.where(varies, std, 1.0) ** 3, jnp.nan)
