"""Pools of plain networks against the naive loops."""

import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa.backbones.layers import plain_cnn


@pytest.mark.parametrize(
    ("length", "size", "stride", "ceil"), [(7, 3, 2, False), (8, 3, 2, True), (9, 2, 2, False), (4, 3, 2, True)]
)
def test_max_pool_is_the_naive_loop(length, size, stride, ceil):
    x = np.random.default_rng(0).normal(size=(2, length, length + 1, 3)).astype(np.float32)

    def starts(n):
        last = n - (1 if ceil else size)
        # A square that would begin beyond the image is left out.
        return [s for s in range(0, last + 1, stride) if s <= n - size or s - stride + size < n]

    expected = np.stack(
        [
            np.stack([x[:, r : r + size, c : c + size].max(axis=(1, 2)) for c in starts(length + 1)], axis=1)
            for r in starts(length)
        ],
        axis=1,
    )
    np.testing.assert_array_equal(plain_cnn.max_pool(jnp.asarray(x), size, stride, ceil=ceil), expected)


@pytest.mark.parametrize("length", [3, 6, 11, 13])
def test_adaptive_mean_is_the_naive_loop(length):
    x = np.random.default_rng(1).normal(size=(1, length, 6, 2)).astype(np.float32)
    rows = [x[:, i * length // 6 : -(-(i + 1) * length // 6)].mean(axis=1) for i in range(6)]
    np.testing.assert_allclose(plain_cnn.adaptive_mean(jnp.asarray(x), 6), np.stack(rows, axis=1), atol=1e-6)
