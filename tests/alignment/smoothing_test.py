"""Expected ranks under image noise against their definition."""

import numpy as np
import pytest
from scipy import stats

from causal_iqa.alignment import _smoothing


def test_smoothing_is_the_difference_of_expected_ranks_and_ranks():
    """Against noise simulated draw by draw."""
    rng = np.random.default_rng(10)
    x, e = rng.normal(size=(2, 300, 20))
    y = 0.9 * x + np.sqrt(0.19) * e
    noise = np.sqrt(1 / 0.9 - 1)

    def expected(z):
        return np.mean([stats.rankdata(z + noise * rng.normal(size=z.shape), axis=1) for _ in range(200)], axis=0)

    def mean_correlation(a, b):
        return np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(a, b, strict=True)])

    gap = mean_correlation(expected(x), expected(y)) - mean_correlation(*(stats.rankdata(z, axis=1) for z in (x, y)))
    of_ranks = 6 / np.pi * np.arcsin(0.9 / 2)
    rho = 6 / np.pi * np.arcsin(0.9 / 2)
    assert _smoothing.smoothing_bias(rho, of_ranks, of_ranks, 20) == pytest.approx(gap, rel=0.25)
    assert _smoothing.smoothing_bias(-rho, of_ranks, of_ranks, 20) < 0
    assert _smoothing.smoothing_bias(rho, 1.0, 1.0, 20) == 0
