"""Performance of predicted boxes: F1 and average precision of one image, and average precision of a set.

Predicted boxes are matched as COCO matches them: from the surest on, each takes the box of its class that it overlaps
most among those not taken yet, where the overlap reaches the threshold. Average precision is the mean precision at 101
recalls, precision made monotone [1]. Of a set it is taken over all images at once, which is not the mean of the
images'.

[1] T.-Y. Lin et al. (2014), Microsoft COCO: common objects in context; pycocotools.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_RECALLS = np.linspace(0.0, 1.0, 101)
# The class of a slot that holds no box.
NO_BOX = -1


class Detections(NamedTuple):
    """Predicted boxes of one image in P slots; a slot without a box has class NO_BOX."""

    boxes: jax.Array  # float32 [P, 4], left, top, right, bottom in any one unit
    scores: jax.Array  # float32 [P]
    classes: jax.Array  # int32 [P]


class Matches(NamedTuple):
    """Predicted boxes from the surest on, with whether each found an object."""

    scores: jax.Array  # float32 [P]
    classes: jax.Array  # int32 [P], NO_BOX of an empty slot
    found: jax.Array  # bool [P]
    place: jax.Array  # int32 [P], slot of each in the detections


def box_iou(first: jax.Array, second: jax.Array) -> jax.Array:
    """Area in common over the area of both, of every pair.

    Args:
      first: [P, 4], left, top, right, bottom.
      second: [T, 4].

    Returns:
      [P, T] in [0, 1]; 0 where a box has no area.

    Examples:
      >>> box_iou(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[1.0, 0.0, 3.0, 2.0]])).round(3).tolist()
      [[0.3330000042915344]]
    """
    low = jnp.maximum(first[:, None, :2], second[None, :, :2])
    high = jnp.minimum(first[:, None, 2:], second[None, :, 2:])
    common = jnp.prod(jnp.maximum(high - low, 0), axis=-1)
    areas = [jnp.prod(jnp.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=-1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - common
    return jnp.where(union > 0, common / jnp.where(union > 0, union, 1), 0.0)


def match_boxes(
    detections: Detections, truth: jax.Array, truth_classes: jax.Array, *, iou: float = 0.5, most: int = 100
) -> Matches:
    """Matches the boxes of one image.

    Args:
      detections: P of them.
      truth: float32 [T, 4].
      truth_classes: int [T], NO_BOX of an empty slot.
      iou: overlap that a match needs.
      most: the number of detections per class that count, those with the highest scores, as in COCO; static int.

    Returns:
      The matches.

    Raises:
      ValueError: when shapes do not fit.

    Examples:
      >>> box = jnp.array([[0.0, 0.0, 1.0, 1.0]])
      >>> two = tasks.Detections(jnp.concatenate([box + 2, box]), jnp.array([0.9, 0.8]), jnp.array([3, 3]))
      >>> tasks.match_boxes(two, box, jnp.array([3])).found.tolist()
      [False, True]
    """
    boxes, scores, classes = detections
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not scores.shape == classes.shape == boxes.shape[:1]:
        raise ValueError(
            f"detections: expected boxes [P, 4], scores [P], classes [P], got {boxes.shape}, {scores.shape}, "
            f"{classes.shape}"
        )
    if truth.ndim != 2 or truth.shape[1] != 4 or truth_classes.shape != truth.shape[:1]:
        raise ValueError(f"truth: expected boxes [T, 4] and classes [T], got {truth.shape}, {truth_classes.shape}")
    order = jnp.argsort(jnp.where(classes >= 0, -scores, jnp.inf), stable=True)
    boxes, scores, classes = boxes[order], scores[order], classes[order]
    same = classes[:, None] == classes[None, :]
    rank = jnp.tril(same, -1).sum(axis=1)
    classes = jnp.where(rank < most, classes, NO_BOX)
    overlap = box_iou(boxes, truth)
    may = (classes[:, None] == truth_classes[None, :]) & (classes >= 0)[:, None] & (overlap >= iou)

    def step(taken: jax.Array, row: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        own, allowed = row
        free = jnp.where(allowed & ~taken, own, -1.0)
        # Of equal overlaps the last, as pycocotools takes it.
        best = len(free) - 1 - jnp.argmax(free[::-1])
        hit = free[best] >= 0
        return taken.at[best].set(taken[best] | hit), hit

    if truth.shape[0] == 0 or boxes.shape[0] == 0:
        return Matches(scores, classes, jnp.zeros(scores.shape, bool), order)
    _, found = jax.lax.scan(step, jnp.zeros(truth.shape[0], bool), (overlap, may))
    return Matches(scores, classes, found, order)


def box_f1(
    detections: Detections,
    truth: jax.Array,
    truth_classes: jax.Array,
    *,
    iou: float = 0.5,
    least_score: float = 0.5,
) -> jax.Array:
    """F1 of one image: found objects against boxes that found none and objects that were not found.

    Args:
      detections: P of them.
      truth: float32 [T, 4].
      truth_classes: int [T], NO_BOX of an empty slot.
      iou: overlap that a match needs.
      least_score: boxes below it are not predicted.

    Returns:
      In [0, 1], higher is better; NaN where there is no object and none is predicted.

    Examples:
      >>> box = jnp.array([[0.0, 0.0, 1.0, 1.0]])
      >>> two = Detections(jnp.concatenate([box, box + 2]), jnp.array([0.9, 0.8]), jnp.array([3, 3]))
      >>> round(float(box_f1(two, box, jnp.array([3]))), 3)
      0.667
    """
    shown = jnp.where(detections.scores >= least_score, detections.classes, NO_BOX)
    found = match_boxes(detections._replace(classes=shown), truth, truth_classes, iou=iou)
    total = (shown >= 0).sum() + (truth_classes >= 0).sum()
    return jnp.where(total > 0, 2 * found.found.sum() / jnp.maximum(total, 1), jnp.nan)


def average_precision(
    detections: Detections, truth: jax.Array, truth_classes: jax.Array, *, num_classes: int, iou: float = 0.5
) -> jax.Array:
    """Average precision of one image, mean over the classes that are present.

    Args:
      detections: P of them.
      truth: float32 [T, 4].
      truth_classes: int [T], NO_BOX of an empty slot.
      num_classes: K, static int.
      iou: overlap that a match needs.

    Returns:
      In [0, 1], higher is better; NaN where there is no object.

    Examples:
      >>> box = jnp.array([[0.0, 0.0, 1.0, 1.0]])
      >>> two = Detections(jnp.concatenate([box + 2, box]), jnp.array([0.9, 0.8]), jnp.array([3, 3]))
      >>> float(average_precision(two, box, jnp.array([3]), num_classes=80))
      0.5
    """
    matches = match_boxes(detections, truth, truth_classes, iou=iou)
    classes = jnp.arange(num_classes)
    own = matches.classes[None] == classes[:, None]
    hits = jnp.cumsum(own & matches.found[None], axis=1)
    precision = jnp.where(own, hits / jnp.maximum(jnp.cumsum(own, axis=1), 1), 0.0)
    size = (truth_classes[None] == classes[:, None]).sum(axis=1)
    # How many hits reach each recall, in the arithmetic of pycocotools.
    needed = jnp.asarray(_needed(truth.shape[0]))[size]
    reached = jax.vmap(
        lambda own_hits, own_precision, hits_needed: jnp.where(
            own_hits[None, :] >= hits_needed[:, None], own_precision[None, :], 0.0
        ).max(axis=1, initial=0.0)
    )(jnp.where(own, hits, -1), precision, needed)
    there = size > 0
    count = there.sum()
    total = jnp.where(there, reached.mean(axis=1), 0.0).sum()
    return jnp.where(count > 0, total / jnp.maximum(count, 1), jnp.nan)


def _needed(most: int) -> np.ndarray:
    """Hits of n objects that reach each of 101 recalls, int32 [most + 1, 101]."""
    hits = np.arange(most + 1)
    table = np.zeros((most + 1, len(_RECALLS)), np.int32)
    for n in range(1, most + 1):
        table[n] = np.searchsorted(hits[: n + 1] / n, _RECALLS, side="left")
    return table


def set_average_precision(
    scores: np.ndarray, classes: np.ndarray, found: np.ndarray, num_true: np.ndarray
) -> np.ndarray:
    """Average precision of every class over a set of images.

    Args:
      scores: [R], scores of the predicted boxes of all images, for each image in descending order.
      classes: int [R], NO_BOX of an empty slot.
      found: bool [R], from `match_boxes`.
      num_true: int [K], objects of every class in the set.

    Returns:
      float64 [K] in [0, 1]; NaN of a class without an object. Their mean is mAP.

    Examples:
      >>> scores, classes, found = np.array([0.9, 0.8]), np.array([0, 0]), np.array([False, True])
      >>> set_average_precision(scores, classes, found, np.array([1, 0])).tolist()
      [0.5, nan]
    """
    scores, classes, found = (np.asarray(x).reshape(-1) for x in (scores, classes, found))
    out = np.full(len(num_true), np.nan)
    for k in np.flatnonzero(np.asarray(num_true) > 0):
        own = classes == k
        order = np.argsort(-scores[own], kind="mergesort")
        hits = np.cumsum(found[own][order])
        precision = hits / (np.arange(len(hits)) + 1.0)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        place = np.searchsorted(hits / num_true[k], _RECALLS, side="left")
        out[k] = np.append(precision, 0.0)[place].mean()
    return out
