"""Resamples for conditions like these: other degradations, not only other images.

Resamples of images hold the conditions fixed; what they say holds for these degradations. A claim about degradations in
general has a second source of chance, which degradations were taken, and with 19 of them it is the larger one. Here
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
from causal_iqa.alignment import attenuation, correlation
from causal_iqa.alignment.bootstrap import NUMBERS, Resamples, normal_draws
from causal_iqa.alignment.intervals import centred

LEAST_DEGRADATIONS = 5
# Quantile bins of the score in what pooled moves by when a degradation is left out.
_BINS = 1024
# Correlations are kept this far from 1 on Fisher's scale, and the slope of the scale below what it has at _STEEPEST.
_NEAREST, _STEEPEST = 1e-4, 0.99


class _Study(NamedTuple):
    """What every pair reads: groups [G, C] of conditions, splits of the images, means of performance."""

    members: np.ndarray
    splits: attenuation.Splits | None
    performance: Mapping[str, np.ndarray]
    halves: Mapping[str, tuple[np.ndarray, np.ndarray]]
    levels: Mapping[str, tuple[np.ndarray, int]]


def resample_conditions(
    key: jax.Array,
    resamples: Mapping[str, Mapping[str, Resamples]],
    scores: Mapping[str, Mapping[str, np.ndarray]],
    performance: Mapping[str, np.ndarray],
    degradations: Sequence[str],
) -> Mapping[str, Mapping[str, Resamples]]:
    """Adds the chance of the degradations to resamples of images.

    Args:
      key: typed PRNG key; the draws of one call serve all pairs, so differences between metrics can be taken.
      resamples: metric -> network -> what `bootstrap` gave, all from one call.
      scores: metric -> network -> [C, N], as `bootstrap` was given; pairs of `resamples` that are missing here, such as
        scores of whole sets, are left out.
      performance: network -> [C, N].
      degradations: names of the C conditions' degradations; a name is what is resampled, with all its severities.

    Returns:
      metric -> network -> Resamples: entry 0 as it was, the others for other images under other degradations. NaN where
      a number is undefined without one of the degradations, and with fewer than 5 of them.

    Raises:
      ValueError: when lengths differ.

    References:
      [1] R. Miller (1974), The jackknife, a review, Biometrika 61.
      [2] A. Cameron, D. Miller (2015), A practitioner's guide to cluster-robust inference, section VI (few clusters).
    """
    pairs = [(metric, name) for metric, by in resamples.items() for name in by if name in scores.get(metric, {})]
    sizes = {np.shape(scores[metric][name])[0] for metric, name in pairs}
    if sizes - {len(degradations)}:
        raise ValueError(f"degradations: expected one for each of {sorted(sizes)} conditions, got {len(degradations)}")
    out: dict[str, dict[str, Resamples]] = {metric: {} for metric in resamples}
    if not pairs:
        return out
    members = _members(degradations)
    study = _prepare(key, members, {name: performance[name] for _, name in pairs})
    num_draws = len(resamples[pairs[0][0]][pairs[0][1]].pooled) - 1
    normal = normal_draws(_keys.named(key, "draws"), len(members), num_draws)
    tables = {id(scores[metric][name]): scores[metric][name] for metric, name in pairs}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:

        def of_table(table: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
            wanted = {name for metric, name in pairs if scores[metric][name] is table}
            return {name: _influences(study, table, name) for name in wanted}

        found = dict(zip(tables, pool.map(of_table, tables.values()), strict=True))
    for metric, name in pairs:
        own = found[id(scores[metric][name])][name]
        images = resamples[metric][name]
        out[metric][name] = images._replace(
            **{number: _moved(centred(images, number), normal, own[number]) for number in NUMBERS}
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
    """
    score, performance = np.asarray(score, np.float64), np.asarray(performance, np.float64)
    if score.shape != performance.shape or score.shape != (len(degradations),):
        raise ValueError(
            f"score, performance, degradations: expected one length C, got {score.shape}, {performance.shape} and "
            f"{len(degradations)}"
        )
    return _deviations(_fisher(_left_out_between(_members(degradations), score, performance)))


