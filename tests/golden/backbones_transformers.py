"""Writes backbones_transformers.npz and clip_tokens.json with transformers, timm and open_clip as peers.

From the repository root, in an environment with the bench extra:
    python -m tests.golden.backbones_transformers

Weights and images come from numpy seeds that the tests use again (tests/backbones/transformer_cases.py), so only
outputs are stored. The towers are small; layouts and arithmetic are those of the published ones.
"""

import json
import pathlib
import tempfile

import numpy as np

from causal_iqa.backbones.text import tokenizers
from tests import peers
from tests.backbones import tokenizer_cases, transformer_cases

torch = __import__("torch")
peers.torch_peer("torchvision")
timm = peers.torch_peer("timm")
open_clip = peers.torch_peer("open_clip")
transformers = peers.torch_peer("transformers")

FOLDER = pathlib.Path(__file__).parent


def _filled(model, case: str):
    weights = transformer_cases.weights(case)
    model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()}, strict=True)
    return model.eval()


def _pixels(case: str):
    mean, std = (np.asarray(value, np.float32) for value in transformer_cases.PIXELS[case])
    image = (transformer_cases.image() - mean) / std
    return torch.tensor(image.transpose(2, 0, 1)[None])


def _hf_clip() -> dict[str, np.ndarray]:
    text = {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "max_position_embeddings": 12, "bos_token_id": 98, "eos_token_id": 99,
            "projection_dim": 24}  # fmt: skip
    vision = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4,
              "image_size": 32, "patch_size": 8, "projection_dim": 24}  # fmt: skip
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    model = _filled(transformers.CLIPModel(config), "clip_hf")
    out = model.vision_model(_pixels("clip_hf"), output_hidden_states=True)
    tokens = torch.tensor(transformer_cases.tokens()[None].astype(np.int64))
    return {
        "penultimate": out.pooler_output[0],
        "embedding": model.visual_projection(out.pooler_output)[0],
        **{f"stage{i}": out.hidden_states[i][0, 1:] for i in range(1, 5)},
        "text": model.text_projection(model.text_model(tokens).pooler_output)[0],
    }


def _open_clip() -> dict[str, np.ndarray]:
    model = open_clip.model.CLIP(
        24,
        {"image_size": 32, "layers": 4, "width": 64, "head_width": 16, "patch_size": 8, "mlp_ratio": 2.0},
        {"context_length": 12, "vocab_size": 100, "width": 32, "heads": 2, "layers": 2, "mlp_ratio": 2.0},
    )
    # OpenCLIP keeps the text tower at the top level, as OpenAI's files do.
    model = _filled(model, "clip_openai")
    tokens = torch.tensor(transformer_cases.tokens()[None].astype(np.int64))
    return {"embedding": model.encode_image(_pixels("clip_openai"))[0], "text": model.encode_text(tokens)[0]}


def _hf_siglip() -> dict[str, np.ndarray]:
    size = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4}
    text = {"vocab_size": 100, "max_position_embeddings": 12, "projection_size": 48, "bos_token_id": 98,
            "eos_token_id": 99}  # fmt: skip
    config = transformers.SiglipConfig(
        text_config={**size, **text}, vision_config={**size, "image_size": 32, "patch_size": 8}
    )
    model = _filled(transformers.SiglipModel(config), "siglip_hf")
    out = model.vision_model(_pixels("siglip_hf"))
    tokens = torch.tensor(transformer_cases.tokens()[None].astype(np.int64))
    return {
        "penultimate": out.pooler_output[0],
        "patch_tokens": out.last_hidden_state[0],
        "text": model.text_model(tokens).pooler_output[0],
    }


def _big_vision_siglip() -> dict[str, np.ndarray]:
    size = {"width": 48, "heads": 4, "layers": 4}
    model = open_clip.model.CustomTextCLIP(
        48,
        {"image_size": 32, "timm_model_name": "vit_base_patch16_siglip_224", "timm_pool": "map", "timm_proj": "none",
         "timm_model_pretrained": False},
        {**size, "context_length": 12, "vocab_size": 100, "mlp_ratio": 2.0, "no_causal_mask": True, "proj_bias": True,
         "pool_type": "last", "norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"}},
        init_logit_bias=-10.0,
    )  # fmt: skip
    model.visual.trunk = timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=48, depth=4, num_heads=4, mlp_ratio=2.0, class_token=False,
        global_pool="map", num_classes=0, act_layer="gelu_tanh",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "weights.npz"
        np.savez(path, **{name.replace(".", "/"): v for name, v in transformer_cases.weights("siglip_npz").items()})
        open_clip.convert.load_big_vision_weights(model, str(path))
    model.eval()
    tokens = torch.tensor(transformer_cases.tokens()[None].astype(np.int64))
    return {"penultimate": model.encode_image(_pixels("siglip_npz"))[0], "text": model.encode_text(tokens)[0]}


