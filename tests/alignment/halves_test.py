"""Halves of the images: disjoint, and intervals as wide as fresh samples say."""

import jax
import numpy as np
import pytest
from scipy import stats

from causal_iqa import alignment


def test_halves_come_in_pairs_without_a_common_image(key):
    halves = alignment.half_samples(key, 11, 6)
    assert halves.shape == (12, 5)
    for first, second in zip(halves[::2], halves[1::2], strict=True):
        assert len({*first, *second}) == 10 and {*first, *second} <= set(range(11))
    assert len({tuple(half) for half in halves}) == 12
    np.testing.assert_array_equal(halves, alignment.half_samples(key, 11, 6))
    with pytest.raises(ValueError, match="at least 4"):
        alignment.half_samples(key, 3, 1)


def test_the_interval_of_a_mean_has_its_standard_error(key):
    """tanh of a mean: the scale is Fisher's, so the standard error is that of the mean itself."""
    x = 0.5 + 0.8 * np.random.default_rng(0).normal(size=400)
    halves = alignment.half_samples(key, 400, 2000)
    found = alignment.half_sample_interval(np.tanh(x.mean()), np.tanh(x[halves].mean(axis=1)))
    reach = (np.arctanh(found.high) - np.arctanh(found.low)) / 2
    assert reach == pytest.approx(stats.norm.ppf(0.975) * x.std() / 20, rel=0.05)
    assert found.value == pytest.approx(np.tanh(x.mean()))


def _between(seed):
    rng = np.random.default_rng(seed)
    level = np.linspace(0, 1, 30)[:, None]
    return level + 2 * rng.normal(size=(30, 80)), level + 0.3 * rng.normal(size=(30, 80))


def test_the_interval_of_between_is_as_wide_as_fresh_samples_vary(key):
    def rho(q, m):
        return stats.spearmanr(q.mean(axis=1), m.mean(axis=1))[0]

    fresh = np.std([np.arctanh(rho(*_between(seed))) for seed in range(200)])
    reaches = []
    for seed in range(20):
        q, m = _between(1000 + seed)
        halves = alignment.half_samples(jax.random.fold_in(key, seed), 80, 15)
        found = alignment.half_sample_interval(rho(q, m), np.array([rho(q[:, h], m[:, h]) for h in halves]), level=0.9)
        assert found.low <= found.value <= found.high
        reaches.append((np.arctanh(found.high) - np.arctanh(found.low)) / 2)
    assert np.mean(reaches) / stats.t.ppf(0.95, 15) == pytest.approx(fresh, rel=0.2)


def test_what_is_undefined_has_no_bounds():
    assert np.isnan(alignment.half_sample_interval(np.nan, np.zeros(4)).low)
    assert np.isnan(alignment.half_sample_interval(0.5, np.array([np.nan, 0.1])).high)
    with pytest.raises(ValueError, match="pairs"):
        alignment.half_sample_interval(0.5, np.zeros(3))
