"""Contributions, witness, leave-one-out and jackknife intervals against removal of samples one by one."""

import jax
import numpy as np
import pytest

from tests.dependence.compiled import compiled, dependence


@compiled
def _grams(key, n, share=1.0):
    key_x, key_y = jax.random.split(key)
    x = jax.random.normal(key_x, (n, 2))
    y = share * x[:, :1] + jax.random.normal(key_y, (n, 1))
    return dependence.rbf(x, x, bandwidth=1.5), dependence.rbf(y, y, bandwidth=1.2)


def test_contributions_sum_to_the_estimates():
    K, L = _grams(jax.random.key(0), 20)
    np.testing.assert_allclose(
        np.sum(dependence.hsic_biased_contributions(K, L)), dependence.hsic_biased(K, L), rtol=1e-5
    )
    np.testing.assert_allclose(
        np.sum(dependence.hsic_unbiased_contributions(K, L)), dependence.hsic_unbiased(K, L), rtol=1e-5
    )


def test_contributions_find_the_samples_that_carry_the_dependence():
    # Two unrelated variables, but for fifteen samples far out in both.
    x, y = np.random.default_rng(0).standard_normal((2, 60, 1))
    x[:15], y[:15] = 4 + 0.1 * x[:15], 4 + 0.1 * y[:15]
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    K, L = dependence.rbf(x, x, bandwidth=1.0), dependence.rbf(y, y, bandwidth=1.0)
    for contributions in (dependence.hsic_biased_contributions(K, L), dependence.hsic_unbiased_contributions(K, L)):
        assert np.min(contributions[:15]) > 2 * np.max(contributions[15:])


@pytest.mark.parametrize("n", [5, 18])
def test_leave_one_out_is_removal(n):
    K, L = _grams(jax.random.key(1), n)
    fast = dependence.hsic_leave_one_out(K, L + 7.0)
    for i in range(n):
        rest = np.delete(np.arange(n), i)
        k, m = (np.asarray(g, np.float64)[np.ix_(rest, rest)] * (1 - np.eye(n - 1)) for g in (K, L))
        s, t = k.sum(1), m.sum(1)
        expected = np.sum(k * m) + s.sum() * t.sum() / ((n - 2) * (n - 3)) - 2 * s @ t / (n - 3)
        np.testing.assert_allclose(fast[i], expected / ((n - 1) * (n - 4)), rtol=2e-5, atol=2e-7)


def test_jackknife_variances_are_those_of_removal():
    n = 16
    K, L = _grams(jax.random.key(2), n)
    for interval, estimate in (
        (dependence.hsic_jackknife, dependence.hsic_unbiased),
        (dependence.cka_jackknife, dependence.cka_debiased),
    ):
        result = compiled(lambda K, L, interval=interval: interval(K, L, level=0.9))(K, L)
        rests = np.array([np.delete(np.arange(n), i) for i in range(n)])
        removed = compiled(jax.vmap(estimate))
        without = np.asarray(removed(*(np.stack([G[np.ix_(r, r)] for r in rests]) for G in (K, L))), np.float64)
        variance = (n - 1) ** 2 / n * np.var(without, ddof=1)
        np.testing.assert_allclose(result.estimate.value, estimate(K, L), rtol=1e-5)
        np.testing.assert_allclose(result.variance, variance, rtol=1e-3)
        width = result.estimate.high - result.estimate.low
        np.testing.assert_allclose(width, 2 * 1.6448536 * np.sqrt(variance), rtol=1e-3)
        with pytest.raises(ValueError, match=r"level: expected a number in \(0, 1\), got 95"):
            interval(K, L, level=95)


def test_jackknife_intervals_cover_the_measure_of_the_distribution():
    def draw(key):
        K, L = _grams(key, 60)
        first, second = dependence.hsic_jackknife(K, L, level=0.95), dependence.cka_jackknife(K, L, level=0.95)
        return first, second, dependence.hsic_unbiased(K, K), dependence.hsic_unbiased(L, L)

    hsic, cka, within_x, within_y = compiled(lambda keys: jax.lax.map(draw, keys, batch_size=20))(
        jax.random.split(jax.random.key(3), 600)
    )
    # The unbiased estimates' means over all draws are the truth, to a tenth of an interval's width.
    truths = np.mean(hsic.estimate.value), np.mean(hsic.estimate.value) / np.sqrt(np.mean(within_x) * np.mean(within_y))
    for result, truth in zip((hsic, cka), truths, strict=True):
        coverage = float(np.mean((result.estimate.low <= truth) & (truth <= result.estimate.high)))
        # Of .95 or a little more, less four standard errors of a share over the draws.
        assert 0.915 < coverage < 0.98
        # The jackknife errs upwards (Efron, Stein 1981), here by a sixth.
        assert 0.85 < np.mean(result.variance) / np.var(result.estimate.value) < 1.5


def test_intervals_of_a_constant_are_undefined():
    K, _ = _grams(jax.random.key(4), 8)
    assert np.isnan(dependence.cka_jackknife(K, np.ones((8, 8)), level=0.95).estimate.high)
    assert dependence.hsic_jackknife(K, np.ones((8, 8)), level=0.95).estimate.high == 0.0
    with pytest.raises(ValueError, match="at least 5 samples, got 4"):
        dependence.hsic_leave_one_out(K[:4, :4], K[:4, :4])


def test_witness_is_the_inner_product_of_centred_features_with_the_cross_covariance():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((9, 3)), rng.standard_normal((9, 2))
    x, y = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    covariance = (a - a.mean(0)).T @ (b - b.mean(0)) / 9
    expected = np.einsum("ni,ij,nj->n", x - a.mean(0), covariance, y - b.mean(0))
    grams = [np.asarray(g, np.float32) for g in (x @ a.T, a @ a.T, y @ b.T, b @ b.T)]
    np.testing.assert_allclose(dependence.hsic_witness(*grams), expected, rtol=2e-4, atol=1e-5)
    own = dependence.hsic_witness(grams[1], grams[1], grams[3], grams[3])
    np.testing.assert_allclose(np.mean(own), dependence.hsic_biased(grams[1], grams[3]), rtol=1e-5)
    with pytest.raises(ValueError, match="K_xa, L_yb: expected equal shapes"):
        dependence.hsic_witness(grams[0][:2], *grams[1:])
