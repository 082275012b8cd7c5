"""Between, corrected for attenuation: what it would be if every condition were judged on all images there are.

The mean score and the mean performance of a condition are measured on N images. Their noise blurs the order of the
conditions, so *between* lies below its value for the population of images, and the further the fewer images there are
and the noisier the score is. Spearman's own correction applies: the images are split into halves at random; ranks of
the score on one half are correlated with ranks of performance on the other, whose noise is independent, and divided by
the geometric mean of what each correlates with itself across halves:

  corrected = r(Q_1, M_2) / sqrt(r(Q_1, Q_2) r(M_1, M_2)), each averaged over many splits,

minus the small difference between expected ranks and ranks (`_smoothing`). The variance comes from a jackknife over
groups of images. It counts the part of the variance that is quadratic in the images twice (Efron and Stein); that part
is also what the splits of the same images differ by, and is subtracted once.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

from causal_iqa import _checks
from causal_iqa._arrays import pair
from causal_iqa.alignment import _smoothing, correlation
from causal_iqa.estimates import Estimate

# Splits of all images, splits that every jackknife value averages over, and groups of the jackknife.
_SPLITS, _JACKKNIFE_SPLITS, _GROUPS = 40, 8, 40
# With fewer than 20 conditions the intervals hold the population value in less than 90 % of simulated studies.
LEAST_IMAGES, LEAST_CONDITIONS, LEAST_FOR_INTERVAL, LEAST_RELIABILITY = 20, 8, 20, 0.3
# In simulated studies whose population value lies nearer to 1, intervals of level .95 hold it in as few as .82 of the
# draws, and paired tests of level .05 reject true hypotheses in up to .11 (docs/calibration.md).
LEAST_NEAR_ONE = 0.93


class Reliability(NamedTuple):
    """How well N images order the conditions, and the noise for which *between* could not be corrected.

    Attributes:
      score: share of the variance of the ranks of mean scores that is not image noise, in [0, 1]; NaN where undefined.
      performance: the same fraction for the mean performances.
      reason: why there is no corrected value, or no interval of it; empty where there are both.
    """

    score: float
    performance: float
    reason: str


class Corrected(NamedTuple):
    """A corrected *between*.

    Attributes:
      value: may exceed 1 by noise; NaN where it is undefined, and `reliability.reason` says why.
      influences: [G] deviations by groups of images; the variance of the value is the sum of their squares, its
        covariance with another one of the same call the sum of their products. Empty where no interval holds.
      reliability: reliability of the condition means.
    """

    value: float
    influences: np.ndarray
    reliability: Reliability

    @property
    def alone(self) -> Estimate:
        """The value, at most 1, without an interval."""
        return Estimate(float(np.clip(self.value, -1, 1)), np.nan, np.nan)


class Splits(NamedTuple):
    """Weights of the images in both halves of every split, [S, N]: first of all images, then without each group.

    Attributes:
      num_groups: G of the jackknife; its rows are G times the first splits again.
    """

    first: np.ndarray
    second: np.ndarray
    num_groups: int


UNKNOWN = Reliability(np.nan, np.nan, "not computed")


def split_images(key: jax.Array, num_images: int, clusters: np.ndarray | None = None) -> Splits:
    """Draws the splits that serve every score of a study.

    Args:
      key: typed PRNG key.
      num_images: N, 4 at least.
      clusters: int [N] of images that stay together; None treats each image as its own cluster.

    Returns:
      The splits.

    Raises:
      ValueError: for fewer images, or clusters of them.
    """
    if clusters is not None:
        own = np.unique(clusters, return_inverse=True)[1]
        whole = split_images(key, int(own.max()) + 1)
        return Splits(whole.first[:, own], whole.second[:, own], whole.num_groups)
    if num_images < 4:
        raise ValueError(f"num_images: expected at least 4, got {num_images}")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32).tolist())
    place = np.argsort(np.argsort(rng.random((_SPLITS, num_images)), axis=1), axis=1)
    first = place < num_images // 2
    second = (place >= num_images // 2) & (place < 2 * (num_images // 2))
    groups = min(_GROUPS, num_images // 2)
    kept = rng.permutation(np.arange(num_images) % groups) != np.arange(groups)[:, None]

    def rows(half: np.ndarray) -> np.ndarray:
        without = kept[:, None] & half[None, :_JACKKNIFE_SPLITS]
        return np.concatenate([half, without.reshape(-1, num_images)]).astype(np.float64)

    return Splits(rows(first), rows(second), groups)


def pairs_of_halves(key: jax.Array, num_images: int, num_pairs: int, clusters: np.ndarray | None = None) -> np.ndarray:
    """Draws halves of the images for `correct_halves`.

    Args:
      key: typed PRNG key.
      num_images: N.
      num_pairs: P, 40 at most.
      clusters: int [N] of images that stay together; None treats each image as its own cluster.

    Returns:
      [2 P, N], 1 for the images of a half, its partner in the row after it; no rows for fewer than 20 images or
      clusters.

    Examples:
      >>> alignment.pairs_of_halves(jax.random.key(0), 20, 3).sum(axis=1)
      array([10., 10., 10., 10., 10., 10.])
    """
    units = num_images if clusters is None else len(np.unique(clusters))
    if units < LEAST_IMAGES:
        return np.zeros((0, num_images))
    splits = whole_splits(split_images(key, num_images, clusters), num_pairs)
    return np.stack([splits.first, splits.second], axis=1).reshape(-1, num_images)


def correct(
    key: jax.Array,
    scores: Mapping[str, Mapping[str, np.ndarray]],
    performance: Mapping[str, np.ndarray],
    clusters: np.ndarray | None = None,
) -> Mapping[str, Mapping[str, Corrected]]:
    """Corrects *between* of every pair for attenuation by image noise, all on the same splits.

    Args:
      key: typed PRNG key of the splits.
      scores: metric -> network -> [C, N], higher is better, NaN or infinite where undefined. One object given for
        several networks is averaged once.
      performance: network -> [C, N], NaN where undefined.
      clusters: int [N] of images that stay together; None treats each image as its own cluster.

    Returns:
      metric -> network -> Corrected. Undefined with fewer than 20 images, fewer than 8 conditions that have means in
      every half, or a half whose order of conditions agrees with the other's by less than .3; without influences with
      fewer than 20 conditions.

    Raises:
      InputError: when a metric names a network that has no performance.
      ValueError: when tables differ in shape.

    References:
      [1] C. Spearman (1904), The proof and measurement of association between two things (correction for attenuation).
      [2] B. Efron, C. Stein (1981), The jackknife estimate of variance, Annals of Statistics 9.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)
      >>> q = ease + scene + rng.normal(size=m.shape)
      >>> corrected = alignment.correct(jax.random.key(0), {"q": {"net": q}}, {"net": m})["q"]["net"]
      >>> bool(corrected.value >= alignment.between(q, m))
      True
    """
    pairs = [(metric, name) for metric, by in scores.items() for name in by]
    if not pairs:
        return {metric: {} for metric in scores}
    for _, name in pairs:
        _checks.lookup(performance, name, "network")
    shapes = {np.shape(scores[metric][name]) for metric, name in pairs} | {np.shape(m) for m in performance.values()}
    if len(shapes) > 1:
        raise ValueError(f"scores, performance: expected one shape [C, N], got {sorted(shapes)}")
    _, num_images = shapes.pop()
    units = num_images if clusters is None else len(np.unique(clusters))
    if units < LEAST_IMAGES:
        kind = "images" if clusters is None else "groups of images"
        nothing = _undefined(f"{units} {kind} are too few, {LEAST_IMAGES} are needed")
        return {metric: dict.fromkeys(by, nothing) for metric, by in scores.items()}
    splits = split_images(key, num_images, clusters)
    tables = {id(table): table for by in scores.values() for table in by.values()}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        truth = dict(zip(performance, pool.map(lambda m: HalfMeans(m, splits), performance.values()), strict=True))

        def one(table: np.ndarray) -> dict[str, Corrected]:
            means = HalfMeans(table, splits)
            names = {name for by in scores.values() for name, own in by.items() if own is table}
            return {name: _correct(means, truth[name], splits.num_groups) for name in names}

        found = dict(zip(tables, pool.map(one, tables.values()), strict=True))
    return {metric: {name: found[id(table)][name] for name, table in by.items()} for metric, by in scores.items()}


def correct_halves(score: np.ndarray, performance: np.ndarray) -> Corrected:
    """Corrects *between* for attenuation where a score is one number per condition, from its values on halves.

    The noise of the images is corrected for. What else depends on their number, such as the bias of an estimate of
    dependence, is not.

    Args:
      score: [2 P, C], the score of the images of one half and of its partner, in turn, for P splits; higher is better,
        NaN where undefined.
      performance: [2 P, C], the mean performance of the same images.

    Returns:
      The value without influences, for nothing of a single image is known that an interval could rest on. Undefined as
      `correct` says.

    Raises:
      ValueError: when shapes differ or the number of rows is odd.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease = np.arange(12.0)
      >>> score, performance = (ease + rng.normal(size=(40, 12)) for _ in range(2))
      >>> one = alignment.correct_halves(score, performance)
      >>> bool(one.value > alignment.between(score[0][:, None], performance[1][:, None]))
      True
    """
    score, performance = np.asarray(score, np.float64), np.asarray(performance, np.float64)
    if score.shape != performance.shape or score.ndim != 2 or len(score) % 2 or not len(score):
        raise ValueError(
            f"score, performance: expected one shape [2 P, C] of pairs of halves, got {score.shape} and "
            f"{performance.shape}"
        )
    pair = (HalfMeans.of(x[0::2], x[1::2]) for x in (score, performance))
    found = _value(*pair)
    return found if isinstance(found, Corrected) else Corrected(found.value, np.zeros(0), found.reliability)


class HalfMeans:
    """Means of every condition over both halves of every split, [S, C] each; ranks are taken once per set of columns.

    Attributes:
      first: over the first half; NaN where undefined.
      second: over the second half.
      usable: bool [C], conditions with a mean in every row.
    """

    def __init__(self, table: np.ndarray, splits: Splits):
        """Averages a table [C, N] over the images of every half."""
        table = np.asarray(table, np.float64)
        table = np.where(np.isfinite(table), table, np.nan)
        self.first = correlation.condition_means(table, splits.first)
        self.second = correlation.condition_means(table, splits.second)
        self.usable = np.all(np.isfinite(self.first), axis=0) & np.all(np.isfinite(self.second), axis=0)
        self._ranks: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    @classmethod
    def of(cls, first: np.ndarray, second: np.ndarray) -> "HalfMeans":
        """Takes given values of both halves of every split, [S, C] each."""
        found = cls.__new__(cls)
        found.first, found.second = (np.where(np.isfinite(x), x, np.nan) for x in (first, second))
        found.usable = np.isfinite(found.first).all(axis=0) & np.isfinite(found.second).all(axis=0)
        found._ranks = {}
        return found

    def unit_ranks(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centred ranks over their norms among the given conditions, of both halves; NaN where all are equal."""
        key = columns.tobytes()
        if key not in self._ranks:
            halves = (self.first, self.second)
            self._ranks[key] = pair(correlation.RankedRows(x[:, columns]).unit_ranks() for x in halves)
        return self._ranks[key]


