"""Resampled arithmetic: the first row is the sample, and an interval holds its estimate."""

import jax
import numpy as np
import pytest

from causal_iqa.causal import resamples


def test_the_first_row_counts_every_image_once_and_few_are_not_resampled():
    rows = resamples.resample_rows(jax.random.key(0), 10, 4)
    assert rows.shape == (5, 10) and (rows[0] == 1).all() and (rows.sum(axis=1) == 10).all()
    assert resamples.resample_rows(jax.random.key(0), resamples.LEAST_IMAGES - 1, 4).shape[0] == 1
    clusters = np.repeat(np.arange(5), 2)
    assert resamples.resample_rows(jax.random.key(0), 10, 4, clusters).shape[0] == 1, "five clusters are few"


def test_means_leave_out_what_is_undefined():
    counts = np.array([[1.0, 1, 1], [2, 0, 1]])
    values = np.array([[1.0, np.nan, 4.0], [np.nan] * 3])
    found = resamples.weighted_means(counts, values)
    np.testing.assert_allclose(found[:, 0], [2.5, 2.0])
    assert np.isnan(found[:, 1]).all()
    np.testing.assert_allclose(resamples.weighted_means(counts, np.ones((1, 3))), 1)


def test_intervals_are_percentiles_and_hold_their_estimate():
    drawn = np.linspace(0, 1, 101)
    found = resamples.from_resamples(np.r_[0.5, drawn], level=0.9)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.05, 0.95))
    beside = resamples.from_resamples(np.r_[2.0, drawn], level=0.9)
    assert beside.low <= 2.0 <= beside.high
    biased = resamples.from_resamples(np.r_[0.9, drawn], level=0.9, biased=True, bounds=(0.0, 1.0))
    assert biased.low == pytest.approx(0.05) and biased.high == 1.0


def test_what_has_no_resample_has_no_interval():
    rows = np.array([[1.0, np.nan, 2.0], [1.5, 1.0, np.nan], [0.5, 1.0, np.inf]])
    found = resamples.from_resamples(rows, level=0.9)
    assert np.isfinite(found.low).tolist() == [True, False, False]
    np.testing.assert_array_equal(np.isnan(found.value), [False, True, False])
    assert np.isnan(resamples.from_resamples(np.array([1.0])).low)
    with pytest.raises(ValueError, match="level"):
        resamples.from_resamples(np.array([1.0, 1.0]), level=1.0)
