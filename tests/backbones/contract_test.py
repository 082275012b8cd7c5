"""What every row of the table promises, on random weights and the smallest images it takes."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
import safetensors.numpy

from causal_iqa import _checks, backbones
from causal_iqa.backbones import networks
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.backbones.zoo import scene_cnn
from tests.backbones import synthetic

# Larger ones, and those that random weights make ill-conditioned, are held to their peers at small sizes in
# transformers_test.py, convnets_test.py and classic_test.py.
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


def _smallest_of_kinds() -> list[str]:
    smallest: dict[str, tuple[int, str]] = {}
    for name, row in backbones.TABLE.items():
        smallest[row.kind] = min(smallest.get(row.kind, (_MOST_TRACED, "")), (_size(row), name))
    return sorted(name for _, name in smallest.values() if name)


# Larger ones take seconds to build; none has a layer of its own but the wide residual network's.
_MOST_TRACED = 30_000_000


@pytest.mark.parametrize("name", _smallest_of_kinds())
def test_every_product_of_a_layer_has_the_precision_asked_for(name, tmp_path):
    """Of traced programs: nothing is compiled."""
    path = tmp_path / "net.safetensors"
    layout = backbones.TABLE[name].layout({})
    safetensors.numpy.save_file({key: np.full(shape, 0.5, np.float32) for key, shape in layout.items()}, path)
    network = backbones.load(name, path)
    side = network.preprocessing.size
    image = jax.ShapeDtypeStruct((side, side, 3), jnp.float32)
    for precision, dtype in (("bfloat16", "bf16"), ("default", "f32"), ("highest", "f32")):
        own = backbones.with_precision(network, precision)
        assert own.passport()["precision"] == precision
        program = jax.make_jaxpr(own.apply)(own.params, image)
        assert {value.dtype for value in program.out_avals} == {jnp.dtype(jnp.float32)}
        lines = str(program).splitlines()
        products = [line for line in lines if "= dot_general[" in line or "= conv_general_dilated[" in line]
        assert products
        assert all(f":{dtype}[" in line.split("=")[0] for line in products)
        assert any("HIGHEST" in line for line in lines) == (precision == "highest")


def test_a_rounded_network_says_about_the_same():
    network = backbones.load_packaged("scene_cnn_a")
    rough = backbones.with_precision(network, "bfloat16")
    images = batch(network, 8)
    exact, about = (
        jax.nn.softmax(jax.jit(jax.vmap(one.apply, in_axes=(None, 0)))(one.params, images)[0])
        for one in (network, rough)
    )
    assert 0 < np.abs(exact - about).max() < 0.1
