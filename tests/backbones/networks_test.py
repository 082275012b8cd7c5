"""What brings an image to a network: resize, crop and normalisation."""

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from causal_iqa import _checks, backbones
from causal_iqa.backbones import networks
from tests.backbones import synthetic


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(61, 40), (7, 9)])
def test_geometry_is_pillows_resize(shape, interpolation):
    image = np.random.default_rng(5).random((*shape, 3), np.float32)
    preprocessing = networks.Preprocessing(24, 1.0, (0.5,) * 3, (0.5,) * 3, smallest=8, interpolation=interpolation)
    found = jax.jit(lambda x: backbones.to_input(preprocessing, x))(image)
    kind = PIL.Image.Resampling[interpolation.upper()]
    # In planes of float numbers, where Pillow does not round.
    expected = np.stack([PIL.Image.fromarray(image[..., c]).resize((24, 24), kind) for c in range(3)], axis=-1)
    np.testing.assert_allclose(found, np.clip(expected, 0, 1), atol=2e-6)


def test_normalise_is_the_formula():
    preprocessing = networks.Preprocessing(8, 1.0, (0.1, 0.2, 0.3), (0.5, 0.25, 2.0), smallest=4)
    image = synthetic.images(1, 8)[0]
    expected = (image - np.array([0.1, 0.2, 0.3])) / np.array([0.5, 0.25, 2.0])
    np.testing.assert_allclose(backbones.normalise(preprocessing, jnp.asarray(image)), expected, atol=1e-6)


def test_fixed_sizes_are_kept():
    preprocessing = networks.Preprocessing(8, 1.0, (0.0,) * 3, (1.0,) * 3, smallest=4, fixed_size=True)
    assert networks.with_size(preprocessing, 8) == preprocessing
    with pytest.raises(_checks.InputError, match="takes a side of 8 pixels, got 16"):
        networks.with_size(preprocessing, 16)
