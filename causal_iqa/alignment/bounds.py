"""Bounds of the association of a quality score with performance: what no score of a kind can exceed, and why.

docs/theory.md states and proves each; the functions here compute them from a table of scores. Arrays are
[C, N]: C conditions of the same N images.
"""

from typing import NamedTuple

import numpy as np
import scipy.stats

from causal_iqa.estimates import check_level


class Decomposition(NamedTuple):
    """How the Pearson correlation of Q and M over all pairs of image and condition is composed.

    Attributes:
      pooled: the correlation; equals between * sqrt(share_q * share_m) + within * sqrt((1 - share_q) * (1 - share_m)).
      between: Pearson correlation of the means of the conditions.
      within: correlation of the deviations from those means.
      share_q: share of the variance of Q that lies between conditions, in [0, 1].
      share_m: the same share for M.
    """

    pooled: float
    between: float
    within: float
    share_q: float
    share_m: float


class ContradictedPairs(NamedTuple):
    """Pairs of conditions which a score provably orders against performance.

    Attributes:
      proven: number of pairs that Q and M order in opposite directions, each beyond a bound that holds for all pairs at
        once.
      pairs: number of pairs whose order by performance is proven.
      possible: C (C - 1) / 2.
      kendall_bound: upper bound, at the given confidence level, of Kendall's tau (a) of the population means of Q and
        M.
      spearman_bound: so is their Spearman correlation, by the inequality of Durbin and Stuart.
      worst: (a, b) of the proven pair with the largest difference of performance: M is larger at a and Q at b; None
        where there is no such pair.
    """

    proven: int
    pairs: int
    possible: int
    kendall_bound: float
    spearman_bound: float
    worst: tuple[int, int] | None


