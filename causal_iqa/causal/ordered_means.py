"""Does the mean of a score fall at every step of severity? A test of ordered means with images as blocks."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from causal_iqa.causal.resamples import LEAST_IMAGES
from causal_iqa.estimates import Estimate, check_level


class StepFalls(NamedTuple):
    """The falls of a mean from each severity of one degradation to the next.

    Attributes:
      severity: [S], rising.
      fall: mean at a severity minus the mean at the next [S - 1], positive where it falls, each with its interval.
      smallest: the smallest of the falls; the upper bound of its interval is corrected for the number of steps.
      p_value: p-value of the test that every step falls; small when all do. NaN for fewer than `LEAST_IMAGES` images,
        or clusters.
      unit: mean standard deviation of the value over the images of a condition; a unit in which falls can be compared.
      num_images: number of images with a value at every severity.
    """

    severity: np.ndarray
    fall: Estimate[np.ndarray]
    smallest: Estimate[float]
    p_value: float
    unit: float
    num_images: int


def step_falls(
    values: np.ndarray,
    severities: Sequence[float] | np.ndarray,
    *,
    clusters: np.ndarray | None = None,
    level: float = 0.95,
) -> StepFalls:
    """Tests that the mean falls from every severity to the next.

    Each step is a paired t test on the images, one-sided, with Hall's correction for skewness; the intersection-union
    test rejects "some step does not fall" where all of them reject, so that its p-value is the largest. No spread that
    grows with severity, and no trend of ranks, can hide a step that does not fall. Under a mean that never
    changes the test rejects far below its level, under one step that does not fall at its level.

    Args:
      values: [S, N] in any order of severity, at least two; images with an undefined value are left out.
      severities: [S], all different.
      clusters: int [N] of images that are not independent of each other; None treats each image as its own cluster. The
        tests are then on the sums of the clusters.
      level: confidence level of the intervals, in (0, 1).

    Returns:
      `StepFalls`; p-values are at least 2^-N, what flipping the signs of N images, or clusters, can give.

    Raises:
      ValueError: for fewer than two severities, two that are equal, or a level out of range.

    Examples:
      >>> table = np.linspace(0, 1, 50) - np.array([[0.0], [1.0], [2.0]])
      >>> step_falls(table, [0, 1, 2]).smallest.value
      1.0

    References:
      [1] R. Berger (1982), Multiparameter hypothesis testing and acceptance sampling, Technometrics 24: the
        intersection-union test.
      [2] P. Hall (1992), On the removal of skewness by transformation, JRSS B 54.
      [3] A. Cameron, D. Miller (2015), A practitioner's guide to cluster-robust inference, J. Human Resources 50.
    """
    check_level(level)
    values, doses = np.asarray(values, np.float64), np.asarray(severities, np.float64)
    if values.ndim != 2 or len(values) != len(doses) or len(values) < 2:
        raise ValueError(
            f"values, severities: expected [S, N] and [S], S at least 2, got {values.shape}, {doses.shape}"
        )
    if len(np.unique(doses)) != len(doses):
        raise ValueError(f"severities: expected all different, got {doses.tolist()}")
    order = np.argsort(doses)
    defined = np.isfinite(values).all(axis=0)
    values = values[order][:, defined]
    severity, num_images = doses[order], values.shape[1]
    own = None if clusters is None else np.unique(np.asarray(clusters)[defined], return_inverse=True)[1]
    num_blocks = num_images if own is None else len(np.unique(own))
    if num_blocks < LEAST_IMAGES:
        nothing = np.full(len(severity) - 1, np.nan)
        return StepFalls(severity, Estimate(*[nothing] * 3), Estimate(*[math.nan] * 3), math.nan, math.nan, num_images)
    falls = values[:-1] - values[1:]
    tails = _Tails(falls if own is None else _of_clusters(falls, own))
    low, high = tails.bound((1 - level) / 2), tails.bound((1 + level) / 2)
    least = int(tails.mean.argmin())
    # Above the smallest fall lie all the others, but the least of several upper bounds is low by chance.
    highest = tails.bound(1 - (1 - level) / 2 / len(falls)).min()
    return StepFalls(
        severity,
        Estimate(tails.mean, low, high),
        Estimate(float(tails.mean[least]), float(low.min()), float(highest)),
        float(max(tails.p_values().max(), 2.0**-num_blocks)),
        float(values.std(axis=1).mean()),
        num_images,
    )


def falls_by_degradation(
    values: np.ndarray,
    degradations: Sequence[str],
    severities: Sequence[float] | np.ndarray,
    *,
    clean: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    level: float = 0.95,
) -> Mapping[str, StepFalls]:
    """`step_falls` of every degradation.

    Args:
      values: scores under each condition [C, N], higher is better; NaN or infinite where undefined.
      degradations: name of each condition's degradation, C of them.
      severities: severity of each condition, C of them.
      clean: scores [N] of the clean images, severity 0 of every degradation; left out where fewer than half have one.
      clusters: int [N] as for `step_falls`.
      level: confidence level of the intervals, in (0, 1).

    Returns:
      degradation -> falls, in order of appearance, without those that have only one severity.

    Raises:
      ValueError: when the lengths differ.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease = rng.normal(size=60) - np.arange(4.0)[:, None]  # the first row is clean
      >>> q, m = ease + rng.normal(size=(2, 4, 60))
      >>> degradations, severities = ["fog"] * 3, [1.0, 3.0, 5.0]
      >>> bool(causal.falls_by_degradation(q[1:], degradations, severities, clean=q[0])["fog"].p_value < 0.05)
      True
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not len(values) == len(degradations) == len(severities):
        raise ValueError(
            "values, degradations, severities: expected [C, N], C and C, "
            f"got {values.shape}, {len(degradations)} and {len(severities)}"
        )
    start = clean is not None and 2 * np.isfinite(clean).sum() > np.size(clean)
    found = {}
    for name in dict.fromkeys(degradations):
        at = [i for i, own in enumerate(degradations) if own == name]
        table, doses = values[at], [float(severities[i]) for i in at]
        if clean is not None and start:
            table, doses = np.vstack([clean, table]), [0.0, *doses]
        if len(doses) > 1:
            found[name] = step_falls(table, doses, clusters=clusters, level=level)
    return found


