"""Sums over shifted windows and their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa.metrics import _filters


@pytest.mark.parametrize(("axis", "step", "stride"), [(1, 1, 1), (1, 1, 3), (2, 3, 1), (2, 1, 2)])
def test_shifted_sum_and_its_transpose(axis, step, stride):
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(2, 13, 17)).astype(np.float32), (0.1, 0.5, -0.2, 0.3)
    filtered = lambda v: _filters.shifted_sum(v, weights, axis, step=step, stride=stride)  # noqa: E731
    kernel = np.zeros(3 * step + 1)
    kernel[::step] = weights
    expected = np.apply_along_axis(lambda v: np.correlate(v, kernel, mode="valid")[::stride], axis, x)
    out, transpose = jax.vjp(filtered, jnp.asarray(x))
    np.testing.assert_allclose(out, expected, atol=1e-6)
    probe = rng.normal(size=expected.shape).astype(np.float32)
    np.testing.assert_allclose(np.sum(transpose(jnp.asarray(probe))[0] * x), np.sum(probe * expected), rtol=1e-4)


def test_local_moments_differentiate_as_their_formula():
    rng = np.random.default_rng(1)
    x, y = (jnp.asarray(rng.uniform(0, 1, (12, 13)), jnp.float32) for _ in range(2))
    window = _filters.gaussian(5, 1.0)

    def plain(x, y):
        mean = lambda v: _filters.separable(v, window, window)  # noqa: E731
        a, b = mean(x), mean(y)
        return _filters.LocalMoments(a, b, mean(x * x) - a * a, mean(y * y) - b * b, mean(x * y) - a * b)

    probe = [jnp.asarray(rng.normal(size=(8, 9)), jnp.float32) for _ in range(5)]
    ours, back = jax.vjp(lambda x, y: _filters.local_moments(x, y, window), x, y)
    theirs, expected = jax.vjp(plain, x, y)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), ours, theirs)
    cotangent = _filters.LocalMoments(*probe)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), back(cotangent), expected(cotangent))
