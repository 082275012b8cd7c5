"""Resamples for conditions like these: other degradations, not only other images.

Resamples of images hold the conditions fixed; their intervals hold for these degradations. A claim about degradations
in general has a second source of variation, the choice of degradations, and with 19 of them it is the larger one. Here
every degradation, with all its severities, is left out in turn; the jackknife of the numbers on Fisher's scale gives
the deviations that other degradations would bring, and they are added to the resamples of images.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np
from scipy import stats

from causal_iqa import _keys
from causal_iqa._arrays import pair
from causal_iqa.alignment import attenuation, correlation
from causal_iqa.alignment.intervals import centred
from causal_iqa.alignment.resampling import NUMBERS, Resamples, normal_draws

LEAST_DEGRADATIONS = 5
# Quantile bins of score and performance in what pooled moves by when a degradation is left out; splits of the images,
# and the fewest conditions that are ranked, in what the corrected number moves by.
_BINS, _LEVELS, _SPLITS, _LEAST_RANKED = 256, 256, 16, 3
# Correlations are kept this far from 1 on Fisher's scale, and the slope of the scale below its value at _STEEPEST.
_NEAREST, _STEEPEST = 1e-4, 0.99


class _Table:
    """A score or a performance [C, N] with the statistics of it, computed once for all the pairs it is in.

    Attributes:
      values: [C, N], NaN where undefined.
      defined: bool [C, N].
      ranked: its rows, for correlations inside conditions.
      means: [1, C], of all images.
      halves: [S, C] twice, of both halves of the images; None with too few images.
    """

    def __init__(self, table: np.ndarray, splits: attenuation.Splits | None):
        table = np.asarray(table, np.float64)
        self.values = np.where(np.isfinite(table), table, np.nan)
        self.defined = np.isfinite(self.values)
        self.ranked = correlation.RankedRows(self.values)
        self.means = correlation.condition_means(self.values, np.ones((1, table.shape[1])))
        self.halves = None if splits is None else attenuation.HalfMeans(table, splits)
        self._bins: tuple[np.ndarray, int] | None = None
        self._left_out: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def bins(self, most: int) -> tuple[np.ndarray, int]:
        """Quantile bins [C, N] of the defined entries, equal ones in one bin, and their number."""
        if self._bins is None:
            bins = np.zeros(self.values.shape, np.int64)
            rank = stats.rankdata(self.values[self.defined], method="min").astype(np.int64) - 1
            bins[self.defined] = rank * min(most, rank.size) // max(rank.size, 1)
            self._bins = bins, int(bins.max(initial=0)) + 1
        return self._bins

    def left_out_halves(self, members: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unit ranks [S, C, G] of both halves among the usable conditions without each group; 0 in the group itself."""
        key = usable.tobytes()
        if key not in self._left_out:
            assert self.halves is not None, "asked for where there are splits"
            halves = (self.halves.first, self.halves.second)
            self._left_out[key] = pair(left_out_ranks(x[:, usable], members[:, usable]) for x in halves)
        return self._left_out[key]


class _Study(NamedTuple):
    """What every pair reads: groups [G, C] of conditions, splits of the images, performance by network."""

    members: np.ndarray
    splits: attenuation.Splits | None
    performance: Mapping[str, _Table]


