"""Errors of predicted performance as text."""

import numpy as np

from causal_iqa import alignment
from causal_iqa.analysis import Predicted
from causal_iqa.estimates import Estimate
from causal_iqa.report import accuracy


def _predicted(error, reads, conditions=4):
    nothing = np.full(4, np.nan)
    held = alignment.HeldOut(Estimate(nothing, nothing, nothing), nothing)
    return Predicted(held, alignment.Errors(Estimate(error, error / 2, 2 * error), -0.01, 0.2, 0.9, conditions), reads)


def test_the_smallest_error_stands_first_and_what_is_undefined_nowhere():
    found = {
        "noise": {"all": _predicted(0.05, ("other_performance",))},
        "free@eye": {"all": _predicted(0.02, ("anchor_labels", "other_performance"))},
        "set": {"all": _predicted(np.nan, (), 0)},
        "of one network": {"a": _predicted(0.01, ())},
    }
    text = accuracy.accuracy_table(found, {"noise": "no_reference", "free@eye": "label_free"})
    lines = text.splitlines()
    rows = [line for line in lines if line.startswith(("noise", "free@eye", "set", "of one"))]
    assert [row.split()[0] for row in rows] == ["free@eye", "noise"]
    assert "2.0" in rows[0] and "[1.0, 4.0]" in rows[0] and "-1.0" in rows[0] and "90" in rows[0]
    assert all(len(line) <= 120 for line in rows)
    assert "of one network" in accuracy.accuracy_table(found, {}, network="a")
