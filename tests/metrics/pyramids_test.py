"""The Laplacian pyramid by its definition."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from causal_iqa.metrics import _pyramids, multiscale


@pytest.mark.parametrize("shape", [(9, 12), (10, 7)])
def test_laplacian_pyramid_is_zeros_between_and_mirror_about_the_edge(shape):
    x = np.random.default_rng(0).normal(size=shape)
    taps = np.outer(multiscale._BINOMIAL, multiscale._BINOMIAL)
    low = scipy.ndimage.correlate(x, taps, mode="mirror")[::2, ::2]
    spread = np.zeros(shape)
    spread[::2, ::2] = low
    expected = x - 4 * scipy.ndimage.correlate(spread, taps, mode="mirror")
    bands = _pyramids.laplacian(
        jnp.asarray(x, jnp.float32), multiscale._BINOMIAL, 2, reduce_border="reflect", expand_border="reflect", gain=2.0
    )
    np.testing.assert_allclose(bands[0], expected, atol=1e-6)
    np.testing.assert_allclose(bands[1], 2 * low, atol=1e-6)
