"""The table of performances that networks of a task name: what they compare, and how."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from causal_iqa import _tables
from causal_iqa.tasks import boxes, masks

KINDS = ("masks", "boxes")


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """One performance of a task.

    Attributes:
      name: its key in the table.
      label: name that reports show.
      kind: kind of its predictions and of its truth, one of KINDS.
      score: `score(prediction, truth, num_classes) -> scalar`, of one image, higher is better. A prediction of masks is
        int [H, W], their truth the same; of boxes `Detections`, their truth (boxes [T, 4], classes [T]).
      convention: its definition in words.
      reference: where it comes from.
    """

    name: str
    label: str
    kind: str
    score: Callable[[Any, Any, int], jax.Array]
    convention: str
    reference: str

    def passport(self) -> dict[str, Any]:
        """Returns everything but the function as JSON values."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "score"}


def _of_pixels(fn: Callable[[masks.ClassPixels], jax.Array]) -> Callable[[Any, Any, int], jax.Array]:
    return lambda prediction, truth, num_classes: fn(masks.class_pixels(prediction, truth, num_classes=num_classes))


_COCO = "Lin et al. 2014 (COCO)"
_SPECS = (
    TaskSpec(
        "pixel_accuracy",
        "pixel accuracy",
        "masks",
        _of_pixels(masks.pixel_accuracy),
        "share of the known pixels whose class is right",
        "Everingham et al. 2010 (PASCAL VOC)",
    ),
    TaskSpec(
        "mean_iou",
        "mean IoU",
        "masks",
        _of_pixels(masks.mean_iou),
        "mean over the classes that are annotated or predicted of intersection over union",
        "Everingham et al. 2010 (PASCAL VOC)",
    ),
    TaskSpec(
        "dice",
        "Dice",
        "masks",
        _of_pixels(masks.dice),
        "mean over the classes that are annotated or predicted of twice the intersection over the sum",
        "Dice 1945",
    ),
    TaskSpec(
        "box_f1",
        "F1 at IoU .5",
        "boxes",
        lambda prediction, truth, num_classes: boxes.box_f1(prediction, *truth),
        "F1 of boxes of a score of .5 and more at an overlap of .5",
        _COCO,
    ),
    TaskSpec(
        "average_precision",
        "AP at IoU .5",
        "boxes",
        lambda prediction, truth, num_classes: boxes.average_precision(prediction, *truth, num_classes=num_classes),
        "average precision at an overlap of .5, mean over the classes that are annotated",
        _COCO,
    ),
)

TABLE = _tables.Table("task performance", _SPECS)
