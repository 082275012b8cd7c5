"""Refutations of an honest estimate."""

import numpy as np
import pytest

from causal_iqa import causal


def _world(seed, n=300):
    """Potential outcomes [4, n] under conditions of severity 0, 1, 2, 2; hard scenes are what drives both."""
    rng = np.random.default_rng(seed)
    hard, label = rng.normal(size=n), rng.integers(0, 3, n)
    severity = np.array([0.0, 1.0, 2.0, 2.0])
    hardness = hard + 0.5 * (label - 1)
    outcomes = 1.0 - 0.3 * severity[:, None] - 0.5 * hardness + 0.4 * rng.normal(size=(4, n))
    return outcomes, severity, hardness, causal.covariates(label, [hard])


def _draw(key, world, num_resamples):
    outcomes, severity, hardness, x = world
    arms = severity.astype(int)
    conditions = causal.observe(key, causal.severity_propensities(hardness, severity, strength=0.7))
    treatment = arms[conditions]
    assigned = causal.assign(key, treatment, x, 3, num_resamples=num_resamples)
    return assigned, outcomes[conditions, np.arange(len(x))], causal.true_means(outcomes, arms)


def test_refutations_pass_for_an_honest_estimate(key):
    assigned, y, _ = _draw(key, _world(4, 400), 60)
    found = causal.refute(key, assigned, y, arm=2, num_repeats=12)
    assert [one.name for one in found] == ["placebo_treatment", "random_common_cause", "random_subset"]
    assert all(one.passed for one in found)
    assert abs(found[0].found.value) < 0.1
    # The estimate that is refuted is the one of the table, with its interval.
    effect = causal.estimate_arms(assigned, y)[causal.DEFAULT_METHOD].effect
    assert found[1].expected == pytest.approx((effect.value[2], effect.low[2], effect.high[2]))
    for one in found:
        assert one.found.low <= one.found.value <= one.found.high
    with pytest.raises(ValueError, match="arm, share"):
        causal.refute(key, assigned, y, arm=0)
    with pytest.raises(ValueError, match="method"):
        causal.refute(key, assigned, y, arm=1, method="magic")
