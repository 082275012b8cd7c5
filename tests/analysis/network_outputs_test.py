"""Estimators from a network's own outputs: image by image, and as accuracies."""

import dataclasses

import numpy as np
import pytest

from causal_iqa import alignment
from causal_iqa.analysis import network_outputs
from tests.analysis import worlds


@pytest.fixture(scope="module")
def found():
    table = worlds.table(features=False)
    folds = alignment.image_folds(worlds.NUM_IMAGES, seed=0)
    return network_outputs.gather(worlds.CONFIG, table, folds)


def test_agreement_is_of_pairs(found):
    table = worlds.table(features=False)
    same = table.columns["a/prediction"] == table.columns["b/prediction"]
    np.testing.assert_array_equal(found.rows["agreement"]["a"], same[[1, 2, 3, 4, 0]])
    np.testing.assert_array_equal(found.accuracy["gde"]["b"], found.rows["agreement"]["b"])
    np.testing.assert_array_equal(found.rows["agreement"]["all"], found.rows["agreement"]["a"])


def test_predictions_that_are_missing_agree_with_nothing():
    given = {"a": np.array([1.0, np.nan]), "b": np.array([1.0, 1.0]), "c": np.array([0.0, 1.0])}
    found = network_outputs._agreement(given)
    np.testing.assert_array_equal(found["a"], [0.5, np.nan])
    np.testing.assert_array_equal(found["b"], [0.5, np.nan])


def test_average_confidence_is_the_mean(found):
    table = worlds.table(features=False)
    mean = found.accuracy["average_confidence"]["a"][2].mean()
    assert mean == pytest.approx(table.columns["a/confidence"][3].mean())
    assert {"atc_confidence", "doc_regression", "difference_of_confidences"} <= set(found.accuracy)
    assert set(found.ranked) <= set(found.accuracy) and "atc_confidence" in found.ranked
    assert found.values == {} and found.halves.shape == (40, worlds.NUM_IMAGES // 2)


def test_one_fold_fits_no_threshold():
    table = worlds.table(features=False)
    found = network_outputs.gather(worlds.CONFIG, table, np.zeros(worlds.NUM_IMAGES, int), whole=False)
    assert set(found.accuracy) == {"average_confidence", "gde"}


def test_one_network_agrees_with_none():
    config = dataclasses.replace(worlds.CONFIG, networks=worlds.CONFIG.networks[:1])
    folds = alignment.image_folds(worlds.NUM_IMAGES, seed=0)
    found = network_outputs.gather(config, worlds.table(features=False), folds, whole=False)
    assert "agreement" not in found.rows and "confidence" in found.rows
    np.testing.assert_array_equal(found.rows["confidence"]["all"], found.rows["confidence"]["a"])


def test_values_per_condition_are_aligned_between_only():
    performance = {"a": np.random.default_rng(0).uniform(size=(4, 8))}
    halves = np.array([[0, 1, 2, 3], [4, 5, 6, 7]])
    means = np.stack([performance["a"][:, part].mean(axis=1) for part in (slice(None), *halves)])
    nothing = network_outputs.EstimatorTables({}, {}, {"e": {"a": 2 * means}}, halves, {}, {}, (), {}, {})
    out = network_outputs.add_alignments({}, nothing, performance)
    assert out["e"]["a"].between.value == pytest.approx(1.0)
    assert np.isnan(out["e"]["a"].within.value)
