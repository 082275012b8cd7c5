"""Snow against SciPy's zoom and a loop over taps, with the same random numbers."""

import math

import jax
import numpy as np
import pytest
from scipy import ndimage, stats

from causal_iqa.degradations import _blur as blur
from causal_iqa.degradations import _snow as snow
from tests.degradations.scenes import picture

SHAPES = {"cifar32": (32, 37), "imagenet224": (85, 96)}


def _zoomed(noise, shape, factor):
    crop = [math.ceil(side / factor) for side in shape]
    grown = ndimage.zoom(noise[: crop[0], : crop[1]].astype(float), factor, order=1)
    top, left = ((have - want) // 2 for have, want in zip(grown.shape, shape, strict=True))
    return grown[top : top + shape[0], left : left + shape[1]]


def _blurred(layer, offsets, radius, sigma):
    height, width = layer.shape
    weights = np.exp(-(np.arange(2 * int(radius) + 1) ** 2) / (2 * sigma**2))
    y, x = np.mgrid[0:height, 0:width]
    out = np.zeros_like(layer)
    for weight, (dx, dy) in zip(weights / weights.sum(), offsets, strict=False):
        out += weight * layer[np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)]
    return out


@pytest.mark.parametrize("family", SHAPES)
def test_snow_is_the_published_recipe(family):
    shape, table, key = SHAPES[family], snow.SNOW_FLAKES[family], jax.random.key(6)
    image = picture(*shape)
    flake_key, angle_key = jax.random.split(key)
    cells = [math.ceil(side / min(row[2] for row in table)) for side in shape]
    noise = np.asarray(jax.random.normal(flake_key, cells))
    offsets = np.asarray(blur.line_offsets(angle_key, 29, -90.0))
    run = jax.jit(jax.vmap(lambda s: snow.snow(key, image, s, family=family)))
    ours = np.asarray(run(np.arange(1, 6, dtype=np.float32)))
    for out, (mean, deviation, zoom, level, radius, sigma, kept) in zip(ours, table, strict=True):
        layer = np.clip(mean + deviation * _zoomed(noise, shape, zoom), 0, 1)
        layer[layer < level] = 0
        layer = _blurred(layer, offsets, radius, sigma)
        grey = (image @ np.asarray([0.299, 0.587, 0.114]))[..., None]
        white = kept * image + (1 - kept) * np.maximum(image, 1.5 * grey + 0.5)
        expected = np.clip(white + (layer + np.rot90(layer, 2))[..., None], 0, 1)
        assert 0 < np.mean(layer > 0) < 1
        np.testing.assert_allclose(out, expected, atol=2e-5)


def test_flakes_fall_down_within_45_degrees():
    run = jax.jit(jax.vmap(lambda key: blur.line_offsets(key, 29, -90.0)))
    ends = np.asarray(run(jax.random.split(jax.random.key(0), 300)))[:, -1]
    angles = np.rad2deg(np.arctan2(ends[:, 1], ends[:, 0]))
    assert stats.kstest(angles, "uniform", args=(-136, 92)).pvalue > 1e-3
