"""Findings as JSON values, and small numbers that several findings share."""

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy import stats

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


def to_json(value: object) -> Json:
    """Returns a finding as JSON values: named tuples as objects, numbers that are not finite as null.

    Args:
      value: named tuples, mappings, sequences, arrays, numbers and text, nested at will.

    Raises:
      TypeError: for anything else.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, tuple) and (fields := getattr(value, "_fields", ())):
        return {name: to_json(own) for name, own in zip(fields, value, strict=True)}
    if isinstance(value, dict):
        return {str(name): to_json(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(own) for own in value]
    raise TypeError(f"value: expected a finding, got {type(value).__name__}")


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
