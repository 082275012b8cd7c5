"""Kernels of a distance against their formulas, and where they must not divide or root by nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import distance

from causal_iqa import dependence
from causal_iqa.dependence import radial_kernels

_RNG = np.random.default_rng(0)
_X, _Y = (jnp.asarray(_RNG.normal(size=(n, 3)).astype(np.float32)) for n in (5, 4))
_R = distance.cdist(_X, _Y) / 1.7
_FORMULAS = {
    "laplace": np.exp(-distance.cdist(_X, _Y, "cityblock") / 1.7),
    "matern12": np.exp(-_R),
    "matern32": (1 + 3**0.5 * _R) * np.exp(-(3**0.5) * _R),
    "matern52": (1 + 5**0.5 * _R + 5 * _R**2 / 3) * np.exp(-(5**0.5) * _R),
}


@pytest.mark.parametrize("name", _FORMULAS)
def test_formulas(name):
    fn = dependence.KERNELS[name].fn
    np.testing.assert_allclose(fn(_X, _Y, bandwidth=1.7), _FORMULAS[name], rtol=1e-4)
    assert np.isnan(fn(_X, _Y, bandwidth=0.0)).all() and np.isnan(fn(_X, _Y, bandwidth=-1.0)).all()


def test_rational_quadratic_tends_to_the_gaussian():
    fn = radial_kernels.rational_quadratic
    np.testing.assert_allclose(fn(_X, _Y, bandwidth=1.7, shape=2.0), (1 + _R**2 / 4) ** -2.0, rtol=1e-4)
    np.testing.assert_allclose(fn(_X, _Y, bandwidth=1.7, shape=1e6), np.exp(-(_R**2) / 2), rtol=1e-3)


def test_induced_kernels_by_definition():
    o = np.array([1.0, -2.0, 0.5], np.float32)
    to_x, to_y = (np.linalg.norm(np.asarray(a) - o, axis=1) for a in (_X, _Y))
    expected = (to_x[:, None] + to_y[None] - distance.cdist(_X, _Y)) / 2
    found = radial_kernels.distance_induced(_X, _Y, exponent=1.0, origin=jnp.asarray(o))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(ValueError, match="origin: expected shape"):
        radial_kernels.distance_induced(_X, _Y, exponent=1.0, origin=jnp.zeros(2))


def test_coincident_samples_are_at_no_distance_and_have_no_gradient():
    x = jnp.asarray(_RNG.normal(size=(3, 12)).astype(np.float32)) + 100
    found = radial_kernels.distances(x, x)
    assert not np.diag(np.asarray(found)).any()
    gradient = jax.grad(lambda a: radial_kernels.distances(a, x).sum())(x)
    assert np.isfinite(gradient).all()
    assert float(radial_kernels.positive_power(jnp.float32(0.0), 0.5)) == 0.0
