"""The statistic of permuted images against a loop."""

import importlib

import numpy as np
import pytest

from causal_iqa.causal import permuted_images

within_conditions = importlib.import_module("causal_iqa.causal.within_conditions")


def _tables(seed, related, n=60, accuracy=None):
    """Scores and correctness of every image under six conditions; related images share their scene."""
    rng = np.random.default_rng(seed)
    scene, other = rng.normal(size=(2, n))
    shift = -np.arange(6.0)[:, None]
    scores = shift + (scene if related else other) + rng.normal(size=(6, n))
    ease = shift / 2 + scene + rng.normal(size=(6, n))
    bound = -1.5 if accuracy is None else np.quantile(ease, 1 - accuracy)
    return scores, (ease > bound).astype(float), scene


def test_statistic_counts_as_a_loop_does(key):
    scores, correct, _ = _tables(3, related=True, n=40)
    pair = within_conditions._pair(scores, correct, False, False)
    # Numbers: Legendre polynomials of places in (-1, 1); a binary column has one.
    places = (2 * (scores.argsort(axis=1).argsort(axis=1) + 1) - 1) / 40 - 1
    f = np.array(
        [np.sqrt(3) * places, np.sqrt(5) * (3 * places**2 - 1) / 2, np.sqrt(7) * (5 * places**3 - 3 * places) / 2]
    )
    np.testing.assert_allclose(pair.f, f - f.mean(axis=2, keepdims=True), atol=1e-12)
    assert pair.g.shape == (1, 6, 40)

    def statistic(order):
        return sum((one @ other[order]) ** 2 for c in range(6) for one in pair.f[:, c] for other in pair.g[:, c])

    rng = np.random.default_rng(0)
    observed = statistic(np.arange(40))
    null = [statistic(rng.permutation(40)) for _ in range(400)]
    brute = (1 + (np.array(null) >= observed).sum()) / 401
    drawn = permuted_images.drawn_p_value(key, pair.f, pair.g, num_permutations=999)
    assert abs(drawn - brute) < 0.02
    # The mean of the law is the exact mean over permutations.
    mean = (
        sum((one**2).sum() * (other**2).sum() for c in range(6) for one in pair.f[:, c] for other in pair.g[:, c]) / 39
    )
    assert mean == pytest.approx(np.mean(null), rel=0.15)


def test_effective_count_is_that_of_the_rarer_outcome():
    rare = np.zeros((4, 200))
    rare[:, :10] = 1
    other = np.zeros((4, 200))
    for c in range(4):
        other[c, 10 * c : 10 * c + 10] = 1
    for values in (rare, other):
        g = (values - values.mean(axis=1, keepdims=True))[None]
        assert permuted_images.effective_count(g) == pytest.approx(10, rel=0.12)
