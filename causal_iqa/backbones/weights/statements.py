"""Statements about a weight file that its tensors do not make: of a configuration beside it, its metadata or name.

Tensors do not determine the whole computation of a network: padding, epsilons, activations, heads and the normalisation
of pixels leave no trace in names and shapes.
"""

import dataclasses
import json
import logging
import os
import pathlib
import re
import types
from collections.abc import Mapping
from typing import Any

from causal_iqa._arrays import triple
from causal_iqa.backbones.weights import budgets

_LOG = logging.getLogger(__name__)
Triple = tuple[float, float, float]
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_RAW = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
# Published models that normalise pixels otherwise than others of the same tensors, by their names in timm or papers.
_PIXELS_BY_NAME = (
    (re.compile(r"(?<![a-z])(deit|dino(?!v2)|mae|ibot|msn|moco)(?![a-z])|deit3?_"), _IMAGENET),
    (re.compile(r"efficientnet_b0[_.]ap(?![a-z])|adv_efficientnet|ra4_e3600"), _HALF),
    (re.compile(r"(?<![a-z])miil"), _RAW),
    (re.compile(r"convnext_.*clip_lai"), _CLIP),
)
# The first eight digits of the sha256 of published files -> name, and the fraction of torchvision's second recipe.
_PUBLISHED: Mapping[str, tuple[str, float | None]] = types.MappingProxyType(
    {
        "3dd342df": ("efficientnet_b0_ra", None),
        "827b6e33": ("tf_efficientnet_b0_aa", None),
        "f262efe1": ("tf_efficientnet_b0_ap", None),
        "c0e6a31c": ("tf_efficientnet_b0_ns", None),
        "0af12548": ("tf_efficientnet_b0", None),
        "37913777": ("efficientnet_lite0_ra", None),
        "0aa007d2": ("tf_efficientnet_lite0", None),
        "f55367f5": ("mobilenetv3_large_100_ra", None),
        "427764d5": ("tf_mobilenetv3_large_100", None),
        "66471c13": ("mobilenetv3_large_100_miil", None),
        "d71cc17b": ("mobilenetv3_large_100_miil_in21k", None),
        "266a294c": ("mobilenetv3_small_100_lamb", None),
        "37f49e2b": ("tf_mobilenetv3_small_100", None),
        "4cf422b3": ("resnetaa50_a1h", None),
        "84f4748f": ("resnetblur50", None),
        "b64d5a18": ("adv_efficientnet_b0", None),
        "88682ab5": ("vgg16_features_amdegroot", None),
        "00b39a1b": ("vgg16_caffe", None),
        "11ad3fa6": ("resnet50", 224 / 232),
        "cd907fc2": ("resnet101", 224 / 232),
        "f82ba261": ("resnet152", 224 / 232),
        "1a0047aa": ("resnext50_32x4d", 224 / 232),
        "9ba9bcbe": ("wide_resnet50_2", 224 / 232),
        "7ebf99e0": ("mobilenet_v2", 224 / 232),
        "5c1a4163": ("mobilenet_v3_large", 224 / 232),
    }
)
# Names that say nothing.
_PLAIN_STEMS = re.compile(
    r"(open_clip_)?(pytorch_)?(model|weights?|net(work)?|checkpoint|ckpt|best|last|state(_dict)?|final|params|config|[a-z0-9])"
    r"([_.-]?(best|last|final|ema|weights?|\d+))*"
)
_ACTIVATIONS = types.MappingProxyType(
    {
        "gelu": "gelu",
        "quick_gelu": "quick_gelu",
        "gelu_pytorch_tanh": "gelu_tanh",
        "gelu_new": "gelu_tanh",
        "gelu_fast": "gelu_tanh",
    }
)
_FILTERS = types.MappingProxyType({"bilinear": "bilinear", "bicubic": "bicubic", 2: "bilinear", 3: "bicubic"})


@dataclasses.dataclass(frozen=True)
class Statement:
    """The facts that are stated about a file; None or empty where nothing is stated.

    Attributes:
      names: (name of a published model, the place that states it), lower case with underscores, the surest first.
      pixels: mean and standard deviation that pixels are normalised by.
      interpolation: interpolation of the resize.
      crop_fraction: crop fraction of the central square.
      activation: activation of a transformer's perceptrons, a row of `transformer.ACTIVATIONS` or any other name that
        is stated.
      epsilon: epsilon of its layer norms.
      heads: heads of its attention.
    """

    names: tuple[tuple[str, str], ...] = ()
    pixels: tuple[Triple, Triple] | None = None
    interpolation: str | None = None
    crop_fraction: float | None = None
    activation: str | None = None
    epsilon: float | None = None
    heads: int | None = None

    def said(self, pattern: re.Pattern[str]) -> tuple[str, str] | None:
        """The first (name, place that states it) in which the pattern is found."""
        return next(((name, where) for name, where in self.names if pattern.search(name)), None)


