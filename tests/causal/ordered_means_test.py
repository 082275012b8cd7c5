"""The test that a mean falls at every step: levels where other tests are fooled, and its pieces against scipy's."""

import numpy as np
import pytest
from scipy import stats

from causal_iqa import causal
from causal_iqa.causal import resamples


def _rejected(draw, n=100, times=120):
    """Share of draws in which all steps are found falling, and Page's test finds a trend, at .05."""
    rng = np.random.default_rng(0)
    tables = [draw(rng, rng.normal(size=n)) for _ in range(times)]
    steps = np.mean([causal.step_falls(values, np.arange(len(values))).p_value < 0.05 for values in tables])
    return steps, np.mean([causal.falling_trend(values).p_value < 0.05 for values in tables])


def test_a_skewed_spread_that_grows_is_no_falling_mean():
    def draw(rng, scene):
        return scene + np.arange(1, 6)[:, None] * (rng.exponential(size=(5, len(scene))) - 1)

    steps, page = _rejected(draw)
    assert steps <= 0.05
    assert page > 0.95


def test_a_curve_that_falls_and_climbs_above_its_start_does_not_fall():
    def draw(rng, scene):
        return scene + np.array([0, -1, -2, -3, -3.2, 0.3])[:, None] + rng.normal(size=(6, len(scene)))

    steps, page = _rejected(draw)
    assert steps == 0
    assert page > 0.9


@pytest.mark.parametrize("skewness", [-1, 0, 1])
def test_level_where_one_step_is_flat_and_the_others_fall(skewness):
    def draw(rng, scene):
        noise = rng.exponential(size=(4, len(scene))) if skewness else rng.normal(size=(4, len(scene)))
        return scene + np.array([0, -2, -4, -4])[:, None] + (skewness or 1) * noise * np.array([1, 1, 1, 2])[:, None]

    # 2 * exponential has mean 2: the last step is made flat again.
    def flat(rng, scene):
        values = draw(rng, scene)
        values[3] -= skewness * 1.0
        return values

    steps, _ = _rejected(flat, n=80, times=300)
    assert 0.02 <= steps <= 0.09


def test_falling_means_are_found_and_the_smallest_is_held():
    rng = np.random.default_rng(1)
    truth = np.array([0.5, 0.2, 0.8])
    means = -np.concatenate([[0], np.cumsum(truth)])
    held, smallest, found = 0, 0, 0
    for _ in range(200):
        values = rng.normal(size=150) + means[:, None] + 0.5 * rng.normal(size=(4, 150))
        one = causal.step_falls(values[[2, 0, 3, 1]], [3, 1, 4, 2])
        held += ((one.fall.low <= truth) & (truth <= one.fall.high)).sum()
        smallest += one.smallest.low <= 0.2 <= one.smallest.high
        found += one.p_value < 0.05
        assert one.smallest.low <= one.smallest.value <= one.smallest.high
    assert 0.92 <= held / 600 <= 0.98
    assert smallest >= 185
    assert found >= 180


def test_without_skewness_it_is_the_paired_t_test():
    rng = np.random.default_rng(2)
    half = rng.normal(size=(1, 30))
    values = np.vstack([np.zeros((1, 60)), np.concatenate([half, -half], axis=1) - 0.3])
    one = causal.step_falls(values, [0, 1])
    found = stats.ttest_rel(values[0], values[1], alternative="greater")
    assert one.p_value == pytest.approx(found.pvalue)
    bounds = stats.ttest_rel(values[0], values[1]).confidence_interval(0.95)
    np.testing.assert_allclose([one.fall.low[0], one.fall.high[0]], bounds)


def test_sure_is_never_surer_than_flipped_signs():
    values = np.linspace(0, 1, 10) - np.array([[0.0], [1.0], [2.0]])
    assert causal.step_falls(values, [0, 1, 2]).p_value == 2.0**-10
    few = causal.step_falls(values[:, : resamples.LEAST_IMAGES - 1], [0, 1, 2])
    assert np.isnan([few.p_value, few.smallest.value]).all()
    assert causal.step_falls(values[[0, 0]], [0, 1]).p_value == 1


def test_degradations_start_from_the_clean_images_where_they_have_a_score():
    values, clean = np.tile(-np.arange(4.0)[:, None], 20), np.full(20, np.inf)
    names, severities = ["fog", "fog", "snow", "fog"], [3, 1, 2, 2]
    assert list(causal.falls_by_degradation(values, names, severities, clean=clean)) == ["fog"]
    found = causal.falls_by_degradation(values, names, severities, clean=np.ones(20))
    assert list(found) == ["fog", "snow"]
    np.testing.assert_array_equal(found["fog"].severity, [0, 1, 2, 3])
    np.testing.assert_allclose(found["fog"].fall.value, [2, 2, -3])
    with pytest.raises(ValueError, match="severities"):
        causal.falls_by_degradation(values, names[:3], severities)
    with pytest.raises(ValueError, match="all different"):
        causal.step_falls(values[:2], [1, 1])


def test_clusters_count_as_one_observation_each():
    rng = np.random.default_rng(6)
    clusters = np.repeat(np.arange(20), 5)
    own = rng.normal(size=(2, 20))
    values = own[:, clusters] + np.asarray([[0.3], [0.0]])
    found = causal.step_falls(values, [0, 1], clusters=clusters)
    # All images of a cluster are equal, so that the test is that of the 20 clusters.
    of_clusters = causal.step_falls(own + np.asarray([[0.3], [0.0]]), [0, 1])
    assert found.p_value == pytest.approx(of_clusters.p_value) and found.num_images == 100
    np.testing.assert_allclose(found.fall, of_clusters.fall)
    alone = causal.step_falls(values, [0, 1], clusters=np.arange(100))
    assert alone.p_value == causal.step_falls(values, [0, 1]).p_value != pytest.approx(found.p_value)
    assert np.isnan(causal.step_falls(values, [0, 1], clusters=clusters // 4).p_value), "five clusters are too few"
    by_name = causal.falls_by_degradation(values[1:], ["fog"], [1.0], clean=values[0], clusters=clusters)
    assert by_name["fog"].p_value == found.p_value
