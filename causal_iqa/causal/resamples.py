"""The resampled arithmetic that the estimators of this room share.

A resample counts image n w_n times. Every estimator here is written over rows of such counts, the first row all ones,
so that the point estimate and its resamples come from one formula.
"""

import jax
import numpy as np

from causal_iqa.alignment import resample_counts
from causal_iqa.estimates import Estimate, check_level

# Of fewer images no interval is given: their resamples hold too few different samples.
LEAST_IMAGES = 8


def resample_rows(
    key: jax.Array, num_images: int, num_resamples: int, clusters: np.ndarray | None = None
) -> np.ndarray:
    """Counts of the sample itself and of its resamples.

    Args:
      key: random key.
      num_images: N.
      num_resamples: B.
      clusters: int [N] of images that are drawn together; None treats each image as its own cluster.

    Returns:
      float64 [1 + B, N], the first row ones; only that row for fewer than `LEAST_IMAGES` images, or clusters.
    """
    if (num_images if clusters is None else len(np.unique(clusters))) < LEAST_IMAGES:
        return np.ones((1, num_images))
    counts = resample_counts(key, num_images, num_resamples, clusters).astype(np.float64)
    return np.concatenate([np.ones((1, num_images)), counts])


def from_resamples(
    rows: np.ndarray, *, level: float = 0.95, biased: bool = False, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> Estimate:
    """The first row with an interval from the others.

    The interval is the percentile interval. Resampling adds noise a second time and moves a number that noise moves in
    one direction (a mean distance, a correlation near 1) by about as much as it lies off itself: the basic interval,
    the percentiles turned around the estimate, undoes this. So the interval of such a number is the hull of both, as it
    is for every estimate that its percentiles do not hold: an interval always holds its estimate.

    Args:
      rows: [1 + B, ...], NaN where a resample has no value.
      level: confidence level of the interval, in (0, 1).
      biased: whether noise moves the number in one direction.
      bounds: between which the number lies by definition.

    Returns:
      `Estimate` of arrays [...]; bounds are NaN where the value or all of its resamples are.

    Raises:
      ValueError: when level is out of range.

    References:
      [1] A. Davison, D. Hinkley (1997), Bootstrap methods and their application, sections 5.2.1 (basic) and 5.3
        (percentile intervals).
    """
    check_level(level)
    rows = np.asarray(rows, np.float64)
    value, drawn = rows[0], rows[1:]
    drawn = np.where(np.isfinite(drawn), drawn, np.nan)
    known = np.isfinite(value) & (np.isfinite(drawn).any(axis=0) if len(drawn) else False)
    low, high = np.full((2, *value.shape), np.nan)
    if known.any():
        tails = [(1 - level) / 2, (1 + level) / 2]
        chosen = drawn[:, known] if value.ndim else drawn[:, None]
        # Sorting once is far quicker than nanquantile, and most often nothing is missing.
        quantile = np.quantile if np.isfinite(chosen).all() else np.nanquantile
        percentiles = quantile(chosen, tails, axis=0)
        own = value[known] if value.ndim else value[None]
        basic = np.clip(2 * own - percentiles[::-1], *bounds)
        missed = (own < percentiles[0]) | (own > percentiles[1])
        hull = np.minimum(percentiles[0], basic[0]), np.maximum(percentiles[1], basic[1])
        interval = np.where(biased | missed, hull, percentiles)
        if value.ndim:
            low[known], high[known] = interval
        else:
            low, high = interval[:, 0]
    return Estimate(np.where(np.isfinite(value), value, np.nan)[()], low[()], high[()])


def weighted_means(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Means of every condition in every resample, over the images where it is defined.

    Args:
      counts: [R, N].
      values: [C, N], NaN or infinite where undefined.

    Returns:
      [R, C]; NaN where nothing is defined.
    """
    values = np.asarray(values, np.float64)
    defined = np.isfinite(values)
    if defined.all():
        return counts @ values.T / counts.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (counts @ np.where(defined, values, 0.0).T) / (counts @ defined.T.astype(np.float64))
