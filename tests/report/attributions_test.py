"""The parts of a difference of expected accuracy on the page of scored sets."""

import types

import numpy as np
import pytest

from causal_iqa.analysis import attribution
from causal_iqa.report import datasets as page


def test_the_parts_of_a_difference_stand_on_the_page():
    clean = attribution.SetOfImages(np.full(40, 0.9), np.eye(2)[np.zeros(40, int)])
    foggy = attribution.SetOfImages(np.repeat([0.9, 0.5], 20), np.eye(2)[np.repeat([0, 1], 20)])
    parts = attribution.attribute(clean, foggy, ("none", "heavy_fog"), resamples=20)
    one = types.SimpleNamespace(second="field", parts=parts)
    words, table = page._attributions(types.SimpleNamespace(comparisons=[one]))
    assert "sum to the whole difference" in str(words)
    assert [row[:2] for row in table.rows] == [["field", "heavy fog"]]
    assert table.rows[0][2].value == pytest.approx(-0.2, abs=1e-3)
    assert (
        page._attributions(types.SimpleNamespace(comparisons=[types.SimpleNamespace(second="field", parts=None)])) == []
    )
