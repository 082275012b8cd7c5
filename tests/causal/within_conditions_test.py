"""Tests within conditions against brute force and against simulations in which nothing, or something, depends."""

import jax
import numpy as np
import pytest
from scipy import stats

from causal_iqa import causal
from causal_iqa.causal import permuted_images


def _tables(seed, related, n=60, accuracy=None):
    """Scores and correctness of every image under six conditions; related images share their scene."""
    rng = np.random.default_rng(seed)
    scene, other = rng.normal(size=(2, n))
    shift = -np.arange(6.0)[:, None]
    scores = shift + (scene if related else other) + rng.normal(size=(6, n))
    ease = shift / 2 + scene + rng.normal(size=(6, n))
    bound = -1.5 if accuracy is None else np.quantile(ease, 1 - accuracy)
    return scores, (ease > bound).astype(float), scene


def test_rows_are_copies_of_scenes(key):
    """Counted as independent draws the rows reject far too often; images permuted whole do not."""
    rejected, naive = 0, 0
    for seed in range(200):
        scores, correct, _ = _tables(seed, related=False)
        key_own = jax.random.fold_in(key, seed)
        rejected += (
            causal.within_condition_independence_test(key_own, scores, correct, num_permutations=99).p_value <= 0.05
        )
        q, m = (x - x.mean(axis=1, keepdims=True) for x in (scores, correct))
        naive += abs(np.corrcoef(q.ravel(), m.ravel())[0, 1]) * np.sqrt(360) > 1.96
    assert 2 <= rejected <= 20
    assert naive > 24
    found = [
        causal.within_condition_independence_test(key, *_tables(s, True)[:2], num_permutations=99).p_value
        for s in range(5)
    ]
    assert max(found) <= 0.05


def test_scarce_outcomes_keep_the_level(key):
    """Six of 300 images wrong, mostly the same ones: the chi-square law of cubed normal scores finds 18 and 12 of these
    300 draws without dependence below .01 and .001."""
    p_values, methods = [], set()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        scene, other = rng.normal(size=(2, 300))
        scores, ease = other + 0.3 * rng.normal(size=(6, 300)), scene + 0.3 * rng.normal(size=(6, 300))
        correct = ease > np.quantile(ease, 0.02)
        own = jax.random.fold_in(key, seed)
        found = causal.within_condition_independence_test(own, scores, correct, num_permutations=1999)
        p_values.append(found.p_value)
        methods.add(found.method)
    assert methods == {"squared covariances within conditions, images permuted"}
    # 15, 3 and 0.3 are expected.
    for level, most in ((0.05, 26), (0.01, 9), (0.001, 2)):
        assert (np.array(p_values) <= level).sum() <= most


def test_opposite_signs_add_up_in_the_squares_and_cancel_in_the_sum(key):
    """Half of the conditions turn the score around: no common sign, yet dependence within every condition."""
    scores, correct, _ = _tables(4, True, 200)
    turned = scores * np.array([1, -1, 1, -1, 1, -1])[:, None]
    both = [causal.within_condition_independence_test(key, q, correct, num_permutations=0) for q in (scores, turned)]
    assert max(one.p_value for one in both) < 1e-6
    plain, cancelled = (causal.common_sign_test(key, q, correct, num_permutations=0) for q in (scores, turned))
    assert (plain.z > 5, plain.p_value < 1e-6) == (True, True)
    assert (abs(cancelled.z) < 2, cancelled.p_value > 0.05) == (True, True)
    down = causal.common_sign_test(key, -scores, correct, num_permutations=0)
    assert down.z == pytest.approx(-plain.z)


def test_laws_are_those_of_drawn_permutations(key, monkeypatch):
    weak = [_tables(seed, False, 120) for seed in range(6)]
    weak = [(q + 0.3 * scene, m) for q, m, scene in weak]
    tests = (causal.within_condition_independence_test, causal.common_sign_test)
    laws = [[test(key, *tables, num_permutations=0) for tables in weak] for test in tests]
    assert {one.method for one in laws[0]} == {"squared covariances within conditions, saddle-point law"}
    assert {one.method for one in laws[1]} == {"sum of covariances, normal law"}
    monkeypatch.setattr(permuted_images, "LEAST_OF_RARER", 1000)
    monkeypatch.setattr(permuted_images, "_ENOUGH", 10_000)
    for test, law in zip(tests, laws, strict=True):
        drawn = [test(key, *tables, num_permutations=1999).p_value for tables in weak]
        np.testing.assert_allclose([one.p_value for one in law], drawn, atol=0.05)
        assert min(drawn) < 0.2 < max(drawn)


def test_a_label_is_tested_by_its_kernel(key):
    scores, _, scene = _tables(3, related=True, n=120)
    label = (scene > 0).astype(int)
    found = causal.within_condition_independence_test(key, scores, label, num_permutations=0, y_is_label=True)
    assert (found.method, found.num_rows) == ("squared covariances within conditions, gamma law", 720)
    assert found.p_value < 1e-3
    rng = np.random.default_rng(0)
    rare = causal.within_condition_independence_test(
        key, scores, np.arange(120) < 3, num_permutations=99, y_is_label=True
    )
    assert rare.method == "squared covariances within conditions, images permuted"
    p_values = [
        causal.within_condition_independence_test(
            key, scores, rng.permutation(label), num_permutations=0, y_is_label=True
        ).p_value
        for _ in range(100)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_two_of_a_hundred_are_no_law_of_large_numbers(key):
    """Both rare rows in one of ten conditions happens by chance in 9 %; the gamma law says 2 %."""
    labels, condition = (np.arange(100) % 50 == 0).astype(int), np.arange(100) % 10
    found = causal.independence_test(key, causal.Column(condition), causal.Column(labels), num_permutations=999)
    assert found.method == "HSIC, permutations"
    assert found.p_value == pytest.approx(9 / 99, abs=0.03)
    K = (condition == condition[:, None]).astype(float)
    exact = permuted_images.drawn_kernel_p_value(key, K, labels, num_permutations=2000)
    # By brute force, from centred matrices.
    rng = np.random.default_rng(0)
    H = np.eye(100) - 0.01
    L = H @ (labels == labels[:, None]) @ H
    null = [(K * L[order][:, order]).sum() for order in (rng.permutation(100) for _ in range(1000))]
    assert exact == pytest.approx((np.array(null) >= (K * L).sum() - 1e-9).mean(), abs=0.03)


def test_what_cannot_be_tested_says_why(key):
    scores, correct, _ = _tables(3, related=True)
    for test in (causal.within_condition_independence_test, causal.common_sign_test):
        assert "never varies" in test(key, scores, np.ones(60), num_permutations=9).reason
        assert "fewer than" in test(key, scores[:, :9], correct[:, :9], num_permutations=9).reason
        with pytest.raises(ValueError, match="one table"):
            test(key, scores, correct[:4], num_permutations=9)