def whole_splits(splits: Splits, number: int) -> Splits:
    """Returns the first splits of all images, without those of the jackknife."""
    return Splits(splits.first[:number], splits.second[:number], 0)


def half_correlations(score: HalfMeans, performance: HalfMeans, columns: np.ndarray) -> np.ndarray:
    """Correlations of ranks across halves over the given conditions, [3, S]: crosswise, of score, of performance."""
    (q1, q2), (m1, m2) = score.unit_ranks(columns), performance.unit_ranks(columns)
    pairs = ((q1, m2), (q2, m1), (q1, q2), (m1, m2))
    first, second, own, truth = (np.einsum("sc,sc->s", a, b) for a, b in pairs)
    return np.stack([(first + second) / 2, own, truth])


def disattenuate(correlations: np.ndarray) -> np.ndarray:
    """Crosswise correlation over the geometric mean of the other two: [3, ...] -> [...], NaN where undefined."""
    product = correlations[1] * correlations[2]
    defined = (product > 0) & (correlations[1] > 0)
    return np.where(defined, correlations[0] / np.sqrt(np.where(defined, product, 1.0)), np.nan)


class _Value(NamedTuple):
    """The corrected number of all images, before an interval.

    value, reliability: as in `Corrected`.
    raw: the value before the difference between expected ranks and ranks is subtracted.
    size: number of conditions.
    found: [3, S] of `half_correlations`.
    mean: [3], their means over the splits of all images.
    """

    value: float
    reliability: Reliability
    raw: float
    size: int
    found: np.ndarray
    mean: np.ndarray


