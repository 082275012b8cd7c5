"""The measure of performance in JSON: bounds that are not known are null."""

import json
import math

import pytest

from causal_iqa import InputError, _codec, pipeline
from causal_iqa.analysis.audit import transfer_records


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-math.inf, math.inf), (0.0, math.inf)])
def test_measures_come_back(bounds):
    measure = pipeline.Measure("minus mm", False, 1.0, bounds)
    found = transfer_records.Transfer("a", "b", 0.9, measure, transfer_records.CleanMeans(0.5, math.nan), (), ())
    values = json.loads(json.dumps(_codec.encode(found), allow_nan=False))
    assert values["measure"]["low"] == (None if math.isinf(bounds[0]) else bounds[0])
    again = _codec.decode(values, transfer_records.Transfer, "transfer")
    assert again.measure == measure and math.isnan(again.clean_performance.target)
    del values["measure"]["high"]
    with pytest.raises(InputError, match="measure"):
        _codec.decode(values, transfer_records.Transfer, "transfer")
