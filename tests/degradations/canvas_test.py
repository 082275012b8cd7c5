"""An image on a larger canvas against the image alone."""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.degradations import _canvas


def test_beyond_the_image_its_outer_pixels_go_on():
    plane = np.arange(20.0).reshape(4, 5)
    found = _canvas.continued(jnp.asarray(plane), jnp.asarray([3, 2]))
    np.testing.assert_array_equal(found, np.pad(plane[:3, :2], ((0, 1), (0, 3)), mode="edge"))


def test_draws_lie_in_reading_order():
    key, size = jax.random.key(0), jnp.asarray([3, 2])
    assert _canvas.draws_are_counted()
    alone = jax.random.normal(key, (2, 3, 2))
    found = _canvas.in_reading_order(jax.random.normal(key, (2 * 4 * 5,)), size, (2, 4, 5))
    np.testing.assert_array_equal(found[:, :3, :2], alone)
    np.testing.assert_array_equal(found[:, 3, :2], alone[:, 2])
