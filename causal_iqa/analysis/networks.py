"""The judged networks in a study: how each performs on the clean images, and under the conditions."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from causal_iqa import pipeline
from causal_iqa.analysis import set_performance


class Judged(NamedTuple):
    """One judged network: what the clean images say of it, its mean performance under each condition, and overall.

    Attributes:
      undefined: rows of the score table for which its outputs are not finite, or a table of performance has no row.
      of_set: the performance of all images as one set, of a network of masks or boxes.
    """

    clean: pipeline.CleanAccuracy | pipeline.CleanPerformance
    by_condition: Mapping[str, float]
    degraded: float
    undefined: int
    measure: pipeline.Measure = pipeline.ACCURACY
    of_set: set_performance.SetPerformance | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Returns what is wrong with it, each in one line."""
        others = self.undefined - self.clean.num_undefined
        if not others:
            return self.clean.warnings
        rows = f"{others} degraded image{'s' if others > 1 else ''}"
        why = "its outputs are not finite for" if self.measure.is_accuracy else "there is no performance of"
        said = f"network {self.clean.network}: {why} {rows}; they are left out"
        return (*self.clean.warnings, said)


def judged_networks(config: pipeline.StudyConfig, table: pipeline.ScoreTable, num_classes: int | None) -> list[Judged]:
    """Summarises how every network of a study performs.

    Args:
      config: configuration of the study.
      table: its finished table.
      num_classes: number of classes of the task; None: as many as the largest label says.

    Returns:
      One for each network, in order.
    """
    measure = pipeline.measure_of(config)
    performance = pipeline.performance_rows(table, [choice.name for choice in config.networks], measure)
    clean = table.conditions.index(pipeline.Condition(pipeline.CLEAN, 0.0))
    num_classes = num_classes or int(np.max(table.labels)) + 1
    found = []
    for choice in config.networks:
        rows = performance[choice.name]
        means = pipeline.mean_over_images(rows.astype(np.float64))
        found.append(
            Judged(
                _on_clean(
                    choice.name,
                    table,
                    rows[clean],
                    clean,
                    num_classes,
                    config.performance is None and config.task is None,
                ),
                {condition.name: float(a) for condition, a in zip(table.conditions, means, strict=True)},
                float(pipeline.mean_over_images(np.delete(means, clean))),
                int((~np.isfinite(rows)).sum()),
                measure,
                set_performance.set_performance(table, choice.name),
            )
        )
    return found


def _on_clean(name, table, values, clean, num_classes, judged_here):
    if not judged_here:
        return pipeline.clean_performance(name, values)
    # Older tables lack the predictions; only whether they equal the labels counts.
    wrong = np.where(np.isfinite(values), np.where(values == 1, table.labels, -1), np.nan)
    predictions = table.columns.get(f"{name}/prediction", {clean: wrong})[clean]
    predictions = np.where(np.isfinite(values), predictions, np.nan)
    return pipeline.clean_accuracy(name, predictions, table.labels, num_classes)
