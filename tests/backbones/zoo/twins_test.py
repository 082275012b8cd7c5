"""Files whose tensors fit an architecture that computes something else: refused by name, or asked about."""

import json
import logging
import pathlib

import jax
import numpy as np
import pytest
import safetensors.numpy

from causal_iqa import _checks, backbones
from causal_iqa.backbones.weights import statements
from causal_iqa.backbones.zoo import efficientnet, twins
from causal_iqa.backbones.zoo.efficientnet_variants import VARIANTS
from tests.backbones import convnet_cases, synthetic

STEM = {"conv_stem.weight": np.zeros((32, 3, 3, 3), np.float32)}


@pytest.fixture(scope="module")
def timm_b0() -> dict[str, np.ndarray]:
    return synthetic.tensors(efficientnet.layout("timm_efficientnet_b0", STEM), seed=3)


def saved(folder: pathlib.Path, name: str, tensors: dict[str, np.ndarray], **beside: dict) -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(tensors, folder / name)
    for file, content in beside.items():
        (folder / f"{file}.json").write_text(json.dumps(content))
    return folder / name


@pytest.mark.parametrize("name", ["model.safetensors", "net.safetensors", "b0.safetensors"])
def test_where_nothing_is_said_it_asks(tmp_path, timm_b0, name):
    path = saved(tmp_path / "runs", name, timm_b0)
    with pytest.raises(_checks.InputError) as caught:
        backbones.load("efficientnet_b0", path)
    message = str(caught.value)
    assert (
        "tf_efficientnet_b0 (TensorFlow's padding" in message and "timm_efficientnet_b0 (PyTorch's padding" in message
    )
    assert "\n" not in message and len(message) < 500
    for answer, epsilon in (("tf_efficientnet_b0", 1e-3), ("timm_efficientnet_b0", 1e-5)):
        kernel = backbones.load(answer, path).params["stem"]["kernel"]
        scale = timm_b0["bn1.weight"] / np.sqrt(timm_b0["bn1.running_var"] + epsilon)
        np.testing.assert_allclose(kernel, timm_b0["conv_stem.weight"].transpose(2, 3, 1, 0) * scale, rtol=1e-6)


@pytest.mark.parametrize(
    ("folder", "name", "config"),
    [
        ("weights", "tf_efficientnet_b0_aa-827b6e33.safetensors", None),
        ("weights", "TF-EfficientNet-B0.safetensors", None),
        ("tf_efficientnet_b0.ns_jft_in1k", "model.safetensors", None),
        ("models--timm--tf_efficientnet_b0.ns_jft_in1k/snapshots/" + "0" * 40, "model.safetensors", None),
        ("weights", "model.safetensors", {"architecture": "tf_efficientnet_b0", "pretrained_cfg": {"tag": "ns_in1k"}}),
        # The configuration knows better than the name.
        ("weights", "efficientnet_b0.safetensors", {"architecture": "tf_efficientnet_b0"}),
    ],
)  # fmt: skip
def test_a_twin_is_recognised(tmp_path, timm_b0, folder, name, config):
    path = saved(tmp_path / folder, name, timm_b0, **({"config": config} if config else {}))
    for wrong in ("efficientnet_b0", "timm_efficientnet_b0"):
        with pytest.raises(_checks.InputError, match=r"say tf_efficientnet_b0$"):
            backbones.load(wrong, path)
    assert backbones.load("tf_efficientnet_b0", path).name == "tf_efficientnet_b0"


def test_the_networks_own_name_is_an_answer(tmp_path, timm_b0):
    path = saved(tmp_path, "efficientnet_b0_ra-3dd342df.safetensors", timm_b0)
    own = backbones.load("efficientnet_b0", path)
    jax.tree.map(np.testing.assert_array_equal, own.params, backbones.load("timm_efficientnet_b0", path).params)
    with pytest.raises(_checks.InputError, match="say timm_efficientnet_b0"):
        backbones.load("tf_efficientnet_b0", path)


def test_torchvisions_files_have_no_twin(tmp_path):
    tensors = convnet_cases.weights("efficientnet_torchvision")
    path = saved(tmp_path, "model.safetensors", tensors)
    assert backbones.load("efficientnet_b0", path).num_classes == convnet_cases.CLASSES


