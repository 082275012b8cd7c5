"""Permutation within strata against loops, full enumeration, and its own level."""

import itertools

import jax
import numpy as np
import pytest

from causal_iqa.dependence import stratified
from tests.dependence.compiled import compiled, dependence

conditional_permutation_test = compiled(stratified.conditional_permutation_test)
stratify = compiled(stratified.stratify)
stratified_permutation_test = compiled(stratified.stratified_permutation_test)
quantile_cells = compiled(stratified.quantile_cells)


def _grams(seed, n):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, 2)), rng.standard_normal((n, 1))
    return np.exp(-np.sum((x[:, None] - x[None]) ** 2, -1)), np.exp(-np.sum((y[:, None] - y[None]) ** 2, -1))


def _naive(K, L, labels):
    """sum_s n_s HSIC_b(s) / n."""
    total = 0.0
    for stratum in np.unique(labels):
        rows = np.flatnonzero(labels == stratum)
        H = np.eye(len(rows)) - 1 / len(rows)
        block = np.ix_(rows, rows)
        total += np.sum((H @ K[block] @ H) * (H @ L[block] @ H)) / len(rows)
    return total / len(labels)


def _single(*arrays):
    return [np.asarray(a, np.float32) for a in arrays]


def test_null_is_that_of_all_permutations_within_strata():
    labels = np.array([1, 0, 1, 0, 0, 1, 1])
    K, L = _grams(0, 7)
    null = []
    rows = [np.flatnonzero(labels == s) for s in (0, 1)]
    for first in itertools.permutations(rows[0]):
        for second in itertools.permutations(rows[1]):
            order = np.arange(7)
            order[rows[0]], order[rows[1]] = first, second
            null.append(_naive(K, L[np.ix_(order, order)], labels))
    result = conditional_permutation_test(
        jax.random.key(0), *_single(K, L), labels, num_strata=2, largest=5, num_permutations=6000
    )
    statistic = _naive(K, L, labels)
    np.testing.assert_allclose(result.statistic, statistic, rtol=1e-5)
    np.testing.assert_allclose(result.null_mean, np.mean(null), rtol=0.02)
    np.testing.assert_allclose(result.null_std, np.std(null), rtol=0.03)
    share = np.mean(np.array(null) >= statistic - 1e-9)
    assert abs(float(result.p_value) - share) < 4 * np.sqrt(share * (1 - share) / 6000) + 1e-3
    assert int(result.num_permutations) == 6000


def test_samples_never_leave_their_stratum():
    K, L = _grams(1, 6)
    alone = conditional_permutation_test(
        jax.random.key(0), *_single(K, L), np.arange(6), num_strata=6, largest=1, num_permutations=19
    )
    assert float(alone.p_value) == 1.0 and float(alone.statistic) == 0.0
    # One stratum is the plain permutation test.
    whole = conditional_permutation_test(
        jax.random.key(0), *_single(K, L), np.zeros(6, int), num_strata=1, largest=6, num_permutations=19
    )
    np.testing.assert_allclose(whole.statistic, dependence.hsic_biased(*_single(K, L)), rtol=1e-5)


def test_padding_is_never_seen():
    K, L = _grams(2, 9)
    mask = np.array([[True] * 6, [True] * 4 + [False] * 2])
    rows = np.array([[0, 1, 2, 3, 4, 5], [6, 7, 8, 0, 1, 2]])
    blocks = rows[:, :, None], rows[:, None, :]

    def run(filler):
        pairs = mask[:, :, None] & mask[:, None, :]
        stacked = [np.where(pairs, G[blocks], filler).astype(np.float32) for G in (K, L)]
        return stratified_permutation_test(jax.random.key(1), *stacked, mask, num_permutations=39)

    for value, other in zip(run(0.0), run(1e6), strict=True):
        assert np.isfinite(value) and float(value) == float(other)


