"""Spatter: the ladder, water over the relief (OpenCV's, see originals_test), mud against SciPy, odd cases."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from causal_iqa.degradations import _spatter as spatter
from tests.degradations.scenes import picture

SHAPES = {"cifar32": (32, 37), "imagenet224": (70, 81)}


def _layer(key, shape, mean, deviation, sigma):
    noise = np.asarray(jax.random.normal(key, shape), np.float64)
    return mean + deviation * ndimage.gaussian_filter(noise, sigma, mode="nearest", truncate=4.0)


@pytest.mark.parametrize("family", SHAPES)
def test_spatter_is_the_published_recipe(family):
    shape, key = SHAPES[family], jax.random.key(9)
    image = picture(*shape)
    run = jax.jit(jax.vmap(lambda s: spatter.spatter(key, image, s, family=family)))
    ours = np.asarray(run(np.arange(1, 6, dtype=np.float32)))
    relief = jax.jit(spatter.water_relief)
    for out, (mean, deviation, sigma, level, strength, mud) in zip(ours, spatter.SPATTER_LIQUID[family], strict=True):
        layer = _layer(key, shape, mean, deviation, sigma)
        if mud:
            spots = ndimage.gaussian_filter((layer > level).astype(float), strength, mode="nearest", truncate=4.0)
            spots = np.where(spots < 0.8, 0, spots)[..., None]
            expected = (1 - spots) * image + spots * np.asarray([63, 42, 20]) / 255
        else:
            water = np.asarray(relief(layer.astype(np.float32), np.float32(level)))[..., None]
            expected = np.clip(image + strength * water * np.asarray([175, 238, 238]) / 255, 0, 1)
        assert np.mean(np.abs(expected - image)) > 1e-3
        # Where noise meets its level to the last digit, float32 may see it on the other side.
        assert np.mean(np.abs(out - expected) > 1e-4) < 2e-3


def test_water_and_mud_are_mixed_between_their_rungs():
    image, key = picture(32, 32), jax.random.key(2)
    run = jax.jit(jax.vmap(lambda s: spatter.spatter(key, image, s)))
    three, near_three, near_four, four = np.asarray(run(np.asarray([3, 3.001, 3.999, 4], np.float32)))
    assert np.mean(np.abs(near_three - three)) < 0.01 < np.mean(np.abs(four - three))
    assert np.mean(np.abs(near_four - four)) < 0.01


def test_no_drop_is_no_relief():
    flat = np.full((16, 21), 0.5, np.float32)
    relief = jax.jit(spatter.water_relief)
    np.testing.assert_array_equal(relief(flat, np.float32(0.6)), 0.0)
    # Liquid everywhere has no edge to rise from: as high everywhere.
    assert np.ptp(np.asarray(relief(flat, np.float32(0.4)))) == 0.0


def test_chamfer_distance_of_one_point():
    edge = np.zeros((45, 50), bool)
    edge[20, 22] = True
    ours = np.asarray(jax.jit(spatter._chamfer)(edge)) / 65536
    down, across = np.abs(np.arange(45)[:, None] - 20), np.abs(np.arange(50)[None, :] - 22)
    # Fewest steps first: all knight's moves and diagonals that lead there, then straight ones.
    expected = np.full(edge.shape, np.inf)
    for knights in range(40):
        for steep in range(knights + 1):
            left_y, left_x = down - (knights + steep), across - (2 * knights - steep)
            least = np.minimum(left_y, left_x)
            cost = knights * 143976 / 65536 + least * 91750 / 65536 + (np.maximum(left_y, left_x) - least)
            expected = np.minimum(expected, np.where(least >= 0, cost, np.inf))
    np.testing.assert_allclose(ours, np.minimum(expected, 20.0), atol=1e-5)
