"""Small numbers that several findings share."""

import math
from typing import NamedTuple

from scipy import stats


class ReasonedEstimate(NamedTuple):
    """A number with its interval; NaN where undefined, and then `reason` says why."""

    value: float
    low: float
    high: float
    reason: str = ""


def undefined(reason: str) -> ReasonedEstimate:
    """Returns an estimate that is undefined, with the reason."""
    return ReasonedEstimate(math.nan, math.nan, math.nan, reason)


def share(hits: int, count: int, *, level: float) -> ReasonedEstimate:
    """Returns a share with Wilson's score interval.

    Args:
      hits: how many.
      count: number of images behind the value.
      level: confidence level of the interval.

    References:
      [1] E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if count == 0:
        return undefined("there is no image to count")
    z = float(stats.norm.ppf((1 + level) / 2))
    p = hits / count
    middle = (p + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
    return ReasonedEstimate(p, max(0.0, middle - half), min(1.0, middle + half))
