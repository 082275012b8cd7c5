"""Scores of a network's own outputs against closed forms and loops."""

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from causal_iqa import _reads, estimators


@pytest.fixture(scope="module")
def logits():
    return np.random.default_rng(3).normal(scale=2.0, size=(2, 5, 4)).astype(np.float32)


def test_scores_of_one_image_follow_their_formulas(logits):
    found = {
        name: np.asarray(estimators.TABLE[name].fn(logits)) for name in ("confidence", "negative_entropy", "margin")
    }
    found["energy"] = np.asarray(estimators.energy(logits))
    for place in np.ndindex(2, 5):
        p = np.sort(special.softmax(logits[place].astype(np.float64)))
        expected = {
            "confidence": p[-1],
            "negative_entropy": -stats.entropy(p),
            "margin": p[-1] - p[-2],
            "energy": math.log(np.exp(logits[place].astype(np.float64)).sum()),
        }
        for name, value in expected.items():
            assert found[name][place] == pytest.approx(value, rel=1e-5), name


def test_certain_outputs_have_no_entropy_and_equal_ones_all_of_it():
    equal = np.zeros((2, 5, 4), np.float32)
    certain = equal + np.float32([1000.0, 0.0, 0.0, 0.0])
    assert not np.asarray(estimators.negative_entropy(certain)).any()
    np.testing.assert_allclose(estimators.negative_entropy(equal), -math.log(4), rtol=1e-6)
    assert not np.asarray(estimators.margin(equal)).any()
    np.testing.assert_allclose(estimators.confidence(equal), 1 / 4, rtol=1e-6)


def test_agreement_counts_equal_predictions():
    found = estimators.agreement(np.array([[1, 2, 3]]), np.array([[1, 0, 3]]))
    np.testing.assert_array_equal(found, [[1.0, 0.0, 1.0]])
    with pytest.raises(ValueError, match="equal shapes"):
        estimators.agreement(np.zeros(3), np.zeros(4))


def test_agreement_of_passes_is_that_of_pairs(logits):
    passes = logits.reshape(10, 4)
    votes = passes.argmax(axis=1)
    pairs = [votes[i] == votes[j] for i, j in itertools.combinations(range(10), 2)]
    assert 0 < np.mean(pairs) < 1
    assert float(estimators.prediction_agreement(passes)) == pytest.approx(np.mean(pairs), rel=1e-6)


def test_information_of_passes_is_the_mean_divergence_from_their_mean(logits):
    passes = logits.reshape(10, 4)
    p = special.softmax(passes.astype(np.float64), axis=1)
    expected = -np.mean([stats.entropy(row, p.mean(axis=0)) for row in p])
    assert float(estimators.prediction_information(passes)) == pytest.approx(expected, rel=1e-5)
    assert float(estimators.prediction_information(np.tile(passes[:1], (10, 1)))) == pytest.approx(0, abs=1e-6)


def test_ser_fiq_is_the_formula_over_pairs():
    x = np.random.default_rng(1).normal(size=(6, 8)).astype(np.float32)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    distance = sum(np.linalg.norm(unit[i] - unit[j]) for i, j in itertools.combinations(range(6), 2))
    assert float(estimators.ser_fiq(x)) == pytest.approx(2 * special.expit(-2 / 36 * distance), rel=1e-6)
    assert float(estimators.ser_fiq(np.tile(x[:1], (6, 1)))) == pytest.approx(1.0)
    # The length of an embedding says nothing of its stability.
    assert float(estimators.ser_fiq(7 * x)) == pytest.approx(float(estimators.ser_fiq(x)), rel=1e-6)


def test_table_says_what_each_estimator_needs():
    for name, spec in estimators.TABLE.items():
        assert spec.name == name
        assert spec.family == estimators.FAMILY == spec.passport()["family"]
        assert spec.level in estimators.LEVELS
        assert spec.needs and set(spec.reads) <= set(_reads.READS) and len(spec.reads) == len(set(spec.reads))
        assert spec.convention
        assert spec.reference
    assert {name for name, spec in estimators.TABLE.items() if "image_label" in spec.reads} == {
        "leep",
        "log_me",
        "h_score",
    }
    scaled = {name for name in estimators.TABLE if name.endswith("_scaled")}
    thresholds = {"difference_of_confidences", "atc_confidence", "atc_entropy", "doc_regression"}
    assert {name for name, spec in estimators.TABLE.items() if "clean_labels" in spec.reads} == scaled | thresholds
    others = {name for name, spec in estimators.TABLE.items() if "other_performance" in spec.reads}
    assert others == {"doc_regression", "doc_regression_scaled"}


@pytest.mark.parametrize("name", ["confidence", "margin", "energy", "negative_entropy"])
def test_refuses_what_are_no_logits(name):
    with pytest.raises(ValueError, match="two classes"):
        estimators.TABLE[name].fn(np.zeros((3, 1), np.float32))
    with pytest.raises(TypeError, match="floating"):
        estimators.TABLE[name].fn(np.zeros((3, 4), np.int32))


@pytest.mark.parametrize("name", ["prediction_agreement", "prediction_information", "ser_fiq"])
def test_one_pass_says_nothing_of_stability(name):
    with pytest.raises(ValueError, match="A >= 2"):
        estimators.TABLE[name].fn(np.zeros((1, 4), np.float32))
