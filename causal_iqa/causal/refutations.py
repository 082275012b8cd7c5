"""Attempts to refute an estimated effect: changes of the data after which an honest estimate must do as predicted."""

from typing import NamedTuple

import jax
import numpy as np

from causal_iqa.causal import adjustment
from causal_iqa.causal.resamples import from_resamples
from causal_iqa.estimates import Estimate

# A covariate of noise hardly moves the effect, so that its narrow interval may miss it by a hair.
_SLACK = 0.02


class Refutation(NamedTuple):
    """One attempt, repeated with fresh random draws.

    Attributes:
      name: what was changed.
      expected: effect that an honest estimate should give: 0 for a placebo, else the estimate itself with its interval.
      found: median effect after the change, with the interval of the repeats.
      passed: whether the interval of the repeats holds the expected effect.
    """

    name: str
    expected: Estimate
    found: Estimate
    passed: bool


def refute(
    key: jax.Array,
    assignment: adjustment.Assignment,
    outcome: np.ndarray,
    *,
    arm: int,
    method: str = adjustment.DEFAULT_METHOD,
    num_repeats: int = 30,
    share: float = 0.8,
    level: float = 0.95,
) -> tuple[Refutation, ...]:
    """Refutes the effect of one arm against arm 0, as estimated from this very assignment.

    - placebo_treatment: the arms are permuted over the images; no effect may remain.
    - random_common_cause: a covariate of noise is added to the adjustment; the effect may not move.
    - random_subset: a random share of the images; the effect must not change.

    Passing proves nothing: none of these checks detects an unobserved confounder (`sensitivity` addresses it). Failing
      shows a mistake.

    Args:
      key: random key of the repeats.
      assignment: the result of `assign` from which the estimates were computed.
      outcome: [N], finite.
      arm: the arm, not 0.
      method: method of `adjustment.METHODS`.
      num_repeats: number of repeats of each attempt.
      share: share of the images in a subset, in (0, 1).
      level: confidence level of the intervals.

    Returns:
      Three refutations. The estimate has an interval where the assignment has resamples.

    Raises:
      ValueError: when arm, share or method are out of range.

    References:
      [1] A. Sharma, E. Kiciman (2020), DoWhy: an end-to-end library for causal inference.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> x = causal.covariates(None, [rng.normal(size=200)])
      >>> treatment = (x[:, 1] + rng.normal(size=200) > 0).astype(int)
      >>> outcome = x[:, 1] + treatment + rng.normal(size=200)
      >>> assigned = causal.assign(jax.random.key(0), treatment, x, 2)
      >>> found = causal.refute(jax.random.key(1), assigned, outcome, arm=1, num_repeats=5)
      >>> [one.name for one in found]
      ['placebo_treatment', 'random_common_cause', 'random_subset']
    """
    treatment, x, num_arms = assignment.treatment, assignment.x, assignment.propensity.shape[1]
    if not 0 < arm < num_arms or not 0 < share < 1:
        raise ValueError(
            f"arm, share: expected an arm from 1 to {num_arms - 1} and a share in (0, 1), got {arm}, {share}"
        )
    if method not in adjustment.METHODS:
        raise ValueError(f"method: expected one of {', '.join(adjustment.METHODS)}, got {method!r}")
    n = len(treatment)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32))

    def effect(treatment: np.ndarray, x: np.ndarray, outcome: np.ndarray) -> float:
        fitted = adjustment.assign(key, treatment, x, num_arms, num_resamples=0)
        means = adjustment.arm_means(fitted, outcome)[method][0]
        return float(means[arm] - means[0])

    def subset() -> np.ndarray:
        # Without a whole arm there is nothing to compare, so each gives its share.
        parts = [np.flatnonzero(treatment == one) for one in range(num_arms)]
        return np.concatenate([rng.permutation(part)[: max(2, round(share * len(part)))] for part in parts])

    rows = adjustment.arm_means(assignment, outcome)[method]
    original = Estimate(*map(float, from_resamples(rows[:, arm] - rows[:, 0], level=level)))
    placebo = [effect(rng.permutation(treatment), x, outcome) for _ in range(num_repeats)]
    noise = [effect(treatment, np.column_stack([x, rng.normal(size=n)]), outcome) for _ in range(num_repeats)]
    smaller = [effect(treatment[rows], x[rows], outcome[rows]) for rows in (subset() for _ in range(num_repeats))]
    tried = (("placebo_treatment", Estimate(0.0, 0.0, 0.0), placebo), ("random_common_cause", original, noise))
    tried += (("random_subset", original, smaller),)
    return tuple(_judge(name, expected, np.array(drawn), level) for name, expected, drawn in tried)


def _judge(name: str, expected: Estimate, drawn: np.ndarray, level: float) -> Refutation:
    low, middle, high = np.quantile(drawn, [(1 - level) / 2, 0.5, (1 + level) / 2])
    slack = _SLACK * abs(expected.value)
    passed = bool(low - slack <= expected.value <= high + slack)
    return Refutation(name, expected, Estimate(float(middle), float(low), float(high)), passed)
