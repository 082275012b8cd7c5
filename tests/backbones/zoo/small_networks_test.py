"""Small networks: what they compute agrees with plain definitions, and files of them load as what was trained."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import backbones
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.backbones.zoo import flax_modules, small_networks
from tests.backbones import synthetic


def test_depthwise_is_the_convolution():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(2, 7, 6, 3)).astype(np.float32)
    kernel = draw.normal(size=(5, 5, 3)).astype(np.float32)
    expected = np.zeros_like(x, dtype=np.float64)
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    for row in range(7):
        for column in range(6):
            window = padded[:, row : row + 5, column : column + 5]
            expected[:, row, column] = np.einsum("bijc,ijc->bc", window, kernel)
    found = small_networks._depthwise(jnp.asarray(x), jnp.asarray(kernel))
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("name", ["small_vgg5", "small_resnet8", "small_vit", "small_convnext"])
def test_a_trained_file_loads_as_what_was_trained(name, tmp_path):
    spec = backbones.trainable(name)
    layout = small_networks.layout(name, {"head.bias": np.zeros(7)})
    params = checkpoints.unflatten(synthetic.tensors(layout, seed=3))
    path = tmp_path / "network.safetensors"
    backbones.save_safetensors(str(path), params, {})
    network = backbones.load(name, path)
    assert network.num_classes == 7
    image = jnp.asarray(synthetic.images(1, 32))
    expected, stages = jax.jit(lambda p, x: spec.module(7).apply({"params": p}, x))(params, image)
    logits, features = jax.jit(network.apply)(network.params, image[0])
    np.testing.assert_allclose(logits, expected[0], rtol=1e-4, atol=1e-4)
    assert set(features) == set(stages) == set(network.stages)


def test_the_transformer_reads_other_sides():
    spec = backbones.trainable("small_vit")
    shapes = jax.eval_shape(
        lambda x: spec.module(3).apply({"params": flax_modules.init(spec, jax.random.key(0), num_outputs=3)}, x),
        jax.ShapeDtypeStruct((1, 48, 48, 3), jnp.float32),
    )
    assert shapes[0].shape == (1, 3)
    assert shapes[1]["stem"].shape[1:3] == (12, 12)
