"""KCI against eigenvector products in float64, causal-learn, and its own calibration."""

import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial
import scipy.stats

from causal_iqa.dependence import conditional, conditional_kernels
from tests.dependence.compiled import compiled, dependence

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden" / "kci.json").read_text())
kci_test = compiled(conditional.kci_test)
kci_gamma_test = compiled(conditional.kci_gamma_test)
kci_spectral_test = compiled(conditional.kci_spectral_test)


def _samples(seed, n, strength=0.5):
    rng = np.random.default_rng(seed)
    z, e = rng.standard_normal((n, 1)), rng.standard_normal((n, 1))
    return np.sin(z) + 0.5 * e, z**2 + rng.standard_normal((n, 1)) + strength * e, z


kci_unconditional_gamma_test = compiled(conditional.kci_unconditional_gamma_test)
normal_scores = compiled(conditional_kernels.normal_scores)


@compiled
def _kci_grams(x, y, z):
    return conditional_kernels.kci_grams(x, y, z, bandwidth_x=0.8, bandwidth_y=1.1, bandwidth_z=0.7)


def _grams(x, y, z, dtype=np.float32):
    return _kci_grams(*(v.astype(dtype) for v in (x, y, z)))


def _double(grams):
    return [np.asarray(g, np.float64) for g in grams]


def _residuals(grams, ridge):
    K, L, M = _double(grams)
    H = np.eye(len(K)) - 1 / len(K)
    R = ridge * np.linalg.inv(H @ M @ H + ridge * np.eye(len(K)))
    return R @ H @ K @ H @ R, R @ H @ L @ H @ R, R


def _products_of_eigenvectors(K, L):
    """The definition: all products of the residuals' scaled eigenvectors, an explicit feature space."""
    features = []
    for gram in (K, L):
        values, vectors = np.linalg.eigh((gram + gram.T) / 2)
        features.append(vectors * np.sqrt(np.maximum(values, 0)))
    return np.stack([a * b for a in features[0].T for b in features[1].T], axis=1)


def test_published_form_is_its_definition():
    grams = _grams(*_samples(0, 14))
    K, L, R = _residuals(grams, 0.01)
    np.testing.assert_allclose(dependence.residual_maker(grams[2], ridge=0.01), R, atol=2e-5)
    uu = _products_of_eigenvectors(K, L)
    mean, variance = np.trace(uu.T @ uu), 2 * np.sum((uu.T @ uu) ** 2)
    result = kci_gamma_test(*grams, ridge=0.01)
    np.testing.assert_allclose(result.statistic, np.sum(np.sum(uu, axis=0) ** 2), rtol=2e-3)
    np.testing.assert_allclose(result.null_mean, mean, rtol=1e-3)
    np.testing.assert_allclose(result.null_std**2, variance, rtol=1e-3)
    expected = scipy.stats.gamma.sf(result.statistic, mean**2 / variance, scale=variance / mean)
    np.testing.assert_allclose(result.p_value, expected, atol=2e-3)
    assert float(result.ridge) == pytest.approx(0.01)
    spectral = kci_spectral_test(jax.random.key(0), *grams, ridge=0.01, num_simulations=20_000)
    np.testing.assert_allclose([spectral.null_mean, spectral.null_std**2], [mean, variance], rtol=2e-3)
    draws = np.random.default_rng(1).chisquare(1, (20_000, 14)) @ np.linalg.eigvalsh(uu @ uu.T)
    assert abs(float(spectral.p_value) - np.mean(draws >= float(result.statistic))) < 0.02


