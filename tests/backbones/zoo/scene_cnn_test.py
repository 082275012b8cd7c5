"""The networks for scenes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import _checks
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.backbones.zoo import scene_cnn
from tests.backbones import synthetic


@pytest.mark.parametrize("name", sorted(scene_cnn.VARIANTS))
def test_scene_networks_are_small_and_trainable(name):
    module = scene_cnn.module(name, 5)
    params = checkpoints.unflatten(synthetic.tensors(scene_cnn.layout(name, {"head.bias": np.zeros(5)}), seed=4))
    assert 40_000 <= sum(leaf.size for leaf in jax.tree.leaves(params)) <= 110_000
    images = jnp.asarray(synthetic.images(2, 48))

    def loss(params):
        outputs, _ = module.apply({"params": params}, images)
        return -jax.nn.log_softmax(outputs)[:, 0].mean()

    value, gradient = jax.jit(jax.value_and_grad(loss))(params)
    assert np.isfinite(value)
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf).all()
        assert np.abs(leaf).max() > 0
    forward = jax.jit(lambda p, x: module.apply({"params": p}, x)).lower(params, images[:1])
    assert forward.cost_analysis()["flops"] <= 8e6


def test_scene_initial_weights_follow_the_key(key):
    first, second = (scene_cnn.init("scene_cnn_a", k, num_outputs=3) for k in jax.random.split(key))
    again = scene_cnn.init("scene_cnn_a", jax.random.split(key)[0], num_outputs=3)
    assert np.array_equal(first["head"]["kernel"], again["head"]["kernel"])
    assert not np.array_equal(first["head"]["kernel"], second["head"]["kernel"])
    with pytest.raises(_checks.InputError, match="unknown scene network 'scene_cnn_d'"):
        scene_cnn.module("scene_cnn_d", 3)
