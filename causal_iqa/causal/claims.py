"""Claims that data may show, exclude, or leave open, and how many images would decide one that is open."""

import math
from typing import Literal, NamedTuple, overload

import numpy as np
from scipy import stats

from causal_iqa.causal.ordered_means import StepFalls
from causal_iqa.estimates import Estimate

Answer = Literal["yes", "no", "not shown"]

# A correlation below the first, or a step that falls by less than the second in standard deviations of the score over
# the images of a condition, is too small to matter.
RELEVANT_CORRELATION = 0.1
RELEVANT_FALL = 0.05
_POWER = 0.8


class CorrectedTest(NamedTuple):
    """A p-value, raw and corrected for the number of tests in the same family; NaN where there was no test.

    Attributes:
      z: z of a test that has a sign, positive where two things rise together.
    """

    p_value: float = math.nan
    corrected: float = math.nan
    z: float = math.nan


class Claim(NamedTuple):
    """One of the things that a verdict needs.

    Attributes:
      answer: "yes", "no", or "not shown" by these images.
      for_yes: about how many images would answer yes with probability .8, were the estimates the truth; infinite where
        no number would.
      for_no: the number of images for a no.
    """

    answer: Answer
    for_yes: float = math.inf
    for_no: float = math.inf


_YES, _NO, _NOT_SHOWN = Claim("yes"), Claim("no"), Claim("not shown")


def fall_claim(one: StepFalls, test: CorrectedTest, *, alpha: float, level: float) -> Claim:
    """That the mean falls at every step of one degradation.

    Args:
      one: result of `step_falls`.
      test: its p-value, corrected for the other tests of the family.
      alpha: level of the test: yes below it.
      level: confidence level of the intervals: no where the smallest fall surely is less than `RELEVANT_FALL` standard
        deviations.

    Examples:
      >>> table = np.linspace(0, 1, 50) - np.array([[0.0], [1.0], [2.0]])  # [severities, images]
      >>> falls = causal.step_falls(table, [0, 1, 2])
      >>> test = causal.CorrectedTest(falls.p_value, falls.p_value, float("nan"))
      >>> causal.fall_claim(falls, test, alpha=0.05, level=0.95).answer
      'yes'
    """
    if not math.isfinite(one.p_value):
        return _NOT_SHOWN
    margin = RELEVANT_FALL * one.unit
    if test.corrected < alpha:
        return _YES
    # A score that never changes falls nowhere.
    if one.smallest.high < margin or one.smallest.high == 0:
        return _NO
    n, errors = one.num_images, _standard_error(one.fall, level)
    steps = list(zip(one.fall.value, errors, strict=True))
    tail = (1 - level) / 2 / len(steps)
    for_yes = max(_enough(n, fall / error, _level_before(test, alpha)) for fall, error in steps)
    for_no = min(_enough(n, (margin - fall) / error, tail) for fall, error in steps)
    return Claim("not shown", for_yes, for_no)


def correlation_claim(one: Estimate[float], num_images: int, *, level: float) -> Claim:
    """That a correlation is positive: yes where its interval is, no where it lies below `RELEVANT_CORRELATION`.

    Args:
      one: the correlation.
      num_images: that its interval resamples.
      level: confidence level of the interval.
    """
    if not (math.isfinite(one.low) and math.isfinite(one.high)):
        return _NOT_SHOWN
    if one.low > 0:
        return _YES
    if one.high < RELEVANT_CORRELATION:
        return _NO
    error, tail = _standard_error(one, level), (1 - level) / 2
    sizes = (_enough(num_images, value / error, tail) for value in (one.value, RELEVANT_CORRELATION - one.value))
    return Claim("not shown", *sizes)


def dependence_claim(test: CorrectedTest, num_images: int, *, alpha: float) -> Claim:
    """That two things depend on each other, or (where the test has a sign) rise together: yes where the test rejects.

    A test by itself never yields a no, unless it establishes a negative sign.

    Args:
      test: the test.
      num_images: that it took.
      alpha: its level.
    """
    if test.corrected < alpha:
        return _NO if test.z < 0 else _YES
    z = test.z if math.isfinite(test.z) else float(stats.norm.isf(test.p_value / 2))
    return Claim("not shown", _enough(num_images, z, _level_before(test, alpha) / 2))


@overload
def _standard_error(one: Estimate[np.ndarray], level: float) -> np.ndarray: ...


@overload
def _standard_error(one: Estimate[float], level: float) -> float: ...


def _standard_error(one, level):
    half = (one.high - one.low) / 2
    return np.maximum(half / stats.norm.ppf((1 + level) / 2), np.finfo(np.float64).tiny)


def _enough(num_images: int, z: float, tail: float) -> float:
    """Images with which an estimate excludes a value from which it is now z standard errors away, at least one more."""
    if not z > 0:
        return math.inf
    times = float((stats.norm.isf(tail) + stats.norm.ppf(_POWER)) / z) ** 2
    return max(num_images * times, num_images + 1)


def _level_before(test: CorrectedTest, alpha: float) -> float:
    """The level below which the p-value itself must lie for the corrected one to lie below alpha."""
    return alpha * min(1.0, test.p_value / test.corrected) if test.corrected > 0 else alpha
