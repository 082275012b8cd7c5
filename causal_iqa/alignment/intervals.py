"""Intervals of the alignment numbers, and the paired comparison of two metrics.

*Between* on resampled images lies below *between* on the images, by about as much as that lies below its value for the
population of images: a resample is noisier than the images. Two numbers come of it. `between` is the number at this
number of images; its interval is for the mean over studies of that many images, from resamples that are shifted back to
it. `corrected` is its value for the population of images, from `attenuation`; only it can be compared across studies of
different size, or between scores whose image noise differs. So the p-value of a difference in `between` is that of the
difference in `corrected`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, NamedTuple

import jax
import numpy as np

from causal_iqa import _codec
from causal_iqa.alignment import attenuation
from causal_iqa.alignment.resampling import NUMBERS, Resamples, bootstrap
from causal_iqa.estimates import UNDEFINED, Estimate, check_level

# In JSON a correlation is called rho.
Correlation = Annotated[Estimate, _codec.Keys(value="rho")]


class Alignment(NamedTuple):
    """The alignment numbers of one metric and one network.

    Attributes:
      between: correlation over conditions, at this number of images.
      within: mean correlation over the images of one condition.
      pooled: correlation over all rows.
      corrected: *between* corrected for attenuation by image noise; undefined where `reliability.reason` says why.
      reliability: reliability of the condition means.
    """

    between: Estimate
    within: Estimate
    pooled: Estimate
    corrected: Estimate = UNDEFINED
    reliability: attenuation.Reliability = attenuation.UNKNOWN

    def as_dict(self) -> dict[str, dict[str, float | None]]:
        """Returns {"between": {"rho", "low", "high"}, "corrected": ..., "within": ..., "pooled": ...} for JSON."""
        return {number: _codec.encode(getattr(self, number), Correlation) for number in NUMBERS}


class Difference(NamedTuple):
    """Difference of two correlations, first minus second, with its interval and a two-sided p-value."""

    estimate: _codec.Inline[Annotated[Estimate, _codec.Keys(value="difference")]]
    p_value: float


class Differences(NamedTuple):
    """The paired comparison of two metrics in each of the numbers.

    A difference in `between` may be caused by image noise only: its interval is of the difference at this number of
    images, its p-value that of `corrected`.
    """

    between: Difference
    within: Difference
    pooled: Difference
    corrected: Difference


def align(
    key: jax.Array,
    scores: Mapping[str, Mapping[str, np.ndarray]],
    performance: Mapping[str, np.ndarray],
    *,
    num_resamples: int = 1000,
    level: float = 0.95,
    progress: Callable[[int, int], None] | None = None,
) -> Mapping[str, Mapping[str, Alignment]]:
    """How well every metric predicts every network: between, within and pooled Spearman with intervals.

    Images are resampled as clusters, all conditions of an image together, and the same resamples serve every pair.

    Args:
      key: typed PRNG key of the resamples.
      scores: metric -> network -> [C, N], higher is better, NaN or infinite where undefined. Give the same array
        object for several networks when the scores are the same: it is then ranked once.
      performance: network -> [C, N], of any range (1 where correct, an IoU, a mean over networks); "all" is a name
        like any other.
      num_resamples: resamples of the N images.
      level: confidence level of the intervals, in (0, 1).
      progress: called with the work done so far and all of it.

    Returns:
      metric -> network -> Alignment; higher is better. NaN where undefined.

    Raises:
      InputError: when a metric names a network that has no performance.
      ValueError: when tables differ in shape, or level or num_resamples is out of range.

    References:
      [1] A. Davison, D. Hinkley (1997), Bootstrap methods and their application, sections 3.8 (clusters), 5.2.2
        (transformed basic interval) and 5.3 (percentile interval).

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> found = alignment.align(jax.random.key(0), {"q": {"net": q}}, {"net": m}, num_resamples=50)
      >>> bool(found["q"]["net"].between.value > 0.9)
      True
    """
    check_level(level)
    resamples = bootstrap(key, scores, performance, num_resamples=num_resamples, progress=progress)
    return {
        metric: {name: summarise(values, level=level) for name, values in by_network.items()}
        for metric, by_network in resamples.items()
    }


def summarise(resamples: Resamples, *, level: float = 0.95) -> Alignment:
    """Turns resampled numbers into intervals.

    `between` and `corrected`: percentiles of resamples that lie around the number. `within` and `pooled`: the smallest
    interval that holds the percentiles and the basic interval on Fisher's scale, tanh(2 z - z*_high) to
    tanh(2 z - z*_low) with z = artanh(rho). Over the resamples where the number is defined.

    Args:
      resamples: resamples of one metric and one network, from `bootstrap` or `resample_conditions`.
      level: confidence level of the intervals, in (0, 1).

    Returns:
      The numbers with intervals, which hold them; NaN bounds where the number itself or every resample is undefined.

    Raises:
      ValueError: when level is out of range.

    References:
      [1] A. Davison, D. Hinkley (1997), Bootstrap methods and their application, sections 5.2.2 and 5.3.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> found = alignment.bootstrap(jax.random.key(0), {"q": {"net": q}}, {"net": m}, num_resamples=50)
      >>> aligned = alignment.summarise(found["q"]["net"])
      >>> bool(aligned.within.low < aligned.within.value < aligned.within.high)
      True
    """
    check_level(level)
    found = {"between": _holding(centred(resamples, "between"), level)}
    # By noise a corrected correlation may exceed 1; differences are taken before it is cut.
    found["corrected"] = Estimate(*np.clip(_holding(centred(resamples, "corrected"), level), -1, 1).tolist())
    found |= {number: _hull(getattr(resamples, number), level) for number in ("within", "pooled")}
    return Alignment(**found, reliability=resamples.reliability)


def paired_difference(first: Resamples, second: Resamples, *, level: float = 0.95) -> Differences:
    """Compares two metrics on the same resamples.

    The p-value is 2 min(P(d <= 0), P(d >= 0)) over the resamples with one added to count and total, at most 1.

    Args:
      first: resamples of one metric and network, from one call of `bootstrap` or `resample_conditions`.
      second: resamples of another pair, from the same call.
      level: confidence level of the intervals, in (0, 1).

    Returns:
      First minus second in each number: positive where the first predicts better. NaN where undefined.

    Raises:
      ValueError: when the two have different numbers of resamples, or level is out of range.

    References:
      [1] A. Davison, D. Hinkley (1997), Bootstrap methods and their application, section 4.4.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> scores = {"good": {"net": q}, "poor": {"net": rng.normal(size=m.shape)}}
      >>> found = alignment.bootstrap(jax.random.key(0), scores, {"net": m}, num_resamples=50)
      >>> bool(alignment.paired_difference(found["good"]["net"], found["poor"]["net"]).pooled.estimate.low > 0)
      True
    """
    check_level(level)
    if first.pooled.shape != second.pooled.shape:
        raise ValueError(
            f"first, second: expected resamples of one call, got {len(first.pooled) - 1} and {len(second.pooled) - 1}"
        )
    return differences_of({number: centred(first, number) - centred(second, number) for number in NUMBERS}, level)


def differences_of(values: Mapping[str, np.ndarray], level: float) -> Differences:
    """Returns differences from the value (entry 0) and resamples of each number; between takes corrected's p-value."""
    found = {number: difference_of(values[number], level) for number in NUMBERS}
    found["between"] = found["between"]._replace(p_value=found["corrected"].p_value)
    return Differences(**found)


