"""Weights and images drawn from numpy seeds, the same in the tests and in the script of the golden values."""

import zlib
from collections.abc import Mapping

import numpy as np

from causal_iqa.backbones.zoo import mobilenet

SEED = 20260101
# Architecture, width multiplier, input side; an odd side makes SAME padding differ from symmetric padding.
MOBILENET_CASES = (("mobilenet_v1", 0.25, 96), ("mobilenet_v1", 0.25, 117), ("mobilenet_v2", 0.25, 96))


def tensors(layout: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, np.ndarray]:
    """Draws every tensor by its name and role, so that activations neither die nor explode."""
    drawn = {}
    for name, shape in layout.items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        leaf = name.rsplit(".", 1)[-1]
        if leaf == "running_var" or leaf == "scale" or (leaf == "weight" and len(shape) == 1):
            value = rng.uniform(0.5, 1.5, shape)
        elif len(shape) == 1:
            value = rng.normal(0.0, 0.2, shape)
        else:
            torch_order = leaf == "weight"
            fan_in = np.prod(shape[1:] if torch_order else shape[:-1])
            value = rng.normal(0.0, np.sqrt(2.0 / fan_in), shape)
        if name.endswith("bn2.weight"):  # Residual branches add up over the blocks.
            value *= 0.3
        drawn[name] = value.astype(np.float32)
    return drawn


def images(count: int, side: int) -> np.ndarray:
    """float32 [count, side, side, 3] in [0, 1]: a smooth ramp with noise, different for every image."""
    rng = np.random.default_rng([SEED, side])
    ramp = np.linspace(0.0, 1.0, side)
    ramps = np.stack([ramp[:, None] * np.ones(side), np.ones(side)[:, None] * ramp, ramp[:, None] * ramp], -1)
    return np.clip(0.7 * ramps + 0.5 * rng.random((count, side, side, 3)) - 0.1, 0.0, 1.0).astype(np.float32)


def thin(name: str, multiplier: float) -> dict[str, np.ndarray]:
    """Empty-valued kernels that make `mobilenet.layout` use a width multiplier."""
    return {
        key: np.zeros((1, 1, 1, max(8, int(shape[-1] * multiplier))), np.float32)
        for key, shape in mobilenet.layout(name, {}).items()
        if key.endswith("kernel") and "depthwise" not in key and not key.startswith("classifier")
    }
