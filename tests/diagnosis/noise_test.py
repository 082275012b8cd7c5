"""Noise of a known deviation is measured, and single pixels are found."""

import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa.diagnosis import _noise

_RNG = np.random.default_rng(0)


@pytest.mark.parametrize("sigma", [0.02, 0.06])
def test_the_middle_is_the_log_variance_of_the_noise(sigma):
    image = 0.5 + sigma * _RNG.normal(size=(96, 96, 3))
    found = _noise.noise(jnp.asarray(image, jnp.float32))
    # Per block the mean of four squares: its logarithm lies below that of its mean by digamma(2) - log(2) = -.27.
    at_half = np.asarray(found["noise middle"])[3:5]
    np.testing.assert_allclose(at_half, np.log(sigma**2) - 0.27, atol=0.12)


def test_channels_that_share_their_noise_are_told():
    alone = _RNG.normal(size=(96, 96, 3))
    for noise, expected in ((alone, 0.0), (alone[..., :1] * np.ones(3), 1.0)):
        shared = np.asarray(_noise.noise(jnp.asarray(0.5 + 0.05 * noise, jnp.float32))["noise shared"])[:3]
        np.testing.assert_allclose(shared, expected, atol=0.08)


def test_outliers_are_counted_by_how_far_they_stand_out():
    image = np.full((50, 50, 3), 0.5, np.float32)
    image[10:40:5, 10:40:5, 1] = 1.0  # 36 white pixels.
    found = np.exp(np.asarray(_noise.outliers(jnp.asarray(image))["outliers"]).reshape(5, 4)) - 1e-4
    share = 36 / 48**2
    np.testing.assert_allclose(found[:, 0], share, rtol=1e-2)  # Above all neighbours by each of the steps.
    np.testing.assert_allclose(found[:, 2], share, rtol=1e-2)  # And white.
    np.testing.assert_allclose(found[:, [1, 3]], 0.0, atol=1e-5)