def _of_clusters(rows: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Values [S, G] of clusters with the mean of the rows [S, N], whose standard error is the cluster-robust one."""
    mean = rows.mean(axis=1, keepdims=True)
    sums = np.stack([np.bincount(clusters, away) for away in rows - mean])
    return mean + sums * (sums.shape[1] / rows.shape[1])


class _Tails:
    """Means [S] of rows [S, N] with tails corrected for skewness.

    g(W) = W + A W^2 + A^2 W^3 / 3 + G / (6 n) with A = G / 3, G the skewness, is monotone in W = (mean - mu) / sd, and
    sqrt(n) g(W) is normal up to 1 / n where sqrt(n) W is so up to 1 / sqrt(n). Of a mean of rows, skewed to the left by
    their own skewness.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self.num_images = rows.shape[1]
        self.mean, self.spread = rows.mean(axis=1), rows.std(axis=1, ddof=1)
        # Rounding of equal differences is no spread.
        self.varies = self.spread > 1e-9 * np.abs(rows).max(axis=1, initial=0.0)
        safe = np.where(self.varies, self.spread, 1.0)
        third = (((rows - self.mean[:, None]) / safe[:, None]) ** 3).mean(axis=1)
        self.skewness = np.where(self.varies, third, 0.0)

    def p_values(self) -> np.ndarray:
        """One-sided p-values of "the mean is not positive" [S]."""
        n, skewness = self.num_images, self.skewness
        w = self.mean / np.where(self.varies, self.spread, 1.0)
        corrected = w + skewness / 3 * w**2 + skewness**2 / 27 * w**3 + skewness / (6 * n)
        p_values = stats.t.sf(math.sqrt(n) * corrected, n - 1)
        return np.where(self.varies, p_values, np.where(self.mean > 0, 0.0, 1.0))

    def bound(self, tail: float) -> np.ndarray:
        """The upper confidence bound [S] of the mean with probability `tail`; a lower one where that is below 1/2."""
        n, skewness = self.num_images, self.skewness
        x = stats.t.ppf(1 - tail, n - 1) / math.sqrt(n)
        some = np.abs(skewness) > 1e-8
        safe = np.where(some, skewness, 1.0)
        w = np.where(some, 3 / safe * (np.cbrt(1 + safe * (x - safe / (6 * n))) - 1), x)
        return self.mean - np.where(self.varies, self.spread, 0.0) * w
