"""Permuted sums against a loop."""

import itertools

import jax
import numpy as np
import pytest

from causal_iqa.dependence import permutations
from tests.dependence.compiled import compiled, dependence

cyclic_diagonals = compiled(permutations.cyclic_diagonals)
permuted_products = compiled(permutations.permuted_products)


def _symmetric(seed, n, rank=None):
    factor = np.random.default_rng(seed).standard_normal((n, rank or n))
    gram = factor @ factor.T
    H = np.eye(n) - 1 / n
    gram = H @ gram @ H
    return gram / np.linalg.norm(gram)


@pytest.mark.parametrize("n", [2, 3, 8, 9])
def test_diagonals_and_shifts_are_those_of_a_loop(n):
    A, B = _symmetric(0, n), _symmetric(1, n)
    expected = [[A[j, (j + d) % n] for d in range(n // 2 + 1)] for j in range(n)]
    np.testing.assert_allclose(cyclic_diagonals(np.asarray(A, np.float32)), expected, rtol=1e-6)
    observed, null = permuted_products(
        jax.random.key(0), *(np.asarray(m, np.float32)[None] for m in (A, B)), num_permutations=n - 1
    )
    # The coset of the data is that of the shifts under one unknown relabelling: search it among all, up to rotations.
    products = np.sort(np.array([observed[0, 0], *null[:, 0, 0]]))
    orders = np.array([(0, *rest) for rest in itertools.permutations(range(1, n))])
    a, b = (m[orders[:, :, None], orders[:, None, :]] for m in (A, B))
    shifted = np.stack([np.einsum("pij,pij->p", a, np.roll(b, k, axis=(1, 2))) for k in range(n)], axis=1)
    off = np.abs(np.sort(shifted, axis=1) - products).max(axis=1)
    assert off.min() < 1e-6
    # Another order than these shifts of a random cycle would hardly be found: some are a hundred times as far off.
    assert off.max() > 1e-4 or n < 4
    np.testing.assert_allclose(observed[0, 0], np.sum(A * B), atol=1e-6)


def test_products_of_several_matrices_share_their_permutations():
    A, B = (np.stack([_symmetric(s, 11), _symmetric(s + 1, 11, 2)]) for s in (2, 4))
    A, B = np.asarray(A, np.float32), np.asarray(B, np.float32)
    key = jax.random.key(1)
    observed, null = permuted_products(key, A, B, num_permutations=30)
    assert observed.shape == (2, 2) and null.shape == (30, 2, 2)
    for u, v in itertools.product(range(2), range(2)):
        one, alone = permuted_products(key, A[u : u + 1], B[v : v + 1], num_permutations=30)
        np.testing.assert_allclose(null[:, u, v], alone[:, 0, 0], atol=1e-6)
        np.testing.assert_allclose(one[0, 0], np.sum(A[u] * B[v]), atol=1e-6)


@pytest.mark.parametrize("num_permutations", [6, 9])
def test_permutation_p_values_are_uniform_over_the_orbit_of_the_data(num_permutations):
    # Whole cosets (9) and a part of them (6): every order of the second variable, many keys.
    A, B = _symmetric(6, 5), _symmetric(7, 5)
    orders = np.array(list(itertools.permutations(range(5))))
    K, Ls = np.asarray(A, np.float32), np.asarray([B[np.ix_(o, o)] for o in orders], np.float32)

    def p_value(key, L):
        return dependence.hsic_permutation_test(key, K, L, num_permutations=num_permutations).p_value

    keys = jax.random.split(jax.random.key(2), (60, 120))
    p = np.asarray(compiled(jax.vmap(jax.vmap(p_value), (0, None)))(keys, Ls)).ravel()
    counts = np.bincount(np.round(p * (1 + num_permutations)).astype(int), minlength=num_permutations + 2)[1:]
    share = 1 / (1 + num_permutations)
    np.testing.assert_allclose(counts / p.size, share, atol=4.5 * np.sqrt(share * (1 - share) / p.size))