@pytest.mark.parametrize(
    ("architecture", "names", "refused"),
    [
        ("mobilenet_v3_large", [("tf_mobilenetv3_large_100.in1k", "")], "say tf_mobilenet_v3_large"),
        ("tf_mobilenet_v3_small", [("mobilenetv3_small_100_lamb", "")], "say timm_mobilenet_v3_small"),
        ("mobilenet_v3_small", [], "give one of the two"),
        ("efficientnet_lite0", [("efficientnet_lite0_ra", "")], "say timm_efficientnet_lite0"),
        ("efficientnet_lite0", [("tf_efficientnet_lite0", "")], None),
        ("efficientnet_lite1", [], None),
        ("resnet50", [("resnetaa50_a1h", "")], "reduces by pooling"),
        ("resnet50_v2", [("resnetblur50.bt_in1k", "")], "reduces by pooling"),
        ("resnet101", [("resnet101_caffe", "")], "strides in the 1x1 convolution"),
        ("resnet50", [("resnet50.a1_in1k", "")], None),
        ("resnet50", [], None),
        ("vgg16", [("vgg16_caffe", "")], "pixels of 0 to 255"),
        ("vit_s16", [("linear_vit_s_300ep_moco", "")], "twelve heads"),
        ("clip_vit_b32", [("laion/clip_vit_b_32_laion2b_s34b_b79k", "")], "say openclip_vit_b32"),
        ("clip_vit_b32", [("vit_b_32_quickgelu_laion400m_e32", "")], None),
        ("openclip_vit_b32", [("vit_b_32_quickgelu_laion400m_e32", "")], "say clip_vit_b32"),
        ("openclip_vit_b16", [("openai/clip_vit_base_patch16", "")], "say clip_vit_b16"),
        ("openclip_vit_l14", [("vit_l_14_datacomp_xl", "")], None),
        ("clip_rn50", [("rn50_laion", "")], "exact GELU"),
        ("clip_vit_b16", [], None),
    ],
)
def test_published_names(architecture, names, refused):
    stated = statements.Statement(names=tuple(names))
    if refused is None:
        twins.check(architecture, "net.pth", STEM, stated)
        return
    with pytest.raises(_checks.InputError, match=refused):
        twins.check(architecture, "net.pth", STEM, stated)


def test_open_clips_configuration_and_openais_archives(tmp_path):
    for quick in (True, False):
        config = {"model_cfg": {"quick_gelu": quick, "vision_cfg": {"layers": 12}}}
        (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
        assert statements.of(tmp_path / "m.bin", "0" * 64, {}).activation == ("quick_gelu" if quick else "gelu")
    with pytest.raises(_checks.InputError, match="archive as OpenAI published them"):
        twins.check("openclip_vit_b32", "ViT-B-32.pt", {}, statements.NOTHING, scripted=True)


def test_the_configuration_says_how_pixels_are_normalised(tmp_path, timm_b0, caplog):
    config = {"architecture": "tf_efficientnet_b0", "pretrained_cfg": {
        "tag": "ap_in1k", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 0.9, "interpolation": "bilinear",
    }}  # fmt: skip
    path = saved(tmp_path, "model.safetensors", timm_b0, config=config)
    with caplog.at_level(logging.INFO, "causal_iqa"):
        preprocessing = backbones.load("tf_efficientnet_b0", path).preprocessing
    assert (preprocessing.mean, preprocessing.std) == ((0.5,) * 3, (0.5,) * 3)
    assert (preprocessing.crop_fraction, preprocessing.interpolation) == (0.9, "bilinear")
    assert "mean is (0.5, 0.5, 0.5) for this file" in caplog.text
    plain = VARIANTS["tf_efficientnet_b0"]
    other = saved(tmp_path / "other", "tf_efficientnet_b0.safetensors", timm_b0)
    assert backbones.load("tf_efficientnet_b0", other).preprocessing.mean == plain.pixels[0]


def test_heads_and_activations_that_tensors_do_not_show(tmp_path):
    tensors = synthetic.tensors(backbones.TABLE["vit_s16"].layout({}), seed=3)
    path = saved(tmp_path, "model.safetensors", tensors, config={"model_type": "vit", "num_attention_heads": 12})
    with pytest.raises(_checks.InputError, match="its configuration says 12 heads, vit_s16 has 6"):
        backbones.load("vit_s16", path)
    saved(tmp_path, "model.safetensors", tensors, config={"model_type": "vit", "hidden_act": "relu"})
    with pytest.raises(_checks.InputError, match="says the activation relu"):
        backbones.load("vit_s16", path)
