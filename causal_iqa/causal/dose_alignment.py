"""Do the curve of a score and the curve of performance fall together as a degradation grows more severe?"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from scipy import stats

from causal_iqa.causal.resamples import from_resamples, resample_rows, weighted_means
from causal_iqa.estimates import Estimate, check_level

_LEAST_POINTS = 4
# Between which every field of `DoseAlignment` lies; noise moves all of them in one direction.
_BOUNDS = ((-1.0, 1.0), (-1.0, 1.0), (0.0, 1.0), (0.0, 1.0))


class DoseAlignment(NamedTuple):
    """Agreement of two dose-response curves of one degradation, each with its interval.

    Attributes:
      correlation: Pearson correlation of the two curves over the severities, clean included where it has a score; NaN
        for fewer than four points, which agree by chance too often.
      order: Kendall's tau-b of the two curves: 1 when both put the severities in the same order; NaN for fewer than
        four points.
      area: mean distance of the curves in [0, 1], each mapped to [0, 1] by its range over all degradations: 0 when a
        common scale serves both, so that one degradation costs the score as much as it costs performance.
      shape_area: the area when each curve is mapped by its range within this degradation: 0 when both fall at the same
        severities.
    """

    correlation: Estimate
    order: Estimate
    area: Estimate
    shape_area: Estimate


class Trend(NamedTuple):
    """Page's test that a value falls with every step of severity, the images being the blocks.

    Attributes:
      p_value: small when it falls; NaN for fewer than three severities or two images.
      num_images: number of images with a value at every severity.
    """

    p_value: float
    num_images: int


def align_doses(
    key: jax.Array,
    scores: np.ndarray,
    performance: np.ndarray,
    degradations: Sequence[str],
    severities: Sequence[float] | np.ndarray,
    *,
    clean: tuple[np.ndarray, np.ndarray] | None = None,
    clusters: np.ndarray | None = None,
    num_resamples: int = 500,
    level: float = 0.95,
) -> tuple[Mapping[str, DoseAlignment], DoseAlignment]:
    """Compares the curve of a score with the curve of performance, degradation by degradation.

    Args:
      key: random key of the resamples of images, all conditions of an image together.
      scores: under each condition [C, N], higher is better; NaN or infinite where undefined.
      performance: under each condition [C, N].
      degradations: name of each condition's degradation, C of them.
      severities: severity of each condition, C of them.
      clean: scores [N] and performance [N] of the clean images, severity 0 of every degradation; left out where no
        clean image has a score.
      clusters: int [N] of images that are drawn together; None treats each image as its own cluster.
      num_resamples: B.
      level: confidence level of the intervals.

    Returns:
      (degradation -> `DoseAlignment`, their mean over the degradations where each number is defined). Correlation and
      order are better high, areas low; NaN where a curve has too few points or never changes.

    Raises:
      ValueError: when shapes do not fit.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease = rng.normal(size=60) - np.arange(4.0)[:, None]  # the first row is clean
      >>> q, m = ease + rng.normal(size=(2, 4, 60))
      >>> degradations, severities = ["fog"] * 3, [1.0, 3.0, 5.0]
      >>> each, mean = causal.align_doses(
      ...     jax.random.key(0), q[1:], m[1:], degradations, severities, clean=(q[0], m[0]), num_resamples=20
      ... )
      >>> list(each)
      ['fog']
    """
    check_level(level)
    scores, performance = np.asarray(scores, np.float64), np.asarray(performance, np.float64)
    if scores.shape != performance.shape or scores.ndim != 2 or not len(scores) == len(degradations) == len(severities):
        raise ValueError(
            "scores, performance, degradations, severities: expected [C, N], [C, N], C and C, got "
            f"{scores.shape}, {performance.shape}, {len(degradations)} and {len(severities)}"
        )
    if clean is not None and np.isfinite(clean[0]).any():
        scores, performance = np.vstack([clean[0], scores]), np.vstack([clean[1], performance])
        degradations, severities = ["", *degradations], [0.0, *severities]
    counts = resample_rows(key, scores.shape[1], num_resamples, clusters)
    q, m = weighted_means(counts, scores), weighted_means(counts, performance)
    q_all, m_all = _to_unit(q), _to_unit(m)
    names = np.asarray(degradations)
    rows = {}
    for name in dict.fromkeys(name for name in degradations if name):
        at = np.flatnonzero((names == name) | (names == ""))
        at = at[np.argsort(np.asarray(severities, np.float64)[at], kind="stable")]
        doses = np.asarray(severities, np.float64)[at]
        rows[name] = np.stack(
            [
                _pearson(q[:, at], m[:, at]),
                _kendall(q[:, at], m[:, at]),
                _mean_over(doses, np.abs(q_all[:, at] - m_all[:, at])),
                _mean_over(doses, np.abs(_to_unit(q[:, at]) - _to_unit(m[:, at]))),
            ],
            axis=1,
        )
    found = {name: _summarise(values, level) for name, values in rows.items()}
    table = np.stack(list(rows.values()))
    known = np.isfinite(table)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, table, 0.0).sum(axis=0) / known.sum(axis=0)
    return found, _summarise(mean, level)


def falling_trend(values: np.ndarray) -> Trend:
    """Tests whether values fall with severity, by Page's trend test on the ranks within each image.

    Args:
      values: [S, N] in rising severity; images with an undefined value are left out.

    Returns:
      `Trend`, one-sided.

    Raises:
      ValueError: when values is not [S, N].

    References:
      [1] E. Page (1963), Ordered hypotheses for multiple treatments: a significance test for linear ranks.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease = rng.normal(size=60) - np.arange(4.0)[:, None]  # the first row is clean
      >>> q, m = ease + rng.normal(size=(2, 4, 60))
      >>> degradations, severities = ["fog"] * 3, [1.0, 3.0, 5.0]
      >>> bool(causal.falling_trend(q).p_value < 0.01)
      True
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2:
        raise ValueError(f"values: expected [S, N], got {values.shape}")
    values = values[:, np.isfinite(values).all(axis=0)]
    severities, images = values.shape
    if severities < 3 or images < 2:
        return Trend(np.nan, images)
    # Page's alternative is a rising mean: the last severity goes first. Ties make the test conservative.
    found = stats.page_trend_test(values[::-1].T, method="asymptotic")
    return Trend(float(found.pvalue), images)


