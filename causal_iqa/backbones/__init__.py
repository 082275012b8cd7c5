"""Networks whose accuracy is judged and networks that give features, with import of real weight files."""

from causal_iqa.backbones.architectures import TABLE, ArchitectureSpec, bundled, load, load_packaged, open_network
from causal_iqa.backbones.budgets import Budget, limited
from causal_iqa.backbones.checkpoints import Checkpoint, MismatchError, read, save_safetensors
from causal_iqa.backbones.compilation import compiler_options, cores
from causal_iqa.backbones.dry_calls import check_network
from causal_iqa.backbones.host import host_network, onnx_network, torch_network
from causal_iqa.backbones.networks import (
    PENULTIMATE,
    Network,
    Preprocessing,
    TextTower,
    check_features,
    geometry,
    normalise,
)
from causal_iqa.backbones.tokenizers import Tokenizer
from causal_iqa.backbones.transformer import EMBEDDING
from causal_iqa.backbones.user import load_function, make_network
from causal_iqa.backbones.zero_shot import TEMPLATES, class_embeddings, embed_prompts, zero_shot_classifier

__all__ = [
    "EMBEDDING",
    "PENULTIMATE",
    "TABLE",
    "TEMPLATES",
    "ArchitectureSpec",
    "Budget",
    "Checkpoint",
    "MismatchError",
    "Network",
    "Preprocessing",
    "TextTower",
    "Tokenizer",
    "bundled",
    "check_features",
    "check_network",
    "class_embeddings",
    "compiler_options",
    "cores",
    "embed_prompts",
    "geometry",
    "host_network",
    "limited",
    "load",
    "load_function",
    "load_packaged",
    "make_network",
    "normalise",
    "onnx_network",
    "open_network",
    "read",
    "save_safetensors",
    "torch_network",
    "zero_shot_classifier",
]
