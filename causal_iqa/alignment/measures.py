"""Measures of alignment beside Spearman's: Kendall, concordance (AUROC), Pearson after a monotone fit, and partial.

All are weighted by how often each image counts, so one pass serves the point and every resample. Intervals are
z +- quantile * standard error over the resamples on Fisher's scale, which settles with far fewer resamples than
percentiles do.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np
from scipy import stats

from causal_iqa.alignment import accuracy, correlation
from causal_iqa.alignment.bootstrap import resample_counts
from causal_iqa.alignment.intervals import Interval, check_level

# Distinct performances up to which pairs are counted by level; the mean of 30 networks has 31.
_MAX_LEVELS = 32


class Measures(NamedTuple):
    """Measures of one score, floats or `Interval`s; higher is better, NaN where undefined.

    kendall_*: tau-b, over condition means, mean over conditions, and over all rows.
    auroc_*: share of the pairs of different performance that the score orders as performance does, ties half: for one
      network the area under the curve of correctness; of pairs inside a condition, and of all rows.
    isotonic_*: Pearson correlation with performance after a monotone fit of it, cross-fitted over folds of images.
    partial_*: Spearman correlation given severity, over condition means and over all rows.
    """

    kendall_between: float | Interval
    kendall_within: float | Interval
    kendall_pooled: float | Interval
    auroc_within: float | Interval
    auroc_pooled: float | Interval
    isotonic_between: float | Interval
    isotonic_within: float | Interval
    isotonic_pooled: float | Interval
    partial_between: float | Interval
    partial_pooled: float | Interval

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """Returns {measure: {"rho", "low", "high"}} for JSON, None where undefined; an AUROC is its `rho`."""
        return {
            name: (value if isinstance(value, Interval) else Interval(value, np.nan, np.nan)).as_dict()
            for name, value in self._asdict().items()
        }


class _Order(NamedTuple):
    """Rows of one group after another, each by ascending score: the groups are the conditions, or one for all rows.

    place: [R] flat place in the table. tie: [R] number of the row's tie, counted over all groups. first: [G] first tie
    of every group.
    """

    place: np.ndarray
    tie: np.ndarray
    first: np.ndarray


def measures(q: np.ndarray, m: np.ndarray, severities: Sequence[float], *, folds: np.ndarray) -> Measures:
    """Computes all measures of one score on the images as they are.

    Args:
      q: scores [C, N], higher is better; NaN or infinite where undefined.
      m: performance [C, N] of at most 32 distinct values; NaN where undefined.
      severities: of the C conditions.
      folds: int [N], fold of every image for the monotone fit, two or more.

    Returns:
      Ten floats.

    Raises:
      ValueError: when shapes do not fit or m has more distinct values.

    References:
      [1] M. Kendall (1945), The treatment of ties in ranking problems.
      [2] F. Harrell, K. Lee, D. Mark (1996), Multivariable prognostic models, section 5.5 (concordance).
      [3] J. Hanley, B. McNeil (1982), The meaning and use of the area under a ROC curve.
    """
    prepared = _Prepared(q, m, severities, folds)
    return Measures(*prepared.evaluate(np.ones((1, prepared.q.shape[1])))[0].tolist())


def measure_intervals(
    key: jax.Array,
    scores: Mapping[str, np.ndarray],
    m: np.ndarray,
    severities: Sequence[float],
    *,
    folds: np.ndarray,
    num_resamples: int = 100,
    level: float = 0.95,
) -> Mapping[str, Measures]:
    """Computes all measures of several scores with intervals that resample images as clusters.

    Args:
      key: typed PRNG key of the resamples; the same ones serve every score.
      scores: name -> [C, N], higher is better.
      m: performance [C, N] of at most 32 distinct values.
      severities: of the C conditions.
      folds: int [N], fold of every image for the monotone fit, which is not repeated on the resamples.
      num_resamples: of the N images; the standard error of 100 is known to 7 %.
      level: of the intervals, in (0, 1).

    Returns:
      name -> Measures of `Interval`s.

    Raises:
      ValueError: when shapes do not fit, m has more distinct values, or level is out of range.

    References:
      [1] A. Davison, D. Hinkley (1997), Bootstrap methods and their application, sections 3.8 and 5.2.1.
    """
    check_level(level)
    num_images = np.shape(m)[1]
    counts = np.concatenate([np.ones((1, num_images)), resample_counts(key, num_images, num_resamples)])
    quantile = float(stats.norm.ppf((1 + level) / 2))

    def one(q: np.ndarray) -> Measures:
        values = _Prepared(q, m, severities, folds).evaluate(counts.astype(np.float64))
        return Measures(*(_interval(v, quantile, name) for name, v in zip(Measures._fields, values.T, strict=True)))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return dict(zip(scores, pool.map(one, scores.values()), strict=True))


def _interval(values: np.ndarray, quantile: float, name: str) -> Interval:
    """Normal interval on Fisher's scale; an AUROC a is 2 a - 1 there."""
    area = name.startswith("auroc")
    rho = 2 * values - 1 if area else values
    z = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9))
    drawn = z[1:][np.isfinite(z[1:])]
    if not np.isfinite(z[0]) or drawn.size < 2:
        return Interval(float(values[0]), np.nan, np.nan)
    bounds = np.tanh(z[0] + quantile * drawn.std(ddof=1) * np.array([-1, 1]))
    low, high = (1 + bounds) / 2 if area else bounds
    return Interval(float(values[0]), float(min(low, values[0])), float(max(high, values[0])))


