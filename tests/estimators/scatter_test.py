"""Dispersion, uniformity, distances and gradients of features against loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, special

from causal_iqa import estimators


def test_dispersion_is_its_loop_and_rises_with_the_distance_of_classes():
    rng = np.random.default_rng(9)
    classes = rng.integers(0, 3, 50)
    noise = rng.normal(size=(50, 4))
    x = noise + np.eye(4)[classes]
    middle = x.mean(axis=0)
    scatter = sum((classes == k).sum() * np.square(x[classes == k].mean(axis=0) - middle).sum() for k in range(3))
    assert estimators.dispersion(x, 7 * classes) == pytest.approx(np.log(scatter / 2))
    assert estimators.dispersion(noise + 3 * np.eye(4)[classes], classes) > estimators.dispersion(x, classes)
    assert np.isnan(estimators.dispersion(x, np.zeros(50, int)))


def test_gradient_norm_is_that_of_the_last_layer():
    rng = np.random.default_rng(10)
    x, kernel = rng.normal(size=(20, 5)).astype(np.float32), 0.3 * rng.normal(size=(5, 3)).astype(np.float32)
    p = special.softmax(x.astype(np.float64) @ kernel, axis=1)
    labels = estimators.pseudo_labels(0, p)
    sure = p.max(axis=1) >= 0.5
    assert sure.any() and not sure.all()
    np.testing.assert_array_equal(labels[sure], p.argmax(axis=1)[sure])

    def loss(kernel):
        log_p = jax.nn.log_softmax(x @ kernel)
        return -jnp.take_along_axis(log_p, labels[:, None], axis=1).mean()

    gradient = np.abs(np.asarray(jax.grad(loss)(kernel), np.float64))
    expected = -((gradient**0.3).sum() ** (1 / 0.3))
    assert estimators.negative_gradient_norm(x, p, labels) == pytest.approx(expected, rel=1e-3)
    assert estimators.negative_gradient_norm(x, np.eye(3)[labels], labels) == 0


def test_uniformity_is_its_loop_and_falls_when_embeddings_collapse():
    x = np.random.default_rng(0).normal(size=(2, 12, 5))
    unit = x[1] / np.linalg.norm(x[1], axis=1, keepdims=True)
    pairs = [np.exp(-2 * np.square(unit[i] - unit[j]).sum()) for i in range(12) for j in range(12) if i != j]
    assert estimators.uniformity(x)[1] == pytest.approx(-np.log(np.mean(pairs)))
    assert estimators.uniformity(x[1] + 5) < estimators.uniformity(x[1])
    assert np.isnan(estimators.uniformity(x[0, :1]))
    with pytest.raises(ValueError, match="features: expected"):
        estimators.uniformity(np.ones(4))


def test_frechet_distance_is_that_of_gaussians_and_zero_at_the_anchors():
    x = np.random.default_rng(0).normal(size=(40, 3)) @ np.diag([1.0, 2.0, 3.0]) + 1
    covariance = np.cov(x.T, bias=True)
    expected = np.square(x.mean(axis=0)).sum() + np.trace(covariance + np.eye(3) - 2 * linalg.sqrtm(covariance).real)
    assert estimators.frechet_distance(np.stack([x, x]))[1] == pytest.approx(-expected)
    centred = x - x.mean(axis=0)
    white = centred @ linalg.inv(linalg.sqrtm(covariance).real)
    assert estimators.frechet_distance(white) == pytest.approx(0, abs=1e-10)
    assert np.isnan(estimators.frechet_distance(x[:1]))
    with pytest.raises(ValueError, match="coordinates: expected"):
        estimators.frechet_distance(np.ones(4))
