"""Attempts to refute an estimated effect: changes of the data after which an honest estimate must do as predicted."""

from typing import NamedTuple

import jax
import numpy as np

from causal_iqa.causal import adjustment


class Refutation(NamedTuple):
    """One attempt, repeated with fresh random draws.

    name: what was changed.
    expected: effect that an honest estimate should give: 0 for a placebo, else the original one.
    mean: effect after the change, mean over the repeats.
    low, high: interval of the repeats.
    passed: whether the interval holds the expected effect.
    """

    name: str
    expected: float
    mean: float
    low: float
    high: float
    passed: bool


def refute(
    key: jax.Array,
    treatment: np.ndarray,
    x: np.ndarray,
    outcome: np.ndarray,
    *,
    arm: int,
    num_arms: int,
    method: str = "doubly_robust",
    num_repeats: int = 30,
    share: float = 0.8,
    level: float = 0.95,
) -> tuple[Refutation, ...]:
    """Refutes the effect of one arm against arm 0.

    - placebo_treatment: the arms are permuted over the images; no effect may remain.
    - random_common_cause: a covariate of noise is added to the adjustment; the effect may not move.
    - random_subset: a share of the images, drawn anew; the effect may not move.

    Passing proves nothing: none of these sees an unobserved confounder (`sensitivity` does). Failing shows a mistake.

    Args:
      key: random key of the repeats.
      treatment: int [N], arm of each image.
      x: covariates [N, F] (`observational.covariates`).
      outcome: [N], finite.
      arm: the arm, not 0.
      num_arms: K.
      method: of `adjustment.METHODS`.
      num_repeats: of each attempt.
      share: of the images in a subset, in (0, 1).
      level: of the intervals.

    Returns:
      Three refutations.

    Raises:
      ValueError: when arm, share or shapes are out of range.

    References:
      [1] A. Sharma, E. Kiciman (2020), DoWhy: an end-to-end library for causal inference.
    """
    if not 0 < arm < num_arms or not 0 < share < 1:
        raise ValueError(
            f"arm, share: expected an arm from 1 to {num_arms - 1} and a share in (0, 1), got {arm}, {share}"
        )
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

    original = effect(treatment, x, outcome)
    placebo = [effect(rng.permutation(treatment), x, outcome) for _ in range(num_repeats)]
    noise = [effect(treatment, np.column_stack([x, rng.normal(size=n)]), outcome) for _ in range(num_repeats)]
    smaller = [effect(treatment[rows], x[rows], outcome[rows]) for rows in (subset() for _ in range(num_repeats))]
    tried = (("placebo_treatment", 0.0, placebo), ("random_common_cause", original, noise))
    tried += (("random_subset", original, smaller),)
    return tuple(_judge(name, expected, np.array(drawn), level) for name, expected, drawn in tried)


def _judge(name: str, expected: float, drawn: np.ndarray, level: float) -> Refutation:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    # A covariate of noise hardly moves the effect, so that its narrow interval may miss it by a hair.
    slack = 0.02 * abs(expected)
    return Refutation(
        name, expected, float(drawn.mean()), float(low), float(high), bool(low - slack <= expected <= high + slack)
    )
