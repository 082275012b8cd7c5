"""LPIPS: distance of two images in the unit-normalised features of an image classifier, weighted per channel.

Weights come from the original files: torchvision's trunk and the authors' linear layers. Parameters are explicit; a
spec made by `metrics.resolve` carries them as constants.
"""

import types
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa._arrays import Params
from causal_iqa._roots import safe_sqrt
from causal_iqa.backbones.layers import plain_cnn
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.backbones.zoo import alexnet, squeezenet, vgg
from causal_iqa.metrics import _pixels

# Added to the norm, as in the authors' code (torchmetrics adds 1e-8 under the root instead).
_EPSILON = 1e-10
TRUNKS = ("alexnet", "vgg16", "squeezenet1_1")
# Smallest side that leaves a last map of one pixel.
SMALLEST_SIDE: Mapping[str, int] = types.MappingProxyType({"alexnet": 31, "vgg16": 16, "squeezenet1_1": 17})
_CHAINS = {**alexnet.VARIANTS, **vgg.VARIANTS}


def trunk_params(trunk: str, checkpoint: checkpoints.Checkpoint) -> Any:
    """Turns a torchvision weight file into the parameters of its convolutions.

    Args:
      trunk: one of TRUNKS.
      checkpoint: the file, with or without the classifier.

    Returns:
      Nested float32 arrays.

    Raises:
      InputError: when the file is not of this architecture (MismatchError: every difference is listed).
    """
    _checks.check_choice(trunk, TRUNKS, "trunk")
    # Of the file's widths only those of the head are its own; the linear layers belong to the published trunk.
    head = {name: value for name, value in checkpoint.tensors.items() if name.startswith("classifier.")}
    if trunk == "squeezenet1_1":
        checkpoints.check_layout(checkpoint, squeezenet.layout(trunk, head, head=bool(head)), trunk)
        checkpoints.check_numbers(checkpoint.path, _trunk_alone(checkpoint))
        return squeezenet.convert(checkpoint.tensors, head=False)
    checkpoints.check_layout(checkpoint, plain_cnn.layout(_CHAINS[trunk], head, head=bool(head)), trunk)
    checkpoints.check_numbers(checkpoint.path, _trunk_alone(checkpoint))
    return plain_cnn.convert(_CHAINS[trunk], checkpoint.tensors, head=False)


def _trunk_alone(checkpoint: checkpoints.Checkpoint) -> dict[str, np.ndarray]:
    """The tensors that are read; torchvision's weights for features have a classifier of NaN."""
    return {name: value for name, value in checkpoint.tensors.items() if not name.startswith("classifier.")}


def trunk_features(trunk: str, params: Params, images: jax.Array) -> list[jax.Array]:
    """The maps of a trunk's stages.

    Args:
      trunk: one of TRUNKS, static.
      params: parameters of `trunk_params`.
      images: float32 [B, H, W, 3] in [0, 1]; normalised inside by ImageNet's mean and deviation.

    Returns:
      float32 [B, h, w, c] of every stage, in order.
    """
    if trunk == "squeezenet1_1":
        module = squeezenet.SqueezeNet(None)
        stages = squeezenet.STAGES[:-1]
    else:
        chain = _CHAINS[trunk]
        widths = tuple(conv.features for conv in chain.convolutions)
        module, stages = plain_cnn.PlainCNN(chain, widths, ()), chain.stages[:-1]
    _, features = module.apply({"params": params}, images)
    return [features[stage] for stage in stages]  # pyright: ignore[reportReturnType]


def linear_params(trunk: str, checkpoint: checkpoints.Checkpoint) -> list[np.ndarray]:
    """Turns the authors' linear layers (version 0.1) into one weight per channel for every stage.

    Args:
      trunk: one of TRUNKS.
      checkpoint: the authors' alex.pth, vgg.pth or squeeze.pth.

    Returns:
      float32 [c] for every stage.

    Raises:
      InputError: when the file is not of this trunk, or a weight is negative, which the authors' training excludes.
    """
    _checks.check_choice(trunk, TRUNKS, "trunk")
    channels = (
        (64, 128, 256, 384, 384, 512, 512)
        if trunk == "squeezenet1_1"
        else tuple(conv.features for conv in _CHAINS[trunk].convolutions if conv.stage)
    )
    layout = {f"lin{i}.model.1.weight": (1, count, 1, 1) for i, count in enumerate(channels)}
    checkpoints.check_layout(checkpoint, layout, f"the linear layers of lpips for {trunk}")
    checkpoints.check_numbers(checkpoint.path, checkpoint.tensors)
    weights = [np.asarray(checkpoint.tensors[name], np.float32).reshape(-1) for name in layout]
    if not all(np.isfinite(weight).all() and (weight >= 0).all() for weight in weights):
        raise _checks.InputError(f"{checkpoint.path}: expected finite weights that are not negative")
    return weights


def _unit(x: jax.Array) -> jax.Array:
    return x / (safe_sqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True)) + _EPSILON)


def lpips(params: Params, reference: jax.Array, image: jax.Array, *, trunk: str) -> jax.Array:
    """Learned perceptual image patch similarity, version 0.1.

    sum over stages of the mean over pixels of sum_c w_c (f_c(x) / |f(x)| - f_c(y) / |f(y)|)^2. No resizing.

    Args:
      params: {"trunk": of `trunk_params`, "linear": of `linear_params`}.
      reference: float32 [H, W, 3] in [0, 1] (the authors' [-1, 1] and scaling layer amount to ImageNet's mean and
        deviation), sides of at least SMALLEST_SIDE[trunk].
      image: float32 [H, W, 3] in [0, 1].
      trunk: one of TRUNKS, static.

    Returns:
      Scalar, not negative; lower is better, 0 for equal images.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is too short.

    References:
      [1] Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018, eq. 1.

    Examples:
      >>> lpips = metrics.resolve("lpips_alex@FILE").fn  # needs weights  # doctest: +SKIP
      >>> distance = lpips(reference, image)  # needs weights  # doctest: +SKIP
    """
    _checks.check_choice(trunk, TRUNKS, "trunk")
    _pixels.check_pair(reference, image, SMALLEST_SIDE[trunk], "lpips")
    total = jnp.zeros((), image.dtype)
    maps = trunk_features(trunk, params["trunk"], jnp.stack([reference, image]))
    for features, weights in zip(maps, params["linear"], strict=True):
        x, y = _unit(features)
        weights = jnp.asarray(weights).reshape(1, 1, -1)
        total = total + jnp.mean(jnp.sum(weights * jnp.square(x - y), axis=-1))
    return total