def test_level_under_strong_confounding_and_power():
    def p_values(key):
        key_e, key_f, key_test = jax.random.split(key, 3)
        labels = np.arange(40) % 3
        e, f = jax.random.normal(key_e, (40, 1)), jax.random.laplace(key_f, (40, 1))
        x, y = e + 3.0 * labels[:, None], f + 3.0 * labels[:, None]

        def p_value(y):
            K, L = dependence.rbf(x, x, bandwidth=2.0), dependence.rbf(y, y, bandwidth=2.0)
            sizes = {"num_strata": 3, "largest": 14, "num_permutations": 39}
            return stratified.conditional_permutation_test(key_test, K, L, labels, **sizes).p_value

        return p_value(y), p_value(y + 1.5 * e)

    null, alternative = compiled(lambda keys: jax.lax.map(p_values, keys, batch_size=25))(
        jax.random.split(jax.random.key(2), 400)
    )
    for alpha in (0.05, 0.5):
        # Exact at multiples of 1/40; four standard errors of a share over 400 draws.
        assert abs(float(np.mean(null <= alpha + 1e-6)) - alpha) < 4 * np.sqrt(alpha * (1 - alpha) / 400)
    assert float(np.mean(alternative <= 0.05 + 1e-6)) > 0.9


def test_cells_are_ranks_within_ranks():
    z = np.random.default_rng(3).standard_normal((23, 2)).astype(np.float32)
    labels = quantile_cells(z, cells=(3, 2))
    rank = np.argsort(np.argsort(z[:, 0]))
    first = rank * 3 // 23
    np.testing.assert_array_equal(labels // 2, first)
    for cell in range(3):
        rows = np.flatnonzero(first == cell)
        within = np.argsort(np.argsort(z[rows, 1]))
        np.testing.assert_array_equal(labels[rows] % 2, within * 2 // len(rows))
    sizes = np.bincount(labels, minlength=6)
    assert sizes.max() <= 4 and sizes.min() >= 3
    tied = quantile_cells(np.zeros((10, 1)), cells=(5,))
    np.testing.assert_array_equal(tied, np.arange(10) // 2)


def test_strata_hold_every_sample_once_or_say_so():
    labels = np.array([2, 0, 2, 2, 1, 0, 7, -1])
    strata = stratify(labels, num_strata=3, largest=3)
    for stratum in range(3):
        found = np.asarray(strata.indices[stratum])[np.asarray(strata.mask[stratum])]
        np.testing.assert_array_equal(np.sort(found), np.flatnonzero(labels == stratum))
    assert int(strata.num_dropped) == 2
    K, L = _single(*_grams(4, 8))
    for largest, classes in ((3, 3), (2, 8)):
        result = conditional_permutation_test(
            jax.random.key(0), K, L, labels, num_strata=classes, largest=largest, num_permutations=9
        )
        assert np.isnan(result.p_value) and np.isnan(result.statistic)


def test_bad_input_is_named():
    K = np.eye(4)
    sizes = {"num_strata": 2, "largest": 2, "num_permutations": 9}
    with pytest.raises(ValueError, match=r"labels: expected shape \(4,\) to go with K, got \(3,\)"):
        stratified.conditional_permutation_test(jax.random.key(0), K, K, np.zeros(3, int), **sizes)
    with pytest.raises(ValueError, match="num_permutations: expected at least 1, got 0"):
        stratified.conditional_permutation_test(
            jax.random.key(0), K, K, np.zeros(4, int), **(sizes | {"num_permutations": 0})
        )
    with pytest.raises(ValueError, match=r"one Gram matrix a stratum, shape \[s, m, m\]"):
        stratified.stratified_permutation_test(jax.random.key(0), K, K, np.ones(4, bool), num_permutations=9)
    with pytest.raises(ValueError, match=r"mask: expected shape \(1, 4\)"):
        stratified.stratified_permutation_test(
            jax.random.key(0), K[None], K[None], np.ones((1, 3), bool), num_permutations=9
        )
    with pytest.raises(ValueError, match="largest: expected at least 1, got 0"):
        stratified.stratify(np.zeros(4, int), num_strata=2, largest=0)
    with pytest.raises(ValueError, match="cells: expected 2 numbers of at least 1"):
        stratified.quantile_cells(np.zeros((4, 2)), cells=(3,))
