"""What a file and its configuration say of themselves."""

import json

import pytest

from causal_iqa import _checks
from causal_iqa.backbones.weights import statements
from causal_iqa.backbones.zoo import twins


@pytest.mark.parametrize(
    ("config", "activation"),
    [
        ({"model_type": "clip", "vision_config": {"hidden_act": "gelu"}}, "gelu"),
        ({"model_type": "clip", "vision_config": {"hidden_act": "quick_gelu"}}, "quick_gelu"),
        ({"model_type": "clip", "vision_config": {}}, "quick_gelu"),
        ({"model_type": "siglip", "vision_config": {"hidden_act": "gelu_pytorch_tanh"}}, "gelu_tanh"),
        ({"model_type": "vit", "hidden_act": "gelu", "layer_norm_eps": 1e-12}, "gelu"),
    ],
)
def test_the_activation_of_a_configuration(tmp_path, config, activation):
    (tmp_path / "config.json").write_text(json.dumps(config))
    stated = statements.of(tmp_path / "model.safetensors", "0" * 64, {})
    assert stated.activation == activation
    if config["model_type"] == "clip":
        fits = {"gelu": "openclip_vit_b32", "quick_gelu": "clip_vit_b32"}[activation]
        for name in ("clip_vit_b32", "openclip_vit_b32"):
            if name == fits:
                twins.check(name, "net", {}, stated)
            else:
                with pytest.raises(_checks.InputError, match=f"its configuration says {activation}.*say {fits}"):
                    twins.check(name, "net", {}, stated)


@pytest.mark.parametrize(
    ("name", "mean"),
    [
        ("dino_vitbase16_pretrain", 0.485), ("mae_pretrain_vit_base", 0.485), ("deit_base_patch16_224", 0.485),
        ("tf_efficientnet_b0_ap", 0.5), ("mobilenetv3_large_100_miil", 0.0), ("efficientnet_b0.ra4_e3600_r224", 0.5),
        ("convnext_base.clip_laion2b_augreg", 0.48145466), ("dinov2_vits14", None), ("vit_base_patch16_224", None),

    ],
)  # fmt: skip
def test_pixels_by_published_names(tmp_path, name, mean):
    stated = statements.of(tmp_path / f"{name}.pth", "0" * 64, {})
    assert (stated.pixels and stated.pixels[0][0]) == mean


def test_a_published_file_is_known_by_its_hash(tmp_path):
    stated = statements.of(tmp_path / "renamed.pth", "827b6e33" + "0" * 56, {})
    assert stated.names[0] == ("tf_efficientnet_b0_aa", "the hash of its content")
    assert statements.of(tmp_path / "renamed.pth", "11ad3fa6" + "0" * 56, {}).crop_fraction == 224 / 232


def test_a_configuration_that_is_no_json_says_nothing(tmp_path, caplog):
    (tmp_path / "config.json").write_text("{")
    assert statements.of(tmp_path / "model.safetensors", "0" * 64, {}).activation is None
    assert "is no JSON" in caplog.text
