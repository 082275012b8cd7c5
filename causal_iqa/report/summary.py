"""What summary.json holds."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causal_iqa import _codec, alignment, pipeline
from causal_iqa.analysis import networks, parts, predictions

if TYPE_CHECKING:
    from causal_iqa.analysis import Findings

SCHEMA = 1
_OF_LIKE_THESE = ("low", "high", "p_value")


def summary(
    config: pipeline.StudyConfig,
    table: pipeline.ScoreTable,
    found: "Findings",
    judged: Sequence[networks.Judged] | None = None,
) -> dict[str, Any]:
    """Returns what summary.json holds: JSON values, None where undefined.

    Args:
      config: configuration of the study.
      table: its finished table.
      found: result of `study.analyse`.
      judged: result of `networks.judged_networks`; by default with as many classes as the labels have.

    Returns:
      {"schema": 1, "networks", "metrics", "measure", "predicted_accuracy" (of another measure "predicted_performance"),
      "num_images", "conditions", "skipped", "undefined",
      "notes", "failed"}; "clean/0" is among the conditions and accuracies, and is left out of the alignment numbers. A
      metric has "family", "reads" (identifiers), "alignment", "alignment_like_these", "reliability", "desiderata",
      "trend" and "warnings", and where they exist "measures", "null", "gains" and "against_best_conventional", all but
      the first five for the mean over the networks. Intervals are for other images under these conditions; those of
      "alignment_like_these", and of "like_these" in gains and comparisons, for other degradations as well.
    """
    judged = networks.judged_networks(config, table, None) if judged is None else judged
    reasons = {}
    for name, passport in table.metadata["columns"].items():
        rows = int((~np.isfinite(table.columns[name])).sum())
        if rows:
            reasons[name] = {"reason": passport.get("undefined", "not a finite number"), "rows": rows}
    return {
        "schema": SCHEMA,
        "networks": {one.clean.network: one.as_dict() for one in judged},
        "metrics": {name: _metric(found, name) for name in found.alignments},
        "measure": found.measure.as_dict(),
        f"predicted_{found.measure.key}": {
            name: {
                network: predictions.as_dict(one, [condition.name for condition in found.conditions])
                for network, one in by.items()
            }
            for name, by in found.predicted.items()
        },
        "num_images": len(table.image_ids),
        "conditions": [condition.name for condition in table.conditions],
        "skipped": [{"id": name, "reason": reason} for name, reason in table.skipped],
        "undefined": reasons,
        "notes": notes(found),
        "failed": parts.failures_as_dicts(found.failures),
    }


def warnings(found: "Findings") -> dict[str, tuple[alignment.SignConflict, ...]]:
    """Finds the metrics whose pooled or between number has another sign than within, for the mean over networks.

    Args:
      found: result of `study.analyse`.

    Returns:
      metric -> its conflicts, metrics without any left out.
    """
    conflicts = {metric: alignment.sign_conflicts(by[pipeline.ALL_NETWORKS]) for metric, by in found.alignments.items()}
    return {metric: own for metric, own in conflicts.items() if own}


def notes(found: "Findings") -> list[str]:
    """Says why corrected numbers or intervals are missing, a sentence for every reason, for the mean over networks.

    Args:
      found: result of `study.analyse`.

    Returns:
      Sentences with the metrics they are about, cut short where there are many.
    """
    of_all = {metric: by[pipeline.ALL_NETWORKS] for metric, by in found.alignments.items()}
    reasons: dict[str, list[str]] = {}
    for metric, aligned in of_all.items():
        if metric in found.scores and np.isfinite(aligned.between.value) and aligned.reliability.reason:
            reasons.setdefault(f"between is not corrected: {aligned.reliability.reason}", []).append(metric)
        for number in ("between", "within", "pooled"):
            interval = getattr(aligned, number)
            if np.isfinite(interval.value) and not np.isfinite(interval.low):
                reasons.setdefault(f"{number} has no interval: {_too_few(found)}", []).append(metric)
    for number in alignment.NUMBERS:
        lacking = [
            metric
            for metric, by in found.like_these.alignments.items()
            if np.isfinite(getattr(of_all[metric], number).low)
            and not np.isfinite(getattr(by[pipeline.ALL_NETWORKS], number).low)
        ]
        if lacking:
            reason = "there are too few degradations, or it is undefined without one of them"
            reasons[f"{number} has no interval for degradations like these: {reason}"] = lacking
    return [f"{reason} ({_some(metrics)})" for reason, metrics in reasons.items()]


def _too_few(found: "Findings") -> str:
    num_conditions, num_images = next(iter(found.performance.values())).shape
    return f"{num_images} images under {num_conditions} conditions are too few, or it is undefined in resamples"


def _some(names: list[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _metric(found: "Findings", metric: str) -> dict[str, Any]:
    moved = found.like_these
    entry: dict[str, Any] = {
        "family": found.families[metric],
        "reads": list(found.reads.get(metric, ())),
        "alignment": {name: value.as_dict() for name, value in found.alignments[metric].items()},
        "alignment_like_these": {name: value.as_dict() for name, value in moved.alignments.get(metric, {}).items()},
        "reliability": {name: _codec.encode(one.reliability) for name, one in found.alignments[metric].items()},
        "desiderata": {},
        "trend": {},
        "warnings": [
            {"between": [one.first, one.second], "certain": one.certain, "message": one.message}
            for one in alignment.sign_conflicts(found.alignments[metric][pipeline.ALL_NETWORKS])
        ],
    }
    if metric in found.desiderata:
        entry["desiderata"] = _codec.encode(found.desiderata[metric])
        entry["trend"] = {name: _codec.encode(dose.trend, float) for name, dose in found.doses[metric].items()}
    if metric in found.measures:
        entry["measures"] = found.measures[metric].as_dict()
    if metric in found.nulls:
        entry["null"] = _codec.encode(found.nulls[metric])
    if metric in found.gains:
        gains: dict[str, Any] = {name: gain.as_dict() for name, gain in found.gains[metric].items()}
        entry["gains"] = gains
        for name, gain in moved.gains.get(metric, {}).items():
            for number, one in gain.as_dict().items():
                gains[name][number]["like_these"] = {field: one[field] for field in _OF_LIKE_THESE}
    compared = [one for one in found.comparisons if one.first == metric]
    if compared:
        against: dict[str, Any] = {"baseline": compared[0].second}
        against |= {one.number: _compared(one) for one in compared}
        entry["against_best_conventional"] = against
        for one in moved.comparisons:
            if one.first == metric and one.second == compared[0].second:
                other = _compared(one)
                del other["difference"]
                against[one.number]["like_these"] = other
    return entry


def _compared(one: alignment.Comparison) -> dict[str, float | None]:
    p_values = {"p_normal": one.p_normal, "p_holm": one.p_adjusted}
    return {**_codec.encode(one.difference), **_codec.encode(p_values, Mapping[str, float])}
