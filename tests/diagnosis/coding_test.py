"""Blocks and runs that are known are found."""

import jax.numpy as jnp
import numpy as np

from causal_iqa.diagnosis import _coding

_RNG = np.random.default_rng(0)


def _found(image):
    return {name: np.asarray(x) for name, x in _coding.coding(jnp.asarray(image[..., 1]), jnp.asarray(image)).items()}


def test_the_phase_of_blocks_stands_out():
    levels = np.kron(_RNG.uniform(size=(9, 9)), np.ones((8, 8)))[:, :, None] * np.ones(3)
    noise = 0.002 * _RNG.normal(size=(72, 72, 3))
    for shift in (0, 3):
        image = np.roll(levels + noise, (shift, shift), (0, 1)).astype(np.float32)
        # The step between pixels 7 and 8 is the eighth; the first has no neighbour before it.
        assert int(_found(image)["phases"].argmax()) == (6 + shift) % 8
    blocking = [_found(x.astype(np.float32))["blocking"][0] for x in (levels + noise, noise)]
    assert blocking[0] > blocking[1] + 1


def test_runs_of_equal_pixels_are_counted():
    image = _RNG.uniform(size=(64, 64, 3)).astype(np.float32)
    image[:, 1::2] = image[:, ::2]  # Every second step along a row is none, and none down a column.
    found = _found(image)["runs"]
    along, down = found[:6], found[6:]
    share = 32 / 63
    np.testing.assert_allclose(along[0], np.log(share + 1e-4), rtol=1e-5)
    np.testing.assert_allclose([along[1], down[0]], np.log(1e-4), rtol=1e-5)