def _tables(scores: np.ndarray, performance: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    scores, performance = (np.asarray(v, np.float64) for v in (scores, performance))
    if scores.ndim != 2 or scores.shape != performance.shape:
        raise ValueError(
            f"scores, performance: expected two arrays [C, N] of one shape, got {scores.shape} and {performance.shape}"
        )
    if scores.shape[0] < 2 or scores.shape[1] < least:
        raise ValueError(f"scores: expected at least 2 conditions and {least} images, got {scores.shape}")
    for name, values in (("scores", scores), ("performance", performance)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: expected finite values, got {int((~np.isfinite(values)).sum())} that are not")
    return scores, performance


def decompose(scores: np.ndarray, performance: np.ndarray) -> Decomposition:
    """Splits the pooled correlation into its parts between and within conditions (law of total covariance).

    Args:
      scores: Q [C, N], finite.
      performance: M [C, N], finite.

    Returns:
      `Decomposition`, exact up to rounding; NaN where a variance is zero.

    Raises:
      ValueError: when shapes differ, there are fewer than two conditions or one image, or a value is not finite.

    Examples:
      >>> import numpy as np
      >>> q = np.array([[0.0, 1.0], [2.0, 3.0]])
      >>> round(decompose(q, 2 * q).pooled, 6)
      1.0
    """
    q, m = _tables(scores, performance, 1)

    def parts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        means = values.mean(axis=1)
        return means - means.mean(), values - means[:, None]

    (q_between, q_within), (m_between, m_within) = parts(q), parts(m)
    variances = [np.mean(v * v) for v in (q_between, q_within, m_between, m_within)]
    q_b, q_w, m_b, m_w = variances

    def correlation(covariance: np.floating, left: np.floating, right: np.floating) -> float:
        return float(covariance / np.sqrt(left * right)) if left > 0 and right > 0 else float("nan")

    both = np.mean(q_between * m_between), np.mean(q_within * m_within)
    return Decomposition(
        pooled=correlation(both[0] + both[1], q_b + q_w, m_b + m_w),
        between=correlation(both[0], q_b, m_b),
        within=correlation(both[1], q_w, m_w),
        share_q=float(q_b / (q_b + q_w)) if q_b + q_w > 0 else float("nan"),
        share_m=float(m_b / (m_b + m_w)) if m_b + m_w > 0 else float("nan"),
    )


def within_ceiling(chance: np.ndarray, performance: np.ndarray) -> np.ndarray:
    """The largest correlation with M that any score can have which reads no more than what `chance` reads.

    For every function Q of the information read, Corr(Q, M)^2 <= Var(E[M | read]) / Var(M) (Renyi's correlation
    ratio). For M in {0, 1} and a calibrated chance p = E[M | read] that is Var(p) / (m (1 - m)). Ranks of Q are such a
    function too, so the Spearman correlation with a binary M obeys the same bound.

    Args:
      chance: E[M | inputs of the score] for every image [C, N]; it must be calibrated, or the result is not a bound.
      performance: M [C, N].

    Returns:
      [C], in [0, 1]; NaN under conditions where M never varies.

    Raises:
      ValueError: under the conditions under which `decompose` raises it.

    References:
      [1] Renyi, "On measures of dependence", Acta Mathematica Hungarica 10, 1959.

    Examples:
      >>> import numpy as np
      >>> m = np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 1.0]])
      >>> within_ceiling(m, m).tolist()
      [1.0, 1.0]
    """
    p, m = _tables(chance, performance, 1)
    variance = m.var(axis=1)
    ratio = np.divide(p.var(axis=1), variance, out=np.full(len(m), np.nan), where=variance > 0)
    return np.sqrt(np.minimum(ratio, 1.0))


def correlation_ratio(scores: np.ndarray, performance: np.ndarray, *, bins: int = 10) -> np.ndarray:
    """The largest correlation with M that a function of this one score can have, by the spread of M over its quantiles.

    `within_ceiling` with E[M | Q] in the place of the chance: the share of the variance of M that a line in Q explains,
    and of what the line leaves the share that lies between groups of images with about the same score, less what groups
    of images drawn at random have of it. It is never below the correlation itself. A score whose
    correlation lies below this has another shape than M, which a map to performance can mend; one that meets it cannot
    be mended.

    Args:
      scores: Q [C, N], finite.
      performance: M [C, N], finite.
      bins: groups of equal numbers of images by score; of fewer images than that, as many groups as leave two in each.

    Returns:
      [C], in [0, 1]; NaN under conditions where M never varies.

    Raises:
      ValueError: when shapes differ, there are fewer than two conditions or four images, a value is not finite, or
        there are fewer than two bins.

    References:
      [1] Kelley, "An unbiased correlation ratio measure", PNAS 21, 1935.

    Examples:
      >>> import numpy as np
      >>> q = np.linspace(-1, 1, 1000) * np.ones((2, 1))
      >>> correlation_ratio(q, q * q, bins=50).round(2).tolist()  # no linear correlation, and yet all is known
      [1.0, 1.0]
    """
    q, m = _tables(scores, performance, 4)
    if bins < 2:
        raise ValueError(f"bins: expected at least 2, got {bins}")
    n = q.shape[1]
    groups = min(bins, n // 2)
    # Equal scores have one rank, so that they stay together.
    place = np.ceil(scipy.stats.rankdata(q, axis=1) * groups / n).astype(int) - 1
    found = np.full(len(q), np.nan)
    for c in range(len(q)):
        variance = m[c].var()
        used, group, sizes = np.unique(place[c], return_inverse=True, return_counts=True)
        if variance <= 0:
            continue
        centred_q, centred_m = q[c] - q[c].mean(), m[c] - m[c].mean()
        left = centred_m - centred_q * (np.mean(centred_q * centred_m) / q[c].var() if q[c].var() > 0 else 0.0)
        means = np.bincount(group, left) / sizes
        between = np.average(means**2, weights=sizes)
        # Of a residual without variance nothing is left to explain.
        ratio = between / left.var() if left.var() > 1e-12 * variance else 0.0
        ratio = max(0.0, 1 - (1 - ratio) * (n - 1) / (n - len(used)))
        found[c] = 1 - (1 - ratio) * left.var() / variance
    return np.sqrt(np.clip(found, 0.0, 1.0))


def attenuated(correlation: float, reliability_q: float, reliability_m: float) -> float:
    """What a correlation of population means becomes with image noise that Q and M do not share.

    Args:
      correlation: correlation of the population means of Q and M over conditions.
      reliability_q: share of the variance of the observed means of Q that is not image noise, in [0, 1].
      reliability_m: the reliability of M.

    Returns:
      correlation * sqrt(reliability_q * reliability_m).

    Raises:
      ValueError: when a reliability is outside [0, 1].

    References:
      [1] Spearman, "The proof and measurement of association between two things", American Journal of Psychology, 1904.

    Examples:
      >>> round(attenuated(0.9, 0.81, 1.0), 4)
      0.81
    """
    for name, value in (("reliability_q", reliability_q), ("reliability_m", reliability_m)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: expected a share in [0, 1], got {value}")
    return correlation * float(np.sqrt(reliability_q * reliability_m))


def contradicted_pairs(scores: np.ndarray, performance: np.ndarray, *, level: float = 0.95) -> ContradictedPairs:
    """Counts pairs of conditions that a score provably orders against performance, for all images there are.

    Of each pair the images give paired differences of Q and of M. A pair is a contradiction when the mean differences
    have opposite signs and both differ from zero in one-sided t-tests at (1 - level) / (number of tests): Bonferroni
    over all pairs, both variables and both directions. With the probability given none of the pairs counted is wrong,
    so more images can only add to them: this keeps a metric's *between* below one however many images there are.

    Args:
      scores: Q [C, N], higher is better, finite; at least 8 images, the same under every condition.
      performance: M [C, N], higher is better, finite.
      level: confidence level of the statement, in (0, 1).

    Returns:
      `ContradictedPairs`.

    Raises:
      ValueError: when shapes differ, there are fewer than two conditions or eight images, a value is not finite, or the
        level is outside (0, 1).

    References:
      [1] Durbin, Stuart, "Inversions and rank correlation coefficients", JRSS B 13, 1951: with K inversions of n ranks
          the sum of squared differences of ranks is at least 4 K (1 + K / n) / 3.

    Examples:
      >>> import numpy as np
      >>> noise = np.random.default_rng(0).normal(size=(3, 50)) / 100
      >>> m = np.array([[0.0], [1.0], [2.0]]) + noise
      >>> contradicted_pairs(-m, m).kendall_bound
      -1.0
    """
    q, m = _tables(scores, performance, 8)
    check_level(level)
    possible = len(q) * (len(q) - 1) // 2
    least = float(scipy.stats.t.isf((1 - level) / (4 * possible), q.shape[1] - 1))
    q_sign, m_sign = (_proven_signs(values, least) for values in (q, m))
    upper = np.triu_indices(len(q), 1)
    against = (q_sign * m_sign)[upper] < 0
    proven = int(against.sum())
    tau = 1 - 2 * proven / possible
    worst = None
    if proven:
        means = m.mean(axis=1)
        gaps = np.where(against, np.abs(means[upper[0]] - means[upper[1]]), -1.0)
        a, b = (int(side[np.argmax(gaps)]) for side in upper)
        worst = (a, b) if means[a] > means[b] else (b, a)
    spearman = 1 - 8 * proven * (1 + proven / len(q)) / (len(q) * (len(q) ** 2 - 1))
    return ContradictedPairs(proven, int((m_sign[upper] != 0).sum()), possible, tau, spearman, worst)


def _proven_signs(values: np.ndarray, least: float) -> np.ndarray:
    """Sign of the mean difference of every pair of rows where its t-statistic exceeds `least`, else 0 [C, C]."""
    n = values.shape[1]
    centred = values - values.mean(axis=1, keepdims=True)
    products = centred @ centred.T / (n - 1)
    variances = np.diag(products)
    squared = np.maximum(variances[:, None] + variances[None, :] - 2 * products, 0.0) / n
    difference = values.mean(axis=1)[:, None] - values.mean(axis=1)[None, :]
    return np.where(np.abs(difference) > least * np.sqrt(squared), np.sign(difference), 0.0)


def ordered_by_error(predicted: np.ndarray, performance: np.ndarray) -> float:
    """The least Kendall tau that the largest error of a prediction allows.

    If |g(q_c) - m_c| <= delta under every condition for an increasing g, conditions whose m differ by more than
    2 delta are in the right order, whatever else is true.

    Args:
      predicted: g(q) of every condition [C].
      performance: m of every condition [C].

    Returns:
      1 - 2 (share of pairs whose m differ by at most 2 delta), at least -1.

    Raises:
      ValueError: when the arguments are not two finite vectors of one length of at least 2.

    Examples:
      >>> ordered_by_error([0.1, 0.5, 0.9], [0.12, 0.5, 0.9])
      1.0
    """
    predicted, performance = np.asarray(predicted, np.float64), np.asarray(performance, np.float64)
    if predicted.ndim != 1 or predicted.shape != performance.shape or len(predicted) < 2:
        raise ValueError(
            "predicted, performance: expected two vectors of one length of at least 2, got shapes "
            f"{predicted.shape} and {performance.shape}"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(performance).all()):
        raise ValueError("predicted, performance: expected finite values")
    delta = np.max(np.abs(predicted - performance))
    upper = np.triu_indices(len(performance), 1)
    close = np.abs(performance[:, None] - performance[None, :])[upper] <= 2 * delta
    return float(1 - 2 * close.mean())
