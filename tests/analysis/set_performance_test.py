"""The performance of whole sets as JSON."""

import json

import numpy as np

from causal_iqa import analysis


def test_json_has_a_value_per_condition_and_null_where_undefined():
    found = analysis.SetPerformance("mIoU", {"clean/0": np.float64(0.75), "fog/5": np.nan})
    written = json.dumps(found.as_dict(), allow_nan=False)
    assert written == '{"name": "mIoU", "conditions": {"clean/0": 0.75, "fog/5": null}}'
