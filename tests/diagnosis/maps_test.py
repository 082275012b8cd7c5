"""Means over maps against NumPy and SciPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from causal_iqa.diagnosis import _maps

_X = np.random.default_rng(0).uniform(size=(20, 26)).astype(np.float32)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (7, 2), (9, 6)])
def test_windows_have_the_means_and_minima_of_scipys(size, stride):
    means = ndimage.uniform_filter(_X.astype(float), size)[size // 2 : 20 - size // 2, size // 2 : 26 - size // 2]
    least = ndimage.minimum_filter(_X, size)[size // 2 : 20 - size // 2, size // 2 : 26 - size // 2]
    np.testing.assert_allclose(_maps.box(jnp.asarray(_X), size, stride), means[::stride, ::stride], atol=1e-5)
    np.testing.assert_array_equal(_maps.lowest(jnp.asarray(_X), size, stride), least[::stride, ::stride])


def test_products_are_means_over_pixels():
    first, second = [_X, _X**2], [np.ones_like(_X), _X]
    found = _maps.products([jnp.asarray(x) for x in first], [jnp.asarray(y) for y in second])
    np.testing.assert_allclose(found, [[(x * y).mean() for y in second] for x in first], rtol=1e-5)


def test_shares_below_a_step_are_counted():
    found = _maps.below([jnp.asarray(_X), jnp.asarray(_X / 4)], (0.5, 63.5, 200.5))
    shares = np.array([[(x < step / 255).mean() for step in (0.5, 63.5, 200.5)] for x in (_X, _X / 4)])
    np.testing.assert_allclose(found, np.log(shares + 1e-3) - np.log(1 - shares + 1e-3), rtol=1e-4, atol=1e-5)


def test_halves_are_means_of_blocks_and_padding_is_zeros():
    np.testing.assert_allclose(_maps.half(jnp.asarray(_X)), _X.reshape(10, 2, 13, 2).mean((1, 3)), rtol=1e-5)
    np.testing.assert_allclose(
        _maps.half(jnp.asarray(_X[:-1, :-1])), _X[:18, :24].reshape(9, 2, 12, 2).mean((1, 3)), rtol=1e-5
    )
    stacked, zeros = _maps.padded([jnp.asarray(_X[:5]), jnp.asarray(_X[:, :7])], _X.shape)
    assert zeros.tolist() == [15 * 26, 20 * 19]
    np.testing.assert_allclose(stacked.sum((1, 2)), [_X[:5].sum(), _X[:, :7].sum()], rtol=1e-5)
