"""Bounds beside what they bound: on constructed truths they hold, and what is no number of every image is left out."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import csv
import io

import numpy as np
import pytest
import scipy.stats

from causal_iqa import alignment, pipeline
from causal_iqa.alignment import attenuation, intervals
from causal_iqa.analysis import measured_bounds
from causal_iqa.estimates import Estimate

_ALL = pipeline.ALL_NETWORKS


def _aligned(between, corrected, *, within=0.5):
    unknown = Estimate(float("nan"), float("nan"), float("nan"))
    numbers = {"between": between, "corrected": corrected, "within": within}
    return {
        _ALL: intervals.Alignment(
            **{name: unknown._replace(value=value) for name, value in numbers.items()},
            pooled=unknown,
            reliability=attenuation.Reliability(0.81, 1.0, ""),
        )
    }


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    chance = np.linspace(0.2, 0.9, 12)[:, None]
    performance = (rng.uniform(size=(12, 300)) < chance).astype(float)
    good = chance + 0.05 * rng.normal(size=performance.shape)
    wrong = good[[1, 0, *range(2, 11), 11]] - 3 * (np.arange(12) == 11)[:, None]
    scores = {"good": good, "wrong": wrong, "of sets": performance, "undefined": np.where(good > 0.5, np.nan, good)}
    aligned = {name: _aligned(0.8, 0.9) for name in scores} | {"of sets": _aligned(0.8, 0.9, within=float("nan"))}
    return measured_bounds.measure_bounds(
        dict.fromkeys(scores, "label_free"),
        {name: {_ALL: values} for name, values in scores.items()},
        {_ALL: performance},
        aligned,
        {},
    ), performance, scores  # fmt: skip


def test_every_bound_is_that_of_its_proposition(found):
    by, performance, scores = found
    assert list(by) == ["good", "wrong"]
    means = performance.mean(axis=1)
    for name, one in by.items():
        assert one.expected == pytest.approx(0.9 * 0.9)
        tau = scipy.stats.kendalltau(scores[name].mean(axis=1), means).statistic
        assert one.tau == pytest.approx(tau) and one.tau <= one.against.kendall_bound
        assert 0 < one.parts.within <= one.within_at_most + 1e-9 <= 1 or one.parts.within <= 0
        assert one.parts == alignment.decompose(scores[name], performance)
        assert np.isnan(one.largest_error) and np.isnan(one.tau_at_least)
    assert by["good"].against.proven == 0 and by["wrong"].against.proven >= 8


def test_the_file_has_a_line_for_each_score_the_least_contradicted_first(found):
    lines = list(csv.DictReader(io.StringIO(measured_bounds.as_csv(found[0]))))
    assert [line["metric"] for line in lines] == ["good", "wrong"]
    assert lines[0]["largest_error"] == "" and lines[0]["between_expected"] == "0.81"
    assert float(lines[1]["tau_at_most"]) == pytest.approx(found[0]["wrong"].against.kendall_bound, abs=1e-4)


@pytest.mark.parametrize("shape", [(3, 5), (1, 14)])
def test_few_images_or_one_condition_have_no_bounds(shape):
    few = np.ones(shape)
    assert measured_bounds.measure_bounds({}, {"a": {_ALL: few}}, {_ALL: few}, {}, {}) == {}
