"""Accuracy predicted from a network's confidence in unlabelled images, with labels of clean images at most.

Every function returns a row per image, [C, N]: its mean over the images of a condition is the predicted accuracy, so
that images can be resampled afterwards. Where clean labels are read, an image never helps to predict itself: the clean
images are either a split of their own, or folds of the same images (`cross_fitted`).
"""

from collections.abc import Callable, Sequence

import numpy as np

from causal_iqa.estimators import spec

__all__ = [
    "atc_threshold",
    "average_confidence",
    "average_thresholded_confidence",
    "cross_fitted",
    "difference_of_confidences",
    "left_out_lines",
    "regressed_difference_of_confidences",
]


def average_confidence(confidence: np.ndarray) -> np.ndarray:
    """Confidence itself: a calibrated network is right as often as it is confident.

    Args:
      confidence: [C, N] largest softmax probability, in [0, 1].

    Returns:
      float64 [C, N]; the mean over a condition is the predicted accuracy.

    References:
      [1] D. Hendrycks, K. Gimpel (2017), A baseline for detecting misclassified and out-of-distribution examples.

    Examples:
      >>> estimators.average_confidence(np.array([[0.9, 0.6]])).tolist()
      [[0.9, 0.6]]
    """
    return _table(confidence, "confidence")


def difference_of_confidences(
    confidence: np.ndarray, clean_confidence: np.ndarray, clean_correct: np.ndarray
) -> np.ndarray:
    """Clean accuracy minus the drop in confidence: accuracy = clean accuracy - (clean confidence - confidence), means.

    Args:
      confidence: [C, N] in [0, 1].
      clean_confidence: [V] of labelled clean images.
      clean_correct: [V], 1 where they are classified correctly.

    Returns:
      float64 [C, N]; the mean over a condition is the predicted accuracy. A row may lie outside [0, 1].

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] D. Guillory et al. (2021), Predicting with confidence on unseen distributions: the difference.
      [2] S. Garg et al. (2022), Leveraging unlabeled data to predict out-of-distribution performance: the difference
        taken for the drop in accuracy itself, without a regression.

    Examples:
      >>> clean_score, clean_correct = np.array([0.9, 0.8, 0.3, 0.7]), np.array([1, 1, 0, 1])
      >>> score = np.array([[0.9, 0.2, 0.1, 0.75]])
      >>> found = estimators.difference_of_confidences(score, clean_score, clean_correct)
      >>> np.round(found.mean(axis=1), 4).tolist()
      [0.5625]
    """
    confidence = _table(confidence, "confidence")
    clean_confidence, clean_correct = _validation(clean_confidence, clean_correct)
    return confidence + (clean_correct.mean() - clean_confidence.mean())


def regressed_difference_of_confidences(
    confidence: np.ndarray,
    correct: np.ndarray,
    clean_confidence: np.ndarray,
    clean_correct: np.ndarray,
    degradations: Sequence[str],
    folds: np.ndarray,
) -> np.ndarray:
    """Clean accuracy minus the drop that a line through other degradations expects from the drop in mean confidence.

    The line is fitted by least squares over conditions, drop in accuracy on drop in confidence, without the degradation
    that is predicted and without the images that are.

    Args:
      confidence: [C, N] in [0, 1].
      correct: [C, N] performance of the same images.
      clean_confidence: [N] of the same images, clean.
      clean_correct: [N].
      degradations: degradations of the C conditions, at least two different ones.
      folds: int [N], fold of every image, two folds at least.

    Returns:
      float64 [C, N]; the mean over a condition is the predicted accuracy. A row may lie outside [0, 1]. NaN where the
      confidence is; means leave out what is not finite.

    Raises:
      ValueError: when shapes do not fit or there are too few degradations or folds.

    References:
      [1] D. Guillory et al. (2021), Predicting with confidence on unseen distributions.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> drop = np.array([[0.0], [0.1], [0.2], [0.4]])
      >>> confidence, correct = 0.9 - drop + 0 * rng.normal(size=(4, 6)), 0.8 - drop + np.zeros((4, 6))
      >>> clean, folds, names = (np.full(6, 0.95), np.full(6, 0.85)), np.arange(6) % 2, ["fog", "fog", "blur", "blur"]
      >>> found = estimators.regressed_difference_of_confidences(confidence, correct, *clean, names, folds)
      >>> np.round(found.mean(axis=1), 2).tolist()
      [0.8, 0.7, 0.6, 0.4]
    """
    confidence, correct = _table(confidence, "confidence"), _table(correct, "correct")
    clean_confidence, clean_correct = _validation(clean_confidence, clean_correct)
    folds = _folds(folds, confidence.shape[1])
    if correct.shape != confidence.shape or clean_correct.shape != folds.shape:
        raise ValueError(
            f"correct, clean_correct: expected {confidence.shape} and {folds.shape}, got {correct.shape} and "
            f"{clean_correct.shape}"
        )
    out = np.empty(confidence.shape)
    for fold in np.unique(folds):
        own = folds == fold
        start, accuracy = _defined_mean(clean_confidence[~own]), _defined_mean(clean_correct[~own])
        drop = start - _defined_mean(confidence[:, ~own])
        slope, intercept = left_out_lines(drop, accuracy - _defined_mean(correct[:, ~own]), degradations)
        out[:, own] = accuracy - (slope[:, None] * (start - confidence[:, own]) + intercept[:, None])
    return out


