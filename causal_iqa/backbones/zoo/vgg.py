"""VGG without batch normalisation, with torchvision's weights.

References:
  [1] Simonyan, Zisserman. Very deep convolutional networks for large-scale image recognition. ICLR 2015, table 1.
"""

import types
from collections.abc import Mapping

import numpy as np

from causal_iqa.backbones import networks
from causal_iqa.backbones.layers import plain_cnn
from causal_iqa.backbones.weights import checkpoints

REFERENCE = "Simonyan, Zisserman ICLR 2015"

_WIDTHS = (64, 128, 256, 512, 512)


def _chain(depths: tuple[int, ...]) -> plain_cnn.Chain:
    """[1]'s configuration with the given numbers of 3x3 convolutions; stages are named after each block's last ReLU."""
    blocks, index = [], 0
    for number, (depth, width) in enumerate(zip(depths, _WIDTHS, strict=True), start=1):
        stages = [""] * (depth - 1) + [f"relu{number}_{depth}"]
        # A convolution and its ReLU count as two of torchvision's layers, the pool as one.
        blocks.append([plain_cnn.Conv(index + 2 * i, width, stage=stage) for i, stage in enumerate(stages)])
        index += 2 * depth + 1
    return plain_cnn.Chain(plain_cnn.staged(blocks, plain_cnn.Pool(2, 2)), pooled=7, hidden=(0, 3, 6), smallest=32)


VARIANTS = types.MappingProxyType({"vgg16": _chain((2, 2, 3, 3, 3)), "vgg19": _chain((2, 2, 4, 4, 4))})


def layout(name: str, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns the tensors a torchvision file of this variant holds, name -> shape; the file's widths count."""
    return plain_cnn.layout(VARIANTS[name], tensors)


def build(name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout; `input_size` is its input side when not 224."""
    return plain_cnn.build(name, VARIANTS[name], checkpoint, input_size)
