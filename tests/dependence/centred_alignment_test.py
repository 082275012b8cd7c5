"""CKA against its formulas."""

import jax
import numpy as np
import pytest

from tests.dependence.compiled import compiled, dependence

JITTED = {name: compiled(spec.fn) for name, spec in dependence.TABLE.items()}
cka_linear = dependence.cka_linear


@pytest.fixture(scope="module")
def grams():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 4)).astype(np.float32)
    y = (x[:, :2] + 0.5 * rng.standard_normal((16, 2))).astype(np.float32)
    x, y = x, y
    return dependence.rbf(x, x, bandwidth=2.0), dependence.rbf(y, y, bandwidth=1.0)


def _cka_float64(K, L):
    n = len(K)
    H = np.eye(n) - 1 / n
    K, L = H @ K @ H, H @ L @ H
    return np.sum(K * L) / np.sqrt(np.sum(K * K) * np.sum(L * L))


def test_cka_is_normalised_hsic_and_the_float64_formula(grams):
    K, L = grams
    expected = _cka_float64(*(np.asarray(g, np.float64) for g in grams))
    np.testing.assert_allclose(JITTED["cka"](K, L), expected, rtol=1e-6)
    ratio = JITTED["hsic_biased"](K, L) / np.sqrt(JITTED["hsic_biased"](K, K) * JITTED["hsic_biased"](L, L))
    np.testing.assert_allclose(JITTED["hsic_normalised"](K, L), ratio, rtol=1e-5)


def test_debiased_cka_is_the_ratio_of_unbiased_hsic(grams):
    K, L = grams
    ratio = JITTED["hsic_unbiased"](K, L)
    ratio = ratio / np.sqrt(JITTED["hsic_unbiased"](K, K) * JITTED["hsic_unbiased"](L, L))
    np.testing.assert_allclose(JITTED["cka_debiased"](K, L), ratio, rtol=1e-5)
    np.testing.assert_allclose(JITTED["cka_debiased"](K, K), 1.0, rtol=1e-6)


@pytest.mark.parametrize(("n", "d", "e"), [(12, 3, 5), (6, 40, 2), (2, 1, 1)])
def test_linear_cka_in_feature_space_is_cka_of_linear_kernels(n, d, e):
    rng = np.random.default_rng(n)
    x, y = rng.standard_normal((n, d)) + 3, rng.standard_normal((n, e)) - 2
    value = cka_linear(np.asarray(x, np.float32), np.asarray(y, np.float32))
    np.testing.assert_allclose(value, _cka_float64(x @ x.T, y @ y.T), rtol=1e-5)


def test_linear_cka_of_one_feature_is_squared_correlation():
    rng = np.random.default_rng(5)
    x = rng.standard_normal(50)
    y = 0.6 * x + rng.standard_normal(50)
    value = cka_linear(np.asarray(x[:, None], np.float32), np.asarray(y[:, None], np.float32))
    np.testing.assert_allclose(value, np.corrcoef(x, y)[0, 1] ** 2, rtol=1e-5)


def test_linear_cka_is_unmoved_by_rotation_scale_offset_and_units():
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((30, 4)).astype(np.float32), rng.standard_normal((30, 3)).astype(np.float32)
    rotation = np.linalg.qr(rng.standard_normal((4, 4)))[0].astype(np.float32)
    value = cka_linear(x, y)
    for other in (x @ rotation, 5 * x, x + 100, np.float32(1e-30) * x, np.float32(1e30) * x):
        np.testing.assert_allclose(cka_linear(other, y), value, rtol=3e-5)


def test_linear_cka_of_constant_features_is_undefined_with_a_finite_gradient():
    x = np.asarray(np.random.default_rng(7).standard_normal((9, 3)), np.float32)
    flat = np.full((9, 4), 0.1)
    assert np.isnan(cka_linear(x, flat)) and np.isnan(cka_linear(flat, x))
    for gradient in compiled(jax.grad(dependence.cka_linear, argnums=(0, 1)))(x, flat):
        assert np.all(np.isfinite(gradient))


def test_linear_cka_is_biased_in_high_dimension_and_the_debiased_form_is_not():
    def draw(key):
        key_x, key_y = jax.random.split(key)
        x, y = jax.random.normal(key_x, (12, 100)), jax.random.normal(key_y, (12, 100))
        K, L = dependence.linear(x, x), dependence.linear(y, y)
        return cka_linear(x, y), JITTED["cka_debiased"](K, L)

    biased, debiased = compiled(jax.vmap(draw))(jax.random.split(jax.random.key(1), 300))
    assert float(np.mean(biased)) > 0.8
    assert abs(float(np.mean(debiased))) < 4 * float(np.std(debiased)) / np.sqrt(300)
