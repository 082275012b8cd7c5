"""Masks and boxes that go along with a picture that a geometric degradation moves.

The indicator of a region is an image: it is moved by the very function, key and options that move the picture, so a
region ends where its object does. Degradations that are not geometric do not change masks and boxes.
"""

import functools
from typing import Any

import jax
import numpy as np

from causal_iqa import degradations
from causal_iqa.copies import geometry, programs
from causal_iqa.copies.single import image_key
from causal_iqa.degradations import TABLE, Condition

# What a constant border has everywhere; the indicator of the whole picture tells it from the picture.
_GREY = 0.5
_INSIDE = 0.75


def move_mask(
    mask: np.ndarray,
    condition: Condition | str,
    *,
    seed: int = 0,
    image_id: str = "",
    parameters: str | None = None,
    outside: int = 255,
) -> np.ndarray:
    """Moves a mask as `degrade` moves the picture under the same arguments.

    Args:
      mask: whole numbers [H, W], a class each.
      condition: what is done, or its written form.
      seed: seed of the degradation.
      image_id: id of the picture.
      parameters: published set of parameters, as for `degrade`.
      outside: class where a border of the option "constant" shows.

    Returns:
      [H, W] of the type of `mask`: at every place the class whose indicator, moved, is largest; the mask itself where
      nothing moves. Mirrored borders show mirrored classes, as the picture does.

    Raises:
      ValueError: when the mask is not [H, W].
      TypeError: when it does not hold whole numbers.

    Examples:
      >>> mask = np.tri(8, dtype=np.uint8)
      >>> bool((move_mask(mask, "fog/3") == mask).all()), bool((move_mask(mask, "rotation/5") == mask).all())
      (True, False)
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or not mask.size:
        raise ValueError(f"mask: expected the shape [H, W], got {mask.shape}")
    if mask.dtype.kind not in "iub":
        raise TypeError(f"mask: expected whole numbers, got {mask.dtype}")
    condition = programs.with_parameters(condition, parameters)
    if not geometry.moves(condition):
        return mask
    classes = np.unique(mask)
    moved, inside = _moved((mask == classes[:, None, None]).astype(np.float32), condition, image_key(seed, image_id))
    return np.where(inside, classes[np.argmax(moved, axis=0)], np.asarray(outside).astype(mask.dtype))


def move_boxes(
    boxes: np.ndarray,
    height: int,
    width: int,
    condition: Condition | str,
    *,
    seed: int = 0,
    image_id: str = "",
    parameters: str | None = None,
) -> np.ndarray:
    """Moves boxes as `degrade` moves the picture under the same arguments.

    Args:
      boxes: float [N, 4], left, top, right, bottom in pixels, edges of pixels.
      height: height of the picture in pixels.
      width: width of the picture in pixels.
      condition: what is done, or its written form.
      seed: seed of the degradation.
      image_id: id of the picture.
      parameters: published set of parameters, as for `degrade`.

    Returns:
      float64 [N, 4]: the smallest boxes around what the rectangles become, to whole pixels (a turned rectangle's is
      larger than its object's); NaN where nothing of one is left; the boxes themselves where nothing moves. What a
      border of the options "reflect" and "edge" repeats does not count, but where a degradation has no such option.

    Raises:
      ValueError: when the boxes are not [N, 4], or one has no width or height.

    Examples:
      >>> move_boxes([[2.0, 3.0, 5.0, 7.0]], 8, 8, "contrast/3")
      array([[2., 3., 5., 7.]])
    """
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes: expected the shape [N, 4], got {boxes.shape}")
    if not (boxes[:, 2:] > boxes[:, :2]).all():
        raise ValueError("boxes: expected left < right and top < bottom in each")
    condition = programs.with_parameters(condition, parameters)
    if not geometry.moves(condition) or not len(boxes):
        return boxes
    fields = np.stack(
        [_covered(width, one[0], one[2])[None] * _covered(height, one[1], one[3])[:, None] for one in boxes]
    )
    found = np.full(boxes.shape, np.nan)
    for row, own in zip(found, _regions(fields, condition, image_key(seed, image_id)), strict=True):
        if own.any():
            (rows,), (columns,) = np.nonzero(own.any(axis=1)), np.nonzero(own.any(axis=0))
            row[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return found


def move_regions(
    fields: np.ndarray,
    condition: Condition | str,
    *,
    seed: int = 0,
    image_id: str = "",
    parameters: str | None = None,
) -> np.ndarray:
    """Moves regions, of which several may hold a place, as `degrade` moves the picture under the same arguments.

    Args:
      fields: float [N, H, W], the share of each pixel that belongs to a region.
      condition: what is done, or its written form.
      seed: seed of the degradation.
      image_id: id of the picture.
      parameters: published set of parameters, as for `degrade`.

    Returns:
      bool [N, H, W], the pixels that are a region's by half or more; what a border repeats does not count, as for
      `move_boxes`.
    """
    condition = programs.with_parameters(condition, parameters)
    fields = np.asarray(fields, np.float32)
    if not geometry.moves(condition) or not len(fields):
        return fields >= _GREY
    return _regions(fields, condition, image_key(seed, image_id))


def _regions(fields: np.ndarray, condition: Condition, key: jax.Array) -> np.ndarray:
    condition = Condition([_with_grey_border(step) for step in condition.steps], family=condition.family)
    moved, inside = _moved(fields, condition, key)
    return (moved >= _GREY) & inside


def _covered(side: int, first: float, last: float) -> np.ndarray:
    """The share of each pixel of an axis that an interval covers, float32 [side]."""
    place = np.arange(side)
    return np.clip(np.minimum(last, place + 1) - np.maximum(first, place), 0.0, 1.0).astype(np.float32)


def _with_grey_border(step: degradations.Step) -> degradations.Step:
    if step.name not in geometry.GEOMETRIC or "border" not in TABLE[step.name].options:
        return step
    options = {**dict(step.options), "border": "constant"}
    return degradations.Step(step.name, step.severity, tuple(options.items()))


def _moved(fields: np.ndarray, condition: Condition, key: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Moves [N, H, W] by the geometric steps of a condition; also where the picture is, bool [H, W]."""
    fields = np.concatenate([fields, np.ones_like(fields[:1])])
    padded = np.pad(fields, ((0, -len(fields) % 3), (0, 0), (0, 0)))
    threes = np.moveaxis(padded.reshape(-1, 3, *fields.shape[1:]), 1, -1)
    severities = np.asarray(condition.severities, np.float32)
    program = _program(condition.structure)
    moved = np.stack([np.asarray(program(key, three, severities)) for three in threes])
    moved = np.moveaxis(moved, -1, 1).reshape(padded.shape)[: len(fields)]
    return moved[:-1], moved[-1] > _INSIDE


@functools.lru_cache(maxsize=16)
def _program(structure: Condition) -> Any:
    names = [step.name for step in structure.steps]

    @jax.jit
    def program(key: jax.Array, image: jax.Array, severities: jax.Array) -> jax.Array:
        for i, step in enumerate(structure.steps):
            if step.name in geometry.GEOMETRIC:
                own = degradations.step_key(key, step.name, repeat=names[:i].count(step.name))
                fn = TABLE[step.name].fn
                image = fn(own, image, severities[i], family=structure.family, **dict(step.options))
        return image

    return program
