"""Findings of sets as JSON and back."""

import json

import numpy as np
import pytest

from causal_iqa import InputError
from causal_iqa.analysis import attribution, datasets
from tests.analysis.datasets.scored import scored_sets


def test_findings_are_read_as_they_were_written():
    scored = scored_sets({"a": np.asarray([*range(40), np.nan]), "b": np.arange(3.0)}, correct=True)
    found = datasets.analyse(scored, datasets.Request(accuracy=0.4)).findings
    parts = attribution.Attribution(("fog", "rest"), *np.asarray([[0.1, np.nan]] * 4), 0.5, 0.6)
    compared = found.comparisons[0]._replace(parts=parts)
    where = datasets.MapFacts("run", "scenes", "free@b", ("net",), 400, 12, 0.9, np.nan)
    copies = datasets.Copies(2, 1, ((0, 8),), np.ones(44, bool))
    found = found._replace(comparisons=(compared,), map=where, odd=(datasets.Odd("small", 2, (1, 4)),), copies=copies)
    written = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert written["odd"] == {"small": 2} and written["copies"] == {"count": 2, "groups_across_sets": 1}
    assert written["schema"] == 1 and "galleries" not in written
    again = datasets.DatasetFindings.from_json(written)
    assert again.to_json() == written
    assert again.odd == (datasets.Odd("small", 2, ()),) and again.copies[:3] == (2, 1, ()) and again.galleries == ()
    assert np.isnan(again.map.transfer_error) and again.sets[0].formats == (("PNG", 41),)
    np.testing.assert_array_equal(again.comparisons[0].parts.low, parts.low)
    of_file = {**written, "skipped": [], "num_below_threshold": 3}
    assert datasets.DatasetFindings.from_json(of_file).to_json() == written
    for change, message in (
        ({"schema": 2}, r"findings: written by another version .*run causal-iqa score again"),
        ({"more": 1}, "findings: unknown field 'more'"),
        ({"cut": {"score": None, "why": 1, "matters": True}}, r"findings\.cut\.why: expected text, got 1"),
        ({"odd": {"small": "two"}}, r"findings\.odd\.small: expected a whole number"),
    ):
        with pytest.raises(InputError, match=message):
            datasets.DatasetFindings.from_json({**written, **change})
