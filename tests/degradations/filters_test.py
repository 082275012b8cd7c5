"""Gaussian blurs against SciPy's, borders included."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from causal_iqa.degradations import _filters

_IMAGE = np.random.default_rng(0).uniform(size=(13, 17)).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5])
def test_blurs_are_scipys(sigma):
    reach = _filters.gaussian_reach(sigma)
    nearest = ndimage.gaussian_filter(_IMAGE, sigma, mode="nearest", truncate=4.0)
    np.testing.assert_allclose(_filters.short_gaussian(_IMAGE, sigma, reach), nearest, atol=1e-6)
    rows, columns = (_filters.edge_gaussian(side, sigma, reach) for side in _IMAGE.shape)
    np.testing.assert_allclose(_filters.separable(_IMAGE[..., None], rows, columns)[..., 0], nearest, atol=1e-6)


@pytest.mark.parametrize(("side", "sigma"), [(5, 1.0), (5, 9.0), (16, 3.0)])
def test_mirrored_borders_are_scipys_however_wide_the_gaussian(side, sigma):
    line = _IMAGE.reshape(-1)[:side]
    matrix = _filters.reflecting_gaussian(side, sigma, _filters.gaussian_reach(sigma), 4.0)
    np.testing.assert_allclose(matrix @ line, ndimage.gaussian_filter1d(line, sigma, mode="reflect"), atol=1e-6)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-6)


def test_taps_are_those_of_the_own_width_within_a_larger_reach():
    own, wider = _filters.gaussian_taps(jnp.float32(1.0), 4), _filters.gaussian_taps(jnp.float32(1.0), 9)
    np.testing.assert_allclose(wider, np.pad(own, (0, 5)), atol=1e-7)
    np.testing.assert_array_equal(_filters.gaussian_taps(jnp.float32(0.0), 3), [1, 0, 0, 0])


def test_shifts_repeat_the_edge():
    shifted = _filters.shifts(jnp.asarray(_IMAGE), 3, axis=0)
    for by in (-3, 0, 2):
        expected = _IMAGE[np.clip(np.arange(13) + by, 0, 12)]
        np.testing.assert_array_equal(shifted(by), expected)
