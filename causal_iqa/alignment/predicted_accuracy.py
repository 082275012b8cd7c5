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

from causal_iqa.alignment import correlation
from causal_iqa.estimates import Estimate, check_level

# Mean probabilities closer than this differ by the order of summation only.
_TIE_DIGITS = 12


class AccuracyMap(NamedTuple):
    """From score to probability of correctness, and from its mean over a condition to accuracy; both monotone.

    Attributes:
      score: [B] ascending scores of single images.
      probability: [B] probability of correctness at each score.
      mean: [S] ascending mean probabilities of conditions.
      accuracy: [S] accuracy at each mean.
    """

    score: np.ndarray
    probability: np.ndarray
    mean: np.ndarray
    accuracy: np.ndarray


class HeldOut(NamedTuple):
    """Accuracy of conditions [C] that the map has not seen: predicted, with interval, and true; NaN where undefined."""

    predicted: Estimate[np.ndarray]
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
    probability = _first_stage(count.sum(axis=0)[None], total.sum(axis=0)[None])[0]
    size = count.sum(axis=1)
    some = size > 0
    mean = (count[some] @ probability) / size[some]
    maps = _second_stage(mean[None], total[some].sum(axis=1)[None], size[some][None])
    return AccuracyMap(bins.score, probability, maps.mean[0, : maps.size[0]], maps.accuracy[0, : maps.size[0]])


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
    and without the degradation of this condition: the predicted accuracy plus and minus the quantile of the absolute
    errors with the correction for their finite number.

    Args:
      q: scores [C, N], higher is better; NaN or infinite where undefined.
      m: performance [C, N], of any range; NaN where undefined.
      groups: C names of groups that are left out together, the degradations; None where the labels count as known
        throughout and nothing is predicted: the clean images.
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
    held = _left_out(bins, members)
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


