"""Distances and kernels of anchors against SciPy's."""

import numpy as np
import pytest
from scipy.spatial import distance

from causal_iqa.quality import _compiled

_X = np.random.default_rng(0).normal(size=(15, 4)).astype(np.float32)


def test_the_median_is_that_of_all_pairs_on_the_host_and_on_the_device():
    expected = np.median(distance.pdist(_X))
    assert _compiled.median_distance(_X) == pytest.approx(expected, rel=1e-6)
    assert _compiled.median_distance(_X, on_host=0) == pytest.approx(expected, rel=1e-5)


def test_kernels_are_their_formulas():
    squares = distance.cdist(_X, _X[:6], "sqeuclidean")
    np.testing.assert_allclose(_compiled.squared_distances(_X, _X[:6]), squares, atol=1e-4)
    full = distance.cdist(_X, _X, "sqeuclidean")
    np.testing.assert_allclose(_compiled.rbf(_X, 1.5), np.exp(-full / (2 * 1.5**2)), atol=1e-5)
