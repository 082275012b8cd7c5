"""Moments over all permutations against enumeration."""

import itertools

import numpy as np
import pytest
import scipy.stats

from causal_iqa.dependence import independence, permutation_moments
from tests.dependence.compiled import compiled


def _symmetric(seed, n, rank=None):
    factor = np.random.default_rng(seed).standard_normal((n, rank or n))
    gram = factor @ factor.T
    H = np.eye(n) - 1 / n
    gram = H @ gram @ H
    return gram / np.linalg.norm(gram)


@compiled
def _moments(A, B):
    both = independence.pair(A, B, 4)
    std = permutation_moments.permutation_std(both.M, both.N)
    unit = both.M.unit * both.N.unit
    skewness = permutation_moments.permutation_skewness(both.M, both.N)
    return unit * (both.product + both.shift), unit * both.shift, unit * std, skewness


@pytest.mark.parametrize(("n", "rank"), [(4, 4), (5, 2), (7, 1)])
def test_moments_are_those_of_all_permutations(n, rank):
    A, B = _symmetric(n, n, rank), _symmetric(n + 1, n)
    orders = (np.ix_(o, o) for o in itertools.permutations(range(n)))
    null = np.array([np.sum(A * B[o]) for o in orders])
    product, mean, std, skewness = _moments(*(np.asarray(m, np.float32) for m in (A, B)))
    np.testing.assert_allclose(product, np.sum(A * B), atol=1e-6)
    np.testing.assert_allclose(mean, null.mean(), atol=1e-6)
    np.testing.assert_allclose(std, null.std(), rtol=1e-5)
    np.testing.assert_allclose(skewness, scipy.stats.skew(null), rtol=1e-4, atol=1e-4)


def test_traceless_matrices_are_the_projection():
    x = np.random.default_rng(9).standard_normal((12, 2))
    K = np.exp(-np.sum((x[:, None] - x[None]) ** 2, axis=-1) / 2)
    H = np.eye(12) - 1 / 12
    centred = H @ K @ H

    @compiled
    def run(K):
        matrix = permutation_moments.traceless(K)
        return matrix, matrix.matrix(), matrix.apply(np.eye(12)), matrix.apply_with_trace(np.eye(12))

    matrix, whole, applied, with_trace = run(np.asarray(5 * K + 2, np.float32))
    assert matrix.unit == 8  # The power of two above 5 + 2.
    expected = 5 / 8 * (centred - np.trace(centred) / 11 * H)
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    np.testing.assert_allclose(matrix.norm, np.linalg.norm(expected), rtol=1e-5)
    np.testing.assert_allclose(matrix.squares, np.sum(expected**2, axis=1), rtol=1e-4)
    np.testing.assert_allclose(matrix.cubes, np.sum(expected**3), rtol=1e-4)
    np.testing.assert_allclose(applied, expected, atol=1e-6)
    np.testing.assert_allclose(with_trace, 5 / 8 * centred, atol=1e-6)


def test_estimated_cube_traces_are_near_the_exact_ones():
    n = 96

    @compiled
    def run(K):
        matrix = permutation_moments.traceless(K)
        estimate, image = permutation_moments.estimated_trace_of_cube(matrix.apply, n, matrix.diagonal)
        return estimate, image, permutation_moments.trace_of_cube(matrix.matrix()), matrix.matrix(), matrix.diagonal

    for d, tolerance in ((1, 1e-4), (3, 2e-3), (40, 0.05)):
        x = np.random.default_rng(d).standard_normal((n, d))
        K = np.exp(-np.sum((x[:, None] - x[None]) ** 2, axis=-1) / (4 * d))
        estimate, image, exact, *parts = run(np.asarray(K, np.float32))
        A, diagonal = (np.asarray(part, np.float64) for part in parts)
        np.testing.assert_allclose(estimate, np.trace(A @ A @ A), rtol=tolerance)
        np.testing.assert_allclose(exact, np.trace(A @ A @ A), rtol=1e-5)
        np.testing.assert_allclose(image, A @ diagonal, atol=1e-5)
    signs = np.asarray(permutation_moments.probes(400, 96))
    assert set(np.unique(signs)) == {-1.0, 1.0}
    off_diagonal = signs.T @ signs / 400 - np.eye(96)
    assert abs(signs.mean()) < 4 / np.sqrt(signs.size) and np.abs(off_diagonal).max() < 5 / np.sqrt(400)
