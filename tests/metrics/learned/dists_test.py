"""The pooling of DISTS."""

import jax.numpy as jnp
import numpy as np

from causal_iqa.metrics.learned import _dists


def test_smooth_pool_is_the_naive_sum():
    x = np.random.default_rng(0).normal(size=(1, 7, 6, 2)).astype(np.float32)
    window = np.outer(np.hanning(5)[1:-1], np.hanning(5)[1:-1])
    window /= window.sum()
    padded = np.pad(np.float64(x) ** 2, [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = np.array(
        [
            [(padded[0, r : r + 3, c : c + 3] * window[..., None]).sum(axis=(0, 1)) for c in range(0, 6, 2)]
            for r in range(0, 7, 2)
        ]
    )
    np.testing.assert_allclose(_dists._smooth_pool(jnp.asarray(x))[0], np.sqrt(expected), rtol=1e-5)
