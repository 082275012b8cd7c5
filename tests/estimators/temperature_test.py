"""Temperature scaling from what is kept of the outputs, against the logits themselves."""

import numpy as np
import pytest
from scipy import optimize, special

from causal_iqa import estimators


def _kept(logits, size):
    log_p = special.log_softmax(np.asarray(logits, np.float64), axis=1)
    classes = np.argsort(-log_p, axis=1)[:, :size]
    sums = np.asarray(estimators.log_power_sums(log_p.astype(np.float32))) if size < log_p.shape[1] else None
    return estimators.KeptOutputs(np.take_along_axis(log_p, classes, axis=1), classes, log_p.shape[1], sums)


@pytest.mark.parametrize("num_classes, size", [(6, 6), (200, 20)])
@pytest.mark.parametrize("temperature", [0.5, 0.83, 1.7, 8.0])
def test_tempered_outputs_are_those_of_divided_logits(num_classes, size, temperature):
    logits = np.random.default_rng(0).normal(scale=3, size=(7, num_classes))
    kept = _kept(logits, size)
    expected = special.log_softmax(logits / temperature, axis=1)
    found = estimators.tempered(kept, temperature)
    np.testing.assert_allclose(found, np.take_along_axis(expected, kept.classes, axis=1), atol=3e-3)
    entropy = (np.exp(expected) * expected).sum(axis=1)
    np.testing.assert_allclose(estimators.tempered_negative_entropy(kept, temperature), entropy, atol=2e-2)


@pytest.mark.parametrize("num_classes, size", [(4, 4), (60, 20)])
def test_the_temperature_is_of_least_loss(num_classes, size):
    rng = np.random.default_rng(1)
    honest = rng.normal(scale=2, size=(3000, num_classes))
    labels = np.array([rng.choice(num_classes, p=p) for p in special.softmax(honest, axis=1)])
    logits = 2.5 * honest
    p_true = special.softmax(logits, axis=1)[np.arange(3000), labels]
    found = estimators.fit_temperature(_kept(logits, size), p_true)

    def loss(t):
        return -special.log_softmax(logits / t, axis=1)[np.arange(3000), labels].mean()

    assert found == pytest.approx(optimize.minimize_scalar(loss, bounds=(0.5, 8), method="bounded").x, rel=1e-2)
    assert found == pytest.approx(2.5, rel=0.05)


def test_refuses_what_cannot_be_tempered():
    kept = _kept(np.random.default_rng(2).normal(size=(3, 9)), 4)
    with pytest.raises(ValueError, match=r"\.5 to 8"):
        estimators.tempered(kept, 9.0)
    with pytest.raises(ValueError, match="above 0"):
        estimators.tempered(kept, 0.0)
    with pytest.raises(ValueError, match="power_sums"):
        estimators.tempered(kept._replace(power_sums=None), 2.0)
    with pytest.raises(ValueError, match="label_probability"):
        estimators.fit_temperature(kept, np.ones(2))
