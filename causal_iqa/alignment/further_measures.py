"""Further measures of alignment: Kendall, concordance (AUROC), Pearson after a monotone fit, partial Spearman.

All are sums over cells of score, severity and level of performance, weighted by how often each image counts, so that
all resamples are one sparse product. Intervals are z +- quantile * standard error over the resamples on Fisher's scale,
which settles with far fewer resamples than percentiles do; the standard errors rank scores by quantile bin.
"""

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np
from scipy import sparse, stats

from causal_iqa import _codec
from causal_iqa.alignment import correlation, predicted_accuracy
from causal_iqa.alignment.intervals import Correlation
from causal_iqa.alignment.resampling import resample_counts, too_few
from causal_iqa.estimates import Estimate, check_level

# Distinct performances up to which pairs are counted by level; the mean of 30 networks has 31. More are taken by as
# many quantiles: pairs of performances that hardly differ then count as equal.
_MAX_LEVELS = 32
# Pairs of conditions that are compared at once, over all resamples (32 MB).
_PAIRS_AT_ONCE = 1 << 22
# Quantile bins of the score in the standard errors; the numbers themselves are exact.
_BINS_WITHIN, _BINS_POOLED = 32, 256
# Numbers behind an axis from which cumulative sums over it are taken by slices.
_LONG = 64


class Measures(NamedTuple):
    """Measures of one score, floats or `Estimate`s; higher is better, NaN where undefined.

    One rule applies to undefined entries: measures over condition means take each mean over the defined entries of its
    own table, as `between` does; measures over rows use the rows that are defined in both.

    kendall_*: tau-b, over condition means, mean over conditions, and over all rows.
    auroc_*: share of the pairs of different performance that the score orders as performance does, ties half: where
      performance is right or wrong, the area under the ROC curve; of pairs inside a condition, and of all rows.
    isotonic_*: Pearson correlation with performance after a monotone fit of it, cross-fitted over folds of images.
    partial_*: Spearman correlation given severity, over condition means and over all rows.
    """

    kendall_between: float | Estimate
    kendall_within: float | Estimate
    kendall_pooled: float | Estimate
    auroc_within: float | Estimate
    auroc_pooled: float | Estimate
    isotonic_between: float | Estimate
    isotonic_within: float | Estimate
    isotonic_pooled: float | Estimate
    partial_between: float | Estimate
    partial_pooled: float | Estimate

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """Returns {measure: {"rho", "low", "high"}} for JSON, None where undefined; an AUROC is its `rho`."""
        return {name: _codec.encode(one, Correlation) for name, one in self.estimates().items()}

    def estimates(self) -> dict[str, Estimate]:
        """Returns the measures by name; one without an interval has undefined bounds."""
        found = (x if isinstance(x, Estimate) else Estimate(x, np.nan, np.nan) for x in self)
        return dict(zip(self._fields, found, strict=True))


def measures(q: np.ndarray, m: np.ndarray, severities: Sequence[float] | np.ndarray, *, folds: np.ndarray) -> Measures:
    """Computes all measures of one score on the original images.

    Args:
      q: scores [C, N], higher is better; NaN or infinite where undefined.
      m: performance [C, N]; NaN where undefined. Where it has more than 32 distinct values, Kendall, concordance and
        partial take it by 32 quantiles.
      severities: severities of the C conditions.
      folds: int [N], fold of every image for the monotone fit, two or more.

    Returns:
      Ten floats.

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] M. Kendall (1945), The treatment of ties in ranking problems.
      [2] F. Harrell, K. Lee, D. Mark (1996), Multivariable prognostic models, section 5.5 (concordance).
      [3] J. Hanley, B. McNeil (1982), The meaning and use of the area under a ROC curve.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> bool(alignment.measures(q, m, np.arange(8), folds=alignment.image_folds(60)).auroc_pooled > 0.8)
      True
    """
    prepared = _Prepared(q, m, severities, folds)
    return Measures(*prepared.evaluate(np.ones((1, prepared.q.shape[1])))[0].tolist())


