"""Scores that are equal are kept or left out together."""

import numpy as np

from causal_iqa.analysis.datasets import rejection


def test_equal_scores_stay_together():
    q = np.repeat([0.0, 1.0], 50)
    steps = rejection.curve(q, (q > 0).astype(float), None, None, level=0.95)
    assert [(step.left_out, step.kept) for step in steps] == [(0.0, 100), (0.5, 50)]
    assert rejection.curve(np.full(5, np.nan), None, None, None, level=0.95) == ()
