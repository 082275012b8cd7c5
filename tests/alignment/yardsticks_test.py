"""Gains over conventional metrics."""

import json

import numpy as np
import pytest

from causal_iqa import alignment


def _resamples(seed, rho, count=400):
    """Four numbers whose resamples scatter by .05 around `rho`."""
    rng = np.random.default_rng(seed)
    drawn = rho + 0.05 * rng.normal(size=(4, count))
    return alignment.Resamples(*np.column_stack([np.full(4, rho), drawn]))


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
