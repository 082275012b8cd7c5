"""What summary.json holds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from causal_iqa import alignment, pipeline
from causal_iqa.analysis import networks, predictions
from causal_iqa.estimates import Estimate
from causal_iqa.report import summary_records as records

if TYPE_CHECKING:
    from causal_iqa.analysis import Findings


def summary(
    config: pipeline.StudyConfig,
    table: pipeline.ScoreTable,
    found: "Findings",
    judged: Sequence[networks.Judged] | None = None,
) -> records.Summary:
    """Returns what summary.json holds.

    Args:
      config: configuration of the study.
      table: its finished table.
      found: result of `study.analyse`.
      judged: result of `networks.judged_networks`; by default with as many classes as the labels have.

    Returns:
      The summary; "clean/0" is among the conditions and accuracies, and is left out of the alignment numbers. Intervals
      are for other images under these conditions; those of `alignment_like_these`, and of `like_these` in gains and
      comparisons, for other degradations as well.
    """
    judged = networks.judged_networks(config, table, None) if judged is None else judged
    names = [condition.name for condition in found.conditions]
    return records.Summary(
        networks={one.clean.network: network(one) for one in judged},
        metrics={name: _metric(found, name) for name in found.alignments},
        measure=found.measure,
        predicted_performance={
            name: {network: _predicted(one, names) for network, one in by.items()}
            for name, by in found.predicted.items()
        },
        num_images=len(table.image_ids),
        conditions=tuple(condition.name for condition in table.conditions),
        skipped=tuple(records.Skipped(name, reason) for name, reason in table.skipped),
        undefined=dict(_undefined(table)),
        notes=tuple(notes(found)),
        failed=tuple(records.Failed(one.part, one.reason) for one in found.failures),
    )


def _undefined(table: pipeline.ScoreTable) -> Iterable[tuple[str, records.UndefinedRows]]:
    for name, passport in table.metadata["columns"].items():
        rows = int((~np.isfinite(table.columns[name])).sum())
        if rows:
            yield name, records.UndefinedRows(passport.get("undefined", "not a finite number"), rows)


def network(judged: networks.Judged) -> records.Network:
    """Returns what the summary says of one judged network."""
    return records.Network(
        judged.clean.mean,
        judged.clean.num_images,
        judged.degraded,
        judged.by_condition,
        judged.undefined,
        judged.warnings,
        judged.of_set,
    )


def warnings(found: "Findings") -> dict[str, tuple[alignment.SignConflict, ...]]:
    """Finds the metrics whose pooled or between number has another sign than within, for the mean over networks.

    Args:
      found: result of `study.analyse`.

    Returns:
      metric -> its conflicts, metrics without any left out.
    """
    conflicts = {metric: alignment.sign_conflicts(one) for metric, one in _of_all(found.alignments).items()}
    return {metric: own for metric, own in conflicts.items() if own}


def _of_all(alignments: Mapping[str, Mapping[str, alignment.Alignment]]) -> dict[str, alignment.Alignment]:
    """Of the mean over networks; an estimator that one of them does not have has none."""
    return {metric: by[pipeline.ALL_NETWORKS] for metric, by in alignments.items() if pipeline.ALL_NETWORKS in by}


# The figures of docs/calibration.md.
_NEAR_ONE = (
    "corrected between is near 1, where its interval and comparisons are less sure than their level says: in simulated "
    "studies intervals of level .95 hold the true value in .82 to .95, and tests of level .05 reject up to .11 of true "
    "hypotheses"
)


def notes(found: "Findings") -> list[str]:
    """Says why corrected numbers or intervals are missing or less sure, a sentence for every reason.

    The sentences are about the mean over networks.

    Args:
      found: result of `study.analyse`.

    Returns:
      Sentences with the metrics they are about, cut short where there are many.
    """
    of_all = _of_all(found.alignments)
    reasons: dict[str, list[str]] = {}
    for metric, aligned in of_all.items():
        if metric in found.scores and np.isfinite(aligned.between.value) and aligned.reliability.reason:
            reasons.setdefault(f"between is not corrected: {aligned.reliability.reason}", []).append(metric)
        if abs(aligned.corrected.value) >= alignment.LEAST_NEAR_ONE and np.isfinite(aligned.corrected.low):
            reasons.setdefault(_NEAR_ONE, []).append(metric)
        for number in ("between", "within", "pooled"):
            interval = getattr(aligned, number)
            if np.isfinite(interval.value) and not np.isfinite(interval.low):
                reasons.setdefault(f"{number} has no interval: {_too_few(found)}", []).append(metric)
    for number in alignment.NUMBERS:
        lacking = [
            metric
            for metric, moved in _of_all(found.like_these.alignments).items()
            if metric in of_all
            and np.isfinite(getattr(of_all[metric], number).low)
            and not np.isfinite(getattr(moved, number).low)
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


def _metric(found: "Findings", metric: str) -> records.Metric:
    moved = found.like_these
    measures = found.measures.get(metric)
    return records.Metric(
        family=found.families[metric],
        reads=tuple(found.reads.get(metric, ())),
        alignment=_numbers(found.alignments[metric]),
        alignment_like_these=_numbers(moved.alignments.get(metric, {})),
        reliability={name: one.reliability for name, one in found.alignments[metric].items()},
        desiderata=found.desiderata.get(metric),
        trend={name: dose.trend for name, dose in found.doses[metric].items()} if metric in found.desiderata else {},
        warnings=tuple(
            records.Warned((one.first, one.second), one.certain, one.message)
            for own in _of_all({metric: found.alignments[metric]}).values()
            for one in alignment.sign_conflicts(own)
        ),
        measures=None if measures is None else measures.estimates(),
        null=found.nulls.get(metric),
        gains=_gains(found, metric) if metric in found.gains else None,
        against_best_conventional=_against(found, metric),
    )


def _numbers(aligned: Mapping[str, alignment.Alignment]) -> dict[str, dict[str, Estimate]]:
    return {name: {number: getattr(one, number) for number in alignment.NUMBERS} for name, one in aligned.items()}


def _bounds(difference: alignment.Difference) -> records.Bounds:
    return records.Bounds(difference.estimate.low, difference.estimate.high, difference.p_value)


def _gains(found: "Findings", metric: str) -> dict[str, dict[str, records.Gain]]:
    moved = found.like_these.gains.get(metric, {})
    return {
        yardstick: {
            number: records.Gain(
                difference,
                gain.best.get(number),
                _bounds(getattr(moved[yardstick].differences, number)) if yardstick in moved else None,
            )
            for number, difference in gain.differences._asdict().items()
        }
        for yardstick, gain in found.gains[metric].items()
    }


def _against(found: "Findings", metric: str) -> records.Against | None:
    compared = [one for one in found.comparisons if one.first == metric]
    if not compared:
        return None
    baseline = compared[0].second
    moved = {one.number: one for one in found.like_these.comparisons if (one.first, one.second) == (metric, baseline)}
    return records.Against(
        baseline,
        **{
            one.number: records.Compared(one.difference, one.p_normal, one.p_adjusted, _moved(moved.get(one.number)))
            for one in compared
        },
    )


def _moved(one: alignment.Comparison | None) -> records.ComparedBounds | None:
    return None if one is None else records.ComparedBounds(_bounds(one.difference), one.p_normal, one.p_adjusted)


def _predicted(one: predictions.Predicted, names: Sequence[str]) -> records.Predicted:
    value, low, high = one.held_out.predicted
    conditions = {name: Estimate(*row) for name, *row in zip(names, value, low, high, strict=True)}
    return records.Predicted(one.errors, one.reads, conditions)