def _first_stage(mass: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Probability of every bin from its rows [F, B]; empty bins take what lies between their neighbours."""
    filled = mass > 0
    rate = np.zeros(mass.shape)
    rate[filled] = _isotonic(hits[filled], mass[filled], np.nonzero(filled)[0])
    for f in np.flatnonzero(filled.any(axis=1) & ~filled.all(axis=1)):
        empty, some = np.flatnonzero(~filled[f]), np.flatnonzero(filled[f])
        rate[f, empty] = np.interp(empty, some, rate[f, some])
    return rate


class _Maps(NamedTuple):
    """F monotone maps from the mean probability of a condition to its accuracy: nodes [F, S], the first `size` [F]."""

    mean: np.ndarray
    accuracy: np.ndarray
    size: np.ndarray

    def at(self, fit: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Accuracies [n] by the given fits at the given means, constant beyond the nodes; NaN without nodes."""
        last = self.size[fit] - 1
        below = (self.mean[fit] <= mean[:, None]).sum(axis=1) - 1
        left = np.clip(below, 0, np.maximum(last - 1, 0))
        right = np.minimum(left + 1, np.maximum(last, 0))
        (x, next_x), (y, next_y) = ((z[fit, left], z[fit, right]) for z in (self.mean, self.accuracy))
        with np.errstate(invalid="ignore", divide="ignore"):
            inside = (next_y - y) / (next_x - x) * (mean - x) + y
        ends = np.where(below < 0, self.accuracy[fit, 0], self.accuracy[fit, np.maximum(last, 0)])
        return np.where(last < 0, np.nan, np.where((below < 0) | (below >= last), ends, inside))


def _second_stage(mean: np.ndarray, hits: np.ndarray, size: np.ndarray) -> _Maps:
    """The maps from mean probability to accuracy of a condition.

    Args:
      mean: [F, C], of conditions; those that are infinite are left out. Equal ones are one node.
      hits: [F, C] sum of performance of their rows.
      size: [F, C] number of their rows.
    """
    mean = np.round(mean, _TIE_DIGITS)
    order = np.argsort(mean, axis=1)
    mean, hits, size = (np.take_along_axis(x, order, axis=1) for x in (mean, hits, size))
    used = np.isfinite(mean)
    new = used.copy()
    new[:, 1:] &= mean[:, 1:] > mean[:, :-1]
    count = new.sum(axis=1)
    first = np.arange(mean.shape[1]) < count[:, None]
    nodes, accuracy = np.full(mean.shape, np.inf), np.full(mean.shape, np.nan)
    starts = np.flatnonzero(new[used])
    if len(starts):
        nodes[first] = mean[new]
        hits, size = (np.add.reduceat(x[used], starts) for x in (hits, size))
        accuracy[first] = _isotonic(hits, size, np.nonzero(first)[0])
    return _Maps(nodes, accuracy, count)


def _isotonic(total: np.ndarray, mass: np.ndarray, problem: np.ndarray) -> np.ndarray:
    """Isotonic regressions of the means total / mass with weights mass, of all problems at once [n].

    Neighbours that fall are pooled until none does; in which order does not matter.
    """
    size = np.ones(len(total), np.int64)
    while True:
        value = total / mass
        rises = np.ones(len(value), bool)
        rises[1:] = (value[1:] >= value[:-1]) | (problem[1:] != problem[:-1])
        starts = np.flatnonzero(rises)
        if len(starts) == len(value):
            return np.repeat(value, size)
        total, mass, size = (np.add.reduceat(x, starts) for x in (total, mass, size))
        problem = problem[starts]


def _left_out(bins: _Bins, members: np.ndarray) -> np.ndarray:
    """Accuracy of every condition by the map without its group and another, [G, C]; every fold by that of the others.

    Entry [g, c]: without the group of c and without g. NaN where c has no group.
    """
    count, total = bins.count, bins.total
    groups, (conditions, folds, _) = len(members), count.shape
    first, second = np.tril_indices(groups)
    alone = (first == second)[:, None]
    tested = members[first] | members[second]
    weighted, size = np.zeros(tested.shape), count.sum(axis=2)
    for fold in range(folds):
        # All folds but one, [C, B]; summed over the conditions of every group and over all, less those left out.
        rest, hits = count.sum(axis=1) - count[:, fold], total.sum(axis=1) - total[:, fold]
        mass, sums = (_without(x, members, first, second, alone) for x in (rest, hits))
        probability = _first_stage(mass, sums)
        rest_size = rest.sum(axis=1)
        trained = ~tested & (rest_size > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(trained, (probability @ rest.T) / rest_size, np.inf)
            own = (probability @ count[:, fold].T) / size[:, fold]
        shape = mean.shape
        maps = _second_stage(mean, np.broadcast_to(hits.sum(axis=1), shape), np.broadcast_to(rest_size, shape))
        fit, at = np.nonzero(tested & (size[:, fold] > 0))
        weighted[fit, at] += size[at, fold] * maps.at(fit, own[fit, at])
    with np.errstate(invalid="ignore"):
        weighted /= size.sum(axis=1)
    held = np.full((groups, conditions), np.nan)
    for out, i, j in zip(weighted, first, second, strict=True):
        held[i, members[j]] = out[members[j]]
        held[j, members[i]] = out[members[i]]
    return held


def _without(x: np.ndarray, members: np.ndarray, first: np.ndarray, second: np.ndarray, alone: np.ndarray):
    """Sums of [C, B] over the conditions outside two groups, [pairs, B]; `alone` where both are the same."""
    of_groups = members.astype(np.float64) @ x
    return x.sum(axis=0) - (of_groups[first] + np.where(alone, 0.0, of_groups[second]))


def _error_quantile(errors: np.ndarray, level: float) -> float:
    """The ceil((n + 1) level)-th smallest error, the largest when there are too few; NaN without any."""
    if not errors.size:
        return math.nan
    return float(np.sort(errors)[min(errors.size, math.ceil((errors.size + 1) * level)) - 1])