def resample_conditions(
    key: jax.Array,
    resamples: Mapping[str, Mapping[str, Resamples]],
    scores: Mapping[str, Mapping[str, np.ndarray]],
    performance: Mapping[str, np.ndarray],
    degradations: Sequence[str],
    *,
    clusters: np.ndarray | None = None,
) -> Mapping[str, Mapping[str, Resamples]]:
    """Adds the variation over degradations to resamples of images.

    Args:
      key: typed PRNG key; the draws of one call serve all pairs, so differences between metrics can be taken.
      resamples: metric -> network -> result of `bootstrap`, all from one call.
      scores: metric -> network -> [C, N], the tables passed to `bootstrap`; pairs of `resamples` that are missing here,
        such as scores of whole sets, are left out.
      performance: network -> [C, N].
      degradations: names of the C conditions' degradations; each name is resampled as one unit, with all its
        severities.
      clusters: int [N] of images that stay together, the same as passed to `bootstrap`.

    Returns:
      metric -> network -> Resamples: entry 0 as it was, the others for other images under other degradations. NaN where
      a number is undefined without one of the degradations, and with fewer than 5 of them.

    Raises:
      ValueError: when lengths differ.

    References:
      [1] R. Miller (1974), The jackknife, a review, Biometrika 61.
      [2] A. Cameron, D. Miller (2015), A practitioner's guide to cluster-robust inference, section VI (few clusters).

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> scores, performance, degradations = {"q": {"net": q}}, {"net": m}, list("abcdefgh")
      >>> found = alignment.bootstrap(jax.random.key(0), scores, performance, num_resamples=50)
      >>> both = alignment.resample_conditions(jax.random.key(0), found, scores, performance, degradations)
      >>> bool(both["q"]["net"].pooled.std() > found["q"]["net"].pooled.std())
      True
    """
    pairs = [(metric, name) for metric, by in resamples.items() for name in by if name in scores.get(metric, {})]
    sizes = {np.shape(scores[metric][name])[0] for metric, name in pairs}
    if sizes - {len(degradations)}:
        raise ValueError(f"degradations: expected one for each of {sorted(sizes)} conditions, got {len(degradations)}")
    out: dict[str, dict[str, Resamples]] = {metric: {} for metric in resamples}
    if not pairs:
        return out
    members = _members(degradations)
    study = _prepare(key, members, {name: performance[name] for _, name in pairs}, clusters)
    num_draws = len(resamples[pairs[0][0]][pairs[0][1]].pooled) - 1
    normal = normal_draws(_keys.named(key, "draws"), len(members), num_draws)
    tables = {id(scores[metric][name]): scores[metric][name] for metric, name in pairs}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:

        def of_table(table: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
            wanted = {name for metric, name in pairs if scores[metric][name] is table}
            score = _Table(table, study.splits)
            return {name: _influences(study, score, name) for name in wanted}

        found = dict(zip(tables, pool.map(of_table, tables.values()), strict=True))
    for metric, name in pairs:
        own = found[id(scores[metric][name])][name]
        images = resamples[metric][name]
        out[metric][name] = images._replace(
            **{number: _moved(centred(images, number), normal, own[number]) for number in NUMBERS}, fisher=True
        )
    return out


def between_deviations(score: np.ndarray, performance: np.ndarray, degradations: Sequence[str]) -> np.ndarray:
    """Deviations of *between* by degradation, for scores that are one number per condition.

    Args:
      score: [C], higher is better; NaN where undefined.
      performance: [C].
      degradations: names of the C conditions' degradations.

    Returns:
      [G] on Fisher's scale: their sum of squares is the variance that other degradations bring. NaN with fewer than 5
      degradations or where *between* is undefined without one of them.

    Raises:
      ValueError: when lengths differ.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> degradations = ["fog"] * 4 + ["blur"] * 4
      >>> alignment.between_deviations(q.mean(axis=1), m.mean(axis=1), degradations).shape
      (2,)
    """
    score, performance = np.asarray(score, np.float64), np.asarray(performance, np.float64)
    if score.shape != performance.shape or score.shape != (len(degradations),):
        raise ValueError(
            f"score, performance, degradations: expected one length C, got {score.shape}, {performance.shape} and "
            f"{len(degradations)}"
        )
    return _deviations(_fisher(_left_out_between(_members(degradations), score, performance)))


def move_between(key: jax.Array, resamples: Resamples, deviations: np.ndarray) -> Resamples:
    """Adds the variation over degradations to resamples that have only *between*.

    Args:
      key: the key that `resample_conditions` received.
      resamples: resamples of images.
      deviations: result of `between_deviations`.

    Returns:
      Resamples of images and degradations.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> found = alignment.bootstrap(jax.random.key(0), {"q": {"net": q}}, {"net": m}, num_resamples=50)
      >>> eight = list("abcdefgh")  # degradations
      >>> deviations = alignment.between_deviations(q.mean(axis=1), m.mean(axis=1), eight)
      >>> alignment.move_between(jax.random.key(0), found["q"]["net"], deviations).between.shape
      (51,)
    """
    normal = normal_draws(_keys.named(key, "draws"), len(deviations), len(resamples.between) - 1)
    return resamples._replace(between=_moved(centred(resamples, "between"), normal, deviations), fisher=True)


def _members(degradations: Sequence[str]) -> np.ndarray:
    """Which conditions [G, C] belong to each degradation."""
    return np.array([[own == name for own in degradations] for name in dict.fromkeys(degradations)])


def _deviations(z: np.ndarray) -> np.ndarray:
    """Jackknife influences [G] of leave-one-out values on a scale; NaN where one is undefined or there are few."""
    groups = len(z)
    enough = groups >= LEAST_DEGRADATIONS and np.isfinite(z).all()
    return (z - z.mean()) * np.sqrt((groups - 1) / groups) if enough else np.full(groups, np.nan)


def _moved(centred: np.ndarray, normal: np.ndarray, influences: np.ndarray) -> np.ndarray:
    """Resamples of images moved, on Fisher's scale, by draws of the degradations."""
    return np.concatenate([np.clip(centred[:1], -1, 1), np.tanh(_fisher(centred[1:]) + normal @ influences)])


def _fisher(rho: np.ndarray) -> np.ndarray:
    return np.arctanh(np.clip(rho, -1 + _NEAREST, 1 - _NEAREST))


def _tangent(rho: np.ndarray) -> np.ndarray:
    """Fisher's scale made linear at the mean, for corrected correlations, which noise may carry beyond 1."""
    return rho / (1 - min(abs(float(rho.mean())), _STEEPEST) ** 2)


def _prepare(
    key: jax.Array, members: np.ndarray, performance: Mapping[str, np.ndarray], clusters: np.ndarray | None
) -> _Study:
    num_images = np.shape(next(iter(performance.values())))[1]
    units = num_images if clusters is None else len(np.unique(clusters))
    splits = None
    if units >= attenuation.LEAST_IMAGES:
        splits = attenuation.split_images(_keys.named(key, "halves of images"), num_images, clusters)
        splits = attenuation.whole_splits(splits, _SPLITS)
    return _Study(members, splits, {name: _Table(table, splits) for name, table in performance.items()})


def _influences(study: _Study, score: _Table, name: str) -> dict[str, np.ndarray]:
    """Number -> deviations [G] on Fisher's scale by degradation, NaN where one is undefined."""
    performance = study.performance[name]
    left_out = {
        "between": _fisher(_left_out_between(study.members, score.means[0], performance.means[0])),
        "corrected": _tangent(_corrected(study, score, performance)),
        "within": _fisher(_within(study, score, performance)),
        "pooled": _fisher(_pooled(study, score, performance)),
    }
    return {number: _deviations(z) for number, z in left_out.items()}


def _left_out_between(members: np.ndarray, score: np.ndarray, performance: np.ndarray) -> np.ndarray:
    return correlation.masked_spearman(*(np.where(members, np.nan, x) for x in (score, performance)))


def _within(study: _Study, score: _Table, performance: _Table) -> np.ndarray:
    rho = score.ranked.spearman(performance.ranked)
    defined = np.isfinite(rho)
    kept = ~study.members & defined
    count = kept.sum(axis=1)
    return np.where(count > 0, (kept * np.where(defined, rho, 0.0)).sum(axis=1) / np.maximum(count, 1), np.nan)


def _corrected(study: _Study, score: _Table, performance: _Table) -> np.ndarray:
    groups = len(study.members)
    if score.halves is None or performance.halves is None:
        return np.full(groups, np.nan)
    usable = score.halves.usable & performance.halves.usable
    if (usable & ~study.members).sum(axis=1).min() < _LEAST_RANKED:
        return np.full(groups, np.nan)
    q1, q2 = score.left_out_halves(study.members, usable)
    m1, m2 = performance.left_out_halves(study.members, usable)
    first, second, own, truth = (np.einsum("scg,scg->sg", a, b) for a, b in ((q1, m2), (q2, m1), (q1, q2), (m1, m2)))
    return attenuation.disattenuate(np.stack([(first + second) / 2, own, truth]).mean(axis=1))


def left_out_ranks(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Ranks without each group, from one comparison of all pairs.

    Args:
      values: [S, C], all defined.
      members: bool [G, C].

    Returns:
      [S, C, G] centred mid-ranks over their norms among the entries outside the group, 0 for those in it; NaN where
      all outside are equal.
    """
    order = np.sign(values[:, :, None] - values[:, None, :]) / 2
    kept = (~members).astype(np.float64).T
    ranks = (order.reshape(-1, len(kept)) @ kept).reshape(*values.shape, -1) * kept
    norm = np.sqrt(np.square(ranks).sum(axis=1, keepdims=True))
    with np.errstate(invalid="ignore"):
        return ranks / np.where(norm > 0, norm, np.nan)


def _pooled(study: _Study, score: _Table, performance: _Table) -> np.ndarray:
    """Spearman over all rows without each degradation, of scores by quantile bin."""
    defined = score.defined & performance.defined
    groups = len(study.members)
    if not defined.any():
        return np.full(groups, np.nan)
    (bins, num_bins), (levels, num_levels) = score.bins(_BINS), performance.bins(_LEVELS)
    shape = (groups, num_bins, num_levels)
    cell = (np.argmax(study.members, axis=0)[:, None] * num_bins + bins) * num_levels + levels
    cell = cell.ravel() if defined.all() else cell[defined]
    mass = np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)
    kept = mass.sum(axis=0) - mass
    sides = kept.sum(axis=2), kept.sum(axis=1)
    ranks = [np.cumsum(side, axis=1) - side / 2 - side.sum(axis=1, keepdims=True) / 2 for side in sides]
    products = np.einsum("gbl,gl->gb", kept, ranks[1])
    products = np.einsum("gb,gb->g", products, ranks[0])
    return correlation.ratio(products, *((side * rank**2).sum(axis=1) for side, rank in zip(sides, ranks, strict=True)))
