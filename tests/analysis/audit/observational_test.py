"""The observational study: arms, factors, the graph behind the draw, and why there is none."""

import dataclasses

import numpy as np
import pytest

from causal_iqa.analysis.audit import observational
from causal_iqa.analysis.audit.observational_records import NotDone, ObservationalStudy
from tests.analysis import worlds


def test_arms_are_severities_or_ranges_of_them():
    severities = np.array([1.0, 3.0, 1.0, 5.0])
    arms, names = observational._arms(severities, 1000)
    assert names == ("clean", "1", "3", "5") and arms.tolist() == [0, 1, 2, 1, 3]
    arms, names = observational._arms(severities, 40)
    assert names == ("clean", "1 to 5") and arms.tolist() == [0, 1, 1, 1, 1]


def test_factors_are_the_clean_scores_that_go_with_performance():
    data = worlds.audit_data()
    performance = np.vstack([data.clean["accuracy"], data.outcomes["accuracy"]])
    assert list(observational._factors(data, performance)) == ["noise"], "no reference alone"
    flat = data._replace(clean={**data.clean, "noise": np.zeros(60)})
    assert observational._factors(flat, performance) == {}


def test_the_graph_asks_for_what_confounds():
    graph, adjusted = observational._graph({"noise": np.zeros(3)}, True)
    assert adjusted == ("clean noise", "Y") or adjusted == ("Y", "clean noise")
    assert "F1 -> C" in graph and "Y -> C" in graph
    graph, adjusted = observational._graph({}, True)
    assert adjusted == ("Y",) and "F1" not in graph


def test_too_little_to_confound_or_to_compare_is_said():
    few = observational.observational_study(worlds.audit_data(30))
    assert few == NotDone("30 images, fewer than 20 for each of two arms")
    data = worlds.audit_data()
    same = data._replace(labels=np.zeros(60, int), families=dict.fromkeys(data.families, "label_free"))
    assert observational.observational_study(same) == NotDone(
        "no label and no clean score varies, so nothing can confound"
    )


def test_estimates_stand_beside_the_truth():
    data = worlds.audit_data(200)
    data = data._replace(config=dataclasses.replace(worlds.CONFIG, num_resamples=5))
    data = data._replace(outcomes={**data.outcomes, "psnr": np.full((4, 200), np.nan)})
    data = data._replace(clean={**data.clean, "psnr": np.full(200, np.nan)}, families={**data.families, "psnr": "x"})
    found = observational.observational_study(data, repeats=3)
    assert isinstance(found, ObservationalStudy)
    assert found.skipped == {"psnr": "not defined under every condition"} and set(found.metrics) == {"good", "noise"}
    assert found.arms == ("clean", "1", "4") and sum(found.images_per_arm) == found.num_images == 200
    mean = np.vstack([data.clean["accuracy"], data.outcomes["accuracy"]]).mean(axis=1)
    truth = (mean[0], mean[[1, 3]].mean(), mean[[2, 4]].mean())
    np.testing.assert_allclose(found.performance.truth, truth, rtol=1e-6)
    assert found.repeats.draws == 3 and "incomplete" in found.repeats.methods
    own = found.performance.methods[found.method]
    assert own.mean_absolute_error < np.ptp(truth) / 2 and own.effect[0].value == pytest.approx(0, abs=1e-9)
