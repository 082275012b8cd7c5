"""Shapes of generalised Gaussians."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.io
import scipy.ndimage
import scipy.stats

from causal_iqa.metrics import generalised_gaussian


def test_shapes_are_found():
    """Samples of known shape; the grid's shape is within sampling error of it."""
    rng = np.random.default_rng(0)
    for shape in (0.8, 2.0, 3.5):
        sample = scipy.stats.gennorm.rvs(shape, size=(256, 256), random_state=rng).astype(np.float32)
        found, variance, defined = generalised_gaussian.fit_symmetric(jnp.asarray(sample))
        np.testing.assert_allclose(found.read("shape"), shape, rtol=0.05)
        np.testing.assert_allclose(variance, np.mean(sample.astype(np.float64) ** 2), rtol=1e-5)
        # Each side's share of the mass is that of its scale.
        skewed = np.where(rng.random(sample.shape) < 0.2, -0.5, 2.0) * np.abs(sample)
        fit = generalised_gaussian.fit_asymmetric([jnp.asarray(skewed, jnp.float32)])
        assert bool(defined) and bool(fit.defined[0])
        np.testing.assert_allclose(fit.right / fit.left, 4.0, rtol=0.03)
        np.testing.assert_allclose(fit.shape.read("shape"), shape, rtol=0.1)


def test_gradient_of_a_shape_is_that_of_interpolation():
    """On the grid the value is a staircase; its gradient is the slope between steps."""
    sample = np.random.default_rng(1).normal(size=(64, 64)).astype(np.float32)
    bent = jnp.asarray(np.sign(sample) * np.abs(sample) ** 1.2)

    def shape(t):
        return generalised_gaussian.fit_symmetric((1 - t) * jnp.asarray(sample) + t * bent)[0].read("shape")

    slope = (shape(0.2) - shape(-0.2)) / 0.4
    np.testing.assert_allclose(jax.grad(shape)(0.0), slope, rtol=0.1)
