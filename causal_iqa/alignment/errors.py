"""How far predicted accuracies are from true ones."""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from scipy import stats

from causal_iqa import _codec
from causal_iqa.estimates import UNDEFINED, Estimate

# With fewer degradations their spread is hardly known.
_LEAST_DEGRADATIONS = 5


class Errors(NamedTuple):
    """Errors of predicted accuracies, in accuracy units (0.04 is 4 points).

    Attributes:
      mean_absolute: mean absolute error, with its interval for other degradations; NaN bounds with fewer than 5
        degradations, or where only one has an error.
      bias: mean of the predicted minus the true accuracies.
      worst: largest absolute error.
      coverage: share of the intervals that contain the truth, NaN without intervals.
      num_conditions: number of conditions with a prediction.
    """

    mean_absolute: _codec.Inline[Annotated[Estimate, _codec.Keys(value="mean_absolute")]]
    bias: float
    worst: float
    coverage: float
    num_conditions: int

    def as_dict(self) -> dict[str, float | int | None]:
        """Returns the fields by name for JSON, None where undefined."""
        return _codec.encode(self)


def accuracy_errors(
    predicted: np.ndarray,
    truth: np.ndarray,
    groups: Sequence[str | None],
    *,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
    level: float = 0.95,
) -> Errors:
    """Summarises predicted accuracies against true ones.

    The interval of the mean absolute error is for other degradations: with s its jackknife standard error on a
    logarithmic scale, every degradation with its severities left out in turn, and t the quantile of Student's law with
    one degree of freedom less than degradations, it is exp(log(error) - t s) to exp(log(error) + t s).

    Args:
      predicted: [C]; NaN where there is no prediction.
      truth: [C].
      groups: C names of the degradations; conditions with None are left out.
      low: [C] lower bounds, with `high`.
      high: [C] upper bounds.
      level: confidence level of the interval of the mean absolute error.

    Returns:
      The errors; smaller is better.

    Raises:
      ValueError: when lengths differ.

    References:
      [1] R. Miller (1974), The jackknife, a review, Biometrika 61.

    Examples:
      >>> predicted, truth = np.array([0.8, 0.5, 0.3]), np.array([0.7, 0.5, 0.4])
      >>> errors = alignment.accuracy_errors(predicted, truth, ["fog", "fog", "blur"])
      >>> round(float(errors.mean_absolute.value), 3)
      0.067
    """
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.shape != truth.shape or predicted.ndim != 1 or len(groups) != len(truth):
        raise ValueError(
            f"predicted, truth, groups: expected one length C, got {predicted.shape}, {truth.shape}, {len(groups)}"
        )
    used = np.isfinite(predicted) & np.isfinite(truth) & np.array([group is not None for group in groups])
    if not used.any():
        return Errors(UNDEFINED, math.nan, math.nan, math.nan, 0)
    error = (predicted - truth)[used]
    names = np.array([str(group) for group in groups])[used]
    _, own = np.unique(names, return_inverse=True)
    sums, sizes = np.bincount(own, np.abs(error)), np.bincount(own)
    bounds = _interval(sums, sizes, level)
    coverage = math.nan
    if low is not None and high is not None and np.isfinite(np.asarray(low)[used]).any():
        coverage = float(((np.asarray(low)[used] <= truth[used]) & (truth[used] <= np.asarray(high)[used])).mean())
    absolute = np.abs(error)
    return Errors(
        Estimate(float(absolute.mean()), *bounds),
        float(error.mean()),
        float(absolute.max()),
        coverage,
        int(used.sum()),
    )


def _interval(sums: np.ndarray, sizes: np.ndarray, level: float) -> tuple[float, float]:
    """Interval of a mean from sums and sizes [G] by degradation."""
    groups = len(sums)
    if groups < _LEAST_DEGRADATIONS:
        return math.nan, math.nan
    left_out = (sums.sum() - sums) / (sizes.sum() - sizes)
    if not left_out.min() > 0:
        return math.nan, math.nan
    logs = np.log(left_out)
    error = math.sqrt((groups - 1) / groups * np.square(logs - logs.mean()).sum())
    reach = math.exp(stats.t.ppf((1 + level) / 2, groups - 1) * error)
    mean = sums.sum() / sizes.sum()
    return float(mean / reach), float(mean * reach)
