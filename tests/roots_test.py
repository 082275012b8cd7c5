"""A square root whose derivative is never infinite."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _roots


def test_it_is_the_root_where_there_is_one_and_0_elsewhere():
    x = jnp.asarray([-1.0, 0.0, 1e-30, 0.25, 9.0])
    np.testing.assert_allclose(_roots.safe_sqrt(x), [0, 0, 1e-15, 0.5, 3], rtol=1e-6)
    slopes = jax.vmap(jax.grad(_roots.safe_sqrt))(x)
    np.testing.assert_allclose(slopes[jnp.asarray([0, 1, 3, 4])], [0, 0, 1, 1 / 6], rtol=1e-6)
    # Without the guard the slope at 0 is infinite.
    assert np.isinf(jax.grad(jnp.sqrt)(0.0))
