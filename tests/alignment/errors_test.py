"""Errors of predicted accuracies against their formulas."""

import json

import numpy as np
import pytest
from scipy import stats

from causal_iqa import alignment


def test_errors_are_their_formulas():
    truth = np.array([0.5, 0.6, 0.2, 0.9, 0.3])
    predicted = truth + np.array([0.1, -0.1, 0.02, np.nan, 0.3])
    groups = ["a", "a", "b", "b", None]
    found = alignment.accuracy_errors(predicted, truth, groups, low=predicted - 0.05, high=predicted + 0.05)
    assert found.mean_absolute.value == pytest.approx(0.22 / 3)
    assert found.bias == pytest.approx(0.02 / 3)
    assert (found.worst, found.coverage, found.num_conditions) == (pytest.approx(0.1), pytest.approx(1 / 3), 3)
    # Two degradations say nothing of others.
    assert np.isnan(found.mean_absolute.low) and np.isnan(found.mean_absolute.high)
    errors = np.array([0.1, 0.12, 0.1, 0.2, 0.1, 0.4])
    more = alignment.accuracy_errors(np.full(6, 0.5), 0.5 + errors, list("abcdef"), level=0.9)
    logs = np.log([np.delete(errors, i).mean() for i in range(6)])
    reach = stats.t.ppf(0.95, 5) * np.sqrt(5 / 6 * np.square(logs - logs.mean()).sum())
    assert (more.mean_absolute.low, more.mean_absolute.high) == pytest.approx(
        tuple(errors.mean() * np.exp([-reach, reach]))
    )
    one = alignment.accuracy_errors(np.full(6, 0.5), 0.5 + np.array([0, 0, 0, 0, 0, 0.3]), list("abcdef"))
    assert np.isnan(one.mean_absolute.low) and one.mean_absolute.value == pytest.approx(0.05)
    assert np.isnan(alignment.accuracy_errors(predicted, truth, groups).coverage)
    nothing = alignment.accuracy_errors(np.full(5, np.nan), truth, groups)
    assert json.dumps(nothing.as_dict(), allow_nan=False) and nothing.num_conditions == 0
