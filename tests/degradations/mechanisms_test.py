"""Draws of factors against their mechanisms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from causal_iqa.degradations import structural
from causal_iqa.degradations.structural import Model, Variable

N = 4000


def _dark_model() -> Model:
    """Dark scenes are noisy: the camera turns up its gain."""
    return Model(
        (
            structural.squashed("severity", {"darkness": 3.0}, intercept=-1.5, noise=0.5),
            Variable("darkness", ("exposure",), lambda key, exposure: (1.15 - exposure) / 0.45),
            structural.logistic("which", {"darkness": 4.0}, intercept=-2.0),
        ),
        conditions=("clean", "gaussian_noise"),
    )


@pytest.fixture(scope="module")
def factors():
    return {"exposure": np.random.default_rng(0).uniform(0.7, 1.15, N).astype(np.float32)}


@pytest.fixture(scope="module")
def draws(factors):
    return structural.sample(jax.random.key(1), _dark_model(), factors)


def test_draws_follow_the_mechanisms(draws, factors):
    darkness = (1.15 - factors["exposure"]) / 0.45
    np.testing.assert_allclose(draws.values["darkness"], darkness, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(draws.values["exposure"], factors["exposure"])
    logit = scipy.special.logit(np.asarray(draws.severity, np.float64) / 5)
    residual = (logit - (-1.5 + 3.0 * darkness)) / 0.5
    # Kolmogorov-Smirnov against the noise that was asked for.
    assert scipy.stats.kstest(residual, "norm").pvalue > 0.01
    which = np.asarray(draws.which)
    assert draws.which.dtype == jnp.int32 and set(which) == {0, 1}
    for low, high in ((0.0, 0.2), (0.4, 0.6), (0.8, 1.0)):
        at = (darkness >= low) & (darkness < high)
        probability = scipy.special.expit(-2.0 + 4.0 * darkness[at]).mean()
        assert which[at].mean() == pytest.approx(probability, abs=4 * np.sqrt(0.25 / at.sum()))
    # The noises of two variables are independent.
    assert abs(scipy.stats.spearmanr(residual, which - scipy.special.expit(-2 + 4 * darkness)).statistic) < 0.06


def test_categorical_and_linear_and_uniform():
    model = Model(
        (
            structural.categorical("which", {"a": (0.0, 1.0, -1.0)}, intercepts=(0.0, 0.5, 1.0)),
            structural.uniform("u", low=1.0, high=4.0),
            structural.linear("severity", {"u": 1.0, "a": 0.5}, intercept=0.25, noise=0.1, high=4.5),
        ),
        conditions=("clean", "fog/5", "contrast/2+gaussian_noise/4"),
    )
    a = np.tile(np.asarray([-1.0, 1.0], np.float32), N)
    found = structural.sample(jax.random.key(2), model, {"a": a})
    for value in (-1.0, 1.0):
        logits = np.asarray([0.0, 0.5, 1.0]) + value * np.asarray([0.0, 1.0, -1.0])
        shares = np.bincount(np.asarray(found.which)[a == value], minlength=3) / N
        np.testing.assert_allclose(shares, np.exp(logits) / np.exp(logits).sum(), atol=4 * np.sqrt(0.25 / N))
    u, severity = np.asarray(found.values["u"]), np.asarray(found.severity)
    assert scipy.stats.kstest(u, scipy.stats.uniform(1.0, 3.0).cdf).pvalue > 0.01
    assert severity.max() == 4.5
    free = severity < 4.5
    error = (severity - (0.25 + u + 0.5 * a))[free & (u < 3)]
    assert error.std() == pytest.approx(0.1, rel=0.05) and abs(error.mean()) < 0.01
