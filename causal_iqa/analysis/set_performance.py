"""The performance of whole sets of images under each condition: mIoU and mAP, which are no means over images."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np

from causal_iqa import _codec, pipeline, tasks

MIOU, MAP = "mIoU", "mAP at IoU .5"


class SetPerformance(NamedTuple):
    """One number per condition of one network: its name, and condition -> value, NaN where undefined."""

    name: str
    by_condition: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Returns {"name", "conditions"} as JSON values, None where undefined."""
        return _codec.encode(self, Annotated[SetPerformance, _codec.Keys(by_condition="conditions")])


def set_performance(table: pipeline.ScoreTable, network: str) -> SetPerformance | None:
    """Computes the performance of the set under every condition.

    Args:
      table: table of a finished study.
      network: one that predicts masks or boxes.

    Returns:
      mIoU of the pixels of all images, or mAP at an overlap of .5 over the boxes of all images; None of a network
      whose predictions are not in the table.
    """
    names = [condition.name for condition in table.conditions]
    if f"{network}/class_pixels" in table.vectors:
        sums = table.vectors[f"{network}/class_pixels"].sum(axis=1, dtype=np.float64)
        right, predicted, there = np.split(sums, 3, axis=1)
        union = predicted + there - right
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = np.where(union > 0, right / union, np.nan)
        defined = np.isfinite(shares)
        total = np.where(defined, shares, 0).sum(axis=1)
        values = np.where(defined.any(axis=1), total / np.maximum(defined.sum(axis=1), 1), np.nan)
        return SetPerformance(MIOU, dict(zip(names, map(float, values), strict=True)))
    if f"{network}/box_found" not in table.vectors:
        return None
    scores, classes, found = (table.vectors[f"{network}/box_{field}"] for field in ("scores", "classes", "found"))
    num_true = table.vectors[f"{network}/num_true"].sum(axis=1, dtype=np.int64)
    values = []
    for row in range(len(names)):
        precision = tasks.set_average_precision(scores[row], classes[row], found[row] > 0, num_true[row])
        values.append(float(np.nanmean(precision)) if np.isfinite(precision).any() else float("nan"))
    return SetPerformance(MAP, dict(zip(names, values, strict=True)))
