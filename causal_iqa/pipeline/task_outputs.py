"""The performance of a network of masks or boxes on one image, and the values kept for the whole set."""

from typing import Any

import jax
import jax.numpy as jnp

from causal_iqa import backbones, tasks
from causal_iqa._arrays import Params


def performance(network: backbones.Network, params: Params, image: jax.Array, target: tuple) -> dict[str, jax.Array]:
    """Judges one image.

    Args:
      network: a network with a task.
      params: its parameters.
      image: [S, S, 3] in [0, 1], of any side.
      target: (mask int32 [T, T],) or (boxes float32 [M, 4], classes int32 [M]).

    Returns:
      "performance", a scalar; and for the performance of the set, of masks "class_pixels" float32 [3 K], the fields of
      `tasks.ClassPixels` one after the other, of boxes "box_scores" float32 [P], "box_classes" int32 [P], "box_found"
      uint8 [P] and "num_true" uint16 [K].
    """
    # Classes of pixels, or boxes, as the kind of the task says.
    predicted: Any = network.apply(params, backbones.to_input(network.preprocessing, image))[0]
    task, num_classes = network.task, network.num_classes
    if task.spec.kind == "masks":
        truth: Any = at_side(target[0], task.mask_side)
        pixels = tasks.class_pixels(predicted, truth, num_classes=num_classes)
        kept = {"class_pixels": jnp.concatenate(pixels)}
    else:
        truth = target
        matches = tasks.match_boxes(predicted, *truth)
        kept = {
            "box_scores": matches.scores,
            "box_classes": matches.classes,
            "box_found": matches.found.astype(jnp.uint8),
            "num_true": (truth[1][None] == jnp.arange(num_classes)[:, None]).sum(axis=1).astype(jnp.uint16),
        }
    value = task.spec.score(predicted, truth, num_classes, **task.options)
    return {"performance": value, **kept}


def at_side(mask: jax.Array, side: int) -> jax.Array:
    """Takes the nearest pixel of a mask for every pixel of another side.

    Args:
      mask: int [T, T].
      side: side of the result, static.

    Returns:
      int [side, side].
    """
    size = mask.shape[0]
    if size == side:
        return mask
    place = ((jnp.arange(side) + 0.5) * size / side).astype(jnp.int32)
    return mask[place][:, place]
