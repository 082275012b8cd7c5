"""Quality in units of performance: a monotone map from a score to the mean performance of a network, its accuracy.

It is learned where performance is known, by two isotonic regressions in a row. The first maps the score of an image to
its expected performance, for a classifier the probability of being right, over all rows. Their mean over a condition
moves too little when the condition changes, because a noisy score explains only a part of what the condition does; so
the second maps that mean to the accuracy of the condition, over the conditions. Learned on some degradations and
images, the pair is applied to others: `held_out_accuracy` leaves out one degradation and one fold of images at a time,
so neither is ever on both sides.

The form was chosen on rendered scenes (14 and 19 degradations, three networks, two of them judged by an average over
scores): mean absolute error of the rows only, the condition means of the raw score only, a logistic second stage and
this one: 8.7, 5.9, 6.5 and 5.9 points for a label-free score, 6.4, 2.7, 2.6 and 2.5 for a network's confidence. With a
poorer score (condition means 24.4) the first stage matters: 16.6.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize

from causal_iqa.alignment import correlation
from causal_iqa.estimates import Estimate, check_level

# Mean probabilities closer than this differ by the order of summation only.
_TIE_DIGITS = 12


class AccuracyMap(NamedTuple):
    """From score to probability of correctness, and from its mean over a condition to accuracy; both monotone.

    score: [B] ascending scores, probability: [B], of one image.
    mean: [S] ascending mean probabilities, accuracy: [S], of one condition.
    """

    score: np.ndarray
    probability: np.ndarray
    mean: np.ndarray
    accuracy: np.ndarray


class HeldOut(NamedTuple):
    """Accuracy of conditions [C] that the map has not seen: predicted, with interval, and true; NaN where undefined."""

    predicted: Estimate
    truth: np.ndarray


class _Bins(NamedTuple):
    """Rows of every condition and fold by bin of score: count and sum of performance, [C, K, B]; score: [B], mean."""

    count: np.ndarray
    total: np.ndarray
    score: np.ndarray


def fit_accuracy_map(q: np.ndarray, m: np.ndarray, *, num_bins: int = 256) -> AccuracyMap:
    """Learns the map on conditions with known performance.

    Args:
      q: scores [C, N], higher is better; NaN or infinite where undefined. Add the clean images as a condition when they
        have scores: the map then knows the upper end.
      m: performance [C, N], of any range; NaN where undefined.
      num_bins: quantile bins of the score, within which the map is constant up to interpolation.

    Returns:
      The map.

    Raises:
      ValueError: when the tables are not of one shape [C, N] or share no defined entry.

    References:
      [1] R. Barlow et al. (1972), Statistical inference under order restrictions.
      [2] B. Zadrozny, C. Elkan (2002), Transforming classifier scores into accurate multiclass probability estimates.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> fitted = alignment.fit_accuracy_map(q, m)
      >>> bool(np.corrcoef(alignment.predict_accuracy(fitted, q), m.mean(axis=1))[0, 1] > 0.9)
      True
    """
    bins = _bin(*_defined(q, m), np.zeros(np.shape(q)[1], int), num_bins)
    count, total = bins.count.sum(axis=1), bins.total.sum(axis=1)
    probability = _first_stage(count.sum(axis=0), total.sum(axis=0))
    size = count.sum(axis=1)
    some = size > 0
    mean, accuracy = _second_stage(
        (count[some] @ probability) / size[some], total[some].sum(axis=1) / size[some], size[some]
    )
    return AccuracyMap(bins.score, probability, mean, accuracy)


def predict_accuracy(fitted: AccuracyMap, q: np.ndarray) -> np.ndarray:
    """Predicts the accuracy of conditions, of this dataset or another, from scores only.

    Args:
      fitted: the map.
      q: scores [C, N], higher is better; NaN or infinite where undefined.

    Returns:
      [C], within the performances that the map was learned from; NaN where a condition has no defined score.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> alignment.predict_accuracy(alignment.fit_accuracy_map(q[:6], m[:6]), q[6:]).shape
      (2,)
    """
    q = np.asarray(q, np.float64)
    if q.ndim != 2:
        raise ValueError(f"q: expected scores [C, N], got shape {q.shape}")
    defined = np.isfinite(q)
    probability = np.where(defined, np.interp(np.where(defined, q, 0.0), fitted.score, fitted.probability), 0.0)
    with np.errstate(invalid="ignore"):
        mean = probability.sum(axis=1) / np.where(defined.any(axis=1), defined.sum(axis=1), np.nan)
    return np.interp(mean, fitted.mean, fitted.accuracy)


def held_out_accuracy(
    q: np.ndarray,
    m: np.ndarray,
    groups: Sequence[str | None],
    folds: np.ndarray,
    *,
    level: float = 0.9,
    num_bins: int = 256,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> HeldOut:
    """Predicts the mean performance of every condition from the other degradations and, fold by fold, other images.

    The interval holds the error that the same procedure makes on the other degradations, each predicted without itself
    and without the one in question: the predicted accuracy plus and minus the quantile of the absolute errors with the
    correction for their finite number.

    Args:
      q: scores [C, N], higher is better; NaN or infinite where undefined.
      m: performance [C, N], of any range; NaN where undefined.
      groups: C names of what is left out together, the degradation; None where the labels count as known throughout
        and nothing is predicted: the clean images.
      folds: int [N], fold of every image, two folds at least.
      level: confidence level of the intervals, in (0, 1).
      num_bins: quantile bins of the score.
      bounds: (lowest, highest) that a mean performance can be, within which intervals are kept.

    Returns:
      Predictions for the conditions with a group; NaN where no other group leaves anything to learn from. The truth is
      the mean over all images with known performance. Intervals are NaN with fewer than three groups.

    Raises:
      ValueError: when shapes do not fit, or there are fewer than two groups or folds, or level is out of range.

    References:
      [1] R. Barber, E. Candès, A. Ramdas, R. Tibshirani (2021), Predictive inference with the jackknife+.
      [2] R. Dunn, L. Wasserman, A. Ramdas (2022), Distribution-free prediction sets for two-layer hierarchical models.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> degradations = ["fog"] * 4 + ["blur"] * 4
      >>> held_out = alignment.held_out_accuracy(q, m, degradations, alignment.image_folds(60))
      >>> held_out.predicted.value.shape
      (8,)
    """
    true_accuracy = correlation.condition_means(correlation.check_tables(q, m)[1], np.ones((1, np.shape(m)[1])))[0]
    q, m = _defined(q, m)
    members, folds = _check_design(q, groups, folds, level)
    bins = _bin(q, m, folds, num_bins)
    fit = _LeaveOut(bins, members)
    held = np.full((len(members), len(q)), np.nan)  # [g, c]: accuracy of c without its own group and without g
    for i, first in enumerate(members):
        for j, second in enumerate(members[: i + 1]):
            out = fit.predict(i, j)
            held[i, second] = out[second]
            held[j, first] = out[first]
    own = np.argmax(members, axis=0)
    predicted = np.where(members.any(axis=0), held[own, np.arange(len(q))], np.nan)
    truth = np.where(np.isfinite(predicted), true_accuracy, np.nan)
    half = np.full(len(q), np.nan)
    # With two groups the errors would be those of a map learned without either: from clean images, or from nothing.
    for i, member in enumerate(members if len(members) > 2 else ()):
        others = members.any(axis=0) & ~member & np.isfinite(held[i])
        half[member] = _error_quantile(np.abs(held[i] - truth)[others], level)
    return HeldOut(Estimate(predicted, np.clip(predicted - half, *bounds), np.clip(predicted + half, *bounds)), truth)


def image_folds(
    num_images: int, *, num_folds: int = 2, seed: int = 0, clusters: np.ndarray | None = None
) -> np.ndarray:
    """Deals images into folds of equal size at random.

    Args:
      num_images: N.
      num_folds: how many.
      seed: seed of the deal.
      clusters: int [N] of images that stay together; None treats each image as its own cluster.

    Returns:
      int [N] in 0..num_folds - 1.

    Examples:
      >>> np.bincount(alignment.image_folds(10, num_folds=2)).tolist()
      [5, 5]
    """
    if clusters is not None:
        own = np.unique(clusters, return_inverse=True)[1]
        return image_folds(int(own.max()) + 1, num_folds=num_folds, seed=seed)[own]
    return np.random.default_rng(seed).permutation(np.arange(num_images) % num_folds)


def _defined(q: np.ndarray, m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    q, m = correlation.check_tables(q, m)
    both = np.isfinite(q) & np.isfinite(m)
    if not both.any():
        raise ValueError("q, m: expected entries defined in both, got none")
    return np.where(both, q, np.nan), np.where(both, m, np.nan)


def _check_design(q, groups, folds, level) -> tuple[np.ndarray, np.ndarray]:
    """Membership of every group bool [G, C], and folds numbered from 0."""
    names = [name for name in dict.fromkeys(groups) if name is not None]
    folds = np.asarray(folds)
    if len(groups) != len(q) or folds.shape != q.shape[1:]:
        raise ValueError(f"groups, folds: expected [C], [N] = {q.shape}, got [{len(groups)}], {folds.shape}")
    folds = np.unique(folds, return_inverse=True)[1]
    if len(names) < 2 or folds.max() < 1:
        raise ValueError(
            f"groups, folds: expected two groups and two folds or more, got {len(names)}, {folds.max() + 1}"
        )
    check_level(level)
    return np.array([[group == name for group in groups] for name in names]), folds


def _bin(q: np.ndarray, m: np.ndarray, folds: np.ndarray, num_bins: int) -> _Bins:
    """Counts rows by quantile of the score; the edges read all scores and no label."""
    defined = np.isfinite(q)
    edges = np.unique(np.quantile(q[defined], np.linspace(0, 1, num_bins + 1)[1:-1]))
    place = np.searchsorted(edges, q[defined], side="right")
    shape = (len(q), int(folds.max()) + 1, len(edges) + 1)
    condition, image = np.nonzero(defined)
    at = (condition * shape[1] + folds[image]) * shape[2] + place
    size = math.prod(shape)
    count = np.bincount(at, minlength=size).astype(np.float64).reshape(shape)
    total = np.bincount(at, m[defined], minlength=size).reshape(shape)
    mass = count.sum(axis=(0, 1))
    score = np.bincount(place, q[defined], minlength=shape[2])
    filled = mass > 0
    return _Bins(count[..., filled], total[..., filled], score[filled] / mass[filled])


def _isotonic(y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return optimize.isotonic_regression(y, weights=weights).x


def _first_stage(mass: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Probability of every bin from its rows; empty bins take what lies between their neighbours."""
    filled = np.flatnonzero(mass > 0)
    rate = _isotonic(hits[filled] / mass[filled], mass[filled])
    return rate if len(filled) == len(mass) else np.interp(np.arange(len(mass)), filled, rate)


