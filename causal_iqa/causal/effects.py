"""Effects of imaging conditions on scores and on performance, from interventional data.

Every image was taken under every condition, so the condition is set by intervention and nothing confounds it: the
difference of paired means is the average causal effect.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from scipy import stats

from causal_iqa.causal.resamples import LEAST_IMAGES, from_resamples, resample_rows, weighted_means
from causal_iqa.estimates import Estimate, check_level


class DoseResponse(NamedTuple):
    """Mean value at each severity of one degradation, [S] in rising severity, and its trend.

    Attributes:
      trend: Spearman correlation of severity and mean, -1 when every step up in severity lowers the mean.
    """

    severity: np.ndarray
    mean: np.ndarray
    trend: float


def average_effects(
    key: jax.Array,
    values: np.ndarray,
    clean: np.ndarray,
    *,
    num_resamples: int = 1000,
    clusters: np.ndarray | None = None,
    level: float = 0.95,
) -> Estimate:
    """Average causal effect of each condition: E[value | do(C = c)] - E[value | do(C = clean)], over the same images.

    Args:
      key: typed PRNG key of the resamples.
      values: scores or performance under each condition [C, N]; NaN or infinite where undefined.
      clean: values of the clean images [N]. Where it is undefined (PSNR of equal images) the image is left out.
      num_resamples: bootstrap samples of images.
      clusters: int [N] of images that are drawn together; None treats each image as its own cluster.
      level: confidence level of the intervals, in (0, 1).

    Returns:
      Effects [C] in units of the value; negative when the condition lowers it; NaN where no image is defined in both.
      Bounds are NaN for fewer than `LEAST_IMAGES` images, or clusters.

    Raises:
      ValueError: for tables that do not fit, or level outside (0, 1).

    References:
      [1] D. Rubin (1974), Estimating causal effects of treatments in randomized and nonrandomized studies.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease = rng.normal(size=60) - np.arange(4.0)[:, None]  # the first row is clean
      >>> q, m = ease + rng.normal(size=(2, 4, 60))
      >>> degradations, severities = ["fog"] * 3, [1.0, 3.0, 5.0]
      >>> effect = causal.average_effects(jax.random.key(0), m[1:], m[0], num_resamples=50)
      >>> bool((effect.value < 0).all())
      True
    """
    values, clean = np.asarray(values, np.float64), np.asarray(clean, np.float64)
    if values.ndim != 2 or clean.shape != values.shape[1:]:
        raise ValueError(f"values, clean: expected [C, N] and [N], got {values.shape} and {clean.shape}")
    check_level(level)
    with np.errstate(invalid="ignore"):
        change = values - clean
    counts = resample_rows(key, values.shape[1], num_resamples, clusters)
    found = from_resamples(weighted_means(counts, change), level=level)
    few = np.isfinite(change).sum(axis=1) < LEAST_IMAGES
    return Estimate(found.value, *(np.where(few, np.nan, bound) for bound in (found.low, found.high)))


def dose_response(
    values: np.ndarray,
    degradations: Sequence[str],
    severities: Sequence[float] | np.ndarray,
    *,
    clean: np.ndarray | None = None,
) -> Mapping[str, DoseResponse]:
    """Mean value at each severity of each degradation.

    Args:
      values: scores or performance under each condition [C, N]; NaN or infinite where undefined.
      degradations: name of each condition's degradation, C of them.
      severities: severity of each condition, C of them.
      clean: values of the clean images [N]; when given, they are severity 0 of every degradation.

    Returns:
      degradation -> DoseResponse, in order of appearance; the mean is NaN where nothing is defined.

    Raises:
      ValueError: when the lengths differ.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease = rng.normal(size=60) - np.arange(4.0)[:, None]  # the first row is clean
      >>> q, m = ease + rng.normal(size=(2, 4, 60))
      >>> degradations, severities = ["fog"] * 3, [1.0, 3.0, 5.0]
      >>> causal.dose_response(q[1:], degradations, severities, clean=q[0])["fog"].severity.tolist()
      [0.0, 1.0, 3.0, 5.0]
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not len(values) == len(degradations) == len(severities):
        raise ValueError(
            "values, degradations, severities: expected [C, N], C and C, "
            f"got {values.shape}, {len(degradations)} and {len(severities)}"
        )
    responses = {}
    for name in dict.fromkeys(degradations):
        points = [(float(s), _mean(v)) for d, s, v in zip(degradations, severities, values, strict=True) if d == name]
        if clean is not None:
            points.append((0.0, _mean(np.asarray(clean, np.float64))))
        severity, mean = np.array(sorted(points)).T
        responses[name] = DoseResponse(severity, mean, _trend(severity, mean))
    return responses


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else np.nan


def _trend(severity: np.ndarray, mean: np.ndarray) -> float:
    defined = np.isfinite(mean)
    severity, mean = severity[defined], mean[defined]
    if severity.size < 2 or np.ptp(severity) == 0 or np.ptp(mean) == 0:
        return np.nan
    return float(stats.spearmanr(severity, mean).statistic)  # pyright: ignore[reportAttributeAccessIssue]
