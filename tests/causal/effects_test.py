"""Effects against their definition, and the verdicts drawn from them."""

import numpy as np
import pytest
from scipy import stats

from causal_iqa import alignment, causal


def test_effect_is_the_paired_difference_of_means(key):
    rng = np.random.default_rng(0)
    scene = 10 * rng.normal(size=80)
    shift = np.array([0.0, -1.0, 2.0])[:, None]
    values = scene + shift + 0.1 * rng.normal(size=(3, 80))
    found = causal.average_effects(key, values, scene, num_resamples=500)
    change = values - scene
    np.testing.assert_allclose(found.value, change.mean(axis=1))
    # The interval of a mean is near +- 1.96 standard errors of the paired change, not of the scenes' spread.
    error = 1.96 * change.std(axis=1) / np.sqrt(80)
    np.testing.assert_allclose(found.high - found.value, error, rtol=0.25)
    np.testing.assert_allclose(found.value - found.low, error, rtol=0.25)


def test_intervals_are_those_of_resampled_images(key):
    rng = np.random.default_rng(1)
    values, clean = rng.normal(size=(2, 9)), rng.normal(size=9)
    values[0, 3] = np.nan
    counts = alignment.resample_counts(key, 9, 40).astype(int)
    found = causal.average_effects(key, values, clean, num_resamples=40, level=0.8)
    for c in range(2):
        means = [np.nanmean(np.repeat(values[c] - clean, row)) for row in counts]
        np.testing.assert_allclose((found.low[c], found.high[c]), np.quantile(means, [0.1, 0.9]))


def test_images_of_a_cluster_are_drawn_together(key):
    rng = np.random.default_rng(2)
    clusters, own = np.repeat(np.arange(30), 4), rng.normal(size=(2, 30))
    found = causal.average_effects(key, own[:1, clusters], own[1, clusters], clusters=clusters)
    of_clusters = causal.average_effects(key, own[:1], own[1])
    np.testing.assert_allclose(found, of_clusters)
    assert np.isnan(causal.average_effects(key, own[:1, clusters], own[1, clusters], clusters=clusters // 5).low).all()


def test_undefined_images_are_left_out_and_undefined_conditions_are_nan(key):
    values = np.array([[1.0, 2.0, np.inf], [np.nan] * 3])
    found = causal.average_effects(key, values, np.array([0.0, np.nan, 1.0]), num_resamples=5)
    assert found.value[0] == 1.0
    assert np.isnan([found.value[1], found.low[1], found.high[1]]).all()


def test_dose_response_sorts_and_correlates():
    values = np.array([[3.0, 5.0], [9.0, 9.0], [1.0, np.nan], [2.0, 4.0]])
    found = causal.dose_response(values, ["fog", "blur", "fog", "fog"], [2, 1, 3, 1], clean=np.array([6.0, 6.0]))
    assert list(found) == ["fog", "blur"]
    np.testing.assert_array_equal(found["fog"].severity, [0, 1, 2, 3])
    np.testing.assert_array_equal(found["fog"].mean, [6, 3, 4, 1])
    assert found["fog"].trend == pytest.approx(stats.spearmanr([0, 1, 2, 3], [6, 3, 4, 1]).statistic)
    assert found["blur"].trend == pytest.approx(1.0)
    alone = causal.dose_response(values, ["fog", "blur", "fog", "fog"], [2, 1, 3, 1])
    assert np.isnan(alone["blur"].trend)


def test_refuses_tables_that_do_not_fit(key):
    with pytest.raises(ValueError, match="values, clean"):
        causal.average_effects(key, np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(ValueError, match="level"):
        causal.average_effects(key, np.zeros((2, 3)), np.zeros(3), level=2)
    with pytest.raises(ValueError, match="severities"):
        causal.dose_response(np.zeros((2, 3)), ["fog"], [1])