@functools.partial(jax.jit, static_argnames="num_simulations")
def _as_causal_learn(key, x, y, z, *, num_simulations):
    x, y, z = (conditional_kernels.standardise(v) for v in (x, y, z))
    joint = jnp.concatenate([x, 0.5 * z], axis=1)
    empirical = [conditional_kernels.kci_bandwidth(*z.shape)] * 3
    median = [conditional_kernels.kci_median_bandwidth(v) for v in (joint, y, z)]
    names = ("bandwidth_x", "bandwidth_y", "bandwidth_z")
    grams, by_median = (
        conditional_kernels.kci_grams(x, y, z, **dict(zip(names, widths, strict=True)))
        for widths in (empirical, median)
    )
    K, L = (dependence.rbf(v, v, bandwidth=conditional_kernels.kci_unconditional_bandwidth(*v.shape)) for v in (x, y))
    return {
        "gamma": conditional.kci_gamma_test(*grams, ridge=1e-3),
        "spectral": conditional.kci_spectral_test(key, *grams, ridge=1e-3, num_simulations=num_simulations),
        "median": conditional.kci_gamma_test(*by_median, ridge=1e-3),
        "unconditional gamma": conditional.kci_unconditional_gamma_test(K, L),
        "unconditional spectral": conditional.kci_unconditional_spectral_test(
            key, K, L, num_eigenvalues=20, num_simulations=num_simulations
        ),
    }


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"p{case['conditional']['gamma']:.3f}")
def test_parity_with_causal_learn(case):
    with jax.enable_x64(True):
        samples = (np.asarray(case[name], np.float64) for name in "xyz")
        ours = _as_causal_learn(jax.random.key(0), *samples, num_simulations=20_000)
    theirs = case["conditional"]
    np.testing.assert_allclose(ours["gamma"].statistic, theirs["statistic"], rtol=1e-3)
    assert abs(float(ours["gamma"].p_value) - theirs["gamma"]) < 1e-4
    assert abs(float(ours["spectral"].p_value) - theirs["spectral"]) < 0.02
    assert abs(float(ours["median"].p_value) - theirs["gamma_median_width"]) < 1e-4
    theirs = case["unconditional"]
    np.testing.assert_allclose(ours["unconditional gamma"].statistic, theirs["statistic"], rtol=1e-4)
    assert abs(float(ours["unconditional gamma"].p_value) - theirs["gamma"]) < 1e-4
    assert abs(float(ours["unconditional spectral"].p_value) - theirs["spectral"]) < 0.02
    np.testing.assert_allclose(
        ours["unconditional spectral"].null_mean, ours["unconditional gamma"].null_mean, rtol=1e-4
    )


def test_empirical_widths_are_those_of_the_authors():
    assert [conditional_kernels.kci_bandwidth(n, 4) for n in (199, 200, 1200)] == [2.4, 1.4, 0.8]
    assert [conditional_kernels.kci_unconditional_bandwidth(n, 4) for n in (199, 200, 1200)] == [0.4, 0.25, 0.15]


def test_corrected_moments_are_sums_over_distinct_samples():
    grams = _grams(*_samples(2, 9))
    K, L, R = _residuals(grams, 0.1)
    H = np.eye(9) - 1 / 9
    P = H @ R @ R @ H
    g = [sum(P[t, s] ** 2 for s in range(9)) / P[t, t] ** 2 for t in range(9)]
    M = np.zeros((9, 9))
    for s in range(9):
        for t in range(9):
            leaks = [P[s, t] * np.sqrt(G[s, s] * G[t, t] / (P[s, s] * P[t, t])) for G in (K, L)]
            M[s, t] = np.sqrt(g[s] * g[t]) * (K[s, t] - leaks[0]) * (L[s, t] - leaks[1])
    mean = sum(g[t] * K[t, t] * L[t, t] for t in range(9))
    pairs = [(s, t) for s in range(9) for t in range(9) if s != t]
    variance = 2 * sum(M[s, t] ** 2 for s, t in pairs)
    third = 8 * sum(M[s, t] * M[t, r] * M[r, s] for s, t in pairs for r in range(9) if r not in (s, t))
    result = kci_test(*grams, ridge=0.1)
    np.testing.assert_allclose([result.null_mean, result.null_std**2], [mean, variance], rtol=1e-3)
    third = max(third, 2 * variance**2 / mean)
    skew = third / variance**1.5
    np.testing.assert_allclose(
        result.p_value, scipy.stats.pearson3.sf(result.statistic, skew, mean, np.sqrt(variance)), atol=1e-3
    )


