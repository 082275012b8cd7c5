"""The bootstrap against resampled rows handed to scipy, and what its results may not depend on."""

import jax
import numpy as np
import pytest

from causal_iqa import _checks, alignment
from tests.alignment.correlation_test import naive

_CONDITIONS, _IMAGES, _RESAMPLES = 6, 17, 12


@pytest.fixture(scope="module")
def study():
    """Scores with and without ties and undefined entries, and three networks, one with probabilities."""
    rng = np.random.default_rng(3)
    hidden = rng.normal(size=(_CONDITIONS, _IMAGES)) + rng.normal(size=(_CONDITIONS, 1))
    first, second = ((hidden + rng.normal(size=hidden.shape) > 0).astype(float) for _ in range(2))
    performance = {"first": first, "second": second, "all": (first + second) / 2}
    performance["probability"] = 1 / (1 + np.exp(-hidden - rng.normal(size=hidden.shape)))
    smooth = (hidden + rng.normal(size=hidden.shape)).astype(np.float32)
    holes = smooth.copy()
    holes[rng.random(holes.shape) < 0.2] = np.nan
    holes[2] = np.inf
    tables = {"smooth": smooth, "tied": np.round(smooth), "holes": holes, "constant": np.full_like(smooth, 2.0)}
    scores = {metric: dict.fromkeys(performance, table) for metric, table in tables.items()}
    scores["by_network"] = {"first": smooth + 1.0, "second": -smooth}
    return scores, performance


def test_equals_naive_resampling(key, study):
    scores, performance = study
    found = alignment.bootstrap(key, scores, performance, num_resamples=_RESAMPLES)
    counts = alignment.resample_counts(key, _IMAGES, _RESAMPLES).astype(int)
    draws = [np.arange(_IMAGES), *(np.repeat(np.arange(_IMAGES), row) for row in counts)]
    compared = 0
    for metric, by_network in scores.items():
        assert set(found[metric]) == set(by_network)
        for name, q in by_network.items():
            expected = np.array([naive(q[:, draw], performance[name][:, draw])[:3] for draw in draws])
            np.testing.assert_allclose(
                np.stack(found[metric][name][:3], 1), expected, atol=1e-12, err_msg=f"{metric}/{name}"
            )
            compared += np.isfinite(expected).sum()
    assert compared > 500


def test_large_tables_keep_their_digits(key):
    # 60000 rows, in the last score of three values: float32 would lose the seventh digit, or the fourth.
    rng = np.random.default_rng(0)
    q = rng.normal(size=(20, 3000)) + np.arange(20)[:, None]
    m = (q + 5 * rng.normal(size=q.shape) > 10).astype(float)
    tied = np.round(q, 1)
    tables = {"q": q, "tied": tied, "three": np.clip(np.round(q / 20), 0, 2)}
    found = alignment.bootstrap(key, {name: {"m": table} for name, table in tables.items()}, {"m": m}, num_resamples=2)
    draw = np.repeat(np.arange(3000), alignment.resample_counts(key, 3000, 2)[1].astype(int))
    for metric, table in tables.items():
        ours = found[metric]["m"]
        for place, use in ((0, slice(None)), (2, draw)):
            assert ours.pooled[place] == pytest.approx(alignment.pooled(table[:, use], m[:, use]), abs=1e-12)
            assert ours.within[place] == pytest.approx(alignment.within(table[:, use], m[:, use]).rho, abs=1e-12)
            assert ours.between[place] == pytest.approx(alignment.between(table[:, use], m[:, use]), abs=1e-9)


def test_one_number_per_condition_has_between_alone(key, study):
    scores, performance = study
    scores = {name: scores[name] for name in ("smooth", "holes")}
    whole = alignment.bootstrap(key, scores, performance, num_resamples=_RESAMPLES)
    alone = alignment.bootstrap(key, scores, performance, num_resamples=_RESAMPLES, one_number=("holes",))
    for name, one in alone["holes"].items():
        np.testing.assert_array_equal(one.between, whole["holes"][name].between)
        assert np.isnan(one.within).all() and np.isnan(one.pooled).all()
        np.testing.assert_array_equal(alone["smooth"][name].pooled, whole["smooth"][name].pooled)


def test_block_size_changes_nothing(key, study):
    scores, performance = study
    scores = {name: {"all": scores[name]["all"]} for name in ("smooth", "holes")}
    whole = alignment.bootstrap(key, scores, performance, num_resamples=_RESAMPLES)
    parts = alignment.bootstrap(key, scores, performance, num_resamples=_RESAMPLES, block_size=5)
    for name in scores:
        for a, b in zip(whole[name]["all"][:4], parts[name]["all"][:4], strict=True):
            assert a.shape == (_RESAMPLES + 1,)
            np.testing.assert_allclose(a, b, atol=1e-12)


def test_same_key_same_result_other_key_other_result(key, study):
    scores, performance = study
    scores = {"smooth": {"all": scores["smooth"]["all"]}}
    first, again, other = (
        alignment.bootstrap(k, scores, performance, num_resamples=_RESAMPLES)["smooth"]["all"].pooled
        for k in (key, key, jax.random.fold_in(key, 1))
    )
    np.testing.assert_array_equal(first, again)
    assert (first[1:] != other[1:]).any()


def test_counts_sum_to_the_images_and_extend(key):
    short, long, many = (alignment.resample_counts(key, 9, n) for n in (4, 6, 201))
    np.testing.assert_array_equal(long.sum(axis=1), 9)
    np.testing.assert_array_equal(short, long[:4])
    np.testing.assert_array_equal(many[:6], long)
    assert many.shape == (201, 9) and len(np.unique(many, axis=0)) > 195
    assert len(np.unique(long, axis=0)) == 6


def test_counts_are_those_of_draws_with_replacement(key):
    counts = alignment.resample_counts(key, 20, 4000)
    # Binomial(20, 1/20): mean 1, variance 0.95; 80000 counts put the standard errors near 0.004 and 0.007.
    assert counts.mean() == 1.0
    assert counts.var() == pytest.approx(0.95, abs=0.03)
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.07)


def test_reports_progress_to_the_end(key, study):
    scores, performance = study
    seen = []
    alignment.bootstrap(
        key,
        {"smooth": {"all": scores["smooth"]["all"]}},
        performance,
        num_resamples=_RESAMPLES,
        block_size=5,
        progress=lambda done, work: seen.append((done, work)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_refuses_what_it_cannot_use(key, study):
    scores, performance = study
    q = scores["smooth"]["all"]
    with pytest.raises(_checks.InputError, match=r"unknown network 'frist'.*first"):
        alignment.bootstrap(key, {"q": {"frist": q}}, performance)
    with pytest.raises(ValueError, match=r"scores\['q'\]\['all'\]"):
        alignment.bootstrap(key, {"q": {"all": q[:, :4]}}, performance)
    with pytest.raises(ValueError, match="num_resamples"):
        alignment.bootstrap(key, scores, performance, num_resamples=0)
    assert alignment.bootstrap(key, {}, performance) == {}
