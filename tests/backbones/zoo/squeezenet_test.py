"""SqueezeNet against torchvision, and files of other networks."""

import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import backbones
from causal_iqa.backbones.zoo import squeezenet
from tests.backbones import classic_cases
from tests.backbones.zoo import classic_parity


def test_every_stage_is_torchvisions(tmp_path):
    network = classic_parity.network("squeezenet1_1", tmp_path)
    classic_parity.check(network)
    assert network.head() is None, "its classifier has a ReLU before the mean"


def test_the_published_network_has_the_published_size():
    assert classic_parity.count("squeezenet1_1") == 1_235_496


def test_the_layout_without_a_head_holds_features_alone():
    names = squeezenet.layout("squeezenet1_1", {}, head=False)
    assert names and all(name.startswith("features.") for name in names)
    assert squeezenet.layout("squeezenet1_1", {"classifier.1.bias": np.zeros(7)})["classifier.1.bias"] == (7,)


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
