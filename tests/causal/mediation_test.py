"""How much of an effect a score carries: simulations with known shares, and curves against scipy's."""

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


def _mediate(key, q, correct, degradations, severities):
    return causal.mediate(
        key, q[:-1], correct[:-1], degradations, severities, clean=(q[-1], correct[-1]), num_resamples=40
    )


def test_a_perfect_surrogate_carries_all(key):
    _, degradations, severities, _, chance, correct = _world()
    for scores in (chance, np.log(chance), -chance):
        found = _mediate(key, scores, correct, degradations, severities)
        for share in (found.share, found.surrogate_share):
            assert abs(share.value - 1) < 0.12
            assert share.low <= 1 <= share.high
    # Per condition, where the total effect is large.
    parts = found.conditions
    ratio = (parts.indirect.value / parts.total.value)[parts.total.value < -0.3]
    assert len(ratio) >= 3
    assert abs(ratio - 1).max() < 0.2


def test_irrelevant_scores_carry_nothing(key):
    rng, degradations, severities, shift, chance, correct = _world()
    noise = rng.normal(size=chance.shape)
    found = _mediate(key, noise, correct, degradations, severities)
    assert abs(found.share.value) < 0.03
    assert abs(found.surrogate_share.value) < 0.03
    # It moves with the condition, but within a condition it says nothing of an image: an indirect share of 0, while one
    # curve for all conditions takes the conditions' mean for its own.
    moving = _mediate(key, shift[:, None] + noise, correct, degradations, severities)
    assert abs(moving.share.value) < 0.1
    assert moving.surrogate_share.value > 0.15


def test_parts_sum_to_the_total_and_the_total_is_the_paired_mean(key):
    rng, degradations, severities, _, chance, correct = _world()
    found = _mediate(key, chance + 0.3 * rng.normal(size=chance.shape), correct, degradations, severities)
    parts = found.conditions
    np.testing.assert_allclose(parts.total.value, (correct[:-1] - correct[-1]).mean(axis=1))
    np.testing.assert_allclose(parts.direct.value + parts.indirect.value, parts.total.value)
    assert 0.1 < found.share.value < 0.95
    assert found.share.value == pytest.approx(parts.indirect.value.mean() / parts.total.value.mean())
    np.testing.assert_allclose(found.mean.direct.value, parts.direct.value.mean())
    for one in (*parts, *found.mean, found.share, found.surrogate_share):
        assert (one.low <= one.value).all() and (one.value <= one.high).all()
    assert (found.share_reason, found.surrogate_reason) == ("", "")


def test_no_share_where_severities_have_no_score_in_common(key):
    """A score that names the severity leaves nothing to compare; today's split gave it a share by extrapolation."""
    rng, degradations, severities, shift, chance, correct = _world()
    found = _mediate(key, 30 * shift[:, None] + rng.normal(size=chance.shape), correct, degradations, severities)
    assert found.off_support > 0.9
    assert np.isnan([found.share.value, found.mean.indirect.value]).all()
    assert np.isnan(found.conditions.direct.value).all()
    assert "not identified: " in found.share_reason
    assert found.surrogate_reason == ""
    near = _mediate(key, chance, correct, degradations, severities)
    assert near.off_support < 0.1


def test_opposite_parts_are_effects_and_no_share(key):
    """The score falls by more than performance does: what is left of the effect goes up."""
    rng = np.random.default_rng(3)
    degradations, severities = ["a"] * 4, [1.0, 2.0, 3.0, 4.0]
    scene = rng.normal(size=600)
    dose = np.array([0.3, 0.6, 0.9, 1.2, 0.0])[:, None]
    scores = scene - dose + 0.05 * rng.normal(size=(5, 600))
    found = _mediate(key, scores, 0.2 * (scores + 0.5 * dose), degradations, severities)
    assert found.share.value == pytest.approx(2.0, abs=0.2)
    assert found.share_reason == "part and rest have opposite signs"
    assert found.mean.indirect.value == pytest.approx(-0.15, abs=0.02)
    assert found.mean.direct.value == pytest.approx(0.075, abs=0.02)


def test_no_share_of_no_effect(key):
    rng, degradations, severities, _, chance, _ = _world(n=100)
    correct = np.broadcast_to(rng.random(100) < 0.7, chance.shape) ^ (rng.random(chance.shape) < 0.05)
    found = _mediate(key, chance, correct.astype(float), degradations, severities)
    assert found.mean.total.low <= 0 <= found.mean.total.high
    assert "not surely other than 0" in found.share_reason


def test_half_of_the_effect(key):
    """Q carries one of two equal shifts of a linear M: the natural indirect effect is half of the total."""
    rng = np.random.default_rng(1)
    degradations, severities = ["a"] * 3, [1.0, 2.0, 3.0]
    scene, other = rng.normal(size=(2, 1500))
    dose = np.array([0.4, 0.8, 1.2, 0.0])[:, None]
    scores = scene - dose + 0.02 * rng.normal(size=(4, 1500))
    performance = 0.2 * (scores - dose + other)
    found = _mediate(key, scores, performance, degradations, severities)
    assert found.share.value == pytest.approx(0.5, abs=0.06)


def test_clean_scores_that_tell_nothing_are_left_out(key):
    _, degradations, severities, _, chance, correct = _world()
    for clean in (np.inf, 1.0):
        scores = chance.copy()
        scores[-1] = clean
        found = _mediate(key, scores, correct, degradations, severities)
        assert found.base == "mildest"
        mildest = np.array([0, 4, 8])
        total = found.conditions.total.value
        assert np.isnan(total[mildest]).all()
        rest = np.setdiff1d(np.arange(12), mildest)
        np.testing.assert_allclose(total[rest], (correct[rest] - correct[rest // 4 * 4]).mean(axis=1))
        assert abs(found.share.value - 1) < 0.12


def test_trend_is_pages_test():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(5, 30)) - 0.3 * np.arange(5)[:, None]
    # Page's L and its normal approximation, written out.
    ranks = values.argsort(axis=0).argsort(axis=0) + 1
    statistic = (ranks.sum(axis=1) * np.arange(5, 0, -1)).sum()
    mean, variance = 30 * 5 * 36 / 4, 30 * 25 * 6 * 24 / 144
    found = causal.falling_trend(values)
    assert found.p_value == pytest.approx(stats.norm.sf((statistic - mean) / np.sqrt(variance)), rel=1e-6)
    assert causal.falling_trend(-values).p_value > 0.99
    values[0, 3] = np.inf
    assert causal.falling_trend(values).num_images == 29
    assert np.isnan(causal.falling_trend(values[:2]).p_value)


def test_refuses_tables_that_do_not_fit(key):
    for call in (
        lambda: causal.mediate(key, np.zeros((2, 3)), np.zeros((2, 3)), ["a"], [1.0], clean=(np.zeros(3),) * 2),
        lambda: causal.align_doses(key, np.zeros((2, 3)), np.zeros((2, 4)), ["a"] * 2, [1.0, 2.0]),
    ):
        with pytest.raises(ValueError, match="scores, performance"):
            call()
