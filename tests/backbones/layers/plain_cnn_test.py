"""AlexNet, VGG16 and SqueezeNet against torchvision (values of tests/golden/classic_torch.py)."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import _checks, backbones
from causal_iqa.backbones.layers import plain_cnn
from tests.backbones import classic_cases, synthetic

GOLDEN = json.loads((pathlib.Path(__file__).parents[2] / "golden" / "classic_torch.json").read_text())["networks"]


@pytest.fixture(scope="module", params=sorted(classic_cases.SIDES))
def network(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    safetensors.numpy.save_file(classic_cases.tensors(request.param), path)
    return backbones.load(request.param, path, input_size=classic_cases.SIDES[request.param])


@pytest.fixture(scope="module")
def image(network):
    return synthetic.images(1, network.preprocessing.size)[0]


@pytest.fixture(scope="module")
def outputs(network, image):
    return jax.jit(network.apply)(network.params, image)


def test_every_stage_is_torchvisions(network, outputs):
    logits, features = outputs
    golden = GOLDEN[network.name]
    np.testing.assert_allclose(logits, golden["logits"], atol=1e-4, rtol=1e-5)
    assert set(features) == set(network.stages) and len(network.stages) == len(golden["stages"])
    for stage, expected in zip(network.stages, golden["stages"], strict=True):
        found = classic_cases.summary(np.asarray(features[stage]))
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4, err_msg=stage)


def test_the_network_contract(network, outputs):
    logits, features = outputs
    assert logits.shape == (network.num_classes,) == (10,) and logits.dtype == jnp.float32
    assert network.stages[-1] == backbones.PENULTIMATE
    assert json.loads(json.dumps(network.passport()))["stages"] == list(network.stages)
    head = network.head()
    if network.name == "squeezenet1_1":  # Its classifier has a ReLU before the mean.
        assert head is None
    else:
        kernel, bias = (np.asarray(part, np.float64) for part in head)
        np.testing.assert_allclose(features[backbones.PENULTIMATE] @ kernel + bias, logits, atol=1e-4, rtol=1e-5)
    smallest = network.preprocessing.smallest
    with pytest.raises(_checks.InputError, match=f"at least {smallest}"):
        network.apply(network.params, jnp.zeros((smallest - 1, smallest, 3)))


def test_the_smallest_input_is_taken(network):
    smallest = network.preprocessing.smallest
    shapes = jax.eval_shape(network.apply, network.params, jnp.zeros((smallest, smallest, 3)))
    assert all(min(value.shape) > 0 for value in jax.tree.leaves(shapes))


@pytest.mark.parametrize("damage", ["missing", "unknown", "misshapen"])
def test_a_file_of_another_architecture_is_refused(tmp_path, damage):
    tensors = classic_cases.tensors("squeezenet1_1")
    name = "features.9.expand3x3.weight"
    if damage == "missing":
        del tensors[name]
    elif damage == "unknown":
        tensors["features.13.weight"] = np.zeros(2, np.float32)
    else:
        tensors[name] = tensors[name][:, :-1].copy()
    safetensors.numpy.save_file(tensors, tmp_path / "net.safetensors")
    with pytest.raises(backbones.MismatchError, match=f"1 {damage}"):
        backbones.load("squeezenet1_1", tmp_path / "net.safetensors")


def test_published_layouts_have_the_published_sizes():
    """Parameter counts of torchvision's documentation."""
    counts = {"alexnet": 61_100_840, "vgg16": 138_357_544, "vgg19": 143_667_240, "squeezenet1_1": 1_235_496}
    for name, count in counts.items():
        assert sum(int(np.prod(shape)) for shape in backbones.TABLE[name].layout({}).values()) == count


@pytest.mark.parametrize(
    ("length", "size", "stride", "ceil"), [(7, 3, 2, False), (8, 3, 2, True), (9, 2, 2, False), (4, 3, 2, True)]
)
def test_max_pool_is_the_naive_loop(length, size, stride, ceil):
    x = np.random.default_rng(0).normal(size=(2, length, length + 1, 3)).astype(np.float32)

    def starts(n):
        last = n - (1 if ceil else size)
        # A square that would begin beyond the image is left out.
        return [s for s in range(0, last + 1, stride) if s <= n - size or s - stride + size < n]

    expected = np.stack(
        [
            np.stack([x[:, r : r + size, c : c + size].max(axis=(1, 2)) for c in starts(length + 1)], axis=1)
            for r in starts(length)
        ],
        axis=1,
    )
    np.testing.assert_array_equal(plain_cnn.max_pool(jnp.asarray(x), size, stride, ceil=ceil), expected)


@pytest.mark.parametrize("length", [3, 6, 11, 13])
def test_adaptive_mean_is_the_naive_loop(length):
    x = np.random.default_rng(1).normal(size=(1, length, 6, 2)).astype(np.float32)
    rows = [x[:, i * length // 6 : -(-(i + 1) * length // 6)].mean(axis=1) for i in range(6)]
    np.testing.assert_allclose(plain_cnn.adaptive_mean(jnp.asarray(x), 6), np.stack(rows, axis=1), atol=1e-6)
