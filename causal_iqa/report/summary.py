"""What summary.json holds."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from causal_iqa import alignment, pipeline
from causal_iqa.report import accuracy, parts

if TYPE_CHECKING:
    from causal_iqa.report.findings import Findings

SCHEMA = 1


def summary(config: pipeline.StudyConfig, table: pipeline.ScoreTable, found: "Findings") -> dict[str, Any]:
    """Returns what summary.json holds: JSON values, None where undefined.

    Args:
      config: of the study.
      table: its finished table.
      found: what `study.analyse` gave.

    Returns:
      {"schema": 1, "networks", "metrics", "predicted_accuracy", "num_images", "conditions", "skipped", "undefined",
      "failed"}; "clean/0" is among the conditions and accuracies, and is left out of the alignment numbers. A metric
      has "family", "reads" (identifiers), "alignment", "desiderata", "trend" and "warnings", and where they exist
      "measures", "null", "gains" and "against_best_conventional", all for the mean over the networks.
    """
    networks = {}
    for choice in config.networks:
        correct = np.nanmean(table.columns[f"{choice.name}/correct"], axis=1)
        by_condition = {c.name: float(a) for c, a in zip(table.conditions, correct, strict=True)}
        networks[choice.name] = {
            "clean_accuracy": by_condition[f"{pipeline.CLEAN}/0"],
            "accuracy": by_condition,
        }
    reasons = {}
    for name, passport in table.metadata["columns"].items():
        rows = int((~np.isfinite(table.columns[name])).sum())
        if rows:
            reasons[name] = {"reason": passport.get("undefined", "not a finite number"), "rows": rows}
    return {
        "schema": SCHEMA,
        "networks": networks,
        "metrics": {name: _metric(found, name) for name in found.alignments},
        "predicted_accuracy": {
            name: {
                network: accuracy.as_dict(one, [condition.name for condition in found.conditions])
                for network, one in by.items()
            }
            for name, by in found.predicted.items()
        },
        "num_images": len(table.image_ids),
        "conditions": [condition.name for condition in table.conditions],
        "skipped": [{"id": name, "reason": reason} for name, reason in table.skipped],
        "undefined": reasons,
        "failed": parts.failures_as_dicts(found.failures),
    }


def warnings(found: "Findings") -> dict[str, tuple[alignment.SignConflict, ...]]:
    """Finds the metrics whose pooled or between number has another sign than within, for the mean over networks.

    Args:
      found: what `study.analyse` gave.

    Returns:
      metric -> its conflicts, metrics without any left out.
    """
    conflicts = {metric: alignment.sign_conflicts(by[pipeline.ALL_NETWORKS]) for metric, by in found.alignments.items()}
    return {metric: own for metric, own in conflicts.items() if own}


def _metric(found: "Findings", metric: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "family": found.families[metric],
        "reads": list(found.reads.get(metric, ())),
        "alignment": {name: value.as_dict() for name, value in found.alignments[metric].items()},
        "desiderata": {},
        "trend": {},
        "warnings": [
            {"between": [one.first, one.second], "certain": one.certain, "message": one.message}
            for one in alignment.sign_conflicts(found.alignments[metric][pipeline.ALL_NETWORKS])
        ],
    }
    if metric in found.desiderata:
        verdicts = found.desiderata[metric]._asdict().items()
        entry["desiderata"] = {name: verdict._asdict() for name, verdict in verdicts}
        entry["trend"] = {name: _number(dose.trend) for name, dose in found.doses[metric].items()}
    if metric in found.measures:
        entry["measures"] = found.measures[metric].as_dict()
    if metric in found.nulls:
        entry["null"] = {name: _number(value) for name, value in found.nulls[metric]._asdict().items()}
    if metric in found.gains:
        entry["gains"] = {name: gain.as_dict() for name, gain in found.gains[metric].items()}
    compared = [one for one in found.comparisons if one.first == metric]
    if compared:
        entry["against_best_conventional"] = {"baseline": compared[0].second} | {
            one.number: {
                **{name: _number(value) for name, value in one.difference._asdict().items()},
                "p_normal": _number(one.p_normal),
                "p_holm": _number(one.p_adjusted),
            }
            for one in compared
        }
    return entry


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