def _value(score: HalfMeans, performance: HalfMeans) -> _Value | Corrected:
    columns = score.usable & performance.usable
    size = int(columns.sum())
    if size < LEAST_CONDITIONS:
        return _undefined(f"{size} conditions with means are too few, {LEAST_CONDITIONS} are needed")
    found = half_correlations(score, performance, columns)
    mean = found[:, :_SPLITS].mean(axis=1)
    if not np.isfinite(mean).all():
        return _undefined("the mean score or the mean performance is the same under all conditions")
    whole = pair(float(2 * max(r, 0.0) / (1 + max(r, 0.0))) for r in mean[1:])
    for name, r in zip(("score", "performance"), mean[1:], strict=True):
        if r < LEAST_RELIABILITY:
            reason = f"halves of the images agree on the order of the conditions by {name} to {r:.2f} only"
            return _undefined(f"{reason}, {LEAST_RELIABILITY:g} is needed", *whole)
    raw = float(disattenuate(mean))
    value = raw - _smoothing.smoothing_bias(raw, mean[1], mean[2], size)
    return _Value(value, Reliability(*whole, ""), raw, size, found, mean)


def _correct(score: HalfMeans, performance: HalfMeans, num_groups: int) -> Corrected:
    one = _value(score, performance)
    if isinstance(one, Corrected):
        return one
    mean, size, value = one.mean, one.size, one.raw
    whole = one.reliability[:2]
    splits, jackknife = one.found[:, :_SPLITS], one.found[:, _SPLITS:].reshape(3, num_groups, -1).mean(axis=2)
    deleted = disattenuate(jackknife)
    if not np.isfinite(deleted).all():
        return _undefined("without some of the images, halves do not agree on the order of the conditions", *whole)
    influences = (deleted - deleted.mean()) * np.sqrt((num_groups - 1) / num_groups)
    variance = float(np.square(influences).sum())
    # What the splits of the same images differ by, of the ratio made linear, has the variance of the quadratic part.
    slope = np.array([1 / np.sqrt(mean[1] * mean[2]), -0.5 * value / mean[1], -0.5 * value / mean[2]])
    quadratic = float((slope @ (splits - mean[:, None])).var(ddof=1)) * (1 + 1 / _JACKKNIFE_SPLITS)
    share = np.clip(1 - quadratic / variance, 0.25, 1.0) if variance > 0 else 1.0
    value = one.value
    if size < LEAST_FOR_INTERVAL:
        reason = f"{size} conditions are too few for an interval, {LEAST_FOR_INTERVAL} are needed"
        return Corrected(value, np.zeros(0), Reliability(*whole, reason))
    return Corrected(value, influences * np.sqrt(share), Reliability(*whole, ""))


def _undefined(reason: str, score: float = np.nan, performance: float = np.nan) -> Corrected:
    return Corrected(np.nan, np.zeros(0), Reliability(score, performance, reason))
