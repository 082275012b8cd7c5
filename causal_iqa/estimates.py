"""A number with its interval, and the check of an interval's level."""

import math
import warnings
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    import jax

N = TypeVar("N", np.ndarray, float, "jax.Array")


class Estimate(NamedTuple, Generic[N]):
    """A number with its interval; NaN where undefined. Fields may be arrays of one shape: `Estimate[np.ndarray]`.

    Examples:
      >>> Estimate(0.91, 0.88, 0.93).text()
      '0.91 [0.88, 0.93]'
    """

    value: N
    low: N
    high: N

    def text(self) -> str:
        """Returns "0.91 [0.88, 0.93]" of a scalar, without bounds where they are undefined."""
        bounds = "" if math.isnan(self.low) else f" [{self.low:.2f}, {self.high:.2f}]"
        return f"{self.value:.2f}{bounds}"

    @property
    def rho(self) -> N:
        """The former name of `value` in correlations."""
        return _former("rho", self.value)

    @property
    def effect(self) -> N:
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
