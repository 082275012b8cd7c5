"""Attribution of a change to mechanisms: near a simulated truth, additive, zero where nothing changed."""

import itertools
import math

import jax
import numpy as np
import pytest
from scipy import special

from causal_iqa import InputError, causal

_PARENTS = {"dark": (), "noise": ("dark",)}


def _draw(rng, n, *, dark=-1.0, noise=-1.0, scene=0.0):
    z = rng.normal(size=n) + scene
    is_dark = rng.random(n) < special.expit(dark + z)
    is_noisy = rng.random(n) < special.expit(noise + 1.5 * is_dark)
    odds = 2.0 - z - 1.2 * is_dark - 1.0 * is_noisy
    return causal.ObservedSet(
        np.stack([is_dark, is_noisy]), z[:, None], (rng.random(n) < special.expit(odds)).astype(float)
    )


def _truth(change, n=100_000):
    """Shapley values by simulating every coalition of the changed mechanisms."""

    def mean(part):
        return _draw(np.random.default_rng(7), n, **{k: change[k] for k in part}).performance.mean()

    found = {}
    for player in change:
        rest = [k for k in change if k != player]
        total = 0.0
        for size in range(len(rest) + 1):
            weight = math.factorial(size) * math.factorial(len(rest) - size) / math.factorial(len(change))
            total += weight * sum(mean([*part, player]) - mean(part) for part in itertools.combinations(rest, size))
        found[player] = total
    return found


def test_contributions_are_near_the_truth_and_sum_to_the_change(key):
    change = {"dark": 0.5, "noise": 0.8, "scene": 0.5}
    rng = np.random.default_rng(0)
    first, second = _draw(rng, 10_000), _draw(rng, 10_000, **change)
    found = causal.attribute_change(key, first, second, _PARENTS, num_resamples=3)
    truth = _truth(change)
    assert found.names == ("scenes", "dark", "noise", "performance")
    expected = [truth["scene"], truth["dark"], truth["noise"], 0.0]
    np.testing.assert_allclose(found.values.value, expected, atol=0.02)
    assert max(truth.values()) < -0.03  # Every change that is looked for is larger than the tolerance.
    np.testing.assert_allclose(found.values.value.sum(), found.explained, rtol=1e-12)
    np.testing.assert_allclose(found.explained, found.change, atol=4e-3)
    assert (found.values.low <= found.values.value).all() and (found.values.value <= found.values.high).all()


def test_the_mean_differs_from_the_effect_where_scenes_differ(key):
    """Without a change of mechanisms everything goes to the scenes."""
    rng = np.random.default_rng(1)
    found = causal.attribute_change(key, _draw(rng, 8000), _draw(rng, 8000, scene=1.0), _PARENTS, num_resamples=2)
    scenes, *others = found.values.value
    assert scenes < -0.15
    np.testing.assert_allclose(others, 0.0, atol=0.02)


def test_the_same_key_gives_the_same_intervals():
    rng = np.random.default_rng(2)
    sets = _draw(rng, 60), _draw(rng, 70)
    one, again = (causal.attribute_change(jax.random.key(3), *sets, _PARENTS, num_resamples=3) for _ in range(2))
    np.testing.assert_array_equal(one.values.low, again.values.low)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"factors": np.full((2, 30), 0.5)}, "factors are 0 or 1"),
        ({"performance": np.full(30, 1.5)}, "performance is finite and in"),
        ({"covariates": np.zeros((29, 1))}, "second: expected factors"),
        ({"covariates": np.zeros((30, 2))}, "the same columns in both sets, got 1 and 2"),
    ],
)
def test_bad_sets_are_named(key, changed, message):
    first = _draw(np.random.default_rng(4), 30)
    with pytest.raises(ValueError, match=message):
        causal.attribute_change(key, first, first._replace(**changed), _PARENTS)


def test_bad_graphs_are_named(key):
    one = _draw(np.random.default_rng(5), 30)
    with pytest.raises(InputError, match="'noise' of 'dark' is not among the factors before it"):
        causal.attribute_change(key, one, one, {"dark": ("noise",), "noise": ()})
    with pytest.raises(InputError, match="num_resamples: expected at least 2, got 1"):
        causal.attribute_change(key, one, one, _PARENTS, num_resamples=1)


def test_a_factor_that_one_set_lacks_is_refused_or_known_from_the_other(key):
    """A performance fitted without a factor knows nothing of it, and half of its harm would pass for a change of it."""
    rng = np.random.default_rng(6)
    first, second = _draw(rng, 4000, noise=-60.0, dark=-1.0), _draw(rng, 4000, noise=1.0)
    first = first._replace(factors=np.stack([first.factors[0], np.zeros(4000)]))
    with pytest.raises(InputError, match="first: 'noise' is present in 0 and absent in 4000 images"):
        causal.attribute_change(key, first, second, _PARENTS, num_resamples=2)
    found = causal.attribute_change(key, first, second, _PARENTS, same_performance=True, num_resamples=2)
    np.testing.assert_allclose(found.values.value[[0, 1, 3]], 0.0, atol=0.03)
    np.testing.assert_allclose(found.values.value[2], found.change, atol=0.04)
    assert found.change < -0.1
    nobody = second._replace(factors=np.stack([second.factors[0], np.zeros(4000)]))
    with pytest.raises(InputError, match="both sets: 'noise' is present in 0"):
        causal.attribute_change(key, first, nobody, _PARENTS, same_performance=True, num_resamples=2)


def test_images_in_clusters_are_drawn_together(key):
    """Thirty cameras of ten images, all dark or none: copies of an image are no more evidence than the image."""
    rng = np.random.default_rng(3)
    small = [_draw(rng, 30, dark=0.0), _draw(rng, 30, dark=0.5)]
    clusters = np.repeat(np.arange(30), 10)
    copied = [
        causal.ObservedSet(one.factors[:, clusters], one.covariates[clusters], one.performance[clusters])
        for one in small
    ]
    together = [one._replace(clusters=clusters) for one in copied]
    wide, alone, same = (
        causal.attribute_change(key, first, second, _PARENTS, num_resamples=30, same_performance=True).values
        for first, second in (small, copied, together)
    )
    np.testing.assert_allclose(same.value, alone.value)
    np.testing.assert_allclose(same.high - same.low, wide.high - wide.low, rtol=0.05)
    assert np.mean(alone.high - alone.low) < 0.6 * np.mean(same.high - same.low)
    with pytest.raises(ValueError, match=r"first: expected clusters \[300\]"):
        causal.attribute_change(key, copied[0]._replace(clusters=clusters[:9]), copied[1], _PARENTS)
