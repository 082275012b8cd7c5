"""Predicted accuracies: what each method promises on data where its assumption holds."""

import numpy as np
import pytest

from causal_iqa import rivals


def _calibrated(rng, shape):
    """Confidences, and correctness that keeps their promise."""
    confidence = rng.uniform(0.1, 1.0, shape)
    return confidence, (rng.uniform(size=shape) < confidence).astype(float)


def test_average_confidence_is_the_accuracy_of_a_calibrated_network():
    confidence, correct = _calibrated(np.random.default_rng(0), (3, 40_000))
    predicted = rivals.average_confidence(confidence).mean(axis=1)
    np.testing.assert_allclose(predicted, correct.mean(axis=1), atol=0.01)


def test_difference_of_confidences_removes_a_constant_overconfidence():
    rng = np.random.default_rng(1)
    honest, correct = _calibrated(rng, (2, 40_000))
    boast = honest + 0.1
    predicted = rivals.difference_of_confidences(boast[1:], boast[0], correct[0]).mean(axis=1)
    assert predicted[0] == pytest.approx(correct[1].mean(), abs=0.01)
    assert abs(boast[1].mean() - correct[1].mean()) > 0.09


def test_thresholded_confidence_is_the_formula_and_meets_clean_accuracy():
    rng = np.random.default_rng(2)
    score, correct = rng.normal(size=200), (rng.uniform(size=200) < 0.7).astype(float)
    target = rng.normal(size=(4, 200)) - 0.5
    threshold = rivals.atc_threshold(score, correct)
    below = [(score < t).mean() for t in (threshold - 1e-9, threshold + 1e-9)]
    assert below[0] == pytest.approx(1 - correct.mean()) and below[1] > below[0]
    found = rivals.average_thresholded_confidence(target, score, correct)
    np.testing.assert_array_equal(found, target >= threshold)
    own = rivals.average_thresholded_confidence(score[None], score, correct)
    assert own.mean() == pytest.approx(correct.mean())
    assert rivals.atc_threshold(score, np.zeros(200)) == np.inf
    target[0, 0] = np.nan
    assert np.isnan(rivals.average_thresholded_confidence(target, score, correct)[0, 0])


def test_cross_fitting_keeps_an_image_from_its_own_prediction():
    rng = np.random.default_rng(3)
    score, correct = rng.normal(size=(1, 30)), (rng.uniform(size=30) < 0.6).astype(float)
    folds = np.arange(30) % 3
    found = rivals.cross_fitted(rivals.difference_of_confidences, score, score[0], correct, folds)
    for i in range(30):
        others = folds != folds[i]
        assert found[0, i] == pytest.approx(score[0, i] + correct[others].mean() - score[0, others].mean())
    changed = correct.copy()
    changed[4] = 1 - changed[4]
    again = rivals.cross_fitted(rivals.difference_of_confidences, score, score[0], changed, folds)
    same = found[0] == again[0]
    np.testing.assert_array_equal(same, folds == folds[4])


def test_refuses_tables_that_do_not_fit():
    table, clean = np.zeros((2, 4)), np.zeros(3)
    with pytest.raises(ValueError, match=r"\[C, N\]"):
        rivals.average_confidence(np.zeros(4))
    with pytest.raises(ValueError, match=r"\[V\]"):
        rivals.difference_of_confidences(table, clean, np.zeros(2))
    for folds in (np.zeros(4, int), np.zeros(3, int)):
        with pytest.raises(ValueError, match="folds"):
            rivals.cross_fitted(rivals.difference_of_confidences, table, np.zeros(4), np.zeros(4), folds)
