"""How much of the effect of the imaging condition on performance a score carries.

The score Q is no cause of performance M: both are effects of the image. "Carried" asks whether Q represents the effect
of the condition: the natural effects treat Q as if it were a mediator, and assume no cause of both Q and M other than
the condition and the score itself. Read them as a description of the pair, not as what would follow from changing a
score.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from causal_iqa.causal.resamples import from_resamples, resample_rows, weighted_means
from causal_iqa.estimates import Estimate, check_level

_KNOTS = 12
# Penalty on the curvature of M over Q, in units of one image: where there is no image, the curve is straight.
_CURVATURE = 3.0
_FOLDS = 2
# The range of a severity's scores holds all but this share of them at either end.
_TAIL = 0.01
# With more of the scores beyond the other severity's range the curve there is made up.
MOST_OFF_SUPPORT = 0.1
# Conditions whose features are in memory at once.
_ROWS = 16


class Split(NamedTuple):
    """An effect on performance and the parts that it has by a score, each with its interval; [C] or scalars.

    Attributes:
      total: E[M | do(c)] - E[M | do(base)].
      indirect: the part that goes with the change of the score's distribution (natural indirect effect).
      direct: the rest (natural direct effect).
      predicted: the effect that one curve of M over Q for all conditions predicts (surrogate).
    """

    total: Estimate
    indirect: Estimate
    direct: Estimate
    predicted: Estimate


class Mediation(NamedTuple):
    """Effects of C conditions on performance, split by a score.

    Attributes:
      conditions: the split of every condition, [C].
      mean: the split of the mean effect over the conditions.
      share: indirect over total, of the means; 1 for a perfect surrogate, 0 for an irrelevant score. It is a share only
        where `share_reason` is empty.
      share_reason: why the indirect part cannot be read as a share of the total; empty where it can.
      surrogate_share: predicted over total, of the means.
      surrogate_reason: why the predicted effect cannot be read as a share of the total; empty where it can.
      off_support: share of the scores under one severity that lie beyond the range of those under the severity before
        or after it, mean over the steps. There the curve of M over Q is extrapolated. Above `MOST_OFF_SUPPORT` the
        direct and indirect parts are not identified, and NaN.
      base: "clean", or "mildest" where the score of clean images is missing or one for all (PSNR, SSIM).
    """

    conditions: Split
    mean: Split
    share: Estimate
    share_reason: str
    surrogate_share: Estimate
    surrogate_reason: str
    off_support: float
    base: str


def mediate(
    key: jax.Array,
    scores: np.ndarray,
    performance: np.ndarray,
    degradations: Sequence[str],
    severities: Sequence[float] | np.ndarray,
    *,
    clean: tuple[np.ndarray, np.ndarray],
    clusters: np.ndarray | None = None,
    num_resamples: int = 100,
    level: float = 0.95,
) -> Mediation:
    """Splits the effect of every condition.

    A step from one severity to the next changes E[M] by E m_1(Q_1) - E m_0(Q_0), m_s(q) = E[M | Q = q] at severity s.
    Its indirect part is the mean of E m(Q_1) - E m(Q_0) over m = m_0 and m_1 (both orders of the natural effects), its
    direct part that of E m_1(Q) - E m_0(Q) over Q_0 and Q_1: they sum to the step. A condition sums the steps of its
    degradation up to it. Small steps keep the two distributions of Q over each other, which a jump from clean to the
    worst does not. m is a piecewise linear curve through 12 quantiles of Q over all conditions, penalised in its
    curvature, cross-fitted:
    the image that is averaged is not among those that the curve is fitted on.

    The surrogate view fits one curve to all conditions: E m(Q_c) - E m(Q_base).

    Args:
      key: random key of resamples and folds.
      scores: [C, N], higher is better; NaN or infinite where undefined.
      performance: [C, N].
      degradations: degradations of each condition, C of them.
      severities: severities of each condition, C of them.
      clean: scores [N] and performance [N] of the clean images.
      clusters: int [N] of images that are drawn together, and averaged by the same curve; None treats each image as its
        own cluster.
      num_resamples: B, of images.
      level: confidence level of the intervals.

    Returns:
      `Mediation`, conditions in the order given; NaN where a score has no value for half of the images.

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] J. Pearl (2001), Direct and indirect effects, UAI.
      [2] K. Imai, L. Keele, D. Tingley (2010), A general approach to causal mediation analysis, Psychological Methods
        15: the imputation estimator and its assumptions.
      [3] R. Prentice (1989), Surrogate endpoints in clinical trials; L. Freedman, B. Graubard, A. Schatzkin (1992),
        Statistical validation of intermediate endpoints for chronic diseases: the proportion explained.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease = rng.normal(size=60) - np.arange(4.0)[:, None]  # the first row is clean
      >>> q, m = ease + rng.normal(size=(2, 4, 60))
      >>> degradations, severities = ["fog"] * 3, [1.0, 3.0, 5.0]
      >>> split = causal.mediate(
      ...     jax.random.key(0), q[1:], m[1:], degradations, severities, clean=(q[0], m[0]), num_resamples=10
      ... )
      >>> bool(split.mean.total.value < 0)
      True
    """
    check_level(level)
    scores, performance = np.asarray(scores, np.float64), np.asarray(performance, np.float64)
    if scores.shape != performance.shape or scores.ndim != 2 or not len(scores) == len(degradations) == len(severities):
        raise ValueError(
            "scores, performance, degradations, severities: expected [C, N], [C, N], C and C, got "
            f"{scores.shape}, {performance.shape}, {len(degradations)} and {len(severities)}"
        )
    c, n = scores.shape
    clean_scores = np.asarray(clean[0], np.float64)
    has_clean = _tells_images_apart(clean_scores, scores)
    q, m = np.vstack([scores, clean_scores]), np.vstack([performance, clean[1]])
    known = np.isfinite(q) & np.isfinite(m)
    known[c] &= has_clean
    counts = resample_rows(key, n, num_resamples, clusters)
    own = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    folds = np.empty(own.max() + 1, int)
    folds[np.asarray(jax.random.permutation(jax.random.fold_in(key, 1), len(folds)))] = np.arange(len(folds)) % _FOLDS
    folds = folds[own]
    curves = _fit_curves(q, np.where(known, m, 0.0), known, counts, folds)
    means = weighted_means(counts, np.where(known, m, np.nan))
    rows = np.full((4, len(counts), c), np.nan)
    off = []
    for path in _paths(degradations, np.asarray(severities, np.float64), c, has_clean):
        indirect = np.zeros(len(counts))
        for before, after in itertools.pairwise(path):
            off.append(_off_support(*(q[row][known[row]] for row in (before, after))))
            indirect = indirect + _indirect(curves, before, after)
            total = means[:, after] - means[:, path[0]]
            predicted = curves.pooled[:, after] - curves.pooled[:, path[0]]
            rows[:, :, after] = total, indirect, total - indirect, predicted
    usable = (2 * known[:c].sum(axis=1) > n) & np.isfinite(rows[:, 0]).all(axis=0)
    rows[:, :, ~usable] = np.nan
    off_support = float(np.nanmean(off)) if np.isfinite(off).any() else np.nan
    if off_support > MOST_OFF_SUPPORT:
        rows[1:3] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        on_average = rows[:, :, usable].sum(axis=2) / usable.sum()
        shares = [from_resamples(on_average[part] / on_average[0], level=level) for part in (1, 3)]
    mean = Split(*(from_resamples(one, level=level) for one in on_average))
    return Mediation(
        Split(*(from_resamples(one, level=level) for one in rows)),
        mean,
        shares[0],
        _no_share(shares[0], mean.total, off_support),
        shares[1],
        _no_share(shares[1], mean.total, 0.0),
        off_support,
        "clean" if has_clean else "mildest",
    )


def _no_share(share: Estimate, total: Estimate, off_support: float) -> str:
    """Why a part of the total is not to be read as a share, or nothing."""
    if not np.isfinite(total.value):
        return "no effect that is defined"
    if off_support > MOST_OFF_SUPPORT:
        return f"not identified: {100 * off_support:.0f} % of the scores lie beyond those of the severity beside"
    if not np.isfinite(share.value):
        return "not defined"
    if total.low <= 0 <= total.high:
        return "the effect on performance is not surely other than 0"
    if not 0 <= share.value <= 1:
        return "part and rest have opposite signs"
    return ""


def _off_support(before: np.ndarray, after: np.ndarray) -> float:
    """Share of either sample outside the range of the other without its tails; mean of both shares."""
    if not (len(before) and len(after)):
        return np.nan
    beyond = []
    for own, other in ((before, after), (after, before)):
        low, high = np.quantile(other, [_TAIL, 1 - _TAIL])
        beyond.append(((own < low) | (own > high)).mean())
    return float(np.mean(beyond))


def _tells_images_apart(clean: np.ndarray, scores: np.ndarray) -> bool:
    """Whether clean scores exist and differ by more than rounding (not so: SSIM of an image with itself)."""
    known = clean[np.isfinite(clean)]
    return 2 * known.size > clean.size and known.std() > 1e-3 * scores[np.isfinite(scores)].std()


def _paths(degradations: Sequence[str], severities: np.ndarray, clean_row: int, has_clean: bool) -> list[list[int]]:
    """Rows of the conditions of every degradation by rising severity, after the clean row where it counts."""
    names = np.asarray(degradations)
    paths = []
    for name in dict.fromkeys(degradations):
        at = np.flatnonzero(names == name)
        at = at[np.argsort(severities[at], kind="stable")].tolist()
        paths.append([clean_row, *at] if has_clean else at)
    return paths


class _Curves(NamedTuple):
    """Curves of M over Q as heights at K knots, for each of the C + 1 rows and each fold of images left out.

    heights, sums: [C + 1, folds, R, K], the curve and the weights of the left-out images at the knots.
    pooled: E m(Q_c) of one curve for all rows [R, C + 1].
    """

    heights: np.ndarray
    sums: np.ndarray
    pooled: np.ndarray


def _fit_curves(q: np.ndarray, m: np.ndarray, known: np.ndarray, counts: np.ndarray, folds: np.ndarray) -> _Curves:
    knots = np.unique(np.quantile(q[known], np.linspace(0.005, 0.995, _KNOTS))) if known.any() else np.zeros(1)
    if len(knots) < 2:
        knots = knots[0] + np.array([0.0, 1.0])
    k, images = len(knots), q.shape[1]
    heights, sums = np.zeros((2, len(q), _FOLDS, len(counts), k))
    held = [counts * (folds == fold) for fold in range(_FOLDS)]
    moments = np.zeros((images, 3 * k - 1))
    for first in range(0, len(q), _ROWS):
        rows = slice(first, first + _ROWS)
        hats = np.stack([_hats(v, knots) for v in np.where(known[rows], q[rows], knots[0])]) * known[rows][..., None]
        own = np.concatenate([hats**2, hats[..., :-1] * hats[..., 1:], hats * m[rows][..., None]], axis=2)
        moments += own.sum(axis=0)
        for fold in range(_FOLDS):
            fitted = _weighted(counts - held[fold], own)
            # What a straight continuation puts outside the range of the performance is no probability.
            heights[rows, fold] = np.clip(_solve(fitted, k), m.min(), m.max())
            sums[rows, fold] = _weighted(held[fold], hats)
    weight = sums.sum(axis=(1, 3))
    pooled = np.zeros((len(counts), len(q)))
    for fold in range(_FOLDS):
        pooled += np.einsum("crk,rk->rc", sums[:, fold], _solve((counts - held[fold]) @ moments, k))
    with np.errstate(invalid="ignore", divide="ignore"):
        return _Curves(heights, sums / weight[:, None, :, None], pooled / weight.T)


def _weighted(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums over the images [C, R, K] of values [C, N, K], by one matrix product."""
    c, n, k = values.shape
    return (counts @ values.transpose(1, 0, 2).reshape(n, c * k)).reshape(-1, c, k).transpose(1, 0, 2)