def _summarise(rows: np.ndarray, level: float) -> DoseAlignment:
    columns = zip(rows.T, _BOUNDS, strict=True)
    found = (from_resamples(one, level=level, biased=True, bounds=bounds) for one, bounds in columns)
    return DoseAlignment(*(Estimate(*map(float, one)) for one in found))


def _to_unit(curves: np.ndarray) -> np.ndarray:
    """Maps every row to [0, 1] by its own range; a constant row becomes 1/2."""
    known = np.isfinite(curves)
    low = np.where(known, curves, np.inf).min(axis=1, keepdims=True)
    high = np.where(known, curves, -np.inf).max(axis=1, keepdims=True)
    varies = high > low
    unit = (np.where(known, curves, 0.0) - np.where(varies, low, 0.0)) / np.where(varies, high - low, 1.0)
    return np.where(known, np.where(varies, unit, 0.5), np.nan)


def _pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.shape[1] < _LEAST_POINTS:
        return np.full(len(x), np.nan)
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))


def _kendall(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if x.shape[1] < _LEAST_POINTS:
        return np.full(len(x), np.nan)
    first, second = np.triu_indices(x.shape[1], 1)
    x, y = np.sign(x[:, first] - x[:, second]), np.sign(y[:, first] - y[:, second])
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))


def _mean_over(doses: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Mean height of curves [R, S] over the range of doses, by the trapezoidal rule."""
    if len(doses) < 2 or doses[-1] == doses[0]:
        return np.full(len(heights), np.nan)
    return np.trapezoid(heights, doses, axis=1) / (doses[-1] - doses[0])