NOTHING = Statement()


def _normal(text: str) -> str:
    return re.sub(r"[\s-]+", "_", text.lower())


def _json_beside(path: pathlib.Path, name: str) -> dict[str, Any]:
    file = path.with_name(name)
    if not file.is_file():
        return {}
    try:
        found = json.loads(budgets.read_bytes(file, text=True))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        _LOG.warning("%s: the configuration beside the weights is no JSON, so it says nothing", file)
        return {}
    return found if isinstance(found, dict) else {}


def _numbers(value: Any) -> Triple | None:
    fits = isinstance(value, list | tuple) and len(value) == 3
    return triple(map(float, value)) if fits and all(isinstance(v, int | float) for v in value) else None


def _names(path: pathlib.Path, sha256: str, metadata: Mapping[str, str], config: Mapping[str, Any]) -> list:
    names = []
    if sha256[:8] in _PUBLISHED:
        names.append((_PUBLISHED[sha256[:8]][0], "the hash of its content"))
    pretrained = config.get("pretrained_cfg")
    tag = pretrained.get("tag") if isinstance(pretrained, dict) else None
    architecture = config.get("architecture")
    if isinstance(architecture, str):
        names.append((f"{architecture}.{tag}" if isinstance(tag, str) else architecture, "config.json beside it"))
    for key in ("architecture", "model", "model_name", "arch"):
        if isinstance(metadata.get(key), str):
            names.append((metadata[key], "its metadata"))
    # torch.hub appends eight digits of the hash to a name.
    stem = re.sub(r"-[0-9a-f]{8}$", "", path.name.split(".safetensors")[0].removesuffix(path.suffix))
    if not _PLAIN_STEMS.fullmatch(_normal(stem)):
        names.append((stem, "its name"))
    cached = next((part for part in reversed(path.parts[:-1]) if part.startswith("models--")), None)
    if cached:
        names.append((cached.removeprefix("models--").replace("--", "/"), "its repository"))
    elif not names and path.parent.name:
        names.append((path.parent.name, "the name of its folder"))
    return [(_normal(name), where) for name, where in names]


def of(path: str | os.PathLike[str], sha256: str, metadata: Mapping[str, str]) -> Statement:
    """Gathers the statements about a weight file.

    Args:
      path: path of the file; config.json, open_clip_config.json and preprocessor_config.json are read where they lie
        beside it, as on the hub.
      sha256: SHA-256 of its content.
      metadata: the metadata of the file.

    Returns:
      The statement.
    """
    path = pathlib.Path(path)
    path = path / "config.json" if path.is_dir() else path
    config, open_clip = _json_beside(path, "config.json"), _json_beside(path, "open_clip_config.json")
    processor = _json_beside(path, "preprocessor_config.json")
    names = _names(path, sha256, metadata, config)
    pretrained = config.get("pretrained_cfg", config)
    pretrained = pretrained if isinstance(pretrained, dict) else {}
    by_name = next((pixels for name, _ in names for pattern, pixels in _PIXELS_BY_NAME if pattern.search(name)), None)
    pixels = by_name
    for source, keys in ((pretrained, ("mean", "std")), (processor, ("image_mean", "image_std"))):
        mean, std = (_numbers(source.get(key)) for key in keys)
        if mean and std and all(std):
            pixels = (mean, std)
            break
    crop = pretrained.get("crop_pct")
    crop = float(crop) if isinstance(crop, int | float) and 0 < crop <= 1 else _PUBLISHED.get(sha256[:8], ("", None))[1]
    filter_name = pretrained.get("interpolation", processor.get("resample"))
    vision = config.get("vision_config")
    vision = vision if isinstance(vision, dict) else config
    activation = _activation(config, vision, open_clip)
    epsilon, heads = vision.get("layer_norm_eps"), vision.get("num_attention_heads")
    return Statement(
        names=tuple(names),
        pixels=pixels,
        interpolation=_FILTERS.get(filter_name) if isinstance(filter_name, str | int) else None,
        crop_fraction=crop,
        activation=activation,
        epsilon=float(epsilon) if isinstance(epsilon, int | float) else None,
        heads=heads if isinstance(heads, int) else None,
    )


def _activation(config: dict, vision: dict, open_clip: dict) -> str | None:
    model = open_clip.get("model_cfg")
    if isinstance(model, dict) and isinstance(model.get("vision_cfg"), dict):
        return "quick_gelu" if model.get("quick_gelu") else "gelu"
    # transformers leaves out what is a model's default.
    default = "quick_gelu" if config.get("model_type") == "clip" else None
    said = vision.get("hidden_act", config.get("hidden_act", default))
    return _ACTIVATIONS.get(said, said) if isinstance(said, str) and "model_type" in config else None
