"""Convolutions of three taps in Winograd's form against their definition."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.stats

from causal_iqa.backbones.layers import convolutions, winograd


def correlated(x: np.ndarray, kernel: np.ndarray, shape: convolutions.Shape) -> np.ndarray:
    """The definition, channel by channel in float64, by scipy."""
    padded = np.pad(x.astype(np.float64), ((0, 0), (shape.pad,) * 2, (shape.pad,) * 2, (0, 0)))
    maps = [
        [
            sum(scipy.signal.correlate2d(image[..., c], kernel[..., c, o], "valid") for c in range(shape.before))
            for o in range(shape.after)
        ]
        for image in padded
    ]
    return np.moveaxis(np.asarray(maps), 1, -1)[:, :: shape.stride, :: shape.stride]


def test_where_winograds_form_pays():
    pays = [
        convolutions._minimal(convolutions.Shape(32, 64, *more), rows)
        for more, rows in (((), 8), ((3, 2), 8), ((), 14), ((), 4))
    ]
    assert pays == [True, False, False, False]
    assert not convolutions._minimal(convolutions.Shape(16, 32), 8)


@pytest.mark.parametrize(("pad", "side"), [(1, (8, 5)), (0, (6, 7)), (1, (7, 4))])
def test_winograds_form_is_the_definition(pad, side):
    shape = convolutions.Shape(6, 4, padding=pad)
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2, *side, 6)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 6, 4)).astype(np.float32)
    expected = correlated(x, kernel, shape)
    found = jax.jit(functools.partial(winograd.convolve, pad=pad))(x, kernel)
    np.testing.assert_allclose(found, expected, atol=5e-6 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [convolutions.Shape(16, 16), convolutions.Shape(4, 512), convolutions.Shape(32, 32)])
def test_their_gradients_are_those_of_the_direct_form(shape):
    rng = np.random.default_rng(1)
    x = jnp.float32(rng.normal(size=(2, 8, 6, shape.before)))
    kernel = jnp.float32(rng.normal(size=(3, 3, shape.before, shape.after)))
    weight = jnp.float32(rng.normal(size=(2, 8, 6, shape.after)))
    both = [
        jax.jit(jax.grad(lambda a, b, form=form: (form(a, b, shape) * weight).sum(), (0, 1)))(x, kernel)
        for form in (convolutions.convolve, convolutions._convolve_directly)
    ]
    for found, expected in zip(*both, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