def move_between(key: jax.Array, resamples: Resamples, deviations: np.ndarray) -> Resamples:
    """Adds the chance of the degradations to resamples that have *between* alone.

    Args:
      key: the one `resample_conditions` was given.
      resamples: of images.
      deviations: what `between_deviations` gave.

    Returns:
      Resamples of images and degradations.
    """
    normal = normal_draws(_keys.named(key, "draws"), len(deviations), len(resamples.between) - 1)
    return resamples._replace(between=_moved(centred(resamples, "between"), normal, deviations))


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


def _prepare(key: jax.Array, members: np.ndarray, performance: Mapping[str, np.ndarray]) -> _Study:
    num_images = np.shape(next(iter(performance.values())))[1]
    splits = None
    if num_images >= attenuation.LEAST_IMAGES:
        splits = attenuation.split_images(_keys.named(key, "halves of images"), num_images)
        splits = attenuation.whole_splits(splits)
    levels = {}
    for name, table in performance.items():
        values, level = np.unique(np.where(np.isfinite(table), table, -np.inf), return_inverse=True)
        levels[name] = level.reshape(np.shape(table)), len(values)
    return _Study(
        members,
        splits,
        performance,
        {name: attenuation.half_means(table, splits) for name, table in performance.items()} if splits else {},
        levels,
    )


def _influences(study: _Study, table: np.ndarray, name: str) -> dict[str, np.ndarray]:
    """Number -> deviations [G] on Fisher's scale by degradation, NaN where one is undefined."""
    q, m = correlation.check_tables(table, study.performance[name])
    left_out = {
        "between": _fisher(_between(study, q, m)),
        "corrected": _tangent(_corrected(study, q, name)),
        "within": _fisher(_within(study, q, m)),
        "pooled": _fisher(_pooled(study, q, name)),
    }
    return {number: _deviations(z) for number, z in left_out.items()}


def _between(study: _Study, q: np.ndarray, m: np.ndarray) -> np.ndarray:
    ones = np.ones((1, q.shape[1]))
    return _left_out_between(study.members, *(correlation.condition_means(table, ones)[0] for table in (q, m)))


def _left_out_between(members: np.ndarray, score: np.ndarray, performance: np.ndarray) -> np.ndarray:
    return correlation.masked_spearman(*(np.where(members, np.nan, x) for x in (score, performance)))


def _within(study: _Study, q: np.ndarray, m: np.ndarray) -> np.ndarray:
    rho = correlation.masked_spearman(q, m)
    defined = np.isfinite(rho)
    kept = ~study.members & defined
    count = kept.sum(axis=1)
    return np.where(count > 0, (kept * np.where(defined, rho, 0.0)).sum(axis=1) / np.maximum(count, 1), np.nan)


def _corrected(study: _Study, q: np.ndarray, name: str) -> np.ndarray:
    if study.splits is None:
        return np.full(len(study.members), np.nan)
    score, performance = attenuation.half_means(q, study.splits), study.halves[name]
    usable = attenuation.usable_conditions(*score, *performance)
    found = np.full(len(study.members), np.nan)
    for i, member in enumerate(study.members):
        columns = usable & ~member
        if columns.sum() >= 3:
            found[i] = attenuation.disattenuate(attenuation.half_correlations(score, performance, columns).mean(axis=1))
    return found


def _pooled(study: _Study, q: np.ndarray, name: str) -> np.ndarray:
    """Spearman over all rows without each degradation, of scores by quantile bin."""
    level, num_levels = study.levels[name]
    defined = np.isfinite(q) & np.isfinite(study.performance[name])
    if not defined.any():
        return np.full(len(study.members), np.nan)
    rank = stats.rankdata(q[defined], method="min").astype(np.int64) - 1
    bins = rank * min(_BINS, rank.size) // rank.size
    group = np.broadcast_to(np.argmax(study.members, axis=0)[:, None], q.shape)[defined]
    shape = (len(study.members), int(bins.max()) + 1, num_levels)
    cell = (group * shape[1] + bins) * shape[2] + level[defined]
    mass = np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)
    kept = mass.sum(axis=0) - mass
    sides = kept.sum(axis=2), kept.sum(axis=1)
    ranks = [np.cumsum(side, axis=1) - side / 2 - side.sum(axis=1, keepdims=True) / 2 for side in sides]
    products = np.einsum("gbl,gb,gl->g", kept, *ranks)
    return correlation.ratio(products, *((side * rank**2).sum(axis=1) for side, rank in zip(sides, ranks, strict=True)))