def difference_of(values: np.ndarray, level: float) -> Difference:
    """Returns a difference with percentile interval and p-value from its value (entry 0) and its resamples."""
    difference = _holding(values, level)
    if math.isnan(difference.low):
        return Difference(difference, math.nan)
    drawn = values[1:][np.isfinite(values[1:])]
    tail = min((drawn <= 0).sum(), (drawn >= 0).sum())
    return Difference(difference, min(1.0, float(2 * (1 + tail) / (1 + drawn.size))))


def centred(resamples: Resamples, number: str) -> np.ndarray:
    """Returns a number (entry 0) and its resamples; for `between` they are shifted so that their median is the number.

    The shift is one of arccos(rho), whose standard deviation over draws of images hardly depends on rho.
    """
    values = getattr(resamples, number)
    if values is None:
        return np.full_like(resamples.between, np.nan)
    finite = np.isfinite(values[1:])
    if number != "between" or not np.isfinite(values[0]) or not finite.any():
        return values
    angle = np.arccos(np.clip(values, -1, 1))
    shifted = np.clip(angle[1:] - np.median(angle[1:][finite]) + angle[0], 0, np.pi)
    return np.concatenate([values[:1], np.cos(shifted)])


def _percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    drawn = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]) or drawn.size == 0:
        return math.nan, math.nan
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _holding(values: np.ndarray, level: float) -> Estimate:
    """Percentiles, widened to hold the number where they do not."""
    low, high = _percentiles(values, level)
    number = float(values[0])
    return Estimate(number, low, high) if math.isnan(low) else Estimate(number, min(low, number), max(high, number))


def _hull(values: np.ndarray, level: float) -> Estimate:
    low, high = _percentiles(values, level)
    rho = float(values[0])
    if math.isnan(low):
        return Estimate(rho, low, high)
    # A correlation of exactly 1 has no finite z; this bound is beyond what float32 ranks resolve.
    z, z_low, z_high = np.arctanh(np.clip([rho, low, high], -1 + 1e-9, 1 - 1e-9))
    return Estimate(rho, min(low, rho, float(np.tanh(2 * z - z_high))), max(high, rho, float(np.tanh(2 * z - z_low))))
