"""Scores of whole sets against singular values, assignment by hand and brute-force evidence."""

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
