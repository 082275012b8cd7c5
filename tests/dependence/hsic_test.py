"""HSIC estimators and the permutation test against naive sums, closed forms, and their own calibration."""

import itertools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.dependence.compiled import compiled, dependence

hsic_biased = dependence.hsic_biased
hsic_unbiased = dependence.hsic_unbiased
hsic_normalised = dependence.hsic_normalised
centre = dependence.centre
u_centre = dependence.u_centre
centre_against = dependence.centre_against
hsic_permutation_test = dependence.hsic_permutation_test


def _grams(seed, n, dependent=0.5):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    y = dependent * x[:, :2] + rng.standard_normal((n, 2))
    K = np.exp(-np.sum((x[:, None] - x[None, :]) ** 2, -1) / 4)
    L = y @ y.T + 1.0
    return K, L


def _single(*grams):
    return tuple(np.asarray(g, np.float32) for g in grams)


def _naive_biased(K, L):
    n = len(K)
    i = range(n)
    first = sum(K[a, b] * L[a, b] for a, b in itertools.product(i, i)) / n**2
    second = sum(K[a, b] * L[c, d] for a, b, c, d in itertools.product(i, i, i, i)) / n**4
    third = sum(K[a, b] * L[a, c] for a, b, c in itertools.product(i, i, i)) / n**3
    return first + second - 2 * third


def _naive_unbiased(K, L):
    """The same three means over tuples of distinct indices: a U-statistic."""
    i = range(len(K))
    first = np.mean([K[a, b] * L[a, b] for a, b in itertools.permutations(i, 2)])
    second = np.mean([K[a, b] * L[c, d] for a, b, c, d in itertools.permutations(i, 4)])
    third = np.mean([K[a, b] * L[a, c] for a, b, c in itertools.permutations(i, 3)])
    return first + second - 2 * third


def test_biased_is_the_mean_over_all_tuples():
    K, L = _grams(0, 7)
    np.testing.assert_allclose(hsic_biased(*_single(K, L)), _naive_biased(K, L), rtol=2e-6)


@pytest.mark.parametrize("n", [4, 7])
def test_unbiased_is_the_mean_over_distinct_tuples(n):
    K, L = _grams(n, n)
    np.testing.assert_allclose(hsic_unbiased(*_single(K, L)), _naive_unbiased(K, L), rtol=5e-6, atol=1e-7)


def test_unbiased_is_the_published_formula():
    K, L = _grams(1, 30)
    n = len(K)
    k, m = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    one = np.ones(n)
    expected = np.trace(k @ m) + one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 * one @ k @ m @ one / (n - 2)
    np.testing.assert_allclose(hsic_unbiased(*_single(K, L)), expected / (n * (n - 3)), rtol=1e-5)


def test_three_points_by_hand():
    # x = (-1, 0, 1) centred already: K = x x', HSIC_b = (sum x y)^2 / 9 for linear kernels.
    x, y = np.array([[-1.0], [0.0], [1.0]]), np.array([[0.0], [0.0], [3.0]])
    K, L = dependence.linear(x, x), dependence.linear(y, y)
    np.testing.assert_allclose(hsic_biased(K, L), 9 / 9, rtol=1e-6)
    np.testing.assert_allclose(hsic_normalised(K, L), 9 / (2 * 6), rtol=1e-6)


