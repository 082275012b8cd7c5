"""Every family beside its PyTorch original on real photographs, stage by stage: `pytest -m slow -s` with the peers."""

import importlib

import jax
import numpy as np
import PIL.Image
import pytest
import safetensors.numpy

from causal_iqa import backbones
from causal_iqa.backbones.zoo import cifar_resnet
from tests import shared
from tests.backbones import classic_cases, convnet_cases, transformer_cases
from tests.backbones.layers import convolutions_test
from tests.backbones.zoo import cifar_resnet_test, mobilenet_test, vit_test

pytestmark = pytest.mark.slow
PHOTOGRAPHS = 3


def _photographs(height: int, width: int) -> list[np.ndarray]:
    """float32 [height, width, 3] in [0, 1], of classes far apart."""
    paths = sorted(shared.path_or_skip("data", "imagenet_sample", "validation").glob("*/*.JPEG"))
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, PHOTOGRAPHS).astype(int)]
    opened = (PIL.Image.open(path).convert("RGB") for path in chosen)
    small = (photograph.resize((width, height), PIL.Image.Resampling.BILINEAR) for photograph in opened)
    return [np.asarray(photograph, np.float32) / 255.0 for photograph in small]


def _peer(name: str):
    try:
        return importlib.import_module(f"tests.golden.{name}")
    except ImportError as error:
        pytest.skip(f"the bench extra is not installed ({error})")


def _largest_difference(found, expected) -> float:
    """Of all stages, relative to the largest number of the stage."""
    assert len(expected) >= 1 and set(expected) <= set(found)
    return max(
        np.abs(np.asarray(found[key]).reshape(value.shape) - value).max() / np.abs(value).max()
        for key, value in ((key, np.asarray(value)) for key, value in expected.items())
    )


@pytest.mark.parametrize("case", convnet_cases.CASES)
def test_convolutional_networks(case, tmp_path, monkeypatch):
    peer = _peer("backbones_convnets")
    path = tmp_path / "net.safetensors"
    safetensors.numpy.save_file(convnet_cases.weights(case), path)
    network = convnet_cases.network(case, path)
    apply, worst = jax.jit(network.apply), 0.0
    for photograph in _photographs(*convnet_cases.CASES[case]):
        monkeypatch.setattr(convnet_cases, "image", lambda _, photograph=photograph: photograph)
        with peer.torch.no_grad():
            expected = peer._run(case)
        logits, features = apply(network.params, photograph)
        found = {k: convolutions_test._summary(np.asarray(v)) for k, v in {**features, "logits": logits}.items()}
        worst = max(worst, _largest_difference(found, expected))
    print(f"{case}: within {worst:.1e} of the largest")
    assert worst < 1e-4


@pytest.mark.parametrize(
    "case", ["vit_timm", "dinov2_timm", "vit_hf", "dinov2_hf", "clip_hf", "clip_openai", "siglip_hf"]
)
def test_transformers(case, tmp_path, monkeypatch):
    peer = _peer("backbones_transformers")
    runs = {
        "vit_timm": lambda: peer._timm("vit_timm"),
        "dinov2_timm": lambda: peer._timm("dinov2_timm", init_values=1.0, reg_tokens=4, no_embed_class=True),
        "vit_hf": lambda: peer._hf_vit("vit_hf"),
        "dinov2_hf": lambda: peer._hf_vit("dinov2_hf"),
        "clip_hf": peer._hf_clip,
        "clip_openai": peer._open_clip,
        "siglip_hf": peer._hf_siglip,
    }
    network = vit_test._network(case, tmp_path)
    apply, worst = jax.jit(network.apply), 0.0
    for photograph in _photographs(32, 32):
        monkeypatch.setattr(transformer_cases, "image", lambda photograph=photograph: photograph)
        with peer.torch.no_grad():
            expected = {k: np.asarray(v) for k, v in runs[case]().items() if k != "text"}
        logits, features = apply(network.params, photograph)
        worst = max(worst, _largest_difference({**features, "logits": logits}, expected))
    print(f"{case}: within {worst:.1e} of the largest")
    assert worst < 1e-4


@pytest.mark.parametrize("name", classic_cases.SIDES)
def test_classic_networks(name, tmp_path):
    peer = _peer("classic_torch")
    path, side = tmp_path / "net.safetensors", classic_cases.SIDES[name]
    safetensors.numpy.save_file(classic_cases.tensors(name), path)
    network, model = backbones.load(name, path, input_size=side), peer.model(name)
    apply, worst = jax.jit(network.apply), 0.0
    for photograph in _photographs(side, side):
        with peer.torch.no_grad():
            pixels = (peer.batch(photograph[None]) - peer.MEAN) / peer.STD
            expected = [m[0].permute(1, 2, 0).numpy() for m in peer.maps(name, model, pixels)]
            logits = model(pixels)[0].numpy()
        found_logits, features = apply(network.params, photograph)
        found = dict(enumerate(features[stage] for stage in network.stages[: len(expected)]))
        expected = dict(enumerate(expected)) | {"logits": logits}
        worst = max(worst, _largest_difference(found | {"logits": found_logits}, expected))
    print(f"{name}: within {worst:.1e} of the largest")
    assert worst < 1e-4


_PUBLISHED = [case[:2] for case in (*cifar_resnet_test.REAL_CIFAR, *mobilenet_test.REAL_IMAGENET)]


@pytest.mark.parametrize(("name", "file"), _PUBLISHED)
def test_published_weights(name, file):
    peer = _peer("backbones_torch")
    cifar = name.startswith("cifar")
    path = shared.path_or_skip("weights", "cifar10" if cifar else "imagenet", file)
    network, tensors = backbones.load(name, path), backbones.read(path).tensors
    tensors = {key: np.asarray(value, np.float32) for key, value in tensors.items()}
    photographs = np.stack(_photographs(network.preprocessing.size, network.preprocessing.size))
    with peer.torch.no_grad():
        outputs = (
            peer.resnet_outputs(cifar_resnet.VARIANTS[name], tensors, photographs)
            if cifar
            else peer.mobilenet_outputs(name, tensors, photographs)
        )
    logits, stages = outputs
    expected = {k: v.permute(0, 2, 3, 1) if v.ndim == 4 else v for k, v in {**stages, "logits": logits}.items()}
    found_logits, features = jax.jit(jax.vmap(network.apply, (None, 0)))(network.params, photographs)
    assert set(stages) == set(network.stages)
    worst = _largest_difference({**features, "logits": found_logits}, {k: v.numpy() for k, v in expected.items()})
    print(f"{file}: within {worst:.1e} of the largest")
    assert worst < 1e-4