def left_out_lines(score: np.ndarray, target: np.ndarray, groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Least-squares lines from a score to a target, one for every condition, fitted without the condition's group.

    Args:
      score: [..., C].
      target: [..., C].
      groups: groups of the C conditions, at least two different ones.

    Returns:
      (slopes [..., C], intercepts [..., C]). Where all scores left are equal the slope is 0; NaN where fewer than two
      pairs are finite.

    Raises:
      ValueError: when shapes do not fit or there is one group only.

    Examples:
      >>> score, target = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 4.0, 6.0, 8.0])
      >>> slopes, intercepts = estimators.left_out_lines(score, target, ["fog", "fog", "blur", "blur"])
      >>> np.round(slopes, 6).tolist()
      [2.0, 2.0, 2.0, 2.0]
    """
    x, y = np.asarray(score, np.float64), np.asarray(target, np.float64)
    if x.ndim < 1 or y.shape != x.shape or len(groups) != x.shape[-1] or len(set(groups)) < 2:
        raise ValueError(
            f"score, target, groups: expected [..., C] twice and [C], two groups or more, got {x.shape}, {y.shape} and "
            f"{len(groups)} of {len(set(groups))} groups"
        )
    finite = np.isfinite(x) & np.isfinite(y)
    if x.ndim > 1 and not finite.all():  # Each row has conditions of its own.
        lead = x.shape[:-1]
        x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1])
        found = [left_out_lines(a, b, groups) for a, b in zip(x, y, strict=True)]
        slope, intercept = (np.reshape(one, (*lead, -1)) for one in zip(*found, strict=True))
        return slope, intercept
    slope, intercept = np.full(x.shape, np.nan), np.full(x.shape, np.nan)
    names, here = np.asarray(groups, object), finite.reshape(-1, x.shape[-1]).all(axis=0)
    for group in set(groups):
        own = names == group
        left = here & ~own
        if left.sum() < 2:
            continue
        a, b = (np.compress(left, z, axis=-1) for z in (x, y))
        of_a, of_b, variance = (z[..., None] for z in (a.mean(axis=-1), b.mean(axis=-1), a.var(axis=-1)))
        covariance = ((a - of_a) * (b - of_b)).mean(axis=-1, keepdims=True)
        slope[..., own] = np.where(variance > 0, covariance / np.where(variance > 0, variance, 1.0), 0.0)
        intercept[..., own] = of_b - slope[..., own][..., :1] * of_a
    return slope, intercept


def average_thresholded_confidence(score: np.ndarray, clean_score: np.ndarray, clean_correct: np.ndarray) -> np.ndarray:
    """ATC: share of images above the threshold that as many clean images exceed as are classified correctly.

    Args:
      score: [C, N] of any scale, higher is more confident: the largest probability or the negative entropy.
      clean_score: [V] of labelled clean images.
      clean_correct: [V], 1 where they are classified correctly.

    Returns:
      float64 [C, N] of 0 and 1; the mean over a condition is the predicted accuracy. NaN where the score is.

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] S. Garg et al. (2022), Leveraging unlabeled data to predict out-of-distribution performance.

    Examples:
      >>> clean_score, clean_correct = np.array([0.9, 0.8, 0.3, 0.7]), np.array([1, 1, 0, 1])
      >>> score = np.array([[0.9, 0.2, 0.1, 0.75]])
      >>> estimators.average_thresholded_confidence(score, clean_score, clean_correct).mean(axis=1).tolist()
      [0.5]
    """
    score = _table(score, "score")
    threshold = atc_threshold(clean_score, clean_correct)
    return np.where(np.isfinite(score), (score >= threshold).astype(np.float64), np.nan)


def atc_threshold(clean_score: np.ndarray, clean_correct: np.ndarray) -> float:
    """The score that a share of the clean images equal to their accuracy reaches.

    Args:
      clean_score: [V] of labelled clean images.
      clean_correct: [V], 1 where they are classified correctly.

    Returns:
      The threshold; infinite when none is correct.

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] S. Garg et al. (2022), Leveraging unlabeled data to predict out-of-distribution performance.

    Examples:
      >>> clean_score, clean_correct = np.array([0.9, 0.8, 0.3, 0.7]), np.array([1, 1, 0, 1])
      >>> float(estimators.atc_threshold(clean_score, clean_correct))
      0.7
    """
    clean_score, clean_correct = _validation(clean_score, clean_correct)
    above = round(float(clean_correct.sum()))
    return float(np.sort(clean_score)[::-1][above - 1]) if above else np.inf


def cross_fitted(
    method: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    score: np.ndarray,
    clean_score: np.ndarray,
    clean_correct: np.ndarray,
    folds: np.ndarray,
) -> np.ndarray:
    """Applies a method that reads clean labels to each fold of images with the clean images of the others.

    Args:
      method: `difference_of_confidences` or `average_thresholded_confidence`.
      score: [C, N].
      clean_score: [N] of the same images, clean; clean images with a score or label that is not finite are left out.
      clean_correct: [N], 1 where they are classified correctly.
      folds: int [N], fold of every image, two folds at least.

    Returns:
      float64 [C, N]; the mean over a condition is the predicted accuracy. NaN where no clean image is left.

    Raises:
      ValueError: when shapes do not fit or there is one fold only.

    Examples:
      >>> clean_score, clean_correct = np.array([0.9, 0.8, 0.3, 0.7]), np.array([1, 1, 0, 1])
      >>> score, folds = np.array([[0.9, 0.2, 0.1, 0.75]]), np.array([0, 0, 1, 1])
      >>> method = estimators.average_thresholded_confidence
      >>> estimators.cross_fitted(method, score, clean_score, clean_correct, folds).shape
      (1, 4)
    """
    score = _table(score, "score")
    folds = _folds(folds, score.shape[1])
    if np.shape(clean_score) != folds.shape:
        raise ValueError(f"clean_score: expected [N] = [{score.shape[1]}], got {np.shape(clean_score)}")
    clean_score, clean_correct = np.asarray(clean_score), np.asarray(clean_correct)
    known = np.isfinite(clean_score) & np.isfinite(clean_correct)
    out = np.full(score.shape, np.nan)
    for fold in np.unique(folds):
        own = folds == fold
        if (known & ~own).any():
            out[:, own] = method(score[:, own], clean_score[known & ~own], clean_correct[known & ~own])
    return out


def _defined_mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is finite, NaN where nothing is."""
    defined = np.isfinite(values)
    if defined.all():
        return values.mean(axis=-1)
    count = defined.sum(axis=-1)
    return np.where(count > 0, np.where(defined, values, 0.0).sum(axis=-1) / np.maximum(count, 1), np.nan)


