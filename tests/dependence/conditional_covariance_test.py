"""Conditional covariance operators in feature space."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial
import scipy.special

from tests.dependence.compiled import compiled, dependence


def _rbf(bandwidth):
    return lambda a, b: dependence.rbf(a, b, bandwidth=bandwidth)


def _features(rng, n):
    z = rng.standard_normal((n, 2))
    x, y = z @ rng.standard_normal((2, 3)), z @ rng.standard_normal((2, 2))
    return x + rng.standard_normal((n, 3)), y + rng.standard_normal((n, 2)), z


def test_conditional_norms_are_those_of_the_operators_in_feature_space():
    # With linear kernels the operators are matrices that can be written down.
    n, ridge = 40, 0.05
    x, y, z = (f - f.mean(0) for f in _features(np.random.default_rng(1), n))
    covariance = lambda a, b: a.T @ b / n  # noqa: E731
    inverse = lambda a: np.linalg.inv(covariance(a, a) + ridge * np.eye(a.shape[1]))  # noqa: E731
    operator = covariance(y, x) - covariance(y, z) @ inverse(z) @ covariance(z, x)
    root = {name: np.real(scipy.linalg.sqrtm(inverse(a))) for name, a in zip("xyz", (x, y, z), strict=True)}
    whitened = lambda a, b, p, q: root[p] @ covariance(a, b) @ root[q]  # noqa: E731
    normalised = whitened(y, x, "y", "x")
    conditional = normalised - whitened(y, z, "y", "z") @ whitened(z, x, "z", "x")
    K, L, M = (np.asarray((f + 1) @ (f + 1).T, np.float32) for f in (x, y, z))
    norm = compiled(lambda: dependence.conditional_covariance_norm(K, L, M, ridge=ridge))()
    np.testing.assert_allclose(norm, np.sum(operator**2), rtol=1e-3)
    np.testing.assert_allclose(dependence.nocco(K, L, ridge=ridge), np.sum(normalised**2), rtol=1e-3)
    value = dependence.conditional_nocco(K, L, M, ridge=ridge)
    np.testing.assert_allclose(value, np.sum(conditional**2), rtol=2e-3)
    far = dependence.conditional_covariance_norm(K, L, M, ridge=1e5)
    np.testing.assert_allclose(far, dependence.hsic_biased(K, L), rtol=1e-3)


def test_conditional_norms_fall_when_the_cause_is_given():
    rng = np.random.default_rng(2)
    z = rng.standard_normal((150, 1))
    x, y = z + 0.4 * rng.standard_normal((150, 1)), z + 0.4 * rng.standard_normal((150, 1))
    common = 0.8 * rng.standard_normal((150, 1))
    K, L, M, other = (_rbf(1.0)(f, f) for f in (np.asarray(v, np.float32) for v in (x, y, z, y + common)))
    also = _rbf(1.0)(*(np.asarray(x + common, np.float32),) * 2)
    for measure in (dependence.conditional_covariance_norm, dependence.conditional_nocco):
        given = measure(dependence.product(K, M), dependence.product(L, M), M, ridge=0.01)
        coupled = measure(dependence.product(also, M), dependence.product(other, M), M, ridge=0.01)
        assert coupled > 1.5 * given > 0
    assert dependence.conditional_covariance_norm(K, L, M, ridge=0.01) < 0.1 * dependence.hsic_biased(K, L)


def test_hscic_is_the_norm_of_the_weighted_covariance_and_sees_where_dependence_is():
    rng = np.random.default_rng(3)
    x, y, z = (f.astype(np.float32) for f in _features(rng, 12))
    K, L, M = (dependence.linear(f, f) for f in (x, y, z))
    M = M + 1.0
    weights = np.linalg.solve(np.asarray(M, np.float64) + 12 * 0.1 * np.eye(12), np.asarray(M[:4], np.float64).T)
    expected = []
    for w in weights.T:
        operator = np.einsum("n,ni,nj->ij", w, x, y) - np.outer(w @ x, w @ y)
        expected.append(np.sum(operator**2))
    value = dependence.conditional_mean_dependence(K, L, M, M[:4], ridge=0.1)
    np.testing.assert_allclose(value, expected, rtol=5e-3)

    z = np.linspace(-1, 1, 200)[:, None]
    noise = jax.random.normal(jax.random.key(4), (2, 200, 1))
    y = jnp.where(z > 0, noise[0], noise[1])  # Equal to x above zero, unrelated below.
    K, L, M = _rbf(1.0)(noise[0], noise[0]), _rbf(1.0)(y, y), _rbf(0.3)(z, z)
    profile = compiled(lambda: dependence.conditional_mean_dependence(K, L, M, M, ridge=1e-3))()
    assert np.min(profile[140:180]) > 3 * np.max(profile[20:60])
    with pytest.raises(ValueError, match=r"M_zn: expected shape \[m, 200\]"):
        dependence.conditional_mean_dependence(K, L, M, M[:, :4], ridge=0.1)
    with pytest.raises(ValueError, match="K, M: expected equal shapes"):
        dependence.nocco(K, L, ridge=0.1), dependence.conditional_nocco(K, L, M[:4, :4], ridge=0.1)