class _Prepared:
    """One score and performance, sorted once; `evaluate` weights the images."""

    def __init__(self, q: np.ndarray, m: np.ndarray, severities: Sequence[float], folds: np.ndarray):
        q, m = correlation.check_tables(q, m)
        severities = np.asarray(severities, np.float64)
        if severities.shape != q.shape[:1]:
            raise ValueError(f"severities: expected [C] = [{len(q)}], got {severities.shape}")
        defined = np.isfinite(q) & np.isfinite(m)
        self.q, self.m = np.where(defined, q, np.nan), np.where(defined, m, np.nan)
        values, level = np.unique(m[defined], return_inverse=True)
        if len(values) > _MAX_LEVELS:
            raise ValueError(f"m: expected at most {_MAX_LEVELS} distinct values, got {len(values)}")
        self.levels, self.level = max(len(values), 1), np.zeros(q.shape, np.int64)
        self.level[defined] = level
        self.severity = severities
        self.fitted = _monotone_fit(self.q, self.m, np.asarray(folds))
        self.apart, self.joint = _sort(self.q), _sort(self.q.reshape(1, -1))

    def evaluate(self, counts: np.ndarray) -> np.ndarray:
        """Values [B, 10] in the order of the fields for weights [B, N]."""
        q, m = (correlation.condition_means(x, counts) for x in (self.q, self.m))
        severity = np.broadcast_to(self.severity, q.shape)
        columns = [
            [_kendall(a, b) for a, b in zip(q, m, strict=True)],
            *zip(*(self._pairs(self.apart, w) for w in counts), strict=True),
            *zip(*(self._pairs(self.joint, w) for w in counts), strict=True),
        ]
        kendall_between, kendall_within, auroc_within, kendall_pooled, auroc_pooled = columns
        partial = _partial(*(correlation.masked_spearman(*x) for x in ((q, m), (q, severity), (m, severity))))
        return np.column_stack(
            [
                kendall_between,
                kendall_within,
                kendall_pooled,
                auroc_within,
                auroc_pooled,
                *_pearson(self.fitted, self.m, counts),
                partial,
                [self._partial_pooled(w) for w in counts],
            ]
        )

    def _pairs(self, order: _Order, weights: np.ndarray) -> tuple[float, float]:
        """Kendall's tau-b and concordance, each the mean over the groups that have one."""
        if not order.first.size:
            return np.nan, np.nan
        at = order.tie * self.levels + self.level.reshape(-1)[order.place]
        size = (order.tie[-1] + 1) * self.levels
        mass = np.bincount(at, weights[order.place % len(weights)], minlength=size).reshape(-1, self.levels)
        below = np.cumsum(mass, axis=0) - mass
        start = np.repeat(below[order.first], np.diff([*order.first, len(mass)]), axis=0)
        below = np.cumsum(below - start, axis=1)  # of lower scores, at this level or lower
        less = np.concatenate([np.zeros((len(mass), 1)), below[:, :-1]], axis=1)
        more = below[:, -1:] - below
        tied = np.cumsum(mass, axis=1) - mass
        size = mass.sum(axis=1)

        def total(x: np.ndarray) -> np.ndarray:
            return np.add.reduceat(x, order.first)

        concordant, discordant, ties = (total((mass * x).sum(axis=1)) for x in (less, more, tied))
        pairs = concordant + discordant + ties
        ordered = (total(size) ** 2 - total(size**2)) / 2
        tau = correlation.ratio(concordant - discordant, pairs, ordered)
        with np.errstate(invalid="ignore", divide="ignore"):
            area = np.where(pairs > 0, (concordant + 0.5 * ties) / pairs, np.nan)
        return _mean(tau), _mean(area)

    def _partial_pooled(self, weights: np.ndarray) -> float:
        place = self.joint.place
        own = weights[place % len(weights)]
        severity = np.unique(self.severity, return_inverse=True)[1][place // len(weights)]
        ranks = [_midranks(code, own) for code in (self.joint.tie, self.level.reshape(-1)[place], severity)]
        q, m, s = ranks
        norm = [float(own @ (r * r)) for r in ranks]
        rho = [
            correlation.ratio(own @ (a * b), x, y)
            for a, b, x, y in ((q, m, norm[0], norm[1]), (q, s, norm[0], norm[2]), (m, s, norm[1], norm[2]))
        ]
        return float(_partial(*rho))


def _kendall(q: np.ndarray, m: np.ndarray) -> float:
    defined = np.isfinite(q) & np.isfinite(m)
    return float(stats.kendalltau(q[defined], m[defined]).statistic) if defined.sum() > 1 else np.nan


def _mean(values: np.ndarray) -> float:
    defined = np.isfinite(values)
    return float(values[defined].mean()) if defined.any() else np.nan


def _midranks(code: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Centred mid-ranks of rows whose values are numbered in ascending order."""
    mass = np.bincount(code, weights)
    return (np.cumsum(mass) - mass / 2 - mass.sum() / 2)[code]


def _partial(qm: np.ndarray, qs: np.ndarray, ms: np.ndarray) -> np.ndarray:
    """First-order partial correlation; NaN where the third variable explains one of the others entirely."""
    return correlation.ratio(qm - qs * ms, np.maximum(1 - np.square(qs), 0), np.maximum(1 - np.square(ms), 0))


def _sort(q: np.ndarray) -> _Order:
    """Sorts the defined entries of every group [G, R]."""
    group, place = np.nonzero(np.isfinite(q))
    values = q[group, place]
    order = np.lexsort((values, group))
    group, place, values = group[order], place[order], values[order]
    new = np.ones(len(values), bool)
    new[1:] = (values[1:] != values[:-1]) | (group[1:] != group[:-1])
    tie = np.cumsum(new) - 1
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return _Order(group * q.shape[1] + place, tie, tie[starts])


def _monotone_fit(q: np.ndarray, m: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Probability of correctness by the isotonic fit to the rows of the images of other folds, [C, N]."""
    fitted = np.full(q.shape, np.nan)
    for fold in np.unique(folds):
        own = folds == fold
        if own.all() or not (np.isfinite(q[:, ~own]) & np.isfinite(m[:, ~own])).any():
            continue
        learned = accuracy.fit_accuracy_map(q[:, ~own], m[:, ~own])
        fitted[:, own] = np.interp(q[:, own], learned.score, learned.probability)
    return np.where(np.isfinite(q), fitted, np.nan)


def _pearson(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted Pearson correlations between, within and pooled for every row of weights, each [B]."""
    defined = np.isfinite(x) & np.isfinite(y)
    x, y = (np.where(defined, z - z[defined].mean() if defined.any() else z, 0.0) for z in (x, y))
    mass, sx, sy, xx, yy, xy = (counts @ z.T.astype(np.float64) for z in (defined, x, y, x * x, y * y, x * y))
    with np.errstate(invalid="ignore", divide="ignore"):
        within = correlation.ratio(xy - sx * sy / mass, *_variances(xx, yy, sx, sy, mass))
        means = sx / mass, sy / mass
    n = mass.sum(axis=1)
    sums = [z.sum(axis=1) for z in (xx, yy, sx, sy, xy)]
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = correlation.ratio(sums[4] - sums[2] * sums[3] / n, *_variances(*sums[:4], n))
        defined = np.isfinite(within)
        inside = np.where(defined.any(axis=1), np.nansum(within, axis=1) / defined.sum(axis=1), np.nan)
    return correlation.rank_correlation(*(_centred(z) for z in means)), inside, pooled


def _centred(x: np.ndarray) -> np.ndarray:
    """Rows less the mean of their defined entries; 0 where undefined."""
    defined = np.isfinite(x)
    mean = np.where(defined, x, 0.0).sum(axis=1, keepdims=True) / np.maximum(defined.sum(axis=1, keepdims=True), 1)
    return np.where(defined, x - mean, 0.0)


def _variances(xx, yy, sx, sy, n) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squares about the mean; what rounding leaves of a constant counts as none."""
    first, second = xx - sx * sx / n, yy - sy * sy / n
    return np.where(first > 1e-12 * xx, first, 0.0), np.where(second > 1e-12 * yy, second, 0.0)
