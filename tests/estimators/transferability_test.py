"""Transferability scores against loops and maxima."""

import numpy as np
import pytest
from scipy import linalg, optimize, special, stats

from causal_iqa import estimators


def _probabilities(seed, n, k, scale=2.0):
    return special.softmax(np.random.default_rng(seed).normal(scale=scale, size=(n, k)), axis=1)


def _brute_force_evidence(features, y):
    def negative(log):
        alpha, beta = np.exp(log)
        covariance = np.eye(len(y)) / beta + features @ features.T / alpha
        return -stats.multivariate_normal.logpdf(y, np.zeros(len(y)), covariance)

    return -optimize.minimize(negative, [0.0, 0.0], method="Nelder-Mead", options={"fatol": 1e-9}).fun / len(y)


@pytest.mark.parametrize("shape", [(25, 4), (6, 9)])
def test_log_me_is_the_largest_evidence(shape):
    rng = np.random.default_rng(5)
    features = rng.normal(size=shape)
    labels = (features[:, 0] + rng.normal(size=shape[0]) > 0).astype(int) + 3
    expected = np.mean([_brute_force_evidence(features, (labels == k).astype(float)) for k in np.unique(labels)])
    assert estimators.log_me(features, labels) == pytest.approx(expected, abs=1e-4)


def test_transferability_scores_rise_with_what_features_say_of_the_labels():
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 3, 300)
    noise = rng.normal(size=(300, 5))
    for score in (estimators.log_me, estimators.h_score):
        values = [score(noise + gain * np.eye(5)[labels], labels) for gain in (0.0, 1.0, 3.0)]
        assert values[0] < values[1] < values[2]
    p = [special.softmax(noise[:, :3] + gain * np.eye(3)[labels], axis=1) for gain in (0.0, 1.0, 3.0)]
    values = [estimators.leep(x, labels) for x in p]
    assert values[0] < values[1] < values[2] <= 0


def test_h_score_is_the_share_of_variance_between_classes():
    rng = np.random.default_rng(7)
    labels = np.repeat([0, 1, 2], [30, 50, 20])
    x = rng.normal(size=(100, 1)) + labels[:, None]
    means = np.array([x[labels == k].mean() for k in labels])
    expected = ((means - x.mean()) ** 2).sum() / ((x - x.mean()) ** 2).sum()
    assert estimators.h_score(x, labels) == pytest.approx(expected)
    # An invertible linear map of the features changes nothing.
    y = rng.normal(size=(100, 3)) + np.eye(3)[labels]
    mixed = y @ rng.normal(size=(3, 3)) + 5
    assert estimators.h_score(mixed, labels) == pytest.approx(estimators.h_score(y, labels))
    covariance, of_means = (
        np.cov(y.T, bias=True),
        np.cov(np.array([y[labels == k].mean(axis=0) for k in labels]).T, bias=True),
    )
    shrunk = 0.6 * covariance + 0.4 * np.eye(3) * np.diag(covariance).mean()
    assert estimators.h_score(y, labels, shrinkage=0.4) == pytest.approx(np.trace(linalg.solve(shrunk, of_means)))


def test_leep_is_its_loop():
    p, labels = _probabilities(8, 20, 4), np.random.default_rng(8).integers(0, 3, 20)
    joint = np.array([[p[labels == y, z].sum() for z in range(4)] for y in range(3)]) / 20
    expected = np.mean(
        [np.log(sum(joint[y, z] / joint[:, z].sum() * q[z] for z in range(4))) for q, y in zip(p, labels, strict=True)]
    )
    assert estimators.leep(p, labels) == pytest.approx(expected)
    # Outputs that say nothing leave the entropy of the labels.
    flat = estimators.leep(np.full((20, 4), 0.25), labels)
    assert flat == pytest.approx(-stats.entropy(np.bincount(labels)))
