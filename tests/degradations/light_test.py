"""The layout that vectorises, and the check of any size."""

import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa.degradations import _light


def test_channels_alternate_along_the_rows():
    image = jnp.arange(2 * 4 * 3.0).reshape(2, 4, 3)
    factors = _light.per_channel((1.0, 10.0, 100.0), 4)
    expected = np.asarray(image) * np.array([1.0, 10.0, 100.0])
    np.testing.assert_array_equal((_light.wide(image) * factors).reshape(2, 4, 3), expected)
    np.testing.assert_array_equal(_light.finish_wide(image / 24, _light.wide(image) / 24, 3.0), image / 24)


def test_the_grid_is_centred():
    down, right = _light.centred_grid(3, 4, copies=3)
    np.testing.assert_array_equal(down[:, 0], [-1, 0, 1])
    np.testing.assert_array_equal(right[0], np.repeat([-1.5, -0.5, 0.5, 1.5], 3))


def test_any_size_has_a_shorter_side_and_no_unknown_family():
    assert _light.check_any_size(jnp.zeros((5, 7, 3)), None) == 5
    with pytest.raises(ValueError, match="family"):
        _light.check_any_size(jnp.zeros((5, 7, 3)), "imagenet223")
    with pytest.raises(TypeError, match="float"):
        _light.check_any_size(jnp.zeros((5, 7, 3), jnp.uint8), None)
