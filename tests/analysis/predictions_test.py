"""Performance predicted on degradations that were left out."""

import numpy as np
import pytest

from causal_iqa.analysis import network_outputs, predictions, rows
from tests.analysis import worlds


@pytest.fixture(scope="module")
def own():
    return rows.image_rows(worlds.CONFIG, worlds.COLUMNS, worlds.table(features=False), whole=False)


def _predict(study, degradations=None, **changed):
    given = {"scores": study.scores, "clean": study.clean, "own": study.own, "folds": study.folds} | changed
    degradations = degradations or [condition.degradation for condition in study.conditions]
    return predictions.predict(
        given["scores"],
        given["clean"],
        study.performance,
        study.clean_performance,
        degradations,
        given["folds"],
        given["own"],
        study.reads,
        level=0.9,
    )


def test_truth_and_errors_are_those_of_the_degraded_conditions(own):
    found = _predict(own)
    one = found["free@eye"]["a"]
    np.testing.assert_allclose(one.held_out.truth, own.performance["a"].mean(axis=1), rtol=1e-6)
    value = one.held_out.predicted.value
    assert value.shape == (4,) and (value >= 0).all() and (value <= 1).all()
    assert one.errors.mean_absolute.value == pytest.approx(np.abs(value - one.held_out.truth).mean())
    assert "other_performance" in one.reads


def test_estimators_have_no_interval_and_read_no_other_performance(own):
    found = _predict(own)["average_confidence"]["a"]
    np.testing.assert_allclose(found.held_out.predicted.value, own.own.accuracy["average_confidence"]["a"][:-1].mean(1))
    assert np.isnan(found.held_out.predicted.low).all() and "other_performance" not in found.reads


def test_one_degradation_or_one_fold_predicts_nothing(own):
    assert _predict(own, ["fog"] * 4) == {}
    assert _predict(own, folds=np.zeros_like(own.folds)) == {}


def test_scores_without_a_number_are_left_out(own):
    nothing = {"noise": {name: np.full((4, worlds.NUM_IMAGES), np.nan) for name in ("a", "all")}}
    clean = {"noise": {name: np.full(worlds.NUM_IMAGES, np.nan) for name in ("a", "all")}}
    nobody = network_outputs.EstimatorTables({}, {}, {}, np.zeros((0, 20), int), {}, {}, (), {}, {})
    assert _predict(own, scores=nothing, clean=clean, own=nobody) == {"noise": {}}
