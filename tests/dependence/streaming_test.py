"""HSIC by blocks against the estimators on whole Gram matrices in float64."""

import functools

import jax
import numpy as np
import pytest

from causal_iqa.dependence import streaming
from tests.dependence.compiled import compiled, dependence

K_X, K_Y = functools.partial(dependence.rbf, bandwidth=1.2), functools.partial(dependence.rbf, bandwidth=0.8)


def _samples(seed, n, strength=0.5):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    return x, strength * x[:, :2] + rng.standard_normal((n, 2))


def _gram(x, bandwidth):
    return np.exp(-np.sum((x[:, None] - x[None]) ** 2, -1) / (2 * bandwidth**2))


def naive(K, L):
    """Gretton's and Song's formulas, and their ratios."""
    n = len(K)
    H = np.eye(n) - 1 / n

    def biased(K, L):
        return np.trace(K @ H @ L @ H) / n**2

    def unbiased(K, L):
        k, m = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
        total = np.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * k.sum(0) @ m.sum(0) / (n - 2)
        return total / (n * (n - 3))

    return [
        biased(K, L),
        unbiased(K, L),
        biased(K, L) / np.sqrt(biased(K, K) * biased(L, L)),
        unbiased(K, L) / np.sqrt(unbiased(K, K) * unbiased(L, L)),
    ]


def _streamed(x, y, *masks, block, num_anchors=7, kernels=(K_X, K_Y)):
    samples = (np.asarray(x, np.float32), np.asarray(y, np.float32))
    run = functools.partial(streaming.hsic_streamed, kernel_x=kernels[0], kernel_y=kernels[1])
    return compiled(
        lambda x, y, *masks: run(x, y, mask=masks[0] if masks else None, block=block, num_anchors=num_anchors)
    )(*samples, *masks)


@pytest.mark.parametrize("block", [7, 64])
def test_equals_the_formulas_whatever_the_block(block):
    x, y = _samples(0, 50)
    np.testing.assert_allclose(_streamed(x, y, block=block), naive(_gram(x, 1.2), _gram(y, 0.8)), rtol=2e-5)


def test_hidden_samples_do_not_count():
    x, y = _samples(2, 50)
    mask = np.random.default_rng(0).uniform(size=50) < 0.7
    seen = _streamed(np.where(mask[:, None], x, 9.0), np.where(mask[:, None], y, -9.0), np.asarray(mask), block=16)
    np.testing.assert_allclose(seen, naive(_gram(x[mask], 1.2), _gram(y[mask], 0.8)), rtol=2e-5)


def test_labels_and_linear_kernels_with_an_offset():
    x, _ = _samples(3, 45)
    labels = np.random.default_rng(1).integers(0, 3, 45) + (x[:, 0] > 0)
    linear = lambda a, b: dependence.linear(a, b) + 300.0  # noqa: E731
    run = compiled(
        lambda x, labels: streaming.hsic_streamed(x, labels, linear, dependence.delta, block=16, num_anchors=9)
    )
    expected = naive(x @ x.T, (labels[:, None] == labels[None]).astype(float))
    np.testing.assert_allclose(run(np.asarray(x, np.float32), labels), expected, rtol=2e-4)


def test_small_values_of_independent_samples_keep_their_digits():
    x, y = _samples(4, 700, strength=0.0)
    expected = naive(_gram(x, 1.2), _gram(y, 0.8))
    value = _streamed(x, y, block=128, num_anchors=100)
    assert expected[0] < 1e-3 and abs(expected[1]) < 1e-3
    np.testing.assert_allclose(value.hsic_biased, expected[0], rtol=1e-5)
    np.testing.assert_allclose(value.hsic_unbiased, expected[1], atol=1e-5 * expected[0])
    one = _streamed(x, y, block=128, num_anchors=1)
    np.testing.assert_allclose(one.hsic_biased, expected[0], rtol=3e-5)


def test_gradient_is_that_of_the_whole_matrices():
    x, y = (np.asarray(v, np.float32) for v in _samples(5, 30))

    def blocks(x):
        result = streaming.hsic_streamed(x, y, K_X, K_Y, block=8, num_anchors=5)
        return result.hsic_unbiased + result.cka

    def whole(x):
        return dependence.hsic_unbiased(K_X(x, x), K_Y(y, y)) + dependence.cka(K_X(x, x), K_Y(y, y))

    np.testing.assert_allclose(compiled(jax.grad(blocks))(x), compiled(jax.grad(whole))(x), rtol=1e-3, atol=2e-6)


def test_memory_grows_with_samples_not_their_square():
    x = jax.ShapeDtypeStruct((8192, 4), np.float32)

    def needed(function):
        return jax.jit(function).lower(x, x).compile().memory_analysis().temp_size_in_bytes

    value = functools.partial(streaming.hsic_streamed, kernel_x=K_X, kernel_y=K_Y, block=256, num_anchors=64)
    # One Gram matrix of 8192 samples is 256 MiB; 20 blocks of 256 samples are 5 MiB.
    assert needed(lambda x, y: value(x, y).hsic_biased) < 20 * 2**20
    assert needed(jax.grad(lambda x, y: value(x, y).hsic_biased)) < 40 * 2**20


def test_a_constant_variable_has_no_alignment():
    x, _ = _samples(6, 20)
    result = _streamed(x, np.ones((20, 2)), block=8)
    assert float(result.hsic_biased) == pytest.approx(0.0, abs=1e-8)
    assert np.isnan(result.cka) and np.isnan(result.cka_debiased)


def test_bad_input_is_named():
    x = np.zeros((6, 2))
    with pytest.raises(ValueError, match="x, y: expected the same samples, got 6 and 5"):
        streaming.hsic_streamed(x, x[:5], K_X, K_Y, block=2, num_anchors=2)
    with pytest.raises(ValueError, match=r"a mask of shape \(5,\)"):
        streaming.hsic_streamed(x, x, K_X, K_Y, np.ones(5, bool), block=2, num_anchors=2)
    with pytest.raises(ValueError, match="block: expected at least 1, got 0"):
        streaming.hsic_streamed(x, x, K_X, K_Y, block=0, num_anchors=2)
    with pytest.raises(ValueError, match="num_anchors: expected 1 to n = 6, got 7"):
        streaming.hsic_streamed(x, x, K_X, K_Y, block=2, num_anchors=7)
