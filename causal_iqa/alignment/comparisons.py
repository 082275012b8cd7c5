"""Paired tests between metrics on the same resamples, with control of multiplicity."""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from causal_iqa import _checks
from causal_iqa.alignment.intervals import Difference, centred, paired_difference
from causal_iqa.alignment.resampling import NUMBERS, Resamples

ADJUSTMENTS = ("holm", "bh")
_NEAREST = 1 - 1e-4


class Comparison(NamedTuple):
    """One pair of metrics in one number.

    Attributes:
      difference: rho of `first` minus rho of `second`, with interval and the p-value of the resamples.
      p_normal: two-sided, from the difference divided by its standard error on the resamples; their number does not
        bound it. For between it is the p-value of `corrected`, as in `Differences`.
      p_adjusted: p_normal after adjustment over all comparisons of the same number.
    """

    first: str
    second: str
    number: str
    difference: Difference
    p_normal: float
    p_adjusted: float


def compare(
    resamples: Mapping[str, Resamples], *, baseline: str | None = None, method: str = "holm", level: float = 0.95
) -> list[Comparison]:
    """Compares all pairs of metrics, or all with one baseline, in every number.

    Resamples of degradations are skewed near 1; their standard errors are therefore computed for the difference on
    Fisher's scale. p-values of B resamples cannot fall below 2 / (B + 1), which no adjustment over many pairs survives;
    so the adjusted value is the normal p-value, 2 P(Z > |difference| / standard error).

    Args:
      resamples: metric -> its resamples, all from one call of `bootstrap` and of one network.
      baseline: the metric that all others are compared with; None for all pairs.
      method: "holm" controls the chance of any false finding, "bh" (Benjamini and Hochberg) the share of false ones.
      level: confidence level of the intervals, in (0, 1), which are not adjusted.

    Returns:
      Comparisons in the order of `resamples`, one for each number of a pair. NaN where undefined; those count in no
      adjustment.

    Raises:
      InputError: for an unknown baseline or method.
      ValueError: when the resamples are not of one call.

    References:
      [1] S. Holm (1979), A simple sequentially rejective multiple test procedure.
      [2] Y. Benjamini, Y. Hochberg (1995), Controlling the false discovery rate.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> scores = {"good": {"net": q}, "poor": {"net": rng.normal(size=m.shape)}}
      >>> found = alignment.bootstrap(jax.random.key(0), scores, {"net": m}, num_resamples=50)
      >>> comparison = alignment.compare({name: one["net"] for name, one in found.items()}, baseline="poor")[0]
      >>> comparison.first, comparison.second
      ('good', 'poor')
    """
    _checks.check_choice(method, ADJUSTMENTS, "method")
    if baseline is None:
        pairs = list(itertools.combinations(resamples, 2))
    else:
        _checks.lookup(resamples, baseline, "metric")
        pairs = [(name, baseline) for name in resamples if name != baseline]
    differences = [paired_difference(resamples[a], resamples[b], level=level) for a, b in pairs]
    found = []
    for number in NUMBERS:
        p_values = np.array([_normal(resamples[a], resamples[b], number) for a, b in pairs])
        adjusted = adjust(p_values, method)
        found.append(
            [
                Comparison(a, b, number, getattr(difference, number), float(p), float(p_adjusted))
                for (a, b), difference, p, p_adjusted in zip(pairs, differences, p_values, adjusted, strict=True)
            ]
        )
    return [one for of_pair in zip(*found, strict=True) for one in of_pair]


def adjust(p_values: np.ndarray, method: str) -> np.ndarray:
    """Adjusts p-values for their number.

    Args:
      p_values: [n]; NaN is kept and not counted.
      method: "holm" or "bh".

    Returns:
      [n], at most 1.

    Raises:
      InputError: for another method.

    References:
      [1] S. Holm (1979), A simple sequentially rejective multiple test procedure.
      [2] Y. Benjamini, Y. Hochberg (1995), Controlling the false discovery rate.

    Examples:
      >>> alignment.adjust(np.array([0.01, 0.04]), "holm").tolist()
      [0.02, 0.04]
    """
    _checks.check_choice(method, ADJUSTMENTS, "method")
    p_values = np.asarray(p_values, np.float64)
    adjusted = np.full(p_values.shape, np.nan)
    defined = np.isfinite(p_values)
    p = p_values[defined]
    if not p.size:
        return adjusted
    if method == "bh":
        adjusted[defined] = stats.false_discovery_control(p, method="bh")
        return adjusted
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    out = np.empty(p.size)
    out[order] = np.minimum(steps, 1.0)
    adjusted[defined] = out
    return adjusted


def _normal(first: Resamples, second: Resamples, number: str) -> float:
    number = "corrected" if number == "between" else number
    pair = [centred(one, number) for one in (first, second)]
    if first.fisher and second.fisher:
        pair = [np.arctanh(np.clip(values, -_NEAREST, _NEAREST)) for values in pair]
    values = pair[0] - pair[1]
    drawn = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]) or drawn.size < 2:
        return np.nan
    error = float(drawn.std(ddof=1))
    if error == 0:
        # Not one resample differs, so no standard error exists to divide by, and the number of resamples bounds p.
        return 1.0 if values[0] == 0 else 2 / (1 + drawn.size)
    return float(2 * stats.norm.sf(abs(values[0]) / error))
