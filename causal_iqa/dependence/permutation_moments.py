"""Exact moments, over all n! permutations, of the inner product of a centred matrix with a permuted one.

What depends on the permutation in <A, P B P'> is left when both matrices give up their trace: A - tr(A) / (n - 1) H and
B likewise, H the centring matrix, which no permutation moves. Of these rows, columns and diagonal sum to zero, so that
the mean is zero and nothing cancels in the higher moments.
"""

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_PRECISION = jax.lax.Precision.HIGHEST
# Samples up to which the trace of a cube is one matrix product; beyond, it is estimated from so many probes.
_EXACT_SAMPLES = 1024
_PROBES = 48
# Sums that third moments are made of, as the edges of a graph whose vertices are the summed indices.
_GRAPHS = {
    ((0, 0), (0, 0), (0, 0)): 0,  # sum_i a_ii^3
    ((0, 0), (0, 1), (1, 1)): 1,  # sum_ij a_ii a_ij a_jj
    ((0, 0), (0, 1), (0, 1)): 2,  # sum_ij a_ii a_ij^2
    ((0, 1), (0, 1), (0, 1)): 3,  # sum_ij a_ij^3
    ((0, 1), (0, 2), (1, 2)): 4,  # sum_ijk a_ij a_jk a_ki
}


class PermutationMoments(NamedTuple):
    """Moments of <A, P B P'> over all permutations P; every field a scalar."""

    mean: jax.Array
    std: jax.Array
    skewness: jax.Array


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


def leading_subspace(A: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """An orthonormal basis near the leading eigenvectors, and A times it: one step of subspace iteration.

    References:
      [1] Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 2011, algorithm 4.4.
    """
    start = probes(A.shape[0], count).astype(A.dtype)
    basis, _ = jnp.linalg.qr(jnp.matmul(A, jnp.matmul(A, start, precision=_PRECISION), precision=_PRECISION))
    return basis, jnp.matmul(A, basis, precision=_PRECISION)


def _cube_trace(A: jax.Array) -> jax.Array:
    """tr(A^3): exact, or on a leading subspace and by Hutchinson's estimate on the rest.

    References:
      [1] Meyer, Musco, Musco, Woodruff, "Hutch++: optimal stochastic trace estimation", SOSA 2021, algorithm 1.
    """
    n = A.shape[0]
    if n <= _EXACT_SAMPLES:
        return jnp.sum(jnp.matmul(A, A, precision=_PRECISION) * A)
    basis, image = leading_subspace(A, _PROBES)
    leading = jnp.sum(image * jnp.matmul(A, image, precision=_PRECISION))
    rest = probes(n, 2 * _PROBES)[:, _PROBES:].astype(A.dtype)
    rest = rest - jnp.matmul(basis, jnp.matmul(basis.T, rest, precision=_PRECISION), precision=_PRECISION)
    image = jnp.matmul(A, rest, precision=_PRECISION)
    return leading + jnp.sum(image * jnp.matmul(A, image, precision=_PRECISION)) / _PROBES


def _without_trace(A: jax.Array) -> tuple[jax.Array, jax.Array]:
    n = A.shape[0]
    share = jnp.trace(A) / (n - 1)
    return A + share / n - jnp.diag(jnp.full(n, share)), jnp.trace(A)


def mean_and_std(A: jax.Array, B: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of <A, P B P'> over all permutations P of the samples, in O(n^2).

    Args:
      A: symmetric [n, n] of zero row sums, n at least 4.
      B: likewise.

    Returns:
      Two scalars.

    References:
      [1] Kazi-Aoual et al., "Refined approximations to permutation tests for multivariate inference", Computational
          Statistics and Data Analysis 1995; without the terms of the trace.
    """
    n = A.shape[0]
    (A, trace_a), (B, trace_b) = _without_trace(A), _without_trace(B)

    def sums(M: jax.Array) -> tuple[jax.Array, jax.Array]:
        squares, diagonal = jnp.sum(M * M), jnp.sum(jnp.diag(M) ** 2)
        return squares, (n + 1) * diagonal - 2 * (n - 1) / n * squares

    (squares_a, rest_a), (squares_b, rest_b) = sums(A), sums(B)
    variance = 2 * squares_a * squares_b / ((n + 1) * (n - 2))
    variance += rest_a * rest_b / n * (n * n / ((n + 1) * (n - 1) * (n - 2) * (n - 3)))
    return trace_a * trace_b / (n - 1), jnp.sqrt(jnp.maximum(variance, 0.0))


def permutation_moments(A: jax.Array, B: jax.Array) -> PermutationMoments:
    """Mean, standard deviation and skewness of <A, P B P'> over all permutations P of the samples.

    Up to n = 1024 exact, in O(n^3) by one product of each matrix with itself; beyond, the mean and deviation are exact
    and the skewness takes tr(A^3) from 48 leading directions and a trace estimate of the rest, in O(n^2).

    Args:
      A: symmetric [n, n] of zero row sums, n at least 4, and of a scale near Frobenius norm 1.
      B: likewise.

    Returns:
      `PermutationMoments` of scalars; the skewness is NaN where the deviation is zero.

    References:
      [1] Kazi-Aoual, Hitier, Sabatier, Lebreton, "Refined approximations to permutation tests for multivariate
          inference", Computational Statistics and Data Analysis 1995: the first three moments.
      [2] Josse, Pages, Husson, "Testing the significance of the RV coefficient", CSDA 2008, section 2.
    """
    n = A.shape[0]
    mean, std = mean_and_std(A, B)

    def third(M: jax.Array) -> jax.Array:
        diagonal = jnp.diag(M)
        products = jnp.matmul(M, diagonal, precision=_PRECISION)
        sums = (diagonal**3, diagonal * products, diagonal * jnp.sum(M * M, axis=1), jnp.sum(M**3, axis=1))
        return jnp.stack([*(jnp.sum(s) for s in sums), _cube_trace(M)])

    form = jnp.asarray(_third_moment_form(n), A.dtype)
    moment = jnp.sum(third(_without_trace(A)[0])[:, None] * form * third(_without_trace(B)[0])[None, :])
    varies = std > 0
    skewness = jnp.where(varies, moment / jnp.where(varies, n * std, 1.0) ** 3, jnp.nan)
    return PermutationMoments(mean, std, skewness)
