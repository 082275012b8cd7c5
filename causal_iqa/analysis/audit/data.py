"""A finished run as the arrays that the parts of the audit read."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from causal_iqa import causal, pipeline
from causal_iqa.analysis import findings

# Of the observational study and the mediation; the study's own number serves its effects.
MOST_RESAMPLES = 200


class AuditData(NamedTuple):
    """C degraded conditions, N images, K networks; scores are turned so that higher is better.

    outcomes: metric, and `measure.key` (mean performance of the networks) -> [C, N].
    clean: values of the clean images, [N]; NaN where there is no score.
    images: column of things that are fixed for an image -> [N]: label, clean scores.
    rows: column of the table under degraded conditions -> [C, N].
    measure: the definition of performance.
    clusters: int [N] of images that are not independent of each other; None where each stands alone.
    """

    config: pipeline.StudyConfig
    families: Mapping[str, str]
    degradations: tuple[str, ...]
    severities: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray
    outcomes: Mapping[str, np.ndarray]
    clean: Mapping[str, np.ndarray]
    rows: Mapping[str, np.ndarray]
    measure: pipeline.Measure = pipeline.ACCURACY
    clusters: np.ndarray | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Returns the names of the metrics."""
        return tuple(name for name in self.outcomes if name != self.measure.key)

    @property
    def num_resamples(self) -> int:
        """Returns the resamples of what is refitted in each."""
        return min(self.config.num_resamples, MOST_RESAMPLES)

    def take(self, images: np.ndarray) -> "AuditData":
        """Returns the same of some images."""
        tables = {name: getattr(self, name) for name in ("outcomes", "clean", "rows")}
        taken = {name: {k: values[..., images] for k, values in by.items()} for name, by in tables.items()}
        clusters = None if self.clusters is None else self.clusters[images]
        return self._replace(labels=self.labels[images], clusters=clusters, **taken)


Progress = Callable[[int, int], None]
Number = float | np.ndarray | np.number


def gather(run: pipeline.Run, found: findings.Findings) -> AuditData:
    """Arranges a run.

    Args:
      run: the finished run.
      found: result of `findings.analyse_images` for it.
    """
    config, table = run.config, run.table
    clean_row = next(i for i, condition in enumerate(table.conditions) if condition.severity == 0)
    names = [choice.name for choice in config.networks]
    rows = pipeline.performance_rows(table, names, found.measure)
    clean = {name: values[clean_row] for name, values in rows.items()}
    outcomes = {found.measure.key: found.performance[pipeline.ALL_NETWORKS]}
    outcomes |= {metric: by[pipeline.ALL_NETWORKS] for metric, by in found.scores.items()}
    degraded = np.array([condition.severity > 0 for condition in table.conditions])
    return AuditData(
        config=config,
        families=found.families,
        degradations=tuple(condition.degradation for condition in found.conditions),
        severities=np.array([condition.severity for condition in found.conditions], np.float64),
        names=tuple(condition.name for condition in found.conditions),
        labels=np.asarray(table.labels),
        outcomes=outcomes,
        clean={
            found.measure.key: pipeline.mean_over_networks(clean),
            **{metric: by[pipeline.ALL_NETWORKS] for metric, by in found.clean.items()},
        },
        rows={name: values[degraded] for name, values in table.columns.items()},
        measure=found.measure,
        clusters=pipeline.clusters(table.columns),
    )


def node_name(column: str) -> str:
    """How a column is called as a node of a graph: letters, digits and underscores."""
    return re.sub(r"\W", "_", column)


def number(value: Number) -> float:
    """Returns a number, NaN where it is not finite."""
    return float(value) if np.isfinite(value) else math.nan


def interval(estimate: Iterable[Number]) -> causal.Estimate:
    """Returns an estimate of finite numbers, NaN elsewhere, from value and bounds."""
    return causal.Estimate(*map(number, estimate))


def each(estimates: Iterable[np.ndarray | float]) -> tuple[causal.Estimate, ...]:
    """Returns the estimates that value and bounds [n] stand for."""
    return tuple(interval(row) for row in zip(*map(np.atleast_1d, estimates), strict=True))
