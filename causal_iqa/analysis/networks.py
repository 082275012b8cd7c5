"""The judged networks in a study: how right each is on the clean images, and under the conditions."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from causal_iqa import pipeline


class Judged(NamedTuple):
    """One judged network: what the clean images say of it, its accuracy under each condition, and in the mean.

    undefined: rows of the score table for which its outputs are not finite.
    """

    clean: pipeline.CleanAccuracy
    by_condition: Mapping[str, float]
    degraded: float
    undefined: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns what is wrong with it, each in one line."""
        others = self.undefined - self.clean.num_undefined
        if not others:
            return self.clean.warnings
        rows = f"{others} degraded image{'s' if others > 1 else ''}"
        said = f"network {self.clean.network}: its outputs are not finite for {rows}; they are left out"
        return (*self.clean.warnings, said)

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON values, None where undefined."""
        return {
            "clean_accuracy": _number(self.clean.accuracy),
            "num_clean": self.clean.num_images,
            "mean_accuracy": _number(self.degraded),
            "accuracy": {name: _number(value) for name, value in self.by_condition.items()},
            "undefined_rows": self.undefined,
            "warnings": list(self.warnings),
        }


def judged_networks(config: pipeline.StudyConfig, table: pipeline.ScoreTable, num_classes: int | None) -> list[Judged]:
    """Says how right every network of a study is.

    Args:
      config: of the study.
      table: its finished table.
      num_classes: of the task; None: as many as the largest label says.

    Returns:
      One for each network, in order.
    """
    clean = table.conditions.index(pipeline.Condition(pipeline.CLEAN, 0.0))
    num_classes = num_classes or int(np.max(table.labels)) + 1
    found = []
    for choice in config.networks:
        correct = table.columns[f"{choice.name}/correct"]
        # Older tables lack the predictions; what counts is whether they are the labels.
        wrong = np.where(np.isfinite(correct[clean]), np.where(correct[clean] == 1, table.labels, -1), np.nan)
        predictions = table.columns.get(f"{choice.name}/prediction", {clean: wrong})[clean]
        predictions = np.where(np.isfinite(correct[clean]), predictions, np.nan)
        means = pipeline.mean_over_images(correct.astype(np.float64))
        found.append(
            Judged(
                pipeline.clean_accuracy(choice.name, predictions, table.labels, num_classes),
                {condition.name: float(a) for condition, a in zip(table.conditions, means, strict=True)},
                float(pipeline.mean_over_images(np.delete(means, clean))),
                int((~np.isfinite(correct)).sum()),
            )
        )
    return found


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