def measure_intervals(
    key: jax.Array,
    scores: Mapping[str, np.ndarray],
    m: np.ndarray,
    severities: Sequence[float] | np.ndarray,
    *,
    folds: np.ndarray,
    clusters: np.ndarray | None = None,
    num_resamples: int = 100,
    level: float = 0.95,
) -> Mapping[str, Measures]:
    """Computes all measures of several scores with intervals that resample images as clusters.

    Args:
      key: typed PRNG key of the resamples; the same ones serve every score.
      scores: name -> [C, N], higher is better.
      m: performance [C, N], with the conventions of `measures`.
      severities: severities of the C conditions.
      folds: int [N], fold of every image for the monotone fit, which is not repeated on the resamples.
      clusters: int [N] of images that are drawn together; None treats each image as its own cluster.
      num_resamples: number of resamples of the N images; the standard error of 100 is known to 7 %.
      level: confidence level of the intervals, in (0, 1).

    Returns:
      name -> Measures of `Estimate`s.

    Raises:
      ValueError: when shapes do not fit or level is out of range.

    References:
      [1] A. Davison, D. Hinkley (1997), Bootstrap methods and their application, sections 3.8 and 5.2.1.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> folds, key = alignment.image_folds(60), jax.random.key(0)
      >>> found = alignment.measure_intervals(key, {"q": q}, m, np.arange(8), folds=folds, num_resamples=20)
      >>> bool(found["q"].auroc_pooled.low > 0.7)
      True
    """
    check_level(level)
    num_images = np.shape(m)[1]
    counts = np.concatenate([np.ones((1, num_images)), resample_counts(key, num_images, num_resamples, clusters)])
    counts = counts.astype(np.float64)
    quantile = float(stats.norm.ppf((1 + level) / 2))

    def one(q: np.ndarray) -> Measures:
        prepared = _Prepared(q, m, severities, folds)
        values = np.concatenate([prepared.evaluate(counts[:1]), prepared.evaluate(counts[1:], coarse=True)])
        few = too_few(prepared.own_q, prepared.own_m, clusters)
        values[1:, [few.of(name) for name in Measures._fields]] = np.nan
        return Measures(*(_interval(v, quantile, name) for name, v in zip(Measures._fields, values.T, strict=True)))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return dict(zip(scores, pool.map(one, scores.values()), strict=True))


def _interval(values: np.ndarray, quantile: float, name: str) -> Estimate:
    """Normal interval on Fisher's scale; an AUROC a enters as 2 a - 1."""
    area = name.startswith("auroc")
    rho = 2 * values - 1 if area else values
    z = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9))
    drawn = z[1:][np.isfinite(z[1:])]
    if not np.isfinite(z[0]) or drawn.size < 2:
        return Estimate(float(values[0]), np.nan, np.nan)
    bounds = np.tanh(z[0] + quantile * drawn.std(ddof=1) * np.array([-1, 1]))
    low, high = (1 + bounds) / 2 if area else bounds
    return Estimate(float(values[0]), float(min(low, values[0])), float(max(high, values[0])))


