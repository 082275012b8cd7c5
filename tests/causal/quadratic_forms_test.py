"""The tail of weighted squares."""

import numpy as np
import pytest
from scipy import stats

from causal_iqa.causal import quadratic_forms


def test_tail_of_weighted_squares():
    for freedom in (1, 4, 30):
        for tail in (0.9, 0.05, 1e-6, 1e-30):
            found = quadratic_forms.survival(np.full(freedom, 2.0), 2 * stats.chi2.isf(tail, freedom))
            assert found == pytest.approx(tail, rel=0.15 if freedom == 1 else 0.06)
    rng = np.random.default_rng(0)
    weights = np.array([5, 3, 1, 0.5, 0.1, 0.0])
    drawn = (rng.normal(size=(200_000, 6)) ** 2) @ weights
    for value in (weights.sum(), 20.0, 40.0):
        assert quadratic_forms.survival(weights, value) == pytest.approx((drawn > value).mean(), rel=0.06)
    assert quadratic_forms.survival(weights, 0.0) == 1
    with pytest.raises(ValueError, match="weights"):
        quadratic_forms.survival(np.zeros(3), 1.0)
