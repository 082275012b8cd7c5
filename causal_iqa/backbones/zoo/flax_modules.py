"""What the networks that this library trains have in common: Flax modules whose files hold their own parameters.

Their tensors carry the names of the module's own parameters, so that a layout follows from the module itself.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.backbones import networks
from causal_iqa.backbones.weights import checkpoints

_CLASSES_WHERE_UNKNOWN = 10


@dataclasses.dataclass(frozen=True)
class Trainable:
    """A network that `training.train` can train from fresh parameters.

    Attributes:
      module: width of the head -> module from images float32 [B, H, W, 3] in [0, 1] to (outputs [B, width], {stage:
        features}). The head is a linear layer called "head".
      preprocessing: side of the input and normalisation, which the module applies itself.
      stages: names of the features, from the first to the last.
    """

    module: Callable[[int], nn.Module]
    preprocessing: networks.Preprocessing
    stages: tuple[str, ...]


# Kept, so that the forward pass that shapes the parameters is compiled once per network.
@functools.lru_cache(maxsize=16)
def _initialiser(spec: Trainable, num_outputs: int) -> Callable[[jax.Array], dict[str, Any]]:
    network, side = spec.module(num_outputs), spec.preprocessing.size
    return jax.jit(lambda key: network.init(key, jnp.zeros((1, side, side, 3), jnp.float32))["params"])


def init(spec: Trainable, key: jax.Array, *, num_outputs: int) -> dict[str, Any]:
    """Returns fresh parameters.

    Args:
      spec: the network.
      key: random key.
      num_outputs: width of the head, static.

    Returns:
      Nested dictionaries of float32 arrays, what `spec.module(num_outputs).apply({"params": params}, images)` takes.
    """
    return _initialiser(spec, num_outputs)(key)


def layout(spec: Trainable, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Returns name -> shape of the tensors that a file of this network holds; the head's width is the file's own."""
    bias = tensors.get("head.bias")
    num_outputs = bias.shape[0] if bias is not None and bias.ndim == 1 else _CLASSES_WHERE_UNKNOWN
    shapes = jax.eval_shape(
        functools.partial(init, spec, num_outputs=num_outputs), jax.ShapeDtypeStruct((2,), np.uint32)
    )
    return {key: leaf.shape for key, leaf in checkpoints.flatten(shapes).items()}


def build(spec: Trainable, name: str, checkpoint: checkpoints.Checkpoint, input_size: int | None) -> networks.Network:
    """Makes a network from a file with a checked layout.

    Args:
      spec: the network.
      name: its name.
      checkpoint: the file.
      input_size: side of the input in pixels when not the network's own.

    Returns:
      The network.
    """
    preprocessing = networks.with_size(spec.preprocessing, input_size)
    num_outputs = checkpoint.tensors["head.bias"].shape[0]
    params = checkpoints.unflatten(checkpoint.tensors)
    module = spec.module(num_outputs)
    return networks.classifier_network(name, module, params, preprocessing, num_outputs, spec.stages, checkpoint.sha256)
