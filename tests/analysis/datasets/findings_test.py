"""What is found of scored sets whose truth is known, and what is said of those that are too small for a number."""

import json

import numpy as np
import pytest

from causal_iqa.analysis import datasets
from tests.analysis.datasets.scored import scored_sets


def test_two_sets_that_differ_and_two_that_do_not():
    rng = np.random.default_rng(0)
    found = datasets.analyse(
        scored_sets({"train": rng.normal(size=200), "same": rng.normal(size=200), "dark": rng.normal(-1, 1, 200)}),
        datasets.Request(),
    ).findings
    same, dark = found.comparisons
    assert (same.first, same.second, dark.second) == ("train", "same", "dark")
    assert min(same.features.p_value, same.quality.p_value) > 0.01
    assert dark.features.p_value == dark.quality.p_value == pytest.approx(0.001)
    assert dark.superiority.high < 0.4 and same.superiority.low < 0.5 < same.superiority.high
    assert dark.quality.mmd_squared > 0.05 > same.quality.mmd_squared
    assert np.isnan(dark.expected_accuracy.value) and found.cut.matters
    assert found.sets[2].below > 0.15 and found.sets[0].below == pytest.approx(0.05)
    assert json.loads(json.dumps(found.to_json()))["comparisons"][1]["second"] == "dark"


def test_columns_are_percentiles_of_the_set_and_of_the_reference():
    scored = scored_sets({"a": np.arange(10.0), "b": np.asarray([4.5, 100.0, np.nan])}, features=False)
    derived = datasets.analyse(scored, datasets.Request()).derived
    assert derived["percentile"].to_pylist()[:3] == [5.0, 15.0, 25.0]
    assert derived["percentile"].to_pylist()[10:] == [25.0, 75.0, None]
    assert derived["percentile_in_reference"].to_pylist()[10:] == [50.0, 100.0, None]
    assert derived["expected_correct"].null_count == 13
    alone = datasets.analyse(scored_sets({"a": np.arange(10.0)}), datasets.Request()).derived
    assert alone["percentile_in_reference"].null_count == 10


@pytest.mark.parametrize("quality", [[1.0], [np.nan, np.nan], [2.0] * 30])
def test_sets_that_are_too_small_have_no_number_that_means_nothing(quality):
    found = datasets.analyse(scored_sets({"a": np.asarray(quality)}), datasets.Request()).findings
    (one,) = found.sets
    assert one.tenths == () or len({tenth.low for tenth in one.tenths}) == 1
    assert np.isnan(one.quality.modes.p_value) and one.quality.edges == ()
    assert any("too few" in line or "same score" in line for line in found.remarks)
    assert np.isfinite(found.cut.score) == (len(quality) >= 20), found.cut.why
    json.dumps(found.to_json(), allow_nan=False)


def test_actual_accuracy_needs_no_map():
    found = datasets.analyse(
        scored_sets({"a": np.arange(100.0)}, correct=True), datasets.Request(accuracy=0.4)
    ).findings
    (network,) = found.sets[0].networks
    assert network.network == "net" and 0.3 < network.actual.low < network.actual.value < network.actual.high < 0.7
    assert np.isnan(network.expected.value) and found.sets[0].thresholds[0].by == "actual"
    assert "an accuracy of 40 % needs a map" in found.cut.why, "the threshold that was asked for is another"
    assert sum(group.count for group in found.sets[0].groups) == 100
