"""Scores of whole sets against singular values, assignment by hand and brute-force evidence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, optimize, special

from causal_iqa import estimators


def _probabilities(seed, n, k, scale=2.0):
    return special.softmax(np.random.default_rng(seed).normal(scale=scale, size=(n, k)), axis=1)


def test_nuclear_norm_by_singular_values_and_its_largest():
    p = _probabilities(0, 30, 4)
    assert estimators.nuclear_norm(p) == pytest.approx(linalg.svdvals(p).sum() / np.sqrt(30 * 4))
    balanced = np.eye(4)[np.arange(32) % 4]
    assert estimators.nuclear_norm(balanced) == pytest.approx(1.0)
    # One class predicted with certainty: confident, and not spread.
    assert estimators.nuclear_norm(np.eye(4)[np.zeros(32, int)]) == pytest.approx(1 / 2)
    # All classes alike: spread, and not confident.
    assert estimators.nuclear_norm(np.full((32, 4), 0.25)) == pytest.approx(1 / 4)


def test_transport_is_the_best_assignment():
    p = _probabilities(1, 40, 4)
    labels = np.repeat(np.arange(4), [20, 10, 8, 2])
    cost = np.abs(p[:, None, :] - np.eye(4)[labels][None]).max(axis=2)
    image, slot = optimize.linear_sum_assignment(cost)
    shares = np.bincount(labels) / 40
    found = estimators.optimal_transport(p, shares)
    best = 1 - cost[image, slot].mean()
    assert best <= found.accuracy + 1e-12 and found.accuracy == pytest.approx(best, abs=1e-5)
    assert found.rows.mean() == pytest.approx(found.accuracy)
    # Rows say how the accuracy changes with the weight of an image: one image twice, the shares kept.
    more = estimators.optimal_transport(np.concatenate([p, p[3:4]]), shares).accuracy
    assert more <= np.append(found.rows, found.rows[3]).mean() + 1e-12
    assert more == pytest.approx(np.append(found.rows, found.rows[3]).mean(), abs=2e-3)


def test_transport_of_the_largest_probabilities_leaves_the_rest_at_cost_one():
    p = _probabilities(2, 30, 6, scale=4.0)
    order = np.argsort(-p, axis=1)[:, :3]
    cut = estimators.dense(np.take_along_axis(p, order, axis=1), order, 6)
    assert (np.count_nonzero(cut, axis=1) == 3).all()
    marginal = np.full(6, 1 / 6)
    image, slot = optimize.linear_sum_assignment(cut[:, np.repeat(np.arange(6), 5)], maximize=True)
    expected = cut[image, slot // 5].mean()
    assert estimators.optimal_transport(cut, marginal).accuracy == pytest.approx(expected, abs=1e-5)


def test_transport_sees_a_collapse_that_confidence_does_not():
    collapsed = np.tile([0.97, 0.01, 0.01, 0.01], (40, 1))
    found = estimators.optimal_transport(collapsed, np.full(4, 0.25)).accuracy
    assert found == pytest.approx((0.97 + 3 * 0.01) / 4, abs=1e-5)
    assert collapsed.max(axis=1).mean() > 0.9


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


def test_undefined_and_unfit_input():
    assert np.isnan(estimators.log_me(np.ones((5, 2)), np.zeros(5, int)))
    with pytest.raises(ValueError, match="sum to 1"):
        estimators.optimal_transport(np.full((4, 2), 0.5), np.array([0.5, 0.4]))
    with pytest.raises(ValueError, match="sum to 1 at most"):
        estimators.nuclear_norm(np.full((4, 2), 0.9))
    with pytest.raises(ValueError, match="classes"):
        estimators.dense(np.ones((2, 1)), np.array([[0], [7]]), 4)
    with pytest.raises(ValueError, match="labels"):
        estimators.leep(np.full((4, 2), 0.5), np.zeros(3, int))
    with pytest.raises(ValueError, match="predictions"):
        estimators.dispersion(np.ones((4, 2)), np.zeros(3, int))
    with pytest.raises(ValueError, match="order"):
        estimators.negative_gradient_norm(np.ones((4, 2)), np.full((4, 2), 0.5), np.zeros(4, int), order=0)
    with pytest.raises(ValueError, match="shrinkage"):
        estimators.h_score(np.ones((4, 2)), np.zeros(4, int), shrinkage=1.0)


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