def _indirect(curves: _Curves, before: int, after: int) -> np.ndarray:
    """E m(Q_after) - E m(Q_before), mean over the curves of both rows [R]."""
    moved = curves.sums[after] - curves.sums[before]
    return (moved * (curves.heights[before] + curves.heights[after]) / 2).sum(axis=(0, 2))


def _hats(values: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Linear interpolation weights [N, K] of values between knots, held at the ends."""
    place = np.clip(np.searchsorted(knots, values, side="right") - 1, 0, len(knots) - 2)
    right = np.clip((values - knots[place]) / (knots[place + 1] - knots[place]), 0.0, 1.0)
    hats = np.zeros((len(values), len(knots)))
    hats[np.arange(len(values)), place] = 1 - right
    hats[np.arange(len(values)), place + 1] = right
    return hats


def _solve(moments: np.ndarray, k: int) -> np.ndarray:
    """Heights [..., K] from the diagonal, the secondary diagonal and the right side of the normal equations."""
    matrix = np.zeros((*moments.shape[:-1], k, k))
    at = np.arange(k)
    matrix[..., at, at] = moments[..., :k]
    matrix[..., at[:-1], at[1:]] = matrix[..., at[1:], at[:-1]] = moments[..., k : 2 * k - 1]
    bend = np.diff(np.eye(k), n=2, axis=0)
    matrix += 1e-6 * np.eye(k) + _CURVATURE * bend.T @ bend
    return np.linalg.solve(matrix, moments[..., 2 * k - 1 :, None])[..., 0]
