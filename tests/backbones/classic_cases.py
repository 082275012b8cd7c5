"""Weights with torchvision's names for AlexNet, VGG and SqueezeNet, the same in the tests and the golden script."""

import numpy as np

from causal_iqa.backbones.zoo import alexnet, squeezenet, vgg
from tests.backbones import synthetic

# Architecture -> input side; odd ones, and below the heads' pooled side times the stride.
SIDES = {"alexnet": 71, "vgg16": 40, "squeezenet1_1": 61}
# The published heads have 100 million weights; files may have others.
HEADS = {"alexnet": {1: 24, 4: 20, 6: 10}, "vgg16": {0: 24, 3: 20, 6: 10}, "squeezenet1_1": {1: 10}}
_FAMILIES = {"alexnet": alexnet, "vgg16": vgg, "squeezenet1_1": squeezenet}


def tensors(name: str) -> dict[str, np.ndarray]:
    """Draws a file of this architecture with published convolutions and a thin head."""
    head = {}
    for index, width in HEADS[name].items():
        head[f"classifier.{index}.weight"] = np.zeros((width, 1), np.float32)
        head[f"classifier.{index}.bias"] = np.zeros(width, np.float32)
    return synthetic.tensors(_FAMILIES[name].layout(name, head), synthetic.SEED)


def summary(features: np.ndarray) -> list[float]:
    """Of a map [h, w, c] its shape, mean, and the first values at three pixels; of a vector all values."""
    if features.ndim == 1:
        return [float(v) for v in features]
    pixels = features[0, 0, :4], features[-1, 0, :4], features[features.shape[0] // 2, -1, -4:]
    return [*map(float, features.shape), float(features.mean()), *(float(v) for v in np.concatenate(pixels))]
