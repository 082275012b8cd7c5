"""Files of the Hugging Face hub, from a cache made here: nothing is downloaded."""

import hashlib
import json

import jax
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import backbones
from causal_iqa.backbones.weights import hub
from tests.backbones import synthetic

pytest.importorskip("huggingface_hub")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--owner--nets"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "v1.0").write_text(COMMIT)
    layout = backbones.TABLE["cifar_resnet20"].layout({})
    safetensors.numpy.save_file(synthetic.tensors(layout, seed=2), snapshot / "net.safetensors")
    return snapshot / "net.safetensors"


@pytest.mark.parametrize("revision", [COMMIT, "v1.0"])
def test_a_cached_file_is_found_at_its_revision(cache, revision):
    network = backbones.load("cifar_resnet20", f"hf://owner/nets@{revision}/net.safetensors")
    assert network.weights_sha256 == hashlib.sha256(cache.read_bytes()).hexdigest()


@pytest.mark.usefixtures("cache")
def test_what_is_not_at_hand_is_named_with_what_to_do():
    with pytest.raises(ValueError, match=r"download https://huggingface\.co/owner/nets/resolve/v1\.0/other\.pth"):
        hub.fetch("hf://owner/nets@v1.0/other.pth")


@pytest.mark.parametrize("address", ["hf://owner/nets/net.safetensors", "hf://nets@v1/net.safetensors", "hf://"])
def test_an_address_without_owner_or_revision_is_refused(address):
    with pytest.raises(ValueError, match="the revision pins"):
        hub.fetch(address)


def test_without_the_extra(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(hub.importlib, "import_module", missing)
    with pytest.raises(ValueError, match=r"causal-iqa\[hub\]"):
        hub.fetch("hf://owner/nets@v1/net.safetensors")


def test_shards_and_the_configuration_come_along(cache):
    folder = cache.parent
    tensors = safetensors.numpy.load_file(cache)
    names = sorted(tensors)
    files = {f"model-{i + 1:05d}-of-00002.safetensors": names[i::2] for i in range(2)}
    for file, held in files.items():
        safetensors.numpy.save_file({name: tensors[name] for name in held}, folder / file)
    weight_map = {name: file for file, held in files.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / "config.json").write_text("{}")
    network = backbones.load("cifar_resnet20", f"hf://owner/nets@{COMMIT}/model.safetensors.index.json")
    whole = backbones.load("cifar_resnet20", cache)
    jax.tree.map(np.testing.assert_array_equal, network.params, whole.params)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ValueError, match=r"download https://.*/model-00002-of-00002\.safetensors elsewhere"):
        hub.fetch(f"hf://owner/nets@{COMMIT}/model.safetensors.index.json")