class _Prepared:
    """One score and performance with undefined entries settled; `evaluate` weights the images."""

    def __init__(self, q: np.ndarray, m: np.ndarray, severities: Sequence[float] | np.ndarray, folds: np.ndarray):
        q, m = correlation.check_tables(q, m)
        severities = np.asarray(severities, np.float64)
        if severities.shape != q.shape[:1]:
            raise ValueError(f"severities: expected [C] = [{len(q)}], got {severities.shape}")
        self.defined = np.isfinite(q) & np.isfinite(m)
        # Means over a condition are each over its own defined entries, as in `between`; rows need both.
        self.own_q, self.own_m = q, m
        self.q, self.m = np.where(self.defined, q, np.nan), np.where(self.defined, m, np.nan)
        values, level = np.unique(m[self.defined], return_inverse=True)
        if len(values) > _MAX_LEVELS:
            rank = stats.rankdata(m[self.defined], method="min").astype(np.int64) - 1
            values, level = np.unique(rank * _MAX_LEVELS // rank.size, return_inverse=True)
        self.num_levels, self.level = max(len(values), 1), np.zeros(q.shape, np.int64)
        self.level[self.defined] = level
        self.severity = severities
        self.fitted = _monotone_fit(self.own_q, self.m, np.asarray(folds))

    def evaluate(self, counts: np.ndarray, *, coarse: bool = False) -> np.ndarray:
        """Values [B, 10] in the order of the fields for weights [B, N]; `coarse` ranks scores by quantile bin."""
        q, m = (correlation.condition_means(x, counts) for x in (self.own_q, self.own_m))
        severity = np.broadcast_to(self.severity, q.shape)
        partial = _partial(*(correlation.masked_spearman(*x) for x in ((q, m), (q, severity), (m, severity))))
        # Standard errors need few digits.
        masses = counts.astype(np.float32) if coarse else counts
        kendall_within, auroc_within = _pairs(self._apart(masses, _BINS_WITHIN if coarse else None))
        joint = self._joint(masses, _BINS_POOLED if coarse else None)
        kendall_pooled, auroc_pooled = _pairs(joint.sum(axis=1)[None])
        return np.column_stack(
            [
                _kendall(q, m),
                kendall_within,
                kendall_pooled,
                auroc_within,
                auroc_pooled,
                _pearson_between(correlation.condition_means(self.fitted, counts), m),
                *_pearson(self.fitted, self.m, counts),
                partial,
                _partial_pooled(joint),
            ]
        )

    def _apart(self, counts: np.ndarray, num_bins: int | None) -> np.ndarray:
        """Weight by condition, score and level of performance: [C, T, L, B]."""
        code = _code(self.q, num_bins)
        condition = np.arange(len(code))[:, None]
        shape = (len(code), int(code.max()) + 1, self.num_levels)
        return self._mass((condition * shape[1] + code) * shape[2] + self.level, shape, counts)

    def _joint(self, counts: np.ndarray, num_bins: int | None) -> np.ndarray:
        """Weight by score, severity and level of performance over all rows: [T, S, L, B]."""
        code = _code(self.q.reshape(1, -1), num_bins).reshape(self.q.shape)
        severity = np.unique(self.severity, return_inverse=True)[1]
        shape = (int(code.max()) + 1, int(severity.max()) + 1, self.num_levels)
        return self._mass((code * shape[1] + severity[:, None]) * shape[2] + self.level, shape, counts)

    def _mass(self, cell: np.ndarray, shape: tuple[int, ...], counts: np.ndarray) -> np.ndarray:
        _, image = np.nonzero(self.defined)
        entries = (np.ones(image.size, counts.dtype), (cell[self.defined], image))
        rows = sparse.csr_array(entries, shape=(math.prod(shape), counts.shape[1]))
        return (rows @ counts.T).reshape(*shape, len(counts))


def _code(q: np.ndarray, num_bins: int | None) -> np.ndarray:
    """Numbers the scores of every group [G, R] in ascending order, equal ones alike, or their quantile bins."""
    ranks = stats.rankdata(np.where(np.isfinite(q), q, np.inf), axis=1, method="dense" if num_bins is None else "min")
    ranks = ranks.astype(np.int64) - 1
    if num_bins is None:
        return ranks
    size = np.maximum(np.isfinite(q).sum(axis=1, keepdims=True), 1)
    return np.minimum(ranks * num_bins // size, num_bins - 1)


def _pairs(mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kendall's tau-b and concordance, means over the groups that have one: [G, T, L, B] -> [B], [B]."""
    below = _cumulative(mass, 1) - mass  # of lower score
    upto = _cumulative(below, 2)  # and at this level or lower
    concordant = _total(mass * (upto - below))
    discordant = _total(mass * (upto[:, :, -1:] - upto))
    ties = _total(mass * (_cumulative(mass, 2) - mass))
    pairs = concordant + discordant + ties
    size = mass.sum(axis=2, dtype=np.float64)
    ordered = (size.sum(axis=1) ** 2 - (size**2).sum(axis=1)) / 2
    tau = correlation.ratio(concordant - discordant, pairs, ordered)
    area = np.where(pairs > 0, (concordant + 0.5 * ties) / np.where(pairs > 0, pairs, 1), np.nan)
    return _group_mean(tau), _group_mean(area)


def _total(pairs: np.ndarray) -> np.ndarray:
    """Sum over scores and levels [G, T, L, B] -> [G, B]; of float32 over levels first, and over scores in float64."""
    return pairs.sum(axis=2).sum(axis=1, dtype=np.float64)


def _partial_pooled(joint: np.ndarray) -> np.ndarray:
    """Partial Spearman correlation of score and performance given severity: [T, S, L, B] -> [B]."""
    joint = joint.astype(np.float64)
    sides = [joint.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)]
    ranks = [np.cumsum(side, axis=0) - side / 2 - side.sum(axis=0) / 2 for side in sides]
    norms = [(side * rank**2).sum(axis=0) for side, rank in zip(sides, ranks, strict=True)]

    def rho(a: int, b: int) -> np.ndarray:
        pair = joint.sum(axis=({0, 1, 2} - {a, b}).pop())
        products = np.einsum("xyb,xb,yb->b", pair, ranks[a], ranks[b], optimize=True)
        return correlation.ratio(products, norms[a], norms[b])

    return _partial(rho(0, 2), rho(0, 1), rho(1, 2))


def _group_mean(values: np.ndarray) -> np.ndarray:
    defined = np.isfinite(values)
    return np.where(
        defined.any(axis=0), np.where(defined, values, 0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1), np.nan
    )


def _kendall(q: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of every row over the entries defined in both: [B, C], [B, C] -> [B]."""
    q, m = (np.where(np.isfinite(q) & np.isfinite(m), x, np.nan) for x in (q, m))
    tau = np.empty(len(q))
    step = max(1, _PAIRS_AT_ONCE // q.shape[1] ** 2)
    for start in range(0, len(q), step):
        rows = slice(start, start + step)
        a, b = (_signs(x[rows]) for x in (q, m))
        tau[rows] = correlation.ratio(*(np.einsum("bij,bij->b", x, y) for x, y in ((a, b), (a, a), (b, b))))
    return tau


def _signs(x: np.ndarray) -> np.ndarray:
    """Signs of the differences of all pairs [B, C, C]; 0 where one is undefined."""
    signs = np.sign(x[:, :, None] - x[:, None, :])
    return np.where(np.isnan(signs), 0.0, signs) if np.isnan(x).any() else signs


def _cumulative(x: np.ndarray, axis: int) -> np.ndarray:
    """Cumulative sums over an axis that is not the last; where others are long, whole slices of them at a time."""
    if math.prod(x.shape[axis + 1 :]) < _LONG:
        return np.cumsum(x, axis=axis)
    out = np.empty_like(x)
    done, rows = np.moveaxis(out, axis, 0), np.moveaxis(x, axis, 0)
    done[0] = rows[0]
    for i in range(1, len(rows)):
        np.add(done[i - 1], rows[i], out=done[i])
    return out


def _partial(qm: np.ndarray, qs: np.ndarray, ms: np.ndarray) -> np.ndarray:
    """First-order partial correlation; NaN where the third variable explains one of the others entirely."""
    return correlation.ratio(qm - qs * ms, np.maximum(1 - np.square(qs), 0), np.maximum(1 - np.square(ms), 0))


def _monotone_fit(q: np.ndarray, m: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Expected performance by the isotonic fit to the rows of the images of other folds, [C, N]."""
    fitted = np.full(q.shape, np.nan)
    for fold in np.unique(folds):
        own = folds == fold
        if own.all() or not (np.isfinite(q[:, ~own]) & np.isfinite(m[:, ~own])).any():
            continue
        learned = predicted_accuracy.fit_accuracy_map(q[:, ~own], m[:, ~own])
        fitted[:, own] = np.interp(q[:, own], learned.score, learned.probability)
    return np.where(np.isfinite(q), fitted, np.nan)


def _pearson_between(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson correlation of every row of condition means over those defined in both: [B, C], [B, C] -> [B]."""
    defined = np.isfinite(x) & np.isfinite(y)
    return correlation.rank_correlation(*(_centred(np.where(defined, z, np.nan)) for z in (x, y)))


def _pearson(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted Pearson correlations within and pooled for every row of weights, each [B]."""
    defined = np.isfinite(x) & np.isfinite(y)
    x, y = (np.where(defined, z - z[defined].mean() if defined.any() else z, 0.0) for z in (x, y))
    sx, sy, xx, yy, xy = (counts @ z.T for z in (x, y, x * x, y * y, x * y))
    if defined.all():
        mass = np.repeat(counts.sum(axis=1, keepdims=True), len(x), axis=1)
    else:
        mass = counts @ defined.T.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        within = correlation.ratio(xy - sx * sy / mass, *_variances(xx, yy, sx, sy, mass))
    n = mass.sum(axis=1)
    sums = [z.sum(axis=1) for z in (xx, yy, sx, sy, xy)]
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = correlation.ratio(sums[4] - sums[2] * sums[3] / n, *_variances(sums[0], sums[1], sums[2], sums[3], n))
        defined = np.isfinite(within)
        inside = np.where(defined.any(axis=1), np.nansum(within, axis=1) / defined.sum(axis=1), np.nan)
    return inside, pooled


def _centred(x: np.ndarray) -> np.ndarray:
    """Rows minus the mean of their defined entries; 0 where undefined."""
    defined = np.isfinite(x)
    mean = np.where(defined, x, 0.0).sum(axis=1, keepdims=True) / np.maximum(defined.sum(axis=1, keepdims=True), 1)
    return np.where(defined, x - mean, 0.0)


def _variances(xx, yy, sx, sy, n) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squares about the mean; what rounding leaves of a constant counts as none."""
    first, second = xx - sx * sx / n, yy - sy * sy / n
    return np.where(first > 1e-12 * xx, first, 0.0), np.where(second > 1e-12 * yy, second, 0.0)
