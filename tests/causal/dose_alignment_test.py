"""Curves of score and performance over severity."""

import numpy as np
import pytest
from scipy import stats

from causal_iqa import causal


def _world(seed=0, n=400):
    rng = np.random.default_rng(seed)
    degradations, severities = np.repeat(["a", "b", "c"], 4), np.tile([1.0, 2.0, 3.0, 4.0], 3)
    scene = rng.normal(size=n)
    shift = np.append(-np.repeat([0.3, 0.5, 0.8], 4) * severities, 0.0)
    chance = 1 / (1 + np.exp(-(1.5 + shift[:, None] + scene)))
    correct = (rng.random(chance.shape) < chance).astype(float)
    return rng, degradations, severities, shift, chance, correct


def test_curves_fall_together_or_do_not(key):
    _, degradations, severities, _, chance, correct = _world()
    clean = (chance[-1], correct[-1])
    each, mean = causal.align_doses(
        key, chance[:-1], correct[:-1], degradations, severities, clean=clean, num_resamples=40
    )
    q, m = (np.r_[x[-1].mean(), x[4:8].mean(axis=1)] for x in (chance, correct))
    assert each["b"].correlation.value == pytest.approx(stats.pearsonr(q, m)[0])
    assert each["b"].order.value == pytest.approx(stats.kendalltau(q, m)[0])
    curves = []
    for table in (chance, correct):
        means = table.mean(axis=1)
        curves.append((means - means.min()) / np.ptp(means))
    heights = np.abs(curves[0] - curves[1])[[12, 4, 5, 6, 7]]
    assert each["b"].area.value == pytest.approx(np.trapezoid(heights, [0, 1, 2, 3, 4]) / 4)
    own = [(x - x.min()) / np.ptp(x) for x in (q, m)]
    assert each["b"].shape_area.value == pytest.approx(np.trapezoid(np.abs(own[0] - own[1]), [0, 1, 2, 3, 4]) / 4)
    assert mean.area.value == pytest.approx(np.mean([one.area.value for one in each.values()]))
    assert mean.correlation.low <= mean.correlation.value <= mean.correlation.high
    against = causal.align_doses(key, -chance[:-1], correct[:-1], degradations, severities, num_resamples=5)[1]
    assert against.correlation.value < -0.9
    assert against.area.value > 5 * mean.area.value


def test_intervals_of_curves_hold_their_estimates(key):
    """Distances of noisy curves lie below those of their resamples: percentiles missed five of these sixteen."""
    rng, degradations, severities, _, _, correct = _world(2, n=40)
    scores = correct + 0.3 * rng.normal(size=correct.shape)
    each, mean = causal.align_doses(key, scores[:-1], correct[:-1], degradations, severities, num_resamples=60)
    for one in (mean, *each.values()):
        for estimate in one:
            assert estimate.low <= estimate.value <= estimate.high
    assert mean.area.low >= 0 and mean.correlation.high <= 1


def test_too_few_points_have_no_correlation_and_too_few_images_no_interval(key):
    rng = np.random.default_rng(0)
    scores, performance = rng.normal(size=(2, 3, 50)) - np.arange(3)[:, None]
    _, mean = causal.align_doses(key, scores, performance, ["a"] * 3, [1.0, 2.0, 3.0], num_resamples=20)
    assert np.isnan([mean.correlation.value, mean.order.value]).all()
    assert np.isfinite(mean.area.value)
    _, one = causal.align_doses(key, scores[:, :1], performance[:, :1], ["a"] * 3, [1.0, 2.0, 3.0], num_resamples=20)
    assert np.isfinite(one.area.value)
    assert np.isnan([one.area.low, one.area.high]).all()
    effect = causal.average_effects(key, scores[:, :1], scores[0, :1], num_resamples=20)
    assert np.isfinite(effect.value).all() and np.isnan(effect.low).all()
