"""Performance of predictions that are no class: masks and boxes of one image, and of a whole set."""

from causal_iqa.tasks.boxes import (
    Detections,
    Matches,
    average_precision,
    box_f1,
    box_iou,
    match_boxes,
    set_average_precision,
)
from causal_iqa.tasks.masks import (
    ClassPixels,
    class_pixels,
    dice,
    mean_iou,
    pixel_accuracy,
)
from causal_iqa.tasks.table import TABLE, TaskSpec

__all__ = [
    "TABLE",
    "ClassPixels",
    "Detections",
    "Matches",
    "TaskSpec",
    "average_precision",
    "box_f1",
    "box_iou",
    "class_pixels",
    "dice",
    "match_boxes",
    "mean_iou",
    "pixel_accuracy",
    "set_average_precision",
]
