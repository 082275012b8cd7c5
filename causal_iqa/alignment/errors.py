"""How far predicted accuracies are from true ones."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# With fewer degradations their resamples are few, and percentiles of them say nothing.
_LEAST_DEGRADATIONS = 5


class Errors(NamedTuple):
    """Errors of predicted accuracies, in accuracy units (0.04 is 4 points).

    mean_absolute: with `low` and `high`, its interval over degradations resampled as clusters; NaN with fewer than 5.
    bias: mean of predicted less true. worst: largest absolute error. coverage: share of the intervals that hold the
    truth, NaN without intervals. num_conditions: how many had a prediction.
    """

    mean_absolute: float
    low: float
    high: float
    bias: float
    worst: float
    coverage: float
    num_conditions: int

    def as_dict(self) -> dict[str, float | int | None]:
        """Returns the fields by name for JSON, None where undefined."""
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in self._asdict().items()}


def accuracy_errors(
    predicted: np.ndarray,
    truth: np.ndarray,
    groups: Sequence[str | None],
    *,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
    level: float = 0.95,
    seed: int = 0,
    num_resamples: int = 1000,
) -> Errors:
    """Summarises predicted accuracies against true ones.

    Args:
      predicted: [C]; NaN where there is no prediction.
      truth: [C].
      groups: C names of the degradations; conditions with None are left out.
      low: [C] lower bounds, with `high`.
      high: [C] upper bounds.
      level: of the interval of the mean absolute error.
      seed: of the resamples of degradations.
      num_resamples: of the degradations.

    Returns:
      The errors; smaller is better.

    Raises:
      ValueError: when lengths differ.
    """
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.shape != truth.shape or predicted.ndim != 1 or len(groups) != len(truth):
        raise ValueError(
            f"predicted, truth, groups: expected one length C, got {predicted.shape}, {truth.shape}, {len(groups)}"
        )
    used = np.isfinite(predicted) & np.isfinite(truth) & np.array([group is not None for group in groups])
    if not used.any():
        return Errors(*[math.nan] * 6, 0)
    error = (predicted - truth)[used]
    names = np.array([str(group) for group in groups])[used]
    _, own = np.unique(names, return_inverse=True)
    sums, sizes = np.bincount(own, np.abs(error)), np.bincount(own)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (num_resamples, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low_high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    value = np.abs(error).mean()
    bounds = (min(low_high[0], value), max(low_high[1], value))
    if len(sums) < _LEAST_DEGRADATIONS:
        bounds = (math.nan, math.nan)
    coverage = math.nan
    if low is not None and high is not None and np.isfinite(np.asarray(low)[used]).any():
        coverage = float(((np.asarray(low)[used] <= truth[used]) & (truth[used] <= np.asarray(high)[used])).mean())
    absolute = np.abs(error)
    return Errors(
        float(absolute.mean()),
        float(bounds[0]),
        float(bounds[1]),
        float(error.mean()),
        float(absolute.max()),
        coverage,
        int(used.sum()),
    )
