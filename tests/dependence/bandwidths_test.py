"""The median heuristic against the median of all pairs."""

# pyright: reportArgumentType=false

import jax
import numpy as np
import pytest
from scipy.spatial import distance

from causal_iqa import dependence


@pytest.mark.parametrize(("n", "d"), [(2, 1), (3, 1), (20, 3), (21, 12)])
def test_it_is_the_median_of_all_pairs(n, d):
    x = np.random.default_rng(n).normal(size=(n, d)).astype(np.float32)
    expected = np.median(distance.pdist(x.astype(np.float64)))
    assert float(dependence.median_heuristic(jax.numpy.asarray(x))) == pytest.approx(expected, rel=1e-4)


def test_ties_and_missing_numbers():
    half = jax.numpy.asarray(np.float32([[0], [0], [0], [1]]))
    assert float(dependence.median_heuristic(half)) in (0.0, 0.5), "three of six pairs coincide"
    assert np.isnan(dependence.median_heuristic(half.at[0].set(np.nan)))


def test_drawn_pairs_come_near(key):
    x = jax.random.normal(key, (30, 2))
    found = float(dependence.median_heuristic_subsampled(key, x, num_pairs=2000))
    assert found == pytest.approx(np.median(distance.pdist(np.asarray(x))), rel=0.1)


def test_too_few_samples_or_pairs_are_refused(key):
    x = jax.numpy.zeros((3, 1))
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        dependence.median_heuristic(x[:1])
    with pytest.raises(ValueError, match="num_pairs: expected at least 1, got 0"):
        dependence.median_heuristic_subsampled(key, x, num_pairs=0)
    with pytest.raises(ValueError, match="x"):
        dependence.median_heuristic(x[:, 0])
