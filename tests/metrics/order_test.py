"""Order statistics by bits against numpy's sort."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa.metrics import _order

_select = jax.jit(_order.order_statistic, static_argnums=1)


@pytest.mark.parametrize("size", [1, 2, 16, 17, 500])
def test_every_rank_is_that_of_a_sort(size):
    rng = np.random.default_rng(size)
    x = rng.standard_normal(size).astype(np.float32)
    x[::3] = np.round(x[::3])  # ties, zeros
    x[-1] = -0.0 if size > 2 else x[-1]
    for rank in {0, size // 3, size // 2, size - 1}:
        assert _select(jnp.asarray(x), rank) == np.sort(x)[rank]


@pytest.mark.parametrize("size", [3, 64])
def test_median_and_mean_of_smallest(size):
    x = np.random.default_rng(size).choice([-2.5, 0.0, 1e-30, 7.0, 1e30], size).astype(np.float32)
    np.testing.assert_allclose(_order.median(jnp.asarray(x)), np.median(x), rtol=1e-6)
    for count in (1, size // 2, size):
        expected = np.sort(x.astype(np.float64))[:count].mean()
        np.testing.assert_allclose(_order.mean_of_smallest(jnp.asarray(x), count), expected, rtol=1e-6)


def test_float64():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).standard_normal(101)
        assert float(_order.order_statistic(jnp.asarray(x), 30)) == np.sort(x)[30]


def test_gradient_goes_to_the_elements_that_count():
    x = jnp.asarray([5.0, 1.0, 3.0, 2.0])
    np.testing.assert_allclose(jax.grad(_order.median)(x), [0, 0, 0.5, 0.5])
    np.testing.assert_allclose(jax.grad(lambda v: _order.mean_of_smallest(v, 2))(x), [0, 0.5, 0, 0.5])
    tied = jnp.asarray([2.0, 2.0, 9.0])
    np.testing.assert_allclose(jax.grad(_order.median)(tied), [0.5, 0.5, 0])
