"""Elastic deformation against SciPy with the same random fields."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from causal_iqa._checks import InputError
from causal_iqa.degradations import _elastic as elastic
from tests.degradations.scenes import picture

SHAPES = {"cifar32": (32, 35), "imagenet224": (96, 80)}


def _smoothed(noise, sigma, alpha):
    return (
        np.stack([ndimage.gaussian_filter(n.astype(float), sigma, mode="reflect", truncate=3.0) for n in noise]) * alpha
    )


def _read(image, y, x, mode):
    return np.stack([ndimage.map_coordinates(image[..., c], [y, x], order=1, mode=mode) for c in range(3)], axis=-1)


def _hendrycks(image, points, noise, alpha, sigma, reach):
    """The published recipe with given random numbers, float64; SciPy's mirror is OpenCV's reflect-101."""
    height, width = image.shape[:2]
    middle, size = np.asarray([height // 2, width // 2], float), min(height, width) // 3
    before = np.asarray([middle + size, [middle[0] + size, middle[1] - size], middle - size])
    after = before + reach * points.astype(float)
    # Row i of the system: (x, y, 1) forward = (x', y').
    forward = np.linalg.solve(np.concatenate([before, np.ones((3, 1))], axis=1), after).T
    back = np.linalg.inv(np.concatenate([forward, [[0, 0, 1]]]))
    y, x = np.mgrid[0:height, 0:width].astype(float)
    source_x, source_y, _ = np.tensordot(back, np.stack([x, y, np.ones_like(x)]), axes=1)
    image = _read(image.astype(float), source_y, source_x, "mirror")
    dx, dy = _smoothed(noise, sigma, alpha)
    return np.clip(_read(image, y + dy, x + dx, "reflect"), 0, 1)


@pytest.mark.parametrize("family", SHAPES)
def test_elastic_transform_is_the_published_recipe(family):
    image, key = picture(*SHAPES[family]), jax.random.key(8)
    points, noise = (np.asarray(a) for a in elastic.draw(key, *SHAPES[family]))
    run = jax.jit(jax.vmap(lambda s: elastic.elastic_transform(key, image, s, family=family)))
    ours = np.asarray(run(np.arange(1, 6, dtype=np.float32)))
    for out, (alpha, sigma, reach) in zip(ours, elastic.ELASTIC_FIELD[family], strict=True):
        # Places are known to some 1e-5 pixels, and neighbours differ by up to 1.
        np.testing.assert_allclose(out, _hendrycks(image, points, noise, alpha, sigma, reach), atol=2e-4)


def test_the_field_mirrors_as_often_as_it_takes():
    noise = np.random.default_rng(0).uniform(-1, 1, (2, 16, 21)).astype(np.float32)
    for sigma in (0.0, 0.9, 5.0, 40.0):
        ours = jax.jit(lambda sigma: elastic.displacement(noise, 3.0, sigma, sigma, 40.0))(np.float32(sigma))
        np.testing.assert_allclose(ours, _smoothed(noise, sigma, 3.0), atol=2e-6)


def test_imagecorruptions_definition():
    height, width = shape = 60, 97
    image, key = picture(*shape), jax.random.key(8)
    _, noise = elastic.draw(key, height, width)
    run = jax.jit(
        jax.vmap(lambda s: elastic.elastic_transform(key, image, s, family="tiny64", definition="imagecorruptions"))
    )
    y, x = np.mgrid[0:height, 0:width].astype(float)
    alphas = (12.5, 16.25, 21.25, 25.0, 30.0)
    for ours, alpha in zip(np.asarray(run(np.arange(1, 6, dtype=np.float32))), alphas, strict=True):
        dx, dy = _smoothed(np.asarray(noise) * 0.005 * height, (0.01 * height, 0.01 * width), alpha)
        np.testing.assert_allclose(ours, _read(image.astype(float), y + dy, x + dx, "reflect"), atol=1e-4)


def test_a_map_onto_a_line_stays_finite():
    # The corners of a small image, thrown as far as those of a large one.
    run = jax.jit(jax.vmap(lambda key: elastic.elastic_transform(key, picture(16, 16), 2.0, family="inception299")))
    assert np.isfinite(run(jax.random.split(jax.random.key(0), 200))).all()
    folded = np.asarray([[0, 0], [0, 10], [0, 10]], np.float32)
    assert np.isfinite(elastic.affine_back(folded, 16, 16)).all()


def test_unknown_definition_is_refused():
    with pytest.raises(InputError, match="hendrycks"):
        elastic.elastic_transform(jax.random.key(0), picture(32, 32), 1.0, definition="hendricks")
