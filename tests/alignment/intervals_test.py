"""Intervals that cover, differences of pairs, and the form of the summary."""

import json
import math

import jax
import numpy as np
import pytest
from scipy import stats

from causal_iqa import alignment


def _draw(rng, images, share=0.6):
    """Two conditions of one image share its scene, so rows are no independent draws."""
    scene = rng.normal(size=(1, images))
    q = math.sqrt(share) * scene + math.sqrt(1 - share) * rng.normal(size=(3, images))
    m = math.sqrt(share) * scene + math.sqrt(1 - share) * rng.normal(size=(3, images))
    return q, (m > 0.3).astype(float)


def test_intervals_cover_the_population_value(key):
    rng = np.random.default_rng(11)
    q, m = _draw(rng, 200_000)
    truth_within, truth_pooled = alignment.within(q, m).rho, alignment.pooled(q, m)
    trials = [_draw(rng, 120) for _ in range(120)]
    scores = {str(i): {str(i): q} for i, (q, _) in enumerate(trials)}
    performance = {str(i): m for i, (_, m) in enumerate(trials)}
    found = alignment.align(key, scores, performance, num_resamples=300, level=0.9)
    results = [found[name][name] for name in scores]
    for name, truth in (("within", truth_within), ("pooled", truth_pooled)):
        covered = sum(getattr(r, name).low <= truth <= getattr(r, name).high for r in results)
        # Binomial(120, 0.9) leaves 97..117 once in two thousand trials; a percentile interval covers a little less.
        assert 96 <= covered <= 118, (name, covered)


def test_intervals_hold_the_quantiles_and_their_reflection(key):
    q, m = _draw(np.random.default_rng(2), 40)
    resamples = alignment.bootstrap(key, {"q": {"m": q}}, {"m": m}, num_resamples=99)["q"]["m"]
    found = alignment.align(key, {"q": {"m": q}}, {"m": m}, num_resamples=99, level=0.8)["q"]["m"]
    for name in ("within", "pooled"):
        interval, values = getattr(found, name), getattr(resamples, name)
        quantiles = np.nanquantile(values[1:], [0.1, 0.9])
        reflected = np.tanh(2 * np.arctanh(values[0]) - np.arctanh(quantiles))
        both = [*quantiles, *reflected]
        assert interval == pytest.approx((values[0], min(both), max(both)), abs=1e-9)
        assert interval.low < interval.value < interval.high
    # Three conditions say nothing about order in general.
    assert np.isfinite(found.between.value) and np.isnan(found.between.low) and np.isnan(found.corrected.value)
    assert "3 conditions" in found.reliability.reason
    assert found.pooled.value == pytest.approx(stats.spearmanr(q.ravel(), m.ravel()).statistic, abs=1e-6)


def test_intervals_hold_a_between_correlation_that_resamples_attenuate(key):
    rng = np.random.default_rng(5)
    level = np.linspace(0.2, 0.9, 40)[:, None]
    q = level + 0.3 * rng.normal(size=(40, 60))
    m = (rng.uniform(size=(40, 60)) < level).astype(float)
    found = alignment.bootstrap(key, {"q": {"m": q}}, {"m": m}, num_resamples=199)["q"]["m"].between
    assert found[0] > np.quantile(found[1:], 0.975)
    interval = alignment.align(key, {"q": {"m": q}}, {"m": m}, num_resamples=199)["q"]["m"].between
    assert interval.low < interval.value < interval.high


def test_undefined_becomes_none(key):
    q, m = _draw(np.random.default_rng(2), 10)
    found = alignment.align(key, {"q": {"m": np.ones_like(q)}}, {"m": m}, num_resamples=5)["q"]["m"]
    missing = {"rho": None, "low": None, "high": None}
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False)) == dict.fromkeys(alignment.NUMBERS, missing)


def test_paired_difference_finds_the_better_metric(key):
    rng = np.random.default_rng(4)
    scene = rng.normal(size=(6, 150)) + np.arange(6)[:, None] / 3
    m = (scene > 0.5).astype(float)
    better, worse = (scene + s * rng.normal(size=scene.shape) for s in (0.3, 1.5))
    found = alignment.bootstrap(
        key, {n: {"m": q} for n, q in (("a", better), ("b", worse))}, {"m": m}, num_resamples=199
    )
    a, b = found["a"]["m"], found["b"]["m"]
    forward, backward = alignment.paired_difference(a, b), alignment.paired_difference(b, a)
    assert forward.pooled.estimate.value == a.pooled[0] - b.pooled[0] > 0
    assert 0 < forward.pooled.estimate.low < forward.pooled.estimate.value < forward.pooled.estimate.high
    assert forward.pooled.p_value == pytest.approx(2 / 200)
    value, low, high = forward.pooled.estimate
    assert backward.pooled.estimate == pytest.approx((-value, -high, -low))
    assert backward.pooled.p_value == forward.pooled.p_value
    assert forward.between.p_value == forward.corrected.p_value or math.isnan(forward.corrected.p_value)
    same = alignment.paired_difference(a, a)
    assert same.within == ((0.0, 0.0, 0.0), 1.0)


def test_paired_p_values_hold_their_level(key):
    rng = np.random.default_rng(8)
    scores, performance = {}, {}
    for i in range(150):
        scene = rng.normal(size=(2, 60))
        performance[str(i)] = (scene > 0).astype(float)
        for name in "ab":
            scores[f"{name}{i}"] = {str(i): scene + rng.normal(size=scene.shape)}
    found = alignment.bootstrap(key, scores, performance, num_resamples=199)
    p_values = np.array(
        [alignment.paired_difference(found[f"a{i}"][str(i)], found[f"b{i}"][str(i)]).pooled.p_value for i in range(150)]
    )
    # Level 0.1: 15 expected of 150, standard deviation 3.7.
    assert 4 <= (p_values <= 0.1).sum() <= 27
    assert p_values.min() >= 2 / 200


def test_refuses_what_it_cannot_use(key):
    q, m = _draw(np.random.default_rng(2), 10)
    with pytest.raises(ValueError, match="level"):
        alignment.align(key, {"q": {"m": q}}, {"m": m}, level=95)
    few, many = (alignment.Resamples(*np.zeros((3, n))) for n in (4, 5))
    with pytest.raises(ValueError, match="one call"):
        alignment.paired_difference(few, many)


def test_two_images_give_numbers_or_nothing():
    q, m = np.array([[1.0, 2.0], [4.0, 3.0]]), np.array([[0.0, 1.0], [0.0, 1.0]])
    found = alignment.align(jax.random.key(1), {"q": {"m": q}}, {"m": m}, num_resamples=20)["q"]["m"]
    assert found.within.value == 0.0
    assert math.isnan(found.between.value)
    assert math.isnan(found.between.low)
