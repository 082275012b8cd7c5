"""Fog and brightness against plain versions of the published definitions."""

import colorsys

import jax
import numpy as np
import pytest

from causal_iqa.degradations import _weather as weather
from tests.degradations.scenes import picture


def _diamond_square(draws, levels, decay):
    """The fractal point by point on a torus; `draws` in [-1, 1) in the order centres, tops, lefts of each level."""
    side = 2**levels
    grid = np.zeros((side, side))
    wibble, step = 100.0, side
    for level in range(levels):
        n, half = 2**level, step // 2
        shake = wibble**2 * draws[n * n : 4 * n * n].reshape(3, n, n)
        at = lambda i, j: grid[i % side, j % side]  # noqa: E731
        for i in range(n):
            for j in range(n):
                y, x = i * step, j * step
                corners = at(y, x) + at(y + step, x) + at(y, x + step) + at(y + step, x + step)
                grid[y + half, x + half] = corners / 4 + shake[0, i, j]
        for i in range(n):
            for j in range(n):
                y, x = i * step, j * step
                top = at(y, x) + at(y, x + step) + at(y + half, x + half) + at(y - half, x + half)
                left = at(y, x) + at(y + step, x) + at(y + half, x + half) + at(y + half, x - half)
                grid[y, x + half] = top / 4 + shake[1, i, j]
                grid[y + half, x] = left / 4 + shake[2, i, j]
        step, wibble = half, wibble / decay
    return (grid - grid.min()) / (grid.max() - grid.min())


@pytest.mark.parametrize(("levels", "decay"), [(1, 2.0), (5, 1.4)])
def test_plasma_fractal_is_diamond_square(levels, decay):
    key = jax.random.key(levels)
    draws = np.asarray(jax.random.uniform(key, (4**levels,), minval=-1.0, maxval=1.0), np.float64)
    ours = np.asarray(jax.jit(weather.plasma_fractal, static_argnums=1)(key, levels, decay))
    np.testing.assert_allclose(ours, _diamond_square(draws, levels, decay), atol=1e-5)
    assert ours.min() == 0.0 and ours.max() == pytest.approx(1.0)


def test_fog_follows_the_formula():
    image, key, shape = 0.8 * picture(16, 21), jax.random.key(7), (16, 21)
    table = weather.FOG_DENSITY["imagenet224"]
    # 32 is the power of two that holds 21.
    plasma = jax.jit(jax.vmap(lambda decay: weather.plasma_fractal(key, 5, decay)))(
        np.float32([row[1] for row in table])
    )
    run = jax.jit(jax.vmap(lambda s: weather.fog(key, image, s, family="imagenet224")))
    ours = run(np.arange(1, 6, dtype=np.float32))
    peak = image.max()
    for (density, _), haze, out in zip(table, np.asarray(plasma), ours, strict=True):
        haze = haze[: shape[0], : shape[1], None]
        np.testing.assert_allclose(out, np.clip((image + density * haze) * peak / (peak + density), 0, 1), atol=1e-5)


def test_fog_over_black_stays_black():
    black = np.zeros((16, 16, 3), np.float32)
    np.testing.assert_array_equal(
        jax.jit(weather.fog, static_argnames="family")(jax.random.key(0), black, 3.0, family="tiny64"), black
    )


@pytest.mark.parametrize("family", weather.BRIGHTNESS_ADDED)
def test_brightness_is_hsv_value(family):
    image = picture(20, 24)
    image[0, :4] = [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0.4, 0.4, 0.4]]
    run = jax.jit(lambda s: weather.brightness(None, image, s, family=family))
    hsv = np.asarray([colorsys.rgb_to_hsv(*pixel) for pixel in image.reshape(-1, 3).astype(float)])
    for severity, added in enumerate(weather.BRIGHTNESS_ADDED[family], 1):
        expected = [colorsys.hsv_to_rgb(h, s, min(v + added, 1.0)) for h, s, v in hsv]
        np.testing.assert_allclose(np.asarray(run(np.float32(severity))).reshape(-1, 3), expected, atol=2e-6)