def _table(values: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"{name}: expected a table [C, N], got shape {values.shape}")
    return values


def _folds(folds: np.ndarray, num_images: int) -> np.ndarray:
    folds = np.asarray(folds)
    if folds.shape != (num_images,) or len(np.unique(folds)) < 2:
        raise ValueError(
            f"folds: expected [N] = [{num_images}] and two folds or more, got {folds.shape} and "
            f"{len(np.unique(folds))} folds"
        )
    return folds


def _validation(score: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    score, correct = np.asarray(score, np.float64), np.asarray(correct, np.float64)
    if score.ndim != 1 or score.shape != correct.shape or score.size == 0:
        raise ValueError(f"clean_score, clean_correct: expected [V] both, got {score.shape} and {correct.shape}")
    return score, correct


SPECS = (
    *spec.both(
        "average_confidence",
        average_confidence,
        ("confidence",),
        spec.OWN,
        "mean of the largest softmax probability",
        "Hendrycks, Gimpel 2017",
    ),
    *spec.both(
        "difference_of_confidences",
        difference_of_confidences,
        spec.DIFFERENCE,
        spec.WITH_CLEAN,
        "clean accuracy less the drop in mean confidence",
        "Guillory et al. 2021 as used by Garg et al. 2022",
        of="confidence",
    ),
    *spec.both(
        "doc_regression",
        regressed_difference_of_confidences,
        spec.REGRESSION,
        spec.WITH_OTHERS,
        "clean accuracy less a line of the drop in mean confidence, fitted on the other degradations",
        "Guillory et al. 2021",
    ),
    *spec.both(
        "atc_confidence",
        average_thresholded_confidence,
        ("score", *spec.CLEAN),
        spec.WITH_CLEAN,
        "share of images above the threshold of the largest probability that clean accuracy sets",
        "Garg et al. 2022",
        of="confidence",
    ),
    *spec.both(
        "atc_entropy",
        average_thresholded_confidence,
        ("score", *spec.CLEAN),
        spec.WITH_CLEAN,
        "share of images above the threshold of the negative entropy that clean accuracy sets",
        "Garg et al. 2022",
        of="negative_entropy",
    ),
)
