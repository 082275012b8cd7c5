"""AlexNet in torchvision's single-column form, with its weights.

References:
  [1] Krizhevsky. One weird trick for parallelizing convolutional neural networks. 2014, whose network this is, after
      Krizhevsky, Sutskever, Hinton. ImageNet classification with deep convolutional neural networks. NeurIPS 2012.
"""

import types
from collections.abc import Mapping

import numpy as np

from causal_iqa.backbones import networks
from causal_iqa.backbones.layers import plain_cnn
from causal_iqa.backbones.weights import checkpoints

REFERENCE = "Krizhevsky 2014"

_POOL = plain_cnn.Pool(3, 2)
VARIANTS = types.MappingProxyType(
    {
        "alexnet": plain_cnn.Chain(
            layers=(
                plain_cnn.Conv(0, 64, kernel=11, stride=4, padding=2, stage="relu1"),
                _POOL,
                plain_cnn.Conv(3, 192, kernel=5, padding=2, stage="relu2"),
                _POOL,
                plain_cnn.Conv(6, 384, stage="relu3"),
                plain_cnn.Conv(8, 256, stage="relu4"),
                plain_cnn.Conv(10, 256, stage="relu5"),
                _POOL,
            ),
            pooled=6,
            hidden=(1, 4, 6),
            smallest=63,
        )
    }
)


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the tensors a torchvision file of this variant holds, name -> shape; the file's widths count."""
    return plain_cnn.layout(VARIANTS[name], tensors)


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout; `input_size` is its input side when not 224."""
    return plain_cnn.build(name, VARIANTS[name], checkpoint, input_size)
