"""How much a metric gains over yardsticks: the best and two means of the conventional families."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from causal_iqa import _checks, _codec
from causal_iqa.alignment.intervals import Difference, Differences, centred, difference_of, differences_of
from causal_iqa.alignment.resampling import NUMBERS, Resamples
from causal_iqa.estimates import Estimate, check_level

_FAMILIES = {
    "no_reference": ("no_reference",),
    "full_reference": ("full_reference",),
    "conventional": ("no_reference", "full_reference"),
}
_WAYS = ("best", "mean_absolute", "mean")
YARDSTICKS = tuple(f"{how}_{name}" for name in _FAMILIES for how in _WAYS)


class Gains(NamedTuple):
    """Gains over one yardstick. best: number -> the metric that is best on the original images, else empty."""

    differences: Differences
    best: Mapping[str, str]

    def as_dict(self) -> dict[str, dict[str, float | str | None]]:
        """Returns {number: {"difference", "low", "high", "p_value", "best"}} for JSON, None where undefined."""
        return {
            number: {**_codec.encode(difference), "best": self.best.get(number)}
            for number, difference in self.differences._asdict().items()
        }


def gains(
    resamples: Mapping[str, Resamples], families: Mapping[str, str], metric: str, *, level: float = 0.95
) -> Mapping[str, Gains]:
    """Compares one metric with the best and the means of each conventional family, on the same resamples.

    `best` is the hardest yardstick. It is chosen again for each number and in every resample: that it is the best is a
    finding on these images like its correlation, and an interval that held the choice fixed would leave its luck out.
    The largest of many noisy numbers lies above the true best, so the gain is rather under- than overstated; the
    interval is the smallest that holds the percentiles of the resamples and their mirror image about the gain.
    `mean_absolute` is the mean of |rho|: what a metric of unknown direction would be worth. `mean` takes the signs as
    they are, so metrics that point the wrong way lower it; it is the easiest yardstick.

    Args:
      resamples: metric -> its resamples, all from one call of `bootstrap` and of one network.
      families: metric -> family; "no_reference" and "full_reference" are the conventional ones.
      metric: whose gain.
      level: confidence level of the intervals, in (0, 1).

    Returns:
      yardstick -> Gains, for the YARDSTICKS whose family has a metric other than this one. A metric whose number is
      undefined is left out of that number's mean and best.

    Raises:
      InputError: for an unknown metric.
      ValueError: when level is out of range.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> scores = {"ours": {"net": q}, "ssim": {"net": rng.normal(size=m.shape)}}
      >>> found = alignment.bootstrap(jax.random.key(0), scores, {"net": m}, num_resamples=50)
      >>> resamples = {name: one["net"] for name, one in found.items()}
      >>> families = {"ours": "label_free", "ssim": "full_reference"}
      >>> gain = alignment.gains(resamples, families, "ours")["best_full_reference"]
      >>> bool(gain.differences.pooled.estimate.low > 0), gain.best["pooled"]
      (True, 'ssim')
    """
    check_level(level)
    own = _checks.lookup(resamples, metric, "metric")
    found = {}
    for group, members in _FAMILIES.items():
        names = [name for name in resamples if families[name] in members and name != metric]
        if not names:
            continue
        stacked = {number: np.stack([centred(resamples[name], number) for name in names]) for number in NUMBERS}
        for how in _WAYS:
            values = {number: centred(own, number) - _yardstick(stacked[number], how) for number in NUMBERS}
            differences, best = differences_of(values, level), {}
            if how == "best":
                differences = Differences(
                    *(_mirrored(one, values[n], level) for n, one in differences._asdict().items())
                )
                best = {number: name for number in NUMBERS if (name := _best(stacked[number][:, 0], names))}
            found[f"{how}_{group}"] = Gains(differences, best)
    return found


def _yardstick(values: np.ndarray, how: str) -> np.ndarray:
    """What the metric is compared with, over the metrics where it is defined: [K, 1 + B] -> [1 + B]."""
    defined = np.isfinite(values)
    some = defined.any(axis=0)
    if how == "best":
        return np.where(some, np.where(defined, values, -np.inf).max(axis=0), np.nan)
    counted = np.abs(values) if how == "mean_absolute" else values
    return np.where(some, np.where(defined, counted, 0.0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1), np.nan)


def _best(values: np.ndarray, names: list[str]) -> str:
    defined = np.isfinite(values)
    return names[int(np.where(defined, values, -np.inf).argmax())] if defined.any() else ""


def _mirrored(difference: Difference, values: np.ndarray, level: float) -> Difference:
    """Widens an interval to hold that of the resamples mirrored about the difference."""
    mirror = difference_of(np.concatenate([values[:1], 2 * values[0] - values[1:]]), level)
    one, other = difference.estimate, mirror.estimate
    hull = Estimate(one.value, min(one.low, other.low), max(one.high, other.high))
    return difference._replace(estimate=hull)
