"""Confounded draws whose truth is known, for several tests."""

import numpy as np

from causal_iqa import causal


def world(seed, n=300):
    """Potential outcomes [4, n] under conditions of severity 0, 1, 2, 2; hard scenes are what drives both."""
    rng = np.random.default_rng(seed)
    hard, label = rng.normal(size=n), rng.integers(0, 3, n)
    severity = np.array([0.0, 1.0, 2.0, 2.0])
    hardness = hard + 0.5 * (label - 1)
    outcomes = 1.0 - 0.3 * severity[:, None] - 0.5 * hardness + 0.4 * rng.normal(size=(4, n))
    return outcomes, severity, hardness, causal.covariates(label, [hard])


def draw(key, drawn, num_resamples):
    """The estimators' assignment, the outcomes of one draw and the true means, of a `world`."""
    outcomes, severity, hardness, x = drawn
    arms = severity.astype(int)
    conditions = causal.observe(key, causal.severity_propensities(hardness, severity, strength=0.7))
    treatment = arms[conditions]
    assigned = causal.assign(key, treatment, x, 3, num_resamples=num_resamples)
    return assigned, outcomes[conditions, np.arange(len(x))], causal.true_means(outcomes, arms)
