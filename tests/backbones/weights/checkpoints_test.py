"""Weight files: every way one can be wrong is said in one readable error."""

import hashlib

import jax
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import _checks, backbones
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.backbones.zoo import cifar_resnet, scene_cnn
from tests.backbones import synthetic


def saved(path, tensors, **metadata):
    safetensors.numpy.save_file(tensors, path, metadata)
    return path


def resnet_tensors(name: str) -> dict[str, np.ndarray]:
    return synthetic.tensors(cifar_resnet.layout(name, {}), seed=1)


def test_safetensors_round_trip(tmp_path, key):
    params = scene_cnn.init("scene_cnn_a", key, num_outputs=3)
    path = tmp_path / "net.safetensors"
    backbones.save_safetensors(path, params, {"trained_on": "scenes"})
    checkpoint = backbones.read(path)
    assert checkpoint.metadata == {"trained_on": "scenes"}
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]
    again = checkpoints.unflatten(checkpoint.tensors)
    assert jax.tree.structure(again) == jax.tree.structure(params)
    for ours, theirs in zip(jax.tree.leaves(again), jax.tree.leaves(params), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_hash_is_that_of_the_bytes(tmp_path):
    path = saved(tmp_path / "a.safetensors", {"x": np.ones(3, np.float32)})
    assert backbones.read(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_saving_elsewhere_is_refused(tmp_path):
    with pytest.raises(_checks.InputError, match=r"ending in \.safetensors"):
        backbones.save_safetensors(tmp_path / "net.npz", {}, {})


@pytest.mark.parametrize("end", [0, 4, 8, 40, -1])
def test_truncated_safetensors(tmp_path, end):
    path = saved(tmp_path / "net.safetensors", {"x": np.ones(100, np.float32)})
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(_checks.InputError, match=r"net\.safetensors: truncated or damaged"):
        backbones.read(path)


def test_missing_files_folders_and_unknown_endings(tmp_path):
    with pytest.raises(_checks.InputError, match=r"none\.pth: cannot read the weight file \(No such file"):
        backbones.read(tmp_path / "none.pth")
    folder = tmp_path / "folder.th"
    folder.mkdir()
    with pytest.raises(_checks.InputError, match="cannot be read as an Orbax checkpoint"):
        backbones.read(folder)
    with pytest.raises(_checks.InputError, match=r"net\.h5: expected a weight file ending in \.safetensors"):
        backbones.read(tmp_path / "net.h5")


def test_parallel_prefix_and_counters_are_dropped(tmp_path):
    names = ["module.conv1.weight", "module.bn1.weight", "module.bn1.num_batches_tracked"]
    path = saved(tmp_path / "net.safetensors", {name: np.zeros(2, np.float32) for name in names})
    assert set(backbones.read(path).tensors) == {"conv1.weight", "bn1.weight"}
    path = saved(tmp_path / "net.safetensors", {"module.a": np.zeros(1), "b": np.zeros(1)})
    assert set(backbones.read(path).tensors) == {"module.a", "b"}


def test_missing_unknown_and_misshapen_tensors_come_in_one_error(tmp_path):
    tensors = resnet_tensors("cifar_resnet20")
    tensors["layer9.weight"] = tensors.pop("layer1.0.conv1.weight")
    tensors["bn1.bias"] = np.zeros(3, np.float32)
    with pytest.raises(backbones.MismatchError) as caught:
        backbones.load("cifar_resnet20", saved(tmp_path / "net.safetensors", tensors))
    message = str(caught.value)
    assert "does not fit cifar_resnet20" in message
    assert "1 missing: -layer1.0.conv1.weight" in message
    assert "1 unknown: +layer9.weight" in message
    assert "1 misshapen: !bn1.bias has shape (3,), expected (16,)" in message
    assert "it fits" not in message


@pytest.mark.parametrize(("wanted", "held"), [("cifar_resnet20", "cifar_resnet32"), ("mobilenet_v2", "cifar_resnet20")])
def test_the_right_architecture_is_suggested(tmp_path, wanted, held):
    path = saved(tmp_path / "net.safetensors", resnet_tensors(held))
    with pytest.raises(backbones.MismatchError, match=f"it fits {held}$") as caught:
        backbones.load(wanted, path)
    assert len(str(caught.value)) < 1000


def test_unknown_architectures_suggest_the_closest(tmp_path):
    with pytest.raises(_checks.InputError, match=r"architecture 'cifar_resnet21': did you mean .*cifar_resnet20"):
        backbones.load("cifar_resnet21", tmp_path / "net.th")


def test_weights_that_are_not_finite(tmp_path):
    tensors = resnet_tensors("cifar_resnet20")
    tensors["bn1.bias"][3] = np.nan
    with pytest.raises(_checks.InputError, match=r"not finite: bn1\.bias"):
        backbones.load("cifar_resnet20", saved(tmp_path / "net.safetensors", tensors))
