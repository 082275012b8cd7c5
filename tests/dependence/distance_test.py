"""Distance correlation against dcor, and its kernel."""

import json
import pathlib

import jax
import numpy as np
import pytest

from tests.dependence.compiled import compiled, dependence

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden" / "dependence.json").read_text())
X, Y = (np.asarray(GOLDEN[name]) for name in "xy")
X32, Y32 = np.asarray(X, np.float32), np.asarray(Y, np.float32)


def test_distance_measures_are_dcors():
    values = {name: value for name, value in GOLDEN["dcor"].items() if name in dependence.TABLE}
    assert len(values) == 4
    for name, expected in values.items():
        measure = compiled(dependence.TABLE[name].fn)
        np.testing.assert_allclose(measure(X32, Y32), expected, rtol=1e-5, atol=1e-6)
        with jax.enable_x64(True):
            np.testing.assert_allclose(measure(X, Y), expected, rtol=1e-11)
    half = dependence.distance_covariance_squared(X32, Y32, exponent=0.5)
    np.testing.assert_allclose(half, GOLDEN["dcor"]["distance_covariance_squared_exponent_half"], rtol=1e-5)


@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.5])
@pytest.mark.parametrize("origin", [0.0, 2.0])
def test_distance_covariance_is_four_times_hsic_of_the_induced_kernel(exponent, origin):
    K, L = (dependence.distance_induced(z, z, exponent=exponent, origin=origin + z[3]) for z in (X32, Y32))
    biased = dependence.distance_covariance_squared(X32, Y32, exponent=exponent)
    unbiased = dependence.distance_covariance_squared_unbiased(X32, Y32, exponent=exponent)
    np.testing.assert_allclose(4 * dependence.hsic_biased(K, L), biased, rtol=2e-5)
    np.testing.assert_allclose(4 * dependence.hsic_unbiased(K, L), unbiased, rtol=2e-4, atol=1e-6)


def test_bad_distance_arguments_are_named():
    with pytest.raises(ValueError, match=r"exponent: expected a number in \(0, 2\), got 2"):
        dependence.distance_correlation(X32, Y32, exponent=2.0)
    with pytest.raises(ValueError, match="x, y: expected the same samples, got 24 and 23"):
        dependence.distance_correlation(X32, Y32[1:])