def test_corrected_moments_are_those_of_independent_errors_and_the_published_are_not():
    n = 30
    z = np.linspace(-2.0, 2.0, n)[:, None]
    K_z = dependence.rbf(z, z, bandwidth=0.4)

    def draw(key):
        # Errors alone, so that nothing but the regression's own degrees of freedom is at work.
        x, y = (jax.random.normal(k, (n, 3)) for k in jax.random.split(key))
        K, L = dependence.linear(x, x), dependence.linear(y, y)
        return conditional.kci_test(K, L, K_z, ridge=1e-2), conditional.kci_gamma_test(K, L, K_z, ridge=1e-2)

    corrected, published = compiled(lambda keys: jax.lax.map(draw, keys, batch_size=50))(
        jax.random.split(jax.random.key(0), 1200)
    )
    error = float(np.std(corrected.statistic)) / np.sqrt(1200)
    assert abs(float(np.mean(corrected.statistic - corrected.null_mean))) < 4 * error
    assert float(np.mean(published.statistic - published.null_mean)) > 10 * error
    # The null law is that given the sizes of the residuals, with which its mean varies.
    share = float(np.var(corrected.statistic - corrected.null_mean) / np.mean(corrected.null_std**2))
    assert 0.85 < share < 1.18
    levels = [float(np.mean(result.p_value <= 0.05)) for result in (corrected, published)]
    assert 0.03 < levels[0] < 0.07 < 0.1 < levels[1]


def test_power_without_marginal_dependence_and_level_under_confounding():
    def p_values(key):
        key_x, key_y, key_e = jax.random.split(key, 3)
        x, y, e = (jax.random.normal(k, (60, 1)) for k in (key_x, key_y, key_e))
        caused, confounded = (x, y, x * y + 0.3 * e), (e + 0.7 * x, e + 0.7 * y, e)
        return [
            kci_test(*_kci_grams(*map(conditional_kernels.normal_scores, case)), ridge=1e-3).p_value
            for case in (caused, confounded)
        ]

    caused, confounded = compiled(lambda keys: jax.lax.map(p_values, keys, batch_size=20))(
        jax.random.split(jax.random.key(1), 120)
    )
    assert float(np.mean(caused <= 0.05)) > 0.8
    # Four standard errors of a share over 120 draws.
    assert abs(float(np.mean(confounded <= 0.05)) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 120)


def test_float32_is_as_good_as_float64():
    samples = _samples(3, 400, strength=0.12)
    single = kci_test(*_grams(*samples), ridge=1e-3)
    with jax.enable_x64(True):
        double = kci_test(*_grams(*samples, np.float64), ridge=1e-3)
        assert double.p_value.dtype == jnp.float64 and 1e-3 < float(double.p_value) < 0.9
    np.testing.assert_allclose(single.statistic, double.statistic, rtol=1e-2)
    assert abs(float(single.p_value) - float(double.p_value)) < 5e-3


def test_order_offsets_and_mapping_do_not_matter():
    grams = _grams(*_samples(4, 20))
    result = kci_test(*grams, ridge=1e-2)
    order = np.random.default_rng(0).permutation(20)
    moved = kci_test(*(g[order][:, order] + 2.0 for g in grams), ridge=1e-2)
    np.testing.assert_allclose(moved, result, rtol=2e-3)
    stacked = [np.stack([g, g[order][:, order]]) for g in grams]
    mapped = compiled(jax.vmap(functools.partial(conditional.kci_test, ridge=1e-2)))(*stacked)
    np.testing.assert_allclose(mapped.p_value, [result.p_value] * 2, rtol=2e-3)


