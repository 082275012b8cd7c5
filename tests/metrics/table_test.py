"""The table of metrics."""

import json

import pytest

from causal_iqa import _tables, metrics


def test_the_table_is_read_only_and_named_by_its_rows():
    assert all(name == spec.name for name, spec in metrics.TABLE.items())
    with pytest.raises(TypeError):
        metrics.TABLE["ssim"] = metrics.TABLE["mse"]


def test_the_table_refuses_a_name_twice():
    with pytest.raises(ValueError, match="'mse' is in the table twice"):
        _tables.Table("metric", [metrics.TABLE["mse"], metrics.TABLE["mse"]])


@pytest.mark.parametrize("name", tuple(metrics.TABLE))
def test_passport_is_json_and_complete(name):
    spec = metrics.TABLE[name]
    passport = spec.passport()
    assert json.loads(json.dumps(passport)) == passport
    assert passport["needs_reference"] == (spec.family == "full_reference")
    told = ("convention", "reference", "colour", "data_range", "window", "border", "downsampling", "undefined")
    assert all(passport[field] for field in told) and "fn" not in passport
    assert spec.worse_with, "every row claims some degradation"
