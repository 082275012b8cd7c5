"""RCIT and RCoT against the dense formulas in float64, KCI on the same kernels, and their own calibration."""

import jax
import numpy as np
import pytest
import scipy.stats

from causal_iqa.dependence import conditional, randomised
from tests.dependence.compiled import compiled

randomised_test = compiled(randomised.randomised_test)


def _features(seed, n, sizes=(3, 2, 6)):
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.uniform(-1, 1, (n, d)), np.float32) for d in sizes]


def test_moments_are_those_of_the_dense_residual_maker():
    n = 24
    f_x, f_y, f_z = _features(0, n)
    H = np.eye(n) - 1 / n
    x, y, z = (H @ np.asarray(f, np.float64) for f in (f_x, f_y, f_z))
    R = 0.2 * np.linalg.inv(z @ z.T + 0.2 * np.eye(n))
    e_x, e_y, P = R @ x, R @ y, H @ R @ R @ H
    g = np.diag(P @ P) / np.diag(P) ** 2
    M = np.sqrt(np.outer(g, g)) * (e_x @ e_x.T) * (e_y @ e_y.T) / n
    off = M - np.diag(np.diag(M))
    result = randomised_test(f_x, f_y, f_z, ridge=0.2)
    np.testing.assert_allclose(result.statistic, np.sum((e_x.T @ e_y) ** 2) / n, rtol=1e-4)
    np.testing.assert_allclose(result.null_mean, np.trace(M), rtol=1e-4)
    np.testing.assert_allclose(result.null_std**2, 2 * np.sum(off**2), rtol=1e-3)
    np.testing.assert_allclose(result.degrees_of_freedom, n - np.trace(R), rtol=1e-4)
    third = max(8 * np.trace(off @ off @ off), 8 * np.sum(off**2) ** 2 / np.trace(M))
    skew = third / (2 * np.sum(off**2)) ** 1.5
    expected = scipy.stats.pearson3.sf(float(result.statistic), skew, np.trace(M), np.sqrt(2 * np.sum(off**2)))
    np.testing.assert_allclose(result.p_value, expected, atol=1e-3)


def test_statistic_is_kcis_on_the_kernels_of_the_features():
    f_x, f_y, f_z = _features(1, 30)
    grams = [f @ f.T for f in (f_x, f_y, f_z)]
    kci = compiled(conditional.kci_gamma_test)(*grams, ridge=0.5)
    np.testing.assert_allclose(30 * randomised_test(f_x, f_y, f_z, ridge=0.5).statistic, kci.statistic, rtol=1e-4)


DRAWS = 120


def _p_value(test, key, x, y, z):
    widths = {"bandwidth_x": 1.0, "bandwidth_y": 1.0, "bandwidth_z": 0.7}
    return test(key, x, y, z, **widths, num_frequencies=3, num_frequencies_z=20, ridge=1e-2).p_value


@compiled
def _p_values(keys, x, y, z):
    def both(parts):
        return [_p_value(test, *parts) for test in (randomised.rcit_test, randomised.rcot_test)]

    return jax.lax.map(both, (keys, x, y, z))


def _normals(seed):
    return np.random.default_rng(seed).standard_normal((3, DRAWS, 60, 1)).astype(np.float32)


def test_level_and_power():
    e, f, z = _normals(0)
    x, y = np.tanh(z) + 0.5 * e, z**2 / 2 + f
    keys = jax.random.split(jax.random.key(0), DRAWS)
    for null, alternative in zip(_p_values(keys, x, y, z), _p_values(keys, x, y + 1.5 * e, z), strict=True):
        # Four standard errors of a share over the draws.
        assert abs(float(np.mean(null <= 0.05)) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / DRAWS)
        assert float(np.mean(alternative <= 0.05)) > 0.6


def test_only_rcit_sees_a_dependence_that_averages_out_over_z():
    e, _, z = _normals(1)
    # Over z every feature of the one is uncorrelated with every feature of the other.
    x, y = np.sign(e), np.sign(e) * np.sign(z)
    rcit, rcot = _p_values(jax.random.split(jax.random.key(1), DRAWS), x, y, z)
    assert float(np.mean(rcit <= 0.05)) > 0.8
    assert float(np.mean(rcot <= 0.05)) < 0.4


def test_the_key_decides():
    samples = [np.broadcast_to(v[:1], v.shape) for v in _normals(2)]
    keys = jax.random.split(jax.random.key(2), DRAWS).at[1].set(jax.random.split(jax.random.key(2), DRAWS)[0])
    for p in _p_values(keys, *samples):
        assert float(p[0]) == pytest.approx(float(p[1]), rel=1e-5) and len(np.unique(np.asarray(p))) > DRAWS // 2


def test_large_samples_keep_float32_digits():
    f_x, f_y, f_z = _features(3, 5_000, (4, 4, 30))
    single = randomised_test(f_x + np.float32(100), f_y, f_z, ridge=1e-3)
    with jax.enable_x64(True):
        double = randomised_test(*(f.astype(np.float64) for f in (f_x + np.float32(100), f_y, f_z)), ridge=1e-3)
    np.testing.assert_allclose(single.statistic, double.statistic, rtol=2e-3)
    np.testing.assert_allclose(single.null_mean, double.null_mean, rtol=1e-4)
    assert abs(float(single.p_value) - float(double.p_value)) < 2e-3


def test_bad_input_is_named():
    f = np.zeros((6, 2))
    with pytest.raises(ValueError, match="f_x, f_y, f_z: expected the same samples, got 6, 6 and 5"):
        randomised.randomised_test(f, f, f[:5], ridge=1.0)
    with pytest.raises(ValueError, match=r"f_y: expected samples of shape \[n, d\]"):
        randomised.randomised_test(f, f[0], f, ridge=1.0)
    with pytest.raises(ValueError, match=r"y, z: expected \[n, d\] of the same samples"):
        _p_value(randomised.rcit_test, jax.random.key(0), f, f, f[:5])
    constant = randomised_test(f, f, f, ridge=1.0)
    assert np.isnan(constant.p_value)