def test_a_constant_variable_is_undefined():
    K, L, M = _grams(*_samples(5, 12))
    flat = np.ones((12, 12))
    assert np.isnan(kci_test(flat, L, M, ridge=1e-2).p_value)
    assert np.isnan(kci_gamma_test(K, flat, M, ridge=1e-2).p_value)
    assert np.isnan(kci_spectral_test(jax.random.key(0), K, flat, M, ridge=1e-2, num_simulations=9).p_value)
    assert np.isnan(kci_unconditional_gamma_test(flat, L).p_value)
    # A constant condition conditions on nothing.
    nothing = kci_gamma_test(K, L, flat, ridge=1e-2)
    np.testing.assert_allclose(nothing.statistic, 144 * dependence.hsic_biased(K, L), rtol=1e-4)


def test_scores_and_standardisation_are_scipys():
    rng = np.random.default_rng(6)
    x = np.column_stack([rng.standard_cauchy(31), rng.integers(0, 4, 31), np.full(31, 3.0)]).astype(np.float32)
    expected = scipy.stats.norm.ppf((scipy.stats.rankdata(x, axis=0) - 0.5) / 31)
    scores = normal_scores(x)
    np.testing.assert_allclose(scores, expected, atol=2e-6)
    cubed = np.float32(np.sign(x) * np.abs(x) ** 3)
    np.testing.assert_allclose(scores, normal_scores(cubed), rtol=1e-6, atol=1e-7)
    expected = np.nan_to_num(scipy.stats.zscore(x.astype(np.float64), ddof=1))
    np.testing.assert_allclose(compiled(conditional_kernels.standardise)(x), expected, rtol=1e-4, atol=1e-5)


def test_bad_input_is_named():
    x = np.zeros((6, 2))
    K = np.eye(6)
    with pytest.raises(ValueError, match="x, y, z: expected the same samples, got 6, 6 and 5"):
        conditional_kernels.kci_grams(x, x, x[:5], bandwidth_x=1.0, bandwidth_y=1.0, bandwidth_z=1.0)
    with pytest.raises(ValueError, match="K, L: expected equal shapes"):
        conditional.kci_test(K, K, np.eye(5), ridge=1e-3)
    with pytest.raises(ValueError, match="at least 4 samples, got 3"):
        conditional.kci_gamma_test(*[np.eye(3)] * 3, ridge=1e-3)
    with pytest.raises(ValueError, match="num_simulations: expected at least 1, got 0"):
        conditional.kci_spectral_test(jax.random.key(0), K, K, K, ridge=1e-3, num_simulations=0)
    with pytest.raises(ValueError, match="num_eigenvalues: expected at least 1, got 0"):
        conditional.kci_unconditional_spectral_test(jax.random.key(0), K, K, num_eigenvalues=0, num_simulations=9)


def test_median_bandwidth_keeps_genuine_close_pairs():
    # Heavy tails: most pairs are some 10^-5 of the largest distance apart, and none coincide.
    x = np.exp(2 * np.random.default_rng(0).standard_normal((300, 1)))
    expected = np.sqrt(2) * np.median(scipy.spatial.distance.pdist(x))
    assert float(conditional_kernels.kci_median_bandwidth(np.asarray(x, np.float32))) == pytest.approx(
        expected, rel=1e-4
    )
    twice = np.repeat(x, 2, axis=0)
    apart = scipy.spatial.distance.pdist(twice)
    expected = np.sqrt(2) * np.median(apart[apart > 0])
    assert float(conditional_kernels.kci_median_bandwidth(np.asarray(twice, np.float32))) == pytest.approx(
        expected, rel=1e-4
    )
    wide = np.random.default_rng(1).standard_normal((40, 12)) * np.exp(np.arange(40))[:, None] / 1e6
    same = np.concatenate([wide, wide])
    apart = scipy.spatial.distance.pdist(wide.astype(np.float32).astype(np.float64))
    found = float(conditional_kernels.kci_median_bandwidth(np.asarray(same, np.float32)))
    assert found == pytest.approx(np.sqrt(2) * np.median(np.repeat(apart, 4)), rel=1e-4)
