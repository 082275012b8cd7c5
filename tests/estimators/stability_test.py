"""Agreement over passes against its formulas."""

import itertools

import numpy as np
import pytest
from scipy import special, stats

from causal_iqa import estimators


@pytest.fixture(scope="module")
def logits():
    return np.random.default_rng(3).normal(scale=2.0, size=(2, 5, 4)).astype(np.float32)


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


@pytest.mark.parametrize("name", ["prediction_agreement", "prediction_information", "ser_fiq"])
def test_one_pass_says_nothing_of_stability(name):
    with pytest.raises(ValueError, match="A >= 2"):
        estimators.TABLE[name].fn(np.zeros((1, 4), np.float32))
