"""sRGB's transfer function against its standard in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import colour


def _decoded(v):
    return v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4


def test_linear_light_is_that_of_the_standard():
    encoded = np.linspace(0, 1, 256)
    np.testing.assert_allclose(
        colour.to_linear(jnp.asarray(encoded, jnp.float32)), [_decoded(v) for v in encoded], atol=1e-6
    )


def test_encoding_undoes_decoding_and_clips():
    encoded = jnp.linspace(0, 1, 256)
    np.testing.assert_allclose(colour.to_srgb(colour.to_linear(encoded)), encoded, atol=2e-6)
    np.testing.assert_allclose(colour.to_srgb(jnp.asarray([-0.5, 7.0])), [0.0, 1.0], atol=1e-7)


@pytest.mark.parametrize("fn", [colour.to_linear, colour.to_srgb])
def test_gradients_are_finite_at_black_at_the_knee_and_at_white(fn):
    places = jnp.asarray([0.0, colour.LINEAR_KNEE, colour.ENCODED_KNEE, 1.0])
    slopes = jax.vmap(jax.grad(fn))(places)
    assert np.isfinite(slopes).all() and (slopes >= 0).all()
    # Near black the curve is a line.
    assert float(jax.grad(fn)(1e-3)) == pytest.approx(12.92 if fn is colour.to_srgb else 1 / 12.92)
