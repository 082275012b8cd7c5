"""Tails against Imhof's integral and SciPy's laws."""

import jax
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from causal_iqa.dependence import weighted_chi_square
from tests.dependence.compiled import compiled

satterthwaite_welch = compiled(weighted_chi_square.satterthwaite_welch)
hall_buckley_eagleson = compiled(weighted_chi_square.hall_buckley_eagleson)
shifted_gamma = compiled(weighted_chi_square.shifted_gamma)
simulated = compiled(weighted_chi_square.simulated)


def _imhof(weights, q):
    """P(sum w chi2_1 >= q) by inversion of the characteristic function (Imhof, Biometrika 1961, eq. 3.2)."""

    def integrand(u):
        theta = 0.5 * np.sum(np.arctan(weights * u)) - 0.5 * q * u
        return np.sin(theta) / (u * np.prod((1 + (weights * u) ** 2) ** 0.25))

    return 0.5 + scipy.integrate.quad(integrand, 0, np.inf, limit=500, epsabs=1e-5, epsrel=1e-5)[0] / np.pi


def _cumulants(weights):
    return np.float32(weights.sum()), np.float32(2 * np.sum(weights**2)), np.float32(8 * np.sum(weights**3))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tails_of_a_weighted_sum(seed):
    weights = np.random.default_rng(seed).exponential(size=12) ** 2
    mean, variance, third = _cumulants(weights)
    for quantile in (0.5, 1.5, 3.0):
        q = np.float32(mean + quantile * np.sqrt(variance))
        exact = _imhof(weights, q)
        assert abs(float(satterthwaite_welch(q, mean, variance)) - exact) < 0.03
        three = float(hall_buckley_eagleson(q, mean, variance, third))
        assert abs(three - exact) < 0.01
        assert float(shifted_gamma(q, mean, variance, third)) == pytest.approx(three, abs=1e-6)
        draws = simulated(jax.random.key(seed), np.asarray(weights, np.float32), num_simulations=20_000)
        assert abs(float(np.mean(draws >= q)) - exact) < 4 * 0.5 / np.sqrt(20_000)


def test_equal_weights_are_a_chi_square():
    for q in (2.0, 7.0, 30.0):
        expected = scipy.stats.chi2.sf(q / 0.3, 5)
        arguments = (np.float32(q), *_cumulants(np.full(5, 0.3)))
        np.testing.assert_allclose(satterthwaite_welch(*arguments[:3]), expected, rtol=1e-4)
        np.testing.assert_allclose(hall_buckley_eagleson(*arguments), expected, rtol=1e-4)


def test_units_do_not_matter_and_nothing_has_no_law():
    for unit in (1e-12, 1e12):
        value = satterthwaite_welch(np.float32(3 * unit), 2 * unit, 4 * unit**2)
        np.testing.assert_allclose(value, scipy.stats.gamma.sf(3, 1, scale=2), rtol=1e-4)
    for mean, variance in ((0.0, 0.0), (-1.0, 1.0), (1.0, -1.0)):
        assert np.isnan(satterthwaite_welch(np.float32(1), np.float32(mean), np.float32(variance)))
        assert np.isnan(shifted_gamma(1.0, np.float32(mean), np.float32(variance), np.float32(1)))


def test_an_impossible_third_cumulant_is_raised_to_the_gamma_laws():
    expected = satterthwaite_welch(np.float32(3), np.float32(2), np.float32(1))
    for third in (-1.0, 0.0, 0.9):
        value = shifted_gamma(np.float32(3), np.float32(2), np.float32(1), np.float32(third))
        np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_pearson_survival_is_scipys():
    z = np.linspace(-3, 8, 45)
    survival = compiled(jax.vmap(weighted_chi_square.pearson3_survival, (0, None)))
    for skewness in (-1.3, -0.05, 0.0, 1e-5, 0.02, 0.14, 0.16, 1.0, 2.8, 6.0):
        expected = scipy.stats.pearson3.sf(z, skewness)
        value = survival(np.float32(z), np.float32(skewness))
        np.testing.assert_allclose(value, expected, atol=1e-4)
        tail = expected > 1e-4
        np.testing.assert_allclose(np.asarray(value)[tail], expected[tail], rtol=0.01)


def test_many_degrees_of_freedom_keep_their_digits():
    # A narrow kernel's law: float32's incomplete gamma function is wrong by a tenth there.
    mean, std = 997.723, 1.448136
    for z in (-2.0, 0.688, 3.0):
        expected = scipy.stats.gamma.sf(mean + z * std, (mean / std) ** 2, scale=std**2 / mean)
        value = satterthwaite_welch(np.float32(mean + z * std), np.float32(mean), np.float32(std**2))
        np.testing.assert_allclose(value, expected, atol=2e-4)
