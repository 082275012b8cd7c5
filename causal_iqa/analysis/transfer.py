"""Performance predicted by a map that was learned on another dataset's run."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from causal_iqa import InputError, alignment, pipeline
from causal_iqa.analysis.audit.data import interval, number
from causal_iqa.analysis.audit.transfer_records import (
    BesideErrors,
    CleanMeans,
    PredictedCondition,
    Transfer,
    TransferredScore,
    WayErrors,
)
from causal_iqa.analysis.rows import ImageRows

WAYS = ("as_is", "relative_to_clean")
_ALL = pipeline.ALL_NETWORKS
# Ours, of which another backbone's score of the same formula may stand in.
_FORMULAS = ("label_free", "task_guided", "feature_reference")


@dataclasses.dataclass(frozen=True)
class Side:
    """What a run gives to a transfer: the rows of its images, and where it comes from.

    Attributes:
      name: name of the run.
      rows: `rows.image_rows` of the run.
    """

    name: str
    rows: ImageRows

    @property
    def clean_mean(self) -> float:
        """Mean over the networks and the clean images."""
        return float(pipeline.mean_over_images(self.rows.clean_performance[_ALL]))

    @property
    def measure(self) -> pipeline.Measure:
        """What performance is in the run."""
        return self.rows.measure

    def with_clean(self, values: np.ndarray, clean: np.ndarray) -> np.ndarray:
        """Returns [C + 1, N], the clean images last."""
        return np.concatenate([values, clean[None]])


def pairs(source: Side, target: Side) -> list[tuple[str, str]]:
    """Scores that mean the same in both runs: one name, or one formula of ours on another backbone.

    Args:
      source: where the map is learned.
      target: where it is applied.

    Returns:
      (score of the source, score of the target).
    """
    found = []
    for metric in target.rows.scores:
        if target.rows.families[metric] not in _FORMULAS:
            found += [(metric, metric)] if metric in source.rows.scores else []
            continue
        formula = target.rows.formulas[metric]
        found += [(other, metric) for other in source.rows.scores if source.rows.formulas[other] == formula]
    return found


def transfer(source: Side, target: Side, *, level: float = 0.95) -> Transfer:
    """Predicts the mean performance of every condition of one run by maps learned on another.

    Args:
      source: where the maps are learned, from scores and performance.
      target: whose performance is predicted, mean over its networks; its labels are read to compare, and those of its
        clean images for the clean mean where scores are taken relative to clean.
      level: confidence level of the intervals.

    Returns: For every score the errors of each of `WAYS`: `as_is` applies the map to the score itself, so that it reads
      nothing of the target except the inputs of the score; `relative_to_clean` takes scores in units of the clean
      images' spread, and performance in proportion to the clean one. Beside them the errors of average confidence and
      its kin, which read the outputs of the target's networks.

    Raises:
      InputError: when performance is another measure in the two runs.
    """
    if source.measure != target.measure:
        raise InputError(
            f"transfer_from: {source.name} has {source.measure.name} as its performance, {target.name} has "
            f"{target.measure.name}; a map from one is none to the other"
        )
    conditions = target.rows.conditions
    scores = []
    for ours, theirs in pairs(source, target):
        ways = [_errors(_predicted(source, target, ours, theirs, way, level), conditions, level) for way in WAYS]
        if any(way is not None for way in ways):
            family, reads = target.rows.families[theirs], tuple(target.rows.reads[theirs])
            scores.append(TransferredScore(theirs, ours, family, reads, *ways))
    return Transfer(
        source.name,
        target.name,
        level,
        target.measure,
        CleanMeans(source.clean_mean, target.clean_mean),
        tuple(scores),
        _beside(target, level),
    )


def _predicted(source, target, ours, theirs, way, level) -> alignment.HeldOut | None:
    tables = []
    for side, metric in ((source, ours), (target, theirs)):
        q, clean = side.rows.scores[metric][_ALL], side.rows.clean[metric][_ALL]
        if way == "relative_to_clean":
            q, clean = (alignment.relative_to_clean(values, clean) for values in (q, clean))
        tables.append(side.with_clean(q, clean))
    if not all(np.isfinite(table[:-1]).any() for table in tables):
        return None
    groups = [*(condition.degradation for condition in source.rows.conditions), None]
    m = source.with_clean(source.rows.performance[_ALL], source.rows.clean_performance[_ALL])
    scale = 1.0
    if way == "relative_to_clean":
        # In proportion to nothing there is no performance.
        scale = target.clean_mean / source.clean_mean if source.clean_mean else np.nan
    if not 0 < scale < np.inf:
        return None
    return alignment.transferred_accuracy(
        tables[0],
        m,
        groups,
        source.rows.folds,
        tables[1][:-1],
        target.rows.performance[_ALL],
        scale=scale,
        level=level,
        bounds=target.measure.bounds,
    )


def _errors(held: alignment.HeldOut | None, conditions: Sequence[pipeline.Condition], level: float) -> WayErrors | None:
    if held is None or not np.isfinite(held.predicted.value).any():
        return None
    value, low, high = held.predicted
    names = [condition.name for condition in conditions]
    groups = [condition.degradation for condition in conditions]
    errors = alignment.accuracy_errors(value, held.truth, groups, low=low, high=high, level=level)
    rows = zip(names, value, low, high, held.truth, strict=True)
    return WayErrors(errors, {name: PredictedCondition(interval(own), number(true)) for name, *own, true in rows})


def _beside(target: Side, level: float) -> tuple[BesideErrors, ...]:
    names = [condition.degradation for condition in target.rows.conditions]
    truth = pipeline.mean_over_images(target.rows.performance[_ALL])
    accuracy: Mapping[str, Mapping[str, np.ndarray]] = target.rows.own.accuracy
    return tuple(
        BesideErrors(
            estimator,
            tuple(target.rows.own.reads[estimator]),
            alignment.accuracy_errors(pipeline.mean_over_images(by[_ALL][:-1]), truth, names, level=level),
        )
        for estimator, by in accuracy.items()
    )
