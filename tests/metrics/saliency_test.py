"""Saliency of flat and grey images."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.metrics import saliency


def test_saliency_of_flat_and_grey_images():
    shape = (20, 23, 3)
    flat = jnp.broadcast_to(jnp.asarray([0.2, 0.5, 0.9]), shape)
    own_size = jax.jit(saliency.sdsp)
    np.testing.assert_array_equal(own_size(flat), 0.0)
    np.testing.assert_array_equal(jax.jit(lambda x: saliency.sdsp(x, side=256))(flat), 0.0)
    ramp = jnp.broadcast_to(jnp.linspace(0.1, 0.9, 23)[None, :, None], shape)
    value = own_size(ramp)
    np.testing.assert_allclose([float(value.min()), float(value.max())], [0.0, 1.0], atol=2e-7)