def test_four_points_by_hand():
    # Labels (0, 0, 1, 1) with themselves: distinct-pair mean 1/3, distinct 4-tuples 1/3 * 1/3 ... = 8/24, triples 0.
    L = dependence.delta(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(hsic_unbiased(L, L), 1 / 3 + 8 / 24, rtol=1e-6)
    np.testing.assert_allclose(hsic_biased(L, L), 1 / 4, rtol=1e-6)


def test_centring_is_the_projection():
    K, _ = _grams(2, 9)
    H = np.eye(9) - 1 / 9
    np.testing.assert_allclose(centre(*_single(K)), H @ K @ H, atol=1e-6)
    centred = u_centre(*_single(K))
    np.testing.assert_allclose(np.sum(centred, axis=0), 0.0, atol=1e-5)
    np.testing.assert_array_equal(np.diag(centred), 0.0)


def test_centring_against_anchors_is_centring_of_their_features():
    rng = np.random.default_rng(3)
    x, a = rng.standard_normal((6, 4)) + 2, rng.standard_normal((9, 4)) + 2
    mean = a.mean(axis=0)
    value = centre_against(*_single(x @ a.T, a @ a.T))
    np.testing.assert_allclose(value, (x - mean) @ (a - mean).T, atol=2e-5)
    gram = np.asarray(a @ a.T, np.float32)
    np.testing.assert_allclose(centre_against(gram, gram), centre(gram), atol=1e-5)
    one = centre_against(*_single(x[2:3] @ a.T, a @ a.T))
    np.testing.assert_allclose(one, value[2:3], atol=1e-6)


@pytest.mark.parametrize("offset", [1e2, 1e4])
def test_float32_keeps_its_digits_under_a_kernel_offset(offset):
    K, L = _grams(4, 40)
    K32 = (K + offset).astype(np.float32)
    H = np.eye(40) - 1 / 40
    expected = np.mean((H @ K32.astype(np.float64) @ H) * (H @ L @ H))
    L = np.asarray(L, np.float32)
    np.testing.assert_allclose(hsic_biased(K32, L), expected, rtol=2e-5)
    with jax.enable_x64(True):
        exact = float(hsic_unbiased(K32.astype(np.float64), L.astype(np.float64)))
    np.testing.assert_allclose(hsic_unbiased(K32, L), exact, rtol=2e-5)


def test_unbiased_has_mean_zero_under_independence_and_biased_has_not():
    def draw(key):
        key_x, key_y = jax.random.split(key)
        x, y = jax.random.normal(key_x, (8, 2)), jax.random.normal(key_y, (8, 2))
        K, L = dependence.rbf(x, x, bandwidth=1.0), dependence.rbf(y, y, bandwidth=1.0)
        return hsic_unbiased(K, L), hsic_biased(K, L)

    unbiased, biased = compiled(jax.vmap(draw))(jax.random.split(jax.random.key(0), 2000))
    error = float(np.std(unbiased)) / np.sqrt(2000)
    assert abs(float(np.mean(unbiased))) < 4 * error
    assert float(np.mean(biased)) > 10 * error
    assert 0.3 < float(np.mean(unbiased < 0)) < 0.8


def _null_grams(key, n):
    key_x, key_y = jax.random.split(key)
    x, y = jax.random.normal(key_x, (n, 1)), jax.random.laplace(key_y, (n, 1))
    return dependence.rbf(x, x, bandwidth=1.0), dependence.rbf(y, y, bandwidth=1.0)


def test_permutation_test_keeps_its_level():
    def p_value(key):
        key_data, key_test = jax.random.split(key)
        return hsic_permutation_test(key_test, *_null_grams(key_data, 12), num_permutations=39).p_value

    p = np.asarray(compiled(jax.vmap(p_value))(jax.random.split(jax.random.key(1), 600)))
    for alpha in (0.05, 0.1, 0.5):
        # Exact level at multiples of 1/40; four standard errors of a share over 600 draws.
        assert abs(np.mean(p <= alpha + 1e-6) - alpha) < 4 * np.sqrt(alpha * (1 - alpha) / 600), alpha
    assert p.min() >= 1 / 40 - 1e-6 and p.max() <= 1


def test_power_rises_with_samples_on_a_dependence_without_correlation():
    def rejects(key, n):
        key_angle, key_noise, key_test = jax.random.split(key, 3)
        angle = 2 * jnp.pi * jax.random.uniform(key_angle, (n, 1))
        x, y = jnp.cos(angle), jnp.sin(angle)
        x = x + 0.2 * jax.random.normal(key_noise, (n, 1))
        K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(y, y, bandwidth=0.5)
        return hsic_permutation_test(key_test, K, L, num_permutations=39).p_value <= 0.05 + 1e-6

    keys = jax.random.split(jax.random.key(2), 60)
    power = [float(np.mean(compiled(jax.vmap(lambda k, n=n: rejects(k, n)))(keys))) for n in (8, 72)]
    assert power[0] < 0.5 and power[1] > 0.9


def test_permutation_test_fields_are_those_of_all_permutations():
    K, L = _grams(5, 6)
    null = []
    for order in itertools.permutations(range(6)):
        order = np.array(order)
        H = np.eye(6) - 1 / 6
        null.append(np.mean((H @ K @ H) * (H @ L[np.ix_(order, order)] @ H)))
    result = hsic_permutation_test(jax.random.key(3), *_single(K, L), num_permutations=8000)
    observed = _naive_biased(K, L)
    np.testing.assert_allclose(result.statistic, observed, rtol=1e-5)
    share = np.mean(np.array(null) >= observed - 1e-9)
    np.testing.assert_allclose(result.p_value, share, atol=4 * np.sqrt(share * (1 - share) / 8000))
    np.testing.assert_allclose(result.null_mean, np.mean(null), rtol=0.02)
    np.testing.assert_allclose(result.null_std, np.std(null), rtol=0.03)


def test_ties_count_against_significance():
    # Both variables constant but for one sample: a third of the permutations of three give the same statistic.
    L = dependence.delta(np.array([0, 0, 1]), np.array([0, 0, 1]))
    result = hsic_permutation_test(jax.random.key(4), L, 0.1 * L + 0.3, num_permutations=3000)
    np.testing.assert_allclose(result.p_value, 1 / 3, atol=0.04)


def test_constant_variable_is_never_significant_and_nan_gives_nan():
    K, _ = _single(*_grams(6, 12))
    result = hsic_permutation_test(jax.random.key(5), K, np.full((12, 12), 0.1), num_permutations=99)
    assert float(result.statistic) == 0.0 and float(result.p_value) == 1.0
    result = hsic_permutation_test(jax.random.key(5), K, np.full((12, 12), np.nan), num_permutations=99)
    assert np.isnan(result.p_value)


def test_the_key_decides_the_permutations():
    grams = _single(*_grams(7, 12, dependent=0.1))
    first, again, other = (
        hsic_permutation_test(jax.random.key(seed), *grams, num_permutations=99) for seed in (6, 6, 7)
    )
    assert first == again
    assert float(first.null_mean) != float(other.null_mean)


def test_bad_input_is_named():
    K = np.eye(5)
    with pytest.raises(ValueError, match=r"L: expected a square Gram matrix \[n, n\]"):
        hsic_biased(K, K[:4])
    with pytest.raises(ValueError, match="K, L: expected equal shapes"):
        hsic_unbiased(K, np.eye(4))
    with pytest.raises(ValueError, match="at least 4 samples, got 3"):
        hsic_unbiased(np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match=r"K_xa: expected shape \[n, 5\]"):
        centre_against(np.ones((2, 4)), K)
    with pytest.raises(ValueError, match="num_permutations: expected at least 1, got 0"):
        hsic_permutation_test(jax.random.key(0), K, K, num_permutations=0)
    with pytest.raises(TypeError, match="num_permutations"):
        hsic_permutation_test(jax.random.key(0), K, K)


GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden" / "dependence.json").read_text())
X, Y = (np.asarray(GOLDEN[name]) for name in "xy")
X32, Y32 = np.asarray(X, np.float32), np.asarray(Y, np.float32)
LABELS = np.asarray(GOLDEN["labels"])


def _rbf(bandwidth):
    return lambda a, b: dependence.rbf(a, b, bandwidth=bandwidth)


def _golden_grams():
    return _rbf(1.5)(X32, X32), _rbf(1.2)(Y32, Y32)


def test_normalised_hsic_is_hyppos_given_its_kernel_matrices():
    K, L = _golden_grams()
    np.testing.assert_allclose(dependence.cka_debiased(K, L), GOLDEN["hyppo"]["cka_debiased"], rtol=1e-5)
    np.testing.assert_allclose(
        dependence.hsic_normalised(K, L) ** 0.5, GOLDEN["hyppo"]["hsic_normalised_root"], rtol=1e-5
    )


def test_block_hsic_is_the_mean_over_blocks():
    result = compiled(lambda x, y: dependence.hsic_block(_rbf(1.5), _rbf(1.2), x, y, block_size=7))(X32, Y32)
    K, L = _golden_grams()
    blocks = [slice(i, i + 7) for i in (0, 7, 14)]
    values = [dependence.hsic_unbiased(K[b, b], L[b, b]) for b in blocks]
    np.testing.assert_allclose(result, (np.mean(values), np.var(values, ddof=1) / 3), rtol=1e-4)
    labelled = dependence.hsic_block(_rbf(1.5), dependence.delta, X32, LABELS, block_size=12)
    assert np.isfinite(labelled.estimate)
    for size in (3, 13):
        with pytest.raises(ValueError, match=f"block_size: expected 4 to n / 2 = 12, got {size}"):
            dependence.hsic_block(_rbf(1.5), _rbf(1.2), X32, Y32, block_size=size)
