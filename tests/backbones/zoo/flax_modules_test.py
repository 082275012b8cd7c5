"""Networks that are trained."""

import jax
import numpy as np

from causal_iqa import backbones
from causal_iqa.backbones.zoo import flax_modules


def test_parameters_follow_the_key(key):
    spec = backbones.trainable("small_resnet8")
    first, second = (flax_modules.init(spec, k, num_outputs=3)["head"]["kernel"] for k in jax.random.split(key))
    again = flax_modules.init(spec, jax.random.split(key)[0], num_outputs=3)["head"]["kernel"]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
