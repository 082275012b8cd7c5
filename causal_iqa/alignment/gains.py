"""How much a metric gains over yardsticks: the mean and the best of the conventional families."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from causal_iqa import _checks
from causal_iqa.alignment.bootstrap import Resamples
from causal_iqa.alignment.intervals import Differences, check_level, difference_of

_FAMILIES = {
    "no_reference": ("no_reference",),
    "full_reference": ("full_reference",),
    "conventional": ("no_reference", "full_reference"),
}
YARDSTICKS = tuple(f"{how}_{name}" for name in _FAMILIES for how in ("mean", "best"))


class Gains(NamedTuple):
    """Gains over one yardstick. best: number -> the metric that is best on the images as they are, else empty."""

    differences: Differences
    best: Mapping[str, str]

    def as_dict(self) -> dict[str, dict[str, float | str | None]]:
        """Returns {number: {"difference", "low", "high", "p_value", "best"}} for JSON, None where undefined."""
        out = {}
        for number, difference in self.differences._asdict().items():
            out[number] = {name: None if math.isnan(value) else value for name, value in difference._asdict().items()}
            out[number]["best"] = self.best.get(number)
        return out


def gains(
    resamples: Mapping[str, Resamples], families: Mapping[str, str], metric: str, *, level: float = 0.95
) -> Mapping[str, Gains]:
    """Compares one metric with the mean and the best of each conventional family, on the same resamples.

    The best is chosen anew for each of the three numbers and in every resample. That it is the best is a finding on
    these images like its correlation, and an interval that held the choice fixed would leave its luck out. The largest
    of many noisy numbers lies above the true best, so the gain is rather under- than overstated.

    Args:
      resamples: metric -> its resamples, all from one call of `bootstrap` and of one network.
      families: metric -> family; "no_reference" and "full_reference" are the conventional ones.
      metric: whose gain.
      level: of the intervals, in (0, 1).

    Returns:
      yardstick -> Gains, for the YARDSTICKS whose family has a metric other than this one. A metric whose number is
      undefined is left out of that number's mean and best.

    Raises:
      InputError: for an unknown metric.
      ValueError: when level is out of range.
    """
    check_level(level)
    own = _checks.lookup(resamples, metric, "metric")
    found = {}
    for group, members in _FAMILIES.items():
        names = [name for name in resamples if families[name] in members and name != metric]
        if not names:
            continue
        for how in ("mean", "best"):
            differences, best = [], {}
            for number in Resamples._fields:
                stacked = np.stack([getattr(resamples[name], number) for name in names])
                defined = np.isfinite(stacked)
                some = defined.any(axis=0)
                if how == "mean":
                    total = np.where(defined, stacked, 0.0).sum(axis=0)
                    yardstick = np.where(some, total / np.maximum(defined.sum(axis=0), 1), np.nan)
                else:
                    top = np.where(defined, stacked, -np.inf)
                    yardstick = np.where(some, top.max(axis=0), np.nan)
                    best |= {number: names[int(top[:, 0].argmax())]} if some[0] else {}
                differences.append(difference_of(getattr(own, number) - yardstick, level))
            found[f"{how}_{group}"] = Gains(Differences(*differences), best)
    return found
