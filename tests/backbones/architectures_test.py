"""What every row of the table promises, on random weights and the smallest images it takes."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import _checks, backbones
from tests.backbones import synthetic

# Larger ones, and those that random weights make ill-conditioned, are held to their peers at small sizes in the files
# of their families under zoo/.
_LARGEST = 5_000_000


def _size(row: backbones.ArchitectureSpec) -> int:
    return sum(int(np.prod(shape)) for shape in row.layout({}).values())


_KINDS = ("efficientnet", "alexnet", "vgg", "squeezenet", "plain_cnn")
_BUILT_WHOLE = [name for name, row in backbones.TABLE.items() if _size(row) < _LARGEST and row.kind not in _KINDS]


@pytest.fixture(scope="module", params=sorted(_BUILT_WHOLE))
def network(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    layout = backbones.TABLE[request.param].layout({})
    safetensors.numpy.save_file(synthetic.tensors(layout, seed=3), path)
    return backbones.load(request.param, path)


def batch(network: backbones.Network, count: int) -> np.ndarray:
    return synthetic.images(count, network.preprocessing.smallest)


def test_outputs(network):
    images = batch(network, 3)
    one = jax.jit(network.apply)
    mapped = jax.jit(jax.vmap(network.apply, in_axes=(None, 0)))
    logits, features = mapped(network.params, images)
    assert logits.shape == (3, network.num_classes)
    assert logits.dtype == jnp.float32
    assert set(features) == set(network.stages)
    assert network.stages[-1] == backbones.PENULTIMATE
    sides = [features[stage].shape[1] for stage in network.stages[:-1]]
    assert sides == sorted(sides, reverse=True)
    for value in (logits, *features.values()):
        assert np.isfinite(value).all()
    for i, image in enumerate(images):
        alone, alone_features = one(network.params, image)
        np.testing.assert_allclose(jax.nn.softmax(alone), jax.nn.softmax(logits[i]), atol=1e-5)
        for stage in network.stages:
            scale = np.abs(features[stage][i]).max()
            np.testing.assert_allclose(alone_features[stage], features[stage][i], atol=1e-5 * scale, err_msg=stage)
            assert alone_features[stage].ndim == (1 if stage == backbones.PENULTIMATE else 3)
    assert not np.allclose(logits[0], logits[1])


def test_the_head_reads_the_penultimate_features(network):
    logits, features = jax.jit(network.apply)(network.params, batch(network, 1)[0])
    kernel, bias = network.head()
    assert kernel.shape == (*features[backbones.PENULTIMATE].shape, network.num_classes)
    expected = np.asarray(features[backbones.PENULTIMATE], np.float64) @ np.asarray(kernel, np.float64) + bias
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


def test_parameters_are_arguments(network):
    """Nothing of the weights is baked into the function: zero parameters give zero logits."""
    zeros = jax.tree.map(jnp.zeros_like, network.params)
    logits, _ = jax.jit(network.apply)(zeros, batch(network, 1)[0])
    np.testing.assert_array_equal(logits, 0.0)


def test_the_passport_is_json(network):
    passport = json.loads(json.dumps(network.passport()))
    assert passport["architecture"] == network.name
    assert len(passport["weights_sha256"]) == 64
    assert passport["num_classes"] == network.num_classes
    assert passport["stages"] == list(network.stages)
    assert passport["preprocessing"]["size"] == network.preprocessing.size
    assert passport["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(network.params))


def test_images_it_cannot_take(network):
    smallest = network.preprocessing.smallest
    for shape, error in (((2, smallest, smallest, 3), ValueError), ((smallest - 1, smallest, 3), _checks.InputError)):
        with pytest.raises(error, match=r"\[H, W, 3\]|at least|takes a side of"):
            network.apply(network.params, jnp.zeros(shape))
    with pytest.raises(TypeError, match="float32"):
        network.apply(network.params, jnp.zeros((smallest, smallest, 3), jnp.uint8))


def test_geometry_resizes_and_does_not_crop(network):
    size = network.preprocessing.size
    image = jnp.zeros((40, 60, 3)).at[:, 0].set(1.0)
    out = backbones.to_input(network.preprocessing, image)
    assert out.shape == (size, size, 3)
    assert float(out[:, 0].min()) > 0.4


@pytest.mark.parametrize("name", ["scene_cnn_b", "cifar_resnet20"])
def test_probabilities_do_not_depend_on_the_batch(name, tmp_path):
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file(synthetic.tensors(backbones.TABLE[name].layout({}), seed=3), path)
    network = backbones.load(name, path)
    images = synthetic.images(32, network.preprocessing.size)
    mapped = jax.jit(jax.vmap(lambda params, image: jax.nn.softmax(network.apply(params, image)[0]), (None, 0)))
    predict = functools.partial(mapped, network.params)
    whole = predict(images)
    assert float(whole.max(axis=0).min()) > 1e-4
    for size in (1, 7):
        parts = jnp.concatenate([predict(images[i : i + size]) for i in range(0, 28, size)])
        np.testing.assert_allclose(parts, whole[:28], atol=1e-5)


@pytest.mark.parametrize("name", ["scene_cnn_b", "cifar_resnet20"])
def test_jitted_is_eager(name, tmp_path):
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file(synthetic.tensors(backbones.TABLE[name].layout({}), seed=3), path)
    network = backbones.load(name, path)
    image = synthetic.images(1, network.preprocessing.smallest)[0]
    eager, jitted = network.apply(network.params, image)[0], jax.jit(network.apply)(network.params, image)[0]
    np.testing.assert_allclose(eager, jitted, atol=1e-5 * np.abs(eager).max())


def test_a_rounded_network_says_about_the_same():
    network = backbones.load_packaged("scene_cnn_a")
    rough = backbones.with_precision(network, "bfloat16")
    images = batch(network, 8)
    exact, about = (
        jax.nn.softmax(jax.jit(jax.vmap(one.apply, in_axes=(None, 0)))(one.params, images)[0])
        for one in (network, rough)
    )
    assert 0 < np.abs(exact - about).max() < 0.1
