"""MaNo against a loop that follows the published formula."""

import numpy as np
import pytest
from scipy import special

from causal_iqa import estimators


def _naive(logits):
    n, k = logits.shape
    criterion = np.mean([-np.log(special.softmax(z)).mean() for z in logits])
    rows = []
    for z in logits:
        if criterion > 5:
            rows.append(special.softmax(z))
        else:
            series = 1 + z + z**2 / 2
            rows.append((series - series.min()) / np.abs(series - series.min()).sum())
    return (np.abs(rows) ** 4).sum() ** (1 / 4) / (n * k) ** (1 / 4), criterion


@pytest.mark.parametrize("scale, certain", [(1.0, False), (8.0, True)])
def test_matrix_norm_is_the_published_formula(scale, certain):
    logits = np.random.default_rng(0).normal(scale=scale, size=(30, 6))
    expected, criterion = _naive(logits)
    assert (criterion > 5) == certain
    terms = estimators.matrix_norm_terms(logits.astype(np.float32))
    assert estimators.matrix_norm(terms, 6) == pytest.approx(expected, rel=1e-5)


def test_matrix_norm_lies_between_equal_and_certain_outputs():
    equal, certain = np.zeros((4, 5), np.float32), np.float32(100) * np.eye(5, dtype=np.float32)[:4]
    assert estimators.matrix_norm(estimators.matrix_norm_terms(equal), 5) == 0
    assert estimators.matrix_norm(estimators.matrix_norm_terms(certain), 5) == pytest.approx((1 / 5) ** (1 / 4))
    with pytest.raises(ValueError, match="terms"):
        estimators.matrix_norm(estimators.MatrixNormTerms(np.ones(3), np.ones(2), np.ones(3)), 5)
