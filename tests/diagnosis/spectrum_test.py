"""A wave lies in its own band and direction."""

import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa.diagnosis import _spectrum


@pytest.mark.parametrize("cycles", [8, 16, 24])
def test_a_wave_has_its_power_in_the_band_of_its_frequency(cycles):
    side = 96
    x = 0.5 + 0.3 * np.sin(2 * np.pi * cycles * np.arange(side) / side)[None, :, None] * np.ones((side, 1, 3))
    image = jnp.asarray(x, jnp.float32)
    found = _spectrum.spectrum(image, image[..., 0])
    expected = int(cycles / side * 2 * 32)
    assert abs(int(found["spectrum"].argmax()) - expected) <= 1
    # Grey: where there is power, all channels say the same.
    assert float(found["coherence"].max()) == pytest.approx(1.0, abs=1e-3)


def test_power_does_not_depend_on_the_mean_level():
    image = np.random.default_rng(0).uniform(0.2, 0.6, (64, 64, 3)).astype(np.float32)
    first, second = (_spectrum.spectrum(jnp.asarray(one), jnp.asarray(one.mean(-1))) for one in (image, image + 0.2))
    for name in first:
        np.testing.assert_allclose(first[name], second[name], atol=1e-3, err_msg=name)


def test_means_over_bands_are_those_of_their_coefficients():
    side = 64
    power = np.random.default_rng(0).random(side * (side // 2 + 1)).astype(np.float32)
    found = _spectrum._band_means(jnp.asarray(power), side, ("fine", "oriented"))
    expected = power.astype(np.float64) @ _spectrum._band_matrix(side, ("fine", "oriented"))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
