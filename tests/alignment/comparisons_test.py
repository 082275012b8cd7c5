"""Adjusted p-values, gains over yardsticks, and the signs that contradict each other."""

import json

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


def test_gains_over_mean_and_best():
    rho = {"ours": 0.9, "psnr": 0.3, "ssim": 0.7, "entropy": 0.1, "blur": -0.1}
    resamples = {name: _resamples(seed, value) for seed, (name, value) in enumerate(rho.items())}
    resamples["broken"] = alignment.Resamples(*np.full((3, 401), np.nan))
    families = {"ours": "label_free", "psnr": "full_reference", "ssim": "full_reference"}
    families |= dict.fromkeys(("entropy", "blur", "broken"), "no_reference")
    found = alignment.gains(resamples, families, "ours")
    assert set(found) == set(alignment.YARDSTICKS)
    value = {name: gain.differences.pooled.estimate.value for name, gain in found.items()}
    assert value == pytest.approx(
        {
            "mean_no_reference": 0.9,
            "mean_absolute_no_reference": 0.8,
            "best_no_reference": 0.8,
            "mean_full_reference": 0.4,
            "mean_absolute_full_reference": 0.4,
            "best_full_reference": 0.2,
            "mean_conventional": 0.65,
            "mean_absolute_conventional": 0.6,
            "best_conventional": 0.2,
        }
    )
    assert found["best_conventional"].best == dict.fromkeys(alignment.NUMBERS, "ssim")
    # Chosen anew in every resample: the interval is that of the largest, and of its mirror image about the gain.
    best = np.maximum(resamples["entropy"].within, resamples["blur"].within)
    drawn = (resamples["ours"].within - best)[1:]
    low, high = np.quantile(drawn, [0.025, 0.975])
    interval = found["best_no_reference"].differences.within.estimate
    assert (interval.low, interval.high) == pytest.approx((min(low, 1.6 - high), max(high, 1.6 - low)))
    assert interval.low <= interval.value <= interval.high
    json.dumps(found["mean_conventional"].as_dict(), allow_nan=False)
    # A metric is no yardstick of itself, and a family without metrics none at all.
    assert set(alignment.gains({n: resamples[n] for n in ("ssim", "psnr")}, families, "ssim")) == {
        f"{how}_{family}" for how in ("mean", "mean_absolute", "best") for family in ("full_reference", "conventional")
    }


def test_the_order_of_yardsticks_is_from_the_hardest_to_the_easiest(key):
    """|rho| counts what points the wrong way, the signed mean lets it lower the yardstick."""
    rho = {"ours": 0.9, "psnr": 0.3, "entropy": -0.5}
    resamples = {name: _resamples(seed, value) for seed, (name, value) in enumerate(rho.items())}
    found = alignment.gains(
        resamples, dict(zip(rho, ("label_free", "full_reference", "no_reference"), strict=True)), "ours"
    )
    order = [name for name in found if name.endswith("conventional")]
    gained = [found[name].differences.corrected.estimate.value for name in order]
    assert order == ["best_conventional", "mean_absolute_conventional", "mean_conventional"]
    assert gained == pytest.approx([0.6, 0.5, 1.0])


def _aligned(between, within, pooled):
    return alignment.Alignment(*(alignment.Estimate(x, x - 0.1, x + 0.1) for x in (between, within, pooled)))


def test_signs_that_contradict_are_found():
    assert alignment.sign_conflicts(_aligned(0.5, 0.2, 0.4)) == ()
    (certain,) = alignment.sign_conflicts(_aligned(-0.5, 0.2, 0.4))
    assert (certain.first, certain.second, certain.certain) == ("between", "within", True)
    both = alignment.sign_conflicts(_aligned(0.5, -0.05, 0.4))
    assert [(one.first, one.certain) for one in both] == [("pooled", False), ("between", False)]
    assert "holds 0" in both[0].message and "pooled 0.40" in both[0].message
    assert alignment.sign_conflicts(_aligned(np.nan, 0.2, 0.4)) == ()


def test_a_paradox_is_seen_in_the_data(key):
    """Inside every condition the score orders images backwards; over conditions it is right."""
    rng = np.random.default_rng(1)
    ease, scene = np.linspace(-2, 2, 8)[:, None], rng.normal(size=(1, 200))
    m = (ease + scene + 0.5 * rng.normal(size=(8, 200)) > 0).astype(float)
    q = 3 * ease - scene
    aligned = alignment.align(key, {"q": {"m": q}}, {"m": m}, num_resamples=99)["q"]["m"]
    assert [one.certain for one in alignment.sign_conflicts(aligned)] == [True, True]
