"""Agreement with a fused reference against dense matrices."""

import numpy as np
import pytest
from scipy import optimize, special

from causal_iqa import estimators


def _kept(log_p, size):
    classes = np.argsort(-log_p, axis=1)[:, :size]
    sums = np.asarray(estimators.log_power_sums(log_p.astype(np.float32))) if size < log_p.shape[1] else None
    return estimators.KeptOutputs(np.take_along_axis(log_p, classes, axis=1), classes, log_p.shape[1], sums)


def _two(num_classes, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(scale=2, size=(30, num_classes))
    return [special.log_softmax(gain * truth + rng.normal(size=truth.shape), axis=1) for gain in (1.0, 3.0)]


def _dense_divergence(own, second, temperature):
    p, q = np.exp(own), special.softmax(second / temperature, axis=1)
    m = (p + q) / 2
    return (special.rel_entr(p, m) / 2 + special.rel_entr(q, m) / 2).sum(axis=1).mean()


def test_temperature_and_fusion_are_those_of_dense_outputs():
    own, second = _two(6)
    kept = [_kept(x, 6) for x in (own, second)]
    found = estimators.alignment_temperature(*kept)
    best = optimize.minimize_scalar(lambda t: _dense_divergence(own, second, t), bounds=(0.5, 8), method="bounded").x
    assert found == pytest.approx(best, rel=1e-2)
    p, q = np.exp(own), special.softmax(second / 2.0, axis=1)
    weight = q.max(axis=1) / (q.max(axis=1) + p.max(axis=1))
    fused = weight[:, None] * q + (1 - weight[:, None]) * p
    expected = fused[np.arange(30), p.argmax(axis=1)]
    np.testing.assert_allclose(estimators.fused_reference(*kept, 2.0), expected, atol=1e-9)


def test_classes_that_are_not_kept_change_little():
    own, second = _two(80)
    kept = [_kept(x, 20) for x in (own, second)]
    full = [_kept(x, 80) for x in (own, second)]
    np.testing.assert_allclose(
        estimators.fused_reference(*kept, 1.5), estimators.fused_reference(*full, 1.5), atol=0.02
    )
    assert estimators.alignment_temperature(*kept) == pytest.approx(estimators.alignment_temperature(*full), rel=0.1)


def test_a_second_network_that_is_right_finds_the_mistakes():
    labels = np.arange(40) % 4
    right = 0.001 + np.eye(4)[labels]
    wrong = np.where((np.arange(40) < 10)[:, None], np.roll(right, 1, axis=1), right)
    own, second = (_kept(np.log(x / x.sum(axis=1, keepdims=True)), 4) for x in (wrong, right))
    assert estimators.fused_reference(own, second, 1.0).mean() == pytest.approx(0.75 + 0.25 / 2, abs=0.01)
    assert estimators.fused_reference(second, second, 1.0).mean() == pytest.approx(1, abs=0.01)
    with pytest.raises(ValueError, match="same images and classes"):
        estimators.fused_reference(own, second._replace(num_classes=5), 1.0)