def _second_stage(mean: np.ndarray, accuracy: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of the map from mean probability to accuracy of a condition; equal means are one node."""
    mean = np.round(mean, _TIE_DIGITS)
    order = np.argsort(mean)
    mean, size = mean[order], size[order]
    new = np.concatenate([[True], mean[1:] > mean[:-1]])
    node = np.cumsum(new) - 1
    mass = np.bincount(node, size)
    return mean[new], _isotonic(np.bincount(node, size * accuracy[order]) / mass, mass)


class _LeaveOut:
    """Predictions without two groups, every fold of images by the map of the other folds."""

    def __init__(self, bins: _Bins, members: np.ndarray):
        count, total = bins.count, bins.total
        self.members, self.own = members, count
        # All but one fold, [K, C, B]; summed over all conditions, and over those of every group, [K, B] and [K, G, B].
        self.rest = np.ascontiguousarray((count.sum(axis=1)[:, None] - count).swapaxes(0, 1))
        hits = (total.sum(axis=1)[:, None] - total).swapaxes(0, 1)
        self.rest_size, self.rest_total = self.rest.sum(axis=2), hits.sum(axis=2)
        self.all = self.rest.sum(axis=1), hits.sum(axis=1)
        by_group = members.astype(np.float64)
        self.groups = by_group @ self.rest, by_group @ hits
        self.size = count.sum(axis=2)

    def predict(self, first: int, second: int) -> np.ndarray:
        """Accuracy of the conditions of two groups by the map without both, [C]; NaN for the others."""
        left_out = [first] if first == second else [first, second]
        tested = self.members[left_out].any(axis=0)
        weighted, size = np.zeros(tested.sum()), self.size[tested]
        for fold in range(self.size.shape[1]):
            mass, hits = (
                every[fold] - grouped[fold, left_out].sum(axis=0)
                for every, grouped in zip(self.all, self.groups, strict=True)
            )
            trained = ~tested & (self.rest_size[fold] > 0)
            if not trained.any():
                weighted[size[:, fold] > 0] = np.nan
                continue
            probability = _first_stage(mass, hits)
            used = self.rest_size[fold, trained]
            # Of all conditions: picking the rows takes longer than the product.
            mean, accuracy = _second_stage(
                (self.rest[fold] @ probability)[trained] / used, self.rest_total[fold, trained] / used, used
            )
            some = size[:, fold] > 0
            own = (self.own[tested, fold][some] @ probability) / size[some, fold]
            weighted[some] += size[some, fold] * np.interp(own, mean, accuracy)
        out = np.full(len(tested), np.nan)
        with np.errstate(invalid="ignore"):
            out[tested] = weighted / size.sum(axis=1)
        return out


def _error_quantile(errors: np.ndarray, level: float) -> float:
    """The ceil((n + 1) level)-th smallest error, the largest when there are too few; NaN without any."""
    if not errors.size:
        return math.nan
    return float(np.sort(errors)[min(errors.size, math.ceil((errors.size + 1) * level)) - 1])
