"""A number with its interval, and the one check of an interval's level."""

import math
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

# A number or an array of numbers: who reads an estimate knows which, and a type checker need not ask.
Numbers = Any if TYPE_CHECKING else np.ndarray | float


class Estimate(NamedTuple):
    """A number with its interval; NaN where undefined. Fields may be arrays of one shape.

    Examples:
      >>> Estimate(0.91, 0.88, 0.93).text()
      '0.91 [0.88, 0.93]'
    """

    value: Numbers
    low: Numbers
    high: Numbers

    def text(self) -> str:
        """Returns "0.91 [0.88, 0.93]" of a scalar, without bounds where they are undefined."""
        bounds = "" if math.isnan(self.low) else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.value:.2f}{bounds}"

    @property
    def rho(self) -> Numbers:
        """The former name of `value` in correlations."""
        return _former("rho", self.value)

    @property
    def effect(self) -> Numbers:
        """The former name of `value` in effects."""
        return _former("effect", self.value)


UNDEFINED = Estimate(math.nan, math.nan, math.nan)


def check_level(level: Any) -> None:
    """Raises ValueError unless the level of an interval lies in (0, 1).

    Args:
      level: confidence level of an interval.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number in (0, 1), got {level!r}")


def _former(name: str, value: Any) -> Any:
    warnings.warn(f"Estimate.{name} is value now; the former name goes with the next release", DeprecationWarning, 3)
    return value
