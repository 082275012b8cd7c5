"""Networks whose accuracy is judged and networks that give features, with import of real weight files."""

from causal_iqa import _former
from causal_iqa._arrays import Params
from causal_iqa.backbones.architectures import TABLE, ArchitectureSpec, bundled, load, load_packaged, open_network
from causal_iqa.backbones.compilation import compiler_options, cores, quick_options
from causal_iqa.backbones.dry_calls import check_network
from causal_iqa.backbones.host import host_network, onnx_network, torch_network
from causal_iqa.backbones.layers.transformer import EMBEDDING
from causal_iqa.backbones.networks import (
    PENULTIMATE,
    Network,
    Preprocessing,
    TextTower,
    check_features,
    normalise,
    to_input,
)
from causal_iqa.backbones.numerics import PRECISIONS
from causal_iqa.backbones.runners import Runner, onnx_runner, tflite_runner
from causal_iqa.backbones.task_networks import Task, padded_detections, task_network
from causal_iqa.backbones.text.tokenizers import Tokenizer
from causal_iqa.backbones.text.zero_shot import TEMPLATES, class_embeddings, embed_prompts, zero_shot_classifier
from causal_iqa.backbones.trainable_networks import trainable, trainable_names
from causal_iqa.backbones.user import load_function, make_network
from causal_iqa.backbones.variants import with_precision, without_weights
from causal_iqa.backbones.weights.budgets import Budget, limited
from causal_iqa.backbones.weights.checkpoints import Checkpoint, MismatchError, read, save_safetensors

__all__ = [
    "EMBEDDING",
    "PENULTIMATE",
    "PRECISIONS",
    "TABLE",
    "TEMPLATES",
    "ArchitectureSpec",
    "Budget",
    "Checkpoint",
    "MismatchError",
    "Network",
    "Params",
    "Preprocessing",
    "Runner",
    "Task",
    "TextTower",
    "Tokenizer",
    "bundled",
    "check_features",
    "check_network",
    "class_embeddings",
    "compiler_options",
    "cores",
    "embed_prompts",
    "host_network",
    "limited",
    "load",
    "load_function",
    "load_packaged",
    "make_network",
    "normalise",
    "onnx_network",
    "onnx_runner",
    "open_network",
    "padded_detections",
    "quick_options",
    "read",
    "save_safetensors",
    "task_network",
    "tflite_runner",
    "to_input",
    "torch_network",
    "trainable",
    "trainable_names",
    "with_precision",
    "without_weights",
    "zero_shot_classifier",
]

# Modules of the release before -> where they are now.
_FORMER = {
    name: f"{__name__}.{part}.{name}"
    for part, names in {
        "weights": "array_files budgets checkpoints formats hub installed pickles state_dicts torch_files",
        "layers": "plain_cnn transformer winograd",
        "zoo": "alexnet cifar_resnet clip clip_resnet convnext efficientnet mobilenet resnet scene_cnn squeezenet vgg "
        "vit wide_resnet",
        "text": "tokenizers zero_shot",
    }.items()
    for name in names.split()
}


__getattr__ = _former.getter(__name__, _FORMER | {"geometry": f"{__name__}.to_input"})
