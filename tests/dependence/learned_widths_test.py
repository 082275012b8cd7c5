"""Learned widths against refits without each sample, and what they do where the fixed width fails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import dependence
from causal_iqa.dependence import conditional_table, learned_widths


def _steep(key, n):
    e, f, z = jax.random.normal(key, (3, n, 1))
    z = 6 * jax.scipy.stats.norm.cdf(z) - 3
    return jnp.sin(3 * z) + 0.1 * e, jnp.cos(3 * z) + 0.1 * f, z


def test_leave_one_out_errors_are_those_of_refits():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(2, 25, 1))
    y = np.sin(2 * z) + 0.2 * y
    M = np.exp(-np.square(z - z.T))
    errors = []
    for ridge in (0.01, 0.5):
        left = []
        for i in range(25):
            rest = np.delete(np.arange(25), i)
            # Ridge regression with an intercept that is not penalised: (K + ridge I) a + b 1 = y, sum a = 0.
            system = np.block([[M[np.ix_(rest, rest)] + ridge * np.eye(24), np.ones((24, 1))], [np.ones((1, 24)), 0]])
            solution = np.linalg.solve(system, np.append(y[rest, 0], 0.0))
            left.append(y[i, 0] - M[i, rest] @ solution[:-1] - solution[-1])
        errors.append(np.sum(np.square(left)) / np.sum(np.square(y - y.mean())))
    found = learned_widths.leave_one_out_errors(y @ y.T, M, jnp.asarray([0.01, 0.5]))
    np.testing.assert_allclose(found, errors, rtol=2e-4)


def test_the_learned_width_follows_steep_curves_and_is_wide_for_lines(key):
    def width(x, y, z):
        grams = (dependence.rbf(v, v, bandwidth=1.0) for v in (x, y))
        return learned_widths.learn_regression(*grams, z, bandwidth=1.0)

    e, f, z = jax.random.normal(key, (3, 100, 1))
    steep, line = width(*_steep(key, 100)), width(z + e, z + f, z)
    assert float(steep.bandwidth) <= 0.25 < 0.5 <= float(line.bandwidth)
    assert float(steep.error) < 0.5 < float(line.error) <= float(line.error_of_rule)


def test_the_level_holds_where_the_fixed_width_rejects(key):
    def median(name):
        fn = jax.jit(conditional_table.CONDITIONAL_TESTS[name].fn)
        return np.median([fn(k, *_steep(k, 100)).p_value for k in jax.random.split(key, 3)])

    assert median("kci") < 0.01 < 0.1 < median("kci_learned")


def test_samples_unlike_the_study_are_named(key):
    x, y, z = jax.random.normal(key, (3, 100, 1))
    assert dependence.outside_calibration("kci", x, y, z) == ()
    assert "fixed width" in dependence.outside_calibration("kci", *_steep(key, 100))[0]
    assert dependence.outside_calibration("kci_learned", *_steep(key, 100)) == ()
    assert "z has 4 dimensions" in dependence.outside_calibration("kci", x, y, jnp.tile(z, (1, 4)))[0]
    assert "did not hold" in dependence.outside_calibration("kci_gamma", x, y, z)[0]
    assert "all discrete" in dependence.outside_calibration("kci", *(v > 0 for v in (x, y, z)))[0]
    with pytest.raises(ValueError, match="same number of samples"):
        dependence.outside_calibration("kci", x, y, z[:-1])


def test_the_test_of_the_table_warns_and_gives_its_result(key):
    x, y, z = jax.random.normal(key, (3, 30, 1))
    with pytest.warns(UserWarning, match="kci: 30 samples, and its level is shown from 50 on"):
        found = dependence.conditional_independence_test(key, "kci", x, y, z)
    assert 0 < float(found.p_value) < 1 and float(found.ridge) == pytest.approx(1e-3)
    with pytest.raises(ValueError, match="at least 4 samples"):
        dependence.conditional_independence_test(key, "kci", x[:3], y[:3], z[:3])
