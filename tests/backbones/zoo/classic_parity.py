"""AlexNet, VGG16 and SqueezeNet against torchvision (values of tests/golden/classic_torch.py)."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import _checks, backbones
from tests.backbones import classic_cases, synthetic

_GOLDEN = json.loads((pathlib.Path(__file__).parents[2] / "golden" / "classic_torch.json").read_text())["networks"]


def network(name: str, folder: pathlib.Path) -> backbones.Network:
    """A network of drawn weights."""
    path = folder / "net.safetensors"
    safetensors.numpy.save_file(classic_cases.tensors(name), path)
    return backbones.load(name, path, input_size=classic_cases.SIDES[name])


def check(network: backbones.Network) -> None:
    """Logits, stages, head and smallest input of a network."""
    golden = _GOLDEN[network.name]
    image = synthetic.images(1, network.preprocessing.size)[0]
    logits, features = jax.jit(network.apply)(network.params, image)
    np.testing.assert_allclose(logits, golden["logits"], atol=1e-4, rtol=1e-5)
    assert set(features) == set(network.stages) and len(network.stages) == len(golden["stages"])
    for stage, expected in zip(network.stages, golden["stages"], strict=True):
        found = classic_cases.summary(np.asarray(features[stage]))
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4, err_msg=stage)
    assert logits.shape == (network.num_classes,) == (10,) and logits.dtype == jnp.float32
    assert network.stages[-1] == backbones.PENULTIMATE
    assert json.loads(json.dumps(network.passport()))["stages"] == list(network.stages)
    head = network.head()
    if head is not None:
        kernel, bias = (np.asarray(part, np.float64) for part in head)
        by_hand = np.asarray(features[backbones.PENULTIMATE]) @ kernel + bias
        np.testing.assert_allclose(by_hand, logits, atol=1e-4, rtol=1e-5)
    smallest = network.preprocessing.smallest
    with pytest.raises(_checks.InputError, match=f"at least {smallest}"):
        network.apply(network.params, jnp.zeros((smallest - 1, smallest, 3)))
    shapes = jax.eval_shape(network.apply, network.params, jnp.zeros((smallest, smallest, 3)))
    assert all(min(value.shape) > 0 for value in jax.tree.leaves(shapes))


def count(name: str) -> int:
    """Parameters of the published network."""
    return sum(int(np.prod(shape)) for shape in backbones.TABLE[name].layout({}).values())
