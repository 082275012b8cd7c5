"""Conditions like these: leave-one-out by plain loops, and intervals that hold the value of all degradations."""

import jax
import numpy as np
import pytest
from scipy import stats

from causal_iqa import alignment
from causal_iqa.alignment import conditions

_SEVERITIES = np.array([1, 2, 3]) / 3


def _study(rng, degradations, images, link=0.8):
    """Degradations of random slope for score and performance; scenes tie the conditions of an image."""
    slope = np.exp(0.7 * rng.normal(size=(2, degradations, 1)))
    slope[1] = slope[0] ** link * slope[1] ** (1 - link)
    q_mean, ease = ((1.5 - 2 * s * _SEVERITIES).ravel()[:, None] for s in slope)
    scene = rng.normal(size=(1, images))
    m = (rng.normal(size=(len(ease), images)) < ease + scene).astype(float)
    q = q_mean + 0.5 * scene + rng.normal(size=m.shape)
    return q, m, [f"d{i}" for i in range(degradations) for _ in _SEVERITIES]


def _resampled(key, q, m, names, count=200):
    tables = {"q": {"net": q}}
    images = alignment.bootstrap(key, tables, {"net": m}, num_resamples=count)
    return images, alignment.resample_conditions(key, images, tables, {"net": m}, names)


def test_deviations_are_those_of_leaving_each_degradation_out(key):
    rng = np.random.default_rng(0)
    q, m, names = _study(rng, 7, 30)
    q[rng.random(q.shape) < 0.1] = np.nan
    study = conditions._prepare(
        key, np.array([[a == b for b in names] for a in dict.fromkeys(names)]), {"net": m}, None
    )
    found = conditions._influences(study, conditions._Table(q, study.splits), "net")
    kept = [np.array([name != left for name in names]) for left in dict.fromkeys(names)]
    for number, rho in (
        ("between", alignment.between),
        ("within", lambda a, b: alignment.within(a, b).rho),
        ("pooled", alignment.pooled),
    ):
        z = np.arctanh([rho(q[rows], m[rows]) for rows in kept])
        np.testing.assert_allclose(found[number], np.sqrt(6 / 7) * (z - z.mean()), atol=1e-3, err_msg=number)
    assert np.isfinite(found["corrected"]).all()
    # Where one degradation alone makes a number, it is undefined without it.
    alone = conditions._Table(np.where(kept[0][:, None], 1.0, q), study.splits)
    assert np.isnan(conditions._influences(study, alone, "net")["pooled"]).all()


def test_ranks_without_a_group_are_those_of_the_others(key):
    rng = np.random.default_rng(4)
    values = np.round(rng.normal(size=(3, 12)), 1)
    members = np.arange(12) // 3 == np.arange(4)[:, None]
    found = conditions.left_out_ranks(values, members)
    for g, member in enumerate(members):
        ranks = stats.rankdata(values[:, ~member], axis=1)
        ranks -= ranks.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(found[:, ~member, g], ranks / np.linalg.norm(ranks, axis=1, keepdims=True))
        assert (found[:, member, g] == 0).all()


def test_the_number_stays_and_the_interval_widens(key):
    q, m, names = _study(np.random.default_rng(1), 12, 80)
    images, both = _resampled(key, q, m, names)
    fixed, like_these = (alignment.summarise(one["q"]["net"]) for one in (images, both))
    for number in alignment.NUMBERS:
        a, b = getattr(fixed, number), getattr(like_these, number)
        assert a.value == b.value and b.low <= b.value <= b.high
        assert b.high - b.low > a.high - a.low
    assert like_these.between.high - like_these.between.low > 2 * (fixed.between.high - fixed.between.low)
    # Near 1 resamples are skewed: the standard error is that of the difference on Fisher's scale.
    other = both["q"]["net"]._replace(pooled=both["q"]["net"].pooled[::-1].copy())
    z = np.arctanh(both["q"]["net"].pooled) - np.arctanh(other.pooled)
    compared = {one.number: one for one in alignment.compare({"a": both["q"]["net"], "b": other})}
    assert compared["pooled"].p_normal == pytest.approx(2 * stats.norm.sf(abs(z[0]) / z[1:].std(ddof=1)))
    # The same draws of degradations serve all scores: against itself a score never differs.
    difference = alignment.paired_difference(both["q"]["net"], both["q"]["net"])
    assert difference.corrected == ((0.0, 0.0, 0.0), 1.0)


def test_intervals_hold_the_value_of_all_degradations_where_those_of_images_do_not(key):
    rng = np.random.default_rng(2)
    q, m, _ = _study(rng, 5000, 200)
    truth = {"between": alignment.between(q, m), "within": alignment.within(q, m).rho, "pooled": alignment.pooled(q, m)}
    held = {"images": dict.fromkeys(truth, 0), "conditions": dict.fromkeys(truth, 0)}
    trials = 30
    for i in range(trials):
        resampled = _resampled(jax.random.fold_in(key, i), *_study(rng, 12, 200), count=100)
        for kind, one in zip(held, resampled, strict=True):
            aligned = alignment.summarise(one["q"]["net"], level=0.9)
            for number, value in truth.items():
                interval = getattr(aligned, number)
                held[kind][number] += interval.low <= value <= interval.high
    # Binomial(30, .9) lies in 21..30 all but once in a thousand.
    assert min(held["conditions"].values()) >= 21, held
    assert sum(held["images"].values()) < 0.8 * sum(held["conditions"].values()), held


def test_few_degradations_have_no_such_interval(key):
    q, m, names = _study(np.random.default_rng(3), 4, 40)
    _, both = _resampled(key, q, m, names)
    aligned = alignment.summarise(both["q"]["net"])
    assert np.isfinite(aligned.between.value) and np.isnan(aligned.between.low)
    with pytest.raises(ValueError, match="degradations"):
        _resampled(key, q, m, names[1:])