def _timm(case: str, **kind) -> dict[str, np.ndarray]:
    model = timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=64, depth=4, num_heads=4, num_classes=7, **kind
    )
    if case == "vit_npz":
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "weights.npz"
            np.savez(path, **{name.replace(".", "/"): v for name, v in transformer_cases.weights(case).items()})
            model.load_pretrained(str(path))
        model.eval()
    else:
        model = _filled(model, case)
    tokens = model.forward_features(_pixels(case))
    return {
        "logits": model(_pixels(case))[0],
        "patch_tokens": tokens[0, -16:],
        "class_token": tokens[0, 0],
        "penultimate": model.forward_head(tokens, pre_logits=True)[0],
    }


def _hf_vit(case: str) -> dict[str, np.ndarray]:
    size = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "image_size": 32, "patch_size": 8}
    if case == "vit_hf":
        config = transformers.ViTConfig(**size, intermediate_size=256, num_labels=7)
        model = transformers.ViTForImageClassification(config)
        base = "vit"
    else:
        config = transformers.Dinov2WithRegistersConfig(**size, mlp_ratio=4, num_register_tokens=4)
        model = transformers.Dinov2WithRegistersModel(config)
        base = None
    names = {_published(name, base): name for name in model.state_dict()}
    weights = transformer_cases.weights(case)
    if set(names) != set(weights):
        raise ValueError(f"{case}: {sorted(set(names) ^ set(weights))}")
    model.load_state_dict({names[name]: torch.tensor(value) for name, value in weights.items()}, strict=True)
    model.eval()
    out = (getattr(model, base) if base else model)(_pixels(case)).last_hidden_state
    found = {"patch_tokens": out[0, -16:], "class_token": out[0, 0]}
    return found | ({"logits": model(_pixels(case)).logits[0]} if base else {})


# Version 5 of transformers renamed the parts of its models; files keep the names they were published with.
_RENAMED = {
    "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key",
    "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense",
}
_RENAMED_VIT = {"mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense"}


def _published(name: str, base: str | None) -> str:
    if ".layers." in f".{name}":
        name = name.replace("layers.", "encoder.layer.", 1)
    for new, old in (_RENAMED | (_RENAMED_VIT if base else {})).items():
        name = name.replace(new, old)
    return name


def main() -> None:
    """Writes both files beside this script."""
    with torch.no_grad():
        found = {
            "clip_hf": _hf_clip(),
            "clip_openai": _open_clip(),
            "siglip_hf": _hf_siglip(),
            "siglip_npz": _big_vision_siglip(),
            "vit_timm": _timm("vit_timm"),
            # As Google's code, whose GELU is Flax's.
            "vit_npz": _timm("vit_npz", act_layer="gelu_tanh"),
            "dinov2_timm": _timm("dinov2_timm", init_values=1.0, reg_tokens=4, no_embed_class=True),
            "vit_hf": _hf_vit("vit_hf"),
            "dinov2_hf": _hf_vit("dinov2_hf"),
        }
    flat = {f"{case}/{name}": np.asarray(value) for case, values in found.items() for name, value in values.items()}
    versions = {lib.__name__: lib.__version__ for lib in (torch, transformers, timm, open_clip)}
    np.savez_compressed(FOLDER / "backbones_transformers.npz", versions=json.dumps(versions), **flat)
    vocabulary, merges = tokenizer_cases.vocabulary()
    peer = transformers.CLIPTokenizer(vocab=dict(vocabulary), merges=list(merges))
    tokens = [peer(text)["input_ids"] for text in tokenizer_cases.TEXTS]
    vocabulary, merges = tokenizers.published_vocabulary(tokenizers.find("clip"))
    peer = transformers.CLIPTokenizer(vocab=vocabulary, merges=merges)
    published = [peer(text)["input_ids"] for text in tokenizer_cases.TEXTS]
    content = {"versions": versions, "tokens": tokens, "published": published}
    (FOLDER / "clip_tokens.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
