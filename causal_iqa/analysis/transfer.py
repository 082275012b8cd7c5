"""Performance predicted by a map that was learned on another dataset's run."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from causal_iqa import InputError, alignment, pipeline
from causal_iqa.analysis import findings
from causal_iqa.analysis.audit.data import number

WAYS = ("as_is", "relative_to_clean")
_ALL = pipeline.ALL_NETWORKS
# Ours, of which another backbone's score of the same formula may stand in.
_FORMULAS = ("label_free", "task_guided", "feature_reference")


@dataclasses.dataclass(frozen=True)
class Side:
    """What a run gives to a transfer: the rows of its images, and where it comes from.

    Attributes:
      name: of the run.
      rows: `findings.image_rows` of the run.
    """

    name: str
    rows: findings.ImageRows

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
        formula = metric.partition("@")[0]
        found += [(other, metric) for other in source.rows.scores if other.partition("@")[0] == formula]
    return found


def transfer(source: Side, target: Side, *, level: float = 0.95) -> dict[str, Any]:
    """Predicts the mean performance of every condition of one run by maps learned on another.

    Args:
      source: where the maps are learned, from scores and performance.
      target: whose performance is predicted, mean over its networks; its labels are read to compare, and those of its
        clean images for the clean mean where scores are taken relative to clean.
      level: of the intervals.

    Returns:
      {"source", "target", "level", "measure", "clean_accuracy" or "clean_performance", "scores": [...], "beside":
      [...]}, JSON values. A score has "score", "learned_with" (the source's), "family", "reads" (identifiers), and for
      each of `WAYS` its errors and "conditions", name -> {"predicted", "low", "high", "truth"}, or None where
      undefined. `as_is` applies the map to the score itself: of the target nothing is read but what the score reads;
      `relative_to_clean` takes scores in units of the clean images' spread, and performance in proportion to the clean
      one. "beside" has the errors of average confidence and its kin, which read the outputs of the target's networks,
      with identifiers of what they read.
    """
    if source.measure != target.measure:
        raise InputError(
            f"transfer_from: {source.name} has {source.measure.name} as its performance, {target.name} has "
            f"{target.measure.name}; a map from one is none to the other"
        )
    names = [condition.name for condition in target.rows.conditions]
    scores = []
    for ours, theirs in pairs(source, target):
        row: dict[str, Any] = {
            "score": theirs,
            "learned_with": ours,
            "family": target.rows.families[theirs],
            "reads": list(target.rows.reads[theirs]),
        }
        for way in WAYS:
            row[way] = _errors(_predicted(source, target, ours, theirs, way, level), names, level)
        if any(row[way] is not None for way in WAYS):
            scores.append(row)
    return {
        "source": source.name,
        "target": target.name,
        "level": level,
        "measure": target.measure.as_dict(),
        f"clean_{target.measure.key}": {"source": source.clean_mean, "target": target.clean_mean},
        "scores": scores,
        "beside": _beside(target, level),
    }


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
    scale = target.clean_mean / source.clean_mean if way == "relative_to_clean" else 1.0
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


def _errors(held: alignment.HeldOut | None, names: list[str], level: float) -> dict[str, Any] | None:
    if held is None or not np.isfinite(held.predicted).any():
        return None
    groups = [name.rpartition("/")[0] for name in names]
    errors = alignment.accuracy_errors(held.predicted, held.truth, groups, low=held.low, high=held.high, level=level)
    conditions = {
        name: {field: number(value) for field, value in zip(held._fields, row, strict=True)}
        for name, *row in zip(names, *held, strict=True)
    }
    return {**errors.as_dict(), "conditions": conditions}


def _beside(target: Side, level: float) -> list[dict[str, Any]]:
    names = [condition.degradation for condition in target.rows.conditions]
    truth = pipeline.mean_over_images(target.rows.performance[_ALL])
    accuracy: Mapping[str, Mapping[str, np.ndarray]] = target.rows.own.accuracy
    return [
        {
            "score": rival,
            "reads": list(target.rows.own.reads[rival]),
            **alignment.accuracy_errors(pipeline.mean_over_images(by[_ALL][:-1]), truth, names, level=level).as_dict(),
        }
        for rival, by in accuracy.items()
    ]
