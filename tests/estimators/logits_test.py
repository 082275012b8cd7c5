"""Scores of a network's own outputs against closed forms and loops."""

import math

import numpy as np
import pytest
from scipy import special, stats

from causal_iqa import estimators


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


@pytest.mark.parametrize("name", ["confidence", "margin", "energy", "negative_entropy"])
def test_refuses_what_are_no_logits(name):
    with pytest.raises(ValueError, match="two classes"):
        estimators.TABLE[name].fn(np.zeros((3, 1), np.float32))
    with pytest.raises(TypeError, match="floating"):
        estimators.TABLE[name].fn(np.zeros((3, 4), np.int32))
