"""Networks in another precision, or without their weights, are the network otherwise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import InputError, backbones


@pytest.fixture(scope="module")
def network():
    return backbones.open_network("scene_cnn_a")


def test_without_weights_only_the_shapes_are_left(network):
    bare = backbones.without_weights(network)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(bare.params))
    shapes = [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(network.params)]
    assert [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(bare.params)] == shapes
    assert bare.weights_sha256 == "" != network.weights_sha256
    image = jnp.full((48, 48, 3), 0.5)
    np.testing.assert_array_equal(bare.apply(network.params, image)[0], network.apply(network.params, image)[0])


def test_another_precision_is_another_network_and_its_own_precision_the_same(network):
    assert backbones.with_precision(network, network.precision) is network
    rough = backbones.with_precision(network, "bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves(rough.params)} == {jnp.dtype("bfloat16")}
    image = jnp.asarray(np.random.default_rng(0).uniform(size=(48, 48, 3)).astype(np.float32))
    exact, rounded = (one.apply(one.params, image)[0] for one in (network, rough))
    assert rounded.dtype == jnp.float32
    assert 0 < np.abs(np.asarray(exact - rounded)).max() < 0.1 * np.abs(np.asarray(exact)).max()
    with pytest.raises(InputError, match="precision"):
        backbones.with_precision(network, "float8")
