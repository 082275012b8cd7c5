"""Predicted accuracies: what each method promises on data where its assumption holds."""

import numpy as np
import pytest

from causal_iqa import estimators


def _calibrated(rng, shape):
    """Confidences, and correctness that keeps their promise."""
    confidence = rng.uniform(0.1, 1.0, shape)
    return confidence, (rng.uniform(size=shape) < confidence).astype(float)


def test_average_confidence_is_the_accuracy_of_a_calibrated_network():
    confidence, correct = _calibrated(np.random.default_rng(0), (3, 40_000))
    predicted = estimators.average_confidence(confidence).mean(axis=1)
    np.testing.assert_allclose(predicted, correct.mean(axis=1), atol=0.01)


def test_difference_of_confidences_removes_a_constant_overconfidence():
    rng = np.random.default_rng(1)
    honest, correct = _calibrated(rng, (2, 40_000))
    boast = honest + 0.1
    predicted = estimators.difference_of_confidences(boast[1:], boast[0], correct[0]).mean(axis=1)
    assert predicted[0] == pytest.approx(correct[1].mean(), abs=0.01)
    assert abs(boast[1].mean() - correct[1].mean()) > 0.09


def test_thresholded_confidence_is_the_formula_and_meets_clean_accuracy():
    rng = np.random.default_rng(2)
    score, correct = rng.normal(size=200), (rng.uniform(size=200) < 0.7).astype(float)
    target = rng.normal(size=(4, 200)) - 0.5
    threshold = estimators.atc_threshold(score, correct)
    below = [(score < t).mean() for t in (threshold - 1e-9, threshold + 1e-9)]
    assert below[0] == pytest.approx(1 - correct.mean()) and below[1] > below[0]
    found = estimators.average_thresholded_confidence(target, score, correct)
    np.testing.assert_array_equal(found, target >= threshold)
    own = estimators.average_thresholded_confidence(score[None], score, correct)
    assert own.mean() == pytest.approx(correct.mean())
    assert estimators.atc_threshold(score, np.zeros(200)) == np.inf
    target[0, 0] = np.nan
    assert np.isnan(estimators.average_thresholded_confidence(target, score, correct)[0, 0])


def test_cross_fitting_keeps_an_image_from_its_own_prediction():
    rng = np.random.default_rng(3)
    score, correct = rng.normal(size=(1, 30)), (rng.uniform(size=30) < 0.6).astype(float)
    folds = np.arange(30) % 3
    found = estimators.cross_fitted(estimators.difference_of_confidences, score, score[0], correct, folds)
    for i in range(30):
        others = folds != folds[i]
        assert found[0, i] == pytest.approx(score[0, i] + correct[others].mean() - score[0, others].mean())
    changed = correct.copy()
    changed[4] = 1 - changed[4]
    again = estimators.cross_fitted(estimators.difference_of_confidences, score, score[0], changed, folds)
    same = found[0] == again[0]
    np.testing.assert_array_equal(same, folds == folds[4])


def test_regression_learns_the_slope_of_other_degradations():
    rng = np.random.default_rng(4)
    groups = [name for name in "abcd" for _ in range(3)]
    shift = rng.uniform(0, 0.5, 12)
    image = rng.normal(scale=0.05, size=40)
    confidence, clean = 0.9 + image - shift[:, None], 0.9 + image
    # Confidence falls half as much as accuracy does, and d falls by .1 more.
    extra = np.where(np.array(groups) == "d", 0.1, 0.0)
    correct = np.repeat((0.8 - 2 * shift - extra)[:, None], 40, axis=1)
    folds = np.arange(40) % 2
    found = estimators.regressed_difference_of_confidences(confidence, correct, clean, np.full(40, 0.8), groups, folds)
    for c, group in enumerate(groups):
        left = [i for i, name in enumerate(groups) if name != group]
        for fold in (0, 1):
            rest = folds != fold
            drop = clean[rest].mean() - confidence[:, rest].mean(axis=1)
            line = np.polyfit(drop[left], (0.8 - correct[:, rest].mean(axis=1))[left], 1)
            expected = 0.8 - np.polyval(line, clean[rest].mean() - confidence[c, ~rest])
            np.testing.assert_allclose(found[c, ~rest], expected, atol=1e-9)
    # The degradation that is left out does not help to predict itself.
    np.testing.assert_allclose(found[9:].mean(axis=1) - correct[9:].mean(axis=1), 0.1, atol=0.05)


def test_a_line_through_equal_scores_is_flat():
    slope, intercept = estimators.left_out_lines(np.ones(4), np.array([1.0, 2.0, 3.0, np.nan]), list("aabb"))
    np.testing.assert_array_equal(slope[2:], 0)
    np.testing.assert_array_equal(intercept[2:], 1.5)
    assert np.isnan(slope[:2]).all()
    with pytest.raises(ValueError, match="two groups"):
        estimators.left_out_lines(np.ones(2), np.ones(2), ["a", "a"])


def test_refuses_tables_that_do_not_fit():
    table, clean = np.zeros((2, 4)), np.zeros(3)
    with pytest.raises(ValueError, match=r"\[C, N\]"):
        estimators.average_confidence(np.zeros(4))
    with pytest.raises(ValueError, match=r"\[V\]"):
        estimators.difference_of_confidences(table, clean, np.zeros(2))
    for folds in (np.zeros(4, int), np.zeros(3, int)):
        with pytest.raises(ValueError, match="folds"):
            estimators.cross_fitted(estimators.difference_of_confidences, table, np.zeros(4), np.zeros(4), folds)


def test_lines_of_several_rows_are_those_of_each():
    rng = np.random.default_rng(0)
    score, target = rng.normal(size=(2, 3, 6))
    for holes in (False, True):
        if holes:
            score[1, 2] = np.nan
        together = estimators.left_out_lines(score, target, list("aabbcc"))
        each = [estimators.left_out_lines(a, b, list("aabbcc")) for a, b in zip(score, target, strict=True)]
        np.testing.assert_array_equal(np.stack(together, 1), np.array(each))
