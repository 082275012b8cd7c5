"""What leaving out the worst images gives: expected and actual accuracy of the rest, and thresholds."""

import math
from typing import NamedTuple

import numpy as np

from causal_iqa.analysis.datasets import maps
from causal_iqa.analysis.datasets.values import ReasonedEstimate, share, undefined

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Step(NamedTuple):
    """The worst `left_out` of the images are left out.

    Attributes:
      left_out: share of the images with a score.
      threshold: the lowest score that stays.
      kept: images that stay.
      expected: accuracy of the rest by the map.
      actual: accuracy of the rest by labels, of the judged network.
      errors_removed: share of all errors that are left out; NaN without labels.
    """

    left_out: float
    threshold: float
    kept: int
    expected: ReasonedEstimate
    actual: ReasonedEstimate
    errors_removed: float


class Threshold(NamedTuple):
    """The threshold for a wanted accuracy.

    Attributes:
      wanted: accuracy.
      by: "expected" (the map) or "actual" (labels).
      score: the lowest score that stays; NaN where it cannot be reached.
      left_out: share of images below it.
      accuracy: accuracy of the rest.
      reason: why it is not reached; "" where it is.
    """

    wanted: float
    by: str
    score: float
    left_out: float
    accuracy: float
    reason: str = ""


def curve(
    quality: np.ndarray,
    correct: np.ndarray | None,
    learned: maps.ScoreMap | None,
    applied: maps.Applied | None,
    *,
    level: float,
) -> tuple[Step, ...]:
    """Computes the reject curve of a set.

    Args:
      quality: [n] scores, higher is better, NaN where undefined; such images are neither kept nor left out.
      correct: [n] 1 and 0, NaN where no label is known; None: no network was judged.
      learned: the map; None: nothing is expected.
      applied: the map on the set.
      level: confidence level of the intervals.

    Returns:
      A step per share of SHARES that leaves an image; none without a score.
    """
    defined = np.isfinite(quality)
    n = int(defined.sum())
    if n < 2:
        return ()
    ordered = np.sort(quality[defined])
    steps = []
    for left_out in SHARES:
        first = round(left_out * n)
        if first >= n:
            break
        threshold = float(ordered[first])
        kept = defined & (quality >= threshold)
        expected = undefined("no map was given")
        if learned is not None and applied is not None:
            expected = maps.subset(learned, applied, quality, kept, level=level)
        actual, removed = _actual(correct, defined, kept, level)
        steps.append(Step(1 - kept.sum() / n, threshold, int(kept.sum()), expected, actual, removed))
    # Scores that are equal are left out together, so that two shares can be the same step.
    return tuple(one for i, one in enumerate(steps) if i == 0 or one.kept != steps[i - 1].kept)


def _actual(correct, defined, kept, level) -> tuple[ReasonedEstimate, float]:
    if correct is None:
        return undefined("no network was judged"), math.nan
    known = np.isfinite(correct) & defined
    if not known.any():
        return undefined("no image has a label"), math.nan
    inside = known & kept
    if np.isin(correct[known], (0.0, 1.0)).all():
        accuracy = share(int(correct[inside].sum()), int(inside.sum()), level=level)
    else:
        accuracy = (
            ReasonedEstimate(float(correct[inside].mean()), math.nan, math.nan) if inside.any() else undefined("empty")
        )
    errors = float((1 - correct[known]).sum())
    return accuracy, float((1 - correct[known & ~kept]).sum()) / errors if errors else math.nan


def threshold_for(wanted: float, quality: np.ndarray, value: np.ndarray, *, by: str) -> Threshold:
    """Finds the lowest score above which the mean of `value` is as wanted.

    Args:
      wanted: accuracy in (0, 1).
      quality: [n] scores, NaN where undefined.
      value: [n], probability of correctness or correctness; NaN where unknown.
      by: "expected" or "actual".

    Returns:
      The threshold that leaves out the fewest images.
    """
    both = np.isfinite(quality) & np.isfinite(value)
    if not both.any():
        return Threshold(wanted, by, math.nan, math.nan, math.nan, "no image has both a score and a value")
    order = np.argsort(quality[both], kind="stable")
    ordered, values = quality[both][order], value[both][order]
    n = len(ordered)
    rest = np.cumsum(values[::-1])[::-1] / np.arange(n, 0, -1)
    # Equal scores stay together: a threshold is the first of its score.
    first = np.concatenate([[True], ordered[1:] > ordered[:-1]])
    reached = np.flatnonzero(first & (rest >= wanted))
    if not reached.size:
        best = float(rest[first].max())
        return Threshold(
            wanted, by, math.nan, math.nan, best, f"no threshold reaches it; the best is {100 * best:.1f} %"
        )
    place = int(reached[0])
    return Threshold(wanted, by, float(ordered[place]), place / n, float(rest[place]))
