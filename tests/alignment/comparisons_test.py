"""Adjusted p-values, gains over yardsticks, and the signs that contradict each other."""

import numpy as np
import pytest
from scipy import stats

from causal_iqa import alignment


def _resamples(seed, rho, count=400):
    """Four numbers whose resamples scatter by .05 around `rho`."""
    rng = np.random.default_rng(seed)
    drawn = rho + 0.05 * rng.normal(size=(4, count))
    return alignment.Resamples(*np.column_stack([np.full(4, rho), drawn]))


def test_holm_and_benjamini_hochberg_by_hand():
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    np.testing.assert_allclose(alignment.adjust(p, "holm"), [0.03, 0.06, np.nan, 0.06, 0.02])
    np.testing.assert_allclose(alignment.adjust(p, "bh"), [0.02, 0.04, np.nan, 0.04, 0.02])
    assert np.isnan(alignment.adjust(np.array([np.nan]), "bh")).all()
    with pytest.raises(ValueError, match="holm"):
        alignment.adjust(p, "hochberg")


def test_holm_keeps_the_chance_of_a_false_finding_and_bh_finds_more():
    rng = np.random.default_rng(0)
    null = rng.uniform(size=(2000, 20))
    false = sum((alignment.adjust(p, "holm") <= 0.1).any() for p in null)
    # Binomial(2000, .1): 200, standard deviation 13.
    assert 150 <= false <= 250
    some = np.concatenate([stats.norm.sf(rng.normal(3, 1, (200, 10))), null[:200, :10]], axis=1)
    found = {name: sum((alignment.adjust(p, name) <= 0.1).sum() for p in some) for name in alignment.ADJUSTMENTS}
    assert found["bh"] > found["holm"] > 0


def test_pairs_are_compared_in_every_number():
    resamples = {name: _resamples(seed, rho) for seed, (name, rho) in enumerate((("a", 0.9), ("b", 0.5), ("c", 0.5)))}
    found = alignment.compare(resamples)
    assert [(one.first, one.second, one.number) for one in found[:5]] == [
        ("a", "b", "between"),
        ("a", "b", "corrected"),
        ("a", "b", "within"),
        ("a", "b", "pooled"),
        ("a", "c", "between"),
    ]
    # Without more images, a difference in between may be image noise: its tests are those of the corrected one.
    assert found[0].p_normal == found[1].p_normal and found[0].difference.p_value == found[1].difference.p_value
    by_pair = {(one.first, one.second): one for one in found if one.number == "pooled"}
    drawn = (resamples["a"].pooled - resamples["b"].pooled)[1:]
    expected = 2 * stats.norm.sf(0.4 / drawn.std(ddof=1))
    assert by_pair["a", "b"].p_normal == pytest.approx(expected)
    # Holm: the smallest counts three times, the next twice, and none less than the one before.
    ordered = sorted(by_pair.values(), key=lambda one: one.p_normal)
    least = np.maximum.accumulate([3 * ordered[0].p_normal, 2 * ordered[1].p_normal, ordered[2].p_normal])
    assert [one.p_adjusted for one in ordered] == pytest.approx(np.minimum(least, 1), rel=1e-6)
    assert by_pair["a", "b"].p_adjusted < 1e-3 < by_pair["b", "c"].p_adjusted
    against = alignment.compare(resamples, baseline="b", method="bh")
    assert {(one.first, one.second) for one in against} == {("a", "b"), ("c", "b")}
    with pytest.raises(ValueError, match="unknown metric"):
        alignment.compare(resamples, baseline="d")


def test_normal_p_values_hold_their_level(key):
    rng = np.random.default_rng(8)
    scores, performance = {}, {}
    for i in range(150):
        scene = rng.normal(size=(2, 60))
        performance[str(i)] = (scene > 0).astype(float)
        for name in "ab":
            scores[f"{name}{i}"] = {str(i): scene + rng.normal(size=scene.shape)}
    found = alignment.bootstrap(key, scores, performance, num_resamples=199)
    pairs = [alignment.compare({name: found[f"{name}{i}"][str(i)] for name in "ab"}) for i in range(150)]
    p = np.array([[one.p_normal for one in own if one.number in ("within", "pooled")] for own in pairs])
    # Level 0.1: 15 expected of 150, standard deviation 3.7.
    assert ((p <= 0.1).sum(axis=0) >= 4).all() and ((p <= 0.1).sum(axis=0) <= 27).all()
