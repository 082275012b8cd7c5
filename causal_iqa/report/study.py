"""From a finished score table to summary.json, the figures and the page."""

import json
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from causal_iqa import alignment, causal, pipeline
from causal_iqa.report import figures, html, tables

SCHEMA = 1
_DOSE_METRICS = 4


class Findings(NamedTuple):
    """Everything a study found. Arrays are over its C degraded conditions and N images."""

    conditions: tuple[pipeline.Condition, ...]  # the degraded ones
    families: Mapping[str, str]  # metric -> family
    scores: Mapping[str, Mapping[str, np.ndarray]]  # metric -> network -> [C, N], higher is better
    performance: Mapping[str, np.ndarray]  # network -> [C, N]
    alignments: Mapping[str, Mapping[str, alignment.Alignment]]
    desiderata: Mapping[str, causal.Desiderata]  # of network "all"
    doses: Mapping[str, Mapping[str, causal.DoseResponse]]  # metric, and "accuracy" -> degradation -> curve
    effects: Mapping[str, causal.Effect]  # metric, and "accuracy" -> effect of every condition


def _clean_scores(columns: Sequence[pipeline.Column], table: pipeline.ScoreTable) -> dict[str, np.ndarray]:
    """Scores of the clean images, metric -> [N], higher is better; the mean over resolutions."""
    clean = next(i for i, condition in enumerate(table.conditions) if condition.severity == 0)
    by_metric: dict[str, list[np.ndarray]] = {}
    for column in columns:
        sign = 1.0 if column.higher_is_better else -1.0
        by_metric.setdefault(column.metric, []).append(sign * table.columns[column.name][clean])
    return {metric: np.mean(values, axis=0) for metric, values in by_metric.items()}


def analyse(
    config: pipeline.StudyConfig,
    columns: Sequence[pipeline.Column],
    table: pipeline.ScoreTable,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Findings:
    """Aligns every metric with every network and judges it.

    Args:
      config: of the study.
      columns: its score columns.
      table: its finished table.
      progress: called with the bootstrap work done so far and all of it.

    Returns:
      The findings; the same for the same table.
    """
    networks = [choice.name for choice in config.networks]
    scores, performance = pipeline.quality_and_performance(columns, table, networks)
    key = jax.random.key(config.seed)
    options = {"num_resamples": config.num_resamples, "level": config.level}
    alignments = alignment.align(key, scores, performance, **options, progress=progress)
    families = {column.metric: column.family for column in columns}
    conditions = tuple(condition for condition in table.conditions if condition.severity > 0)
    names = [condition.degradation for condition in conditions]
    severities = [condition.severity for condition in conditions]
    clean = _clean_scores(columns, table)
    doses = {"accuracy": causal.dose_response(performance["all"], names, severities)}
    correct = np.mean([table.columns[f"{name}/correct"] for name in networks], axis=0)
    clean_correct = correct[table.conditions.index(pipeline.Condition(pipeline.CLEAN, 0.0))]
    effects = {"accuracy": causal.average_effects(key, performance["all"], clean_correct, **options)}
    desiderata = {}
    for metric, by_network in scores.items():
        values = by_network[pipeline.ALL_NETWORKS]
        doses[metric] = causal.dose_response(values, names, severities)
        # Where the clean image has no score (PSNR against itself) the mildest conditions stand in for it.
        base = clean[metric] if np.isfinite(clean[metric]).any() else _mildest(values, severities)
        effects[metric] = causal.average_effects(key, values, base, **options)
        graph = family_graph(config, families[metric])
        aligned = alignments[metric][pipeline.ALL_NETWORKS]
        desiderata[metric] = causal.judge(graph, effects[metric], doses[metric], aligned)
    return Findings(conditions, families, scores, performance, alignments, desiderata, doses, effects)


def family_graph(config: pipeline.StudyConfig, family: str) -> causal.Graph:
    """Returns the causal graph of a metric family where this study scores quality."""
    graph = causal.FAMILIES[family]
    return causal.at_task_input(graph) if config.score_at == "task" else graph


def _mildest(values: np.ndarray, severities: Sequence[float]) -> np.ndarray:
    rows = values[np.asarray(severities) == min(severities)]
    finite = np.isfinite(rows)
    total = np.where(finite, rows, 0.0).sum(axis=0)
    return np.where(finite.any(axis=0), total / np.maximum(finite.sum(axis=0), 1), np.nan)


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def summary(config: pipeline.StudyConfig, table: pipeline.ScoreTable, found: Findings) -> dict[str, Any]:
    """Returns what summary.json holds: JSON values, None where undefined.

    Args:
      config: of the study.
      table: its finished table.
      found: what `analyse` gave.

    Returns:
      {"schema": 1, "networks", "metrics", "num_images", "conditions", "skipped"}; "clean/0" is among the conditions and
      accuracies, and is left out of the alignment numbers.
    """
    networks = {}
    for choice in config.networks:
        accuracy = np.nanmean(table.columns[f"{choice.name}/correct"], axis=1)
        by_condition = {c.name: float(a) for c, a in zip(table.conditions, accuracy, strict=True)}
        networks[choice.name] = {
            "clean_accuracy": by_condition[f"{pipeline.CLEAN}/0"],
            "accuracy": by_condition,
        }
    entries = {}
    for metric, by_network in found.alignments.items():
        entries[metric] = {
            "family": found.families[metric],
            "alignment": {name: value.as_dict() for name, value in by_network.items()},
            "desiderata": {name: verdict._asdict() for name, verdict in found.desiderata[metric]._asdict().items()},
            "trend": {name: _number(dose.trend) for name, dose in found.doses[metric].items()},
        }
    reasons = {}
    for name, passport in table.metadata["columns"].items():
        rows = int((~np.isfinite(table.columns[name])).sum())
        if rows:
            reasons[name] = {"reason": passport.get("undefined", "not a finite number"), "rows": rows}
    return {
        "schema": SCHEMA,
        "networks": networks,
        "metrics": entries,
        "num_images": len(table.image_ids),
        "conditions": [condition.name for condition in table.conditions],
        "skipped": [{"id": name, "reason": reason} for name, reason in table.skipped],
        "undefined": reasons,
    }


def render(found: Findings, *, level: float = 0.95) -> dict[str, figures.Figure]:
    """Draws the figures of a study.

    Args:
      found: what `analyse` gave.
      level: of the intervals.

    Returns:
      name -> figure: accuracy_against_quality, alignment_bars, dose_response.
    """
    rows = tables.rows_of(found.alignments, found.families)
    accuracy = found.performance[pipeline.ALL_NETWORKS].mean(axis=1)
    means = {}
    for row in rows:
        values = found.scores[row.metric][pipeline.ALL_NETWORKS]
        finite = np.isfinite(values)
        count = finite.sum(axis=1)
        means[row.metric] = np.where(count > 0, np.where(finite, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan)
    names = [condition.degradation for condition in found.conditions]
    best = [row.metric for row in rows[:_DOSE_METRICS]]
    return {
        "accuracy_against_quality": figures.accuracy_against_quality(
            means,
            accuracy,
            names,
            [condition.severity for condition in found.conditions],
            groups={condition.degradation: condition.group for condition in found.conditions},
            rho={row.metric: row.alignment.between for row in rows},
            title="Accuracy (mean over networks) against mean quality, a point per condition",
        ),
        "alignment_bars": figures.alignment_bars(
            rows, title="How well each metric predicts correctness (Spearman)", level=level
        ),
        "dose_response": figures.dose_response(
            {name: found.doses[name] for name in ("accuracy", *best)},
            normalise=True,
            ylabel="from worst to best",
            title="Accuracy and the best metrics over severity",
        ),
    }


def write(
    folder: pathlib.Path,
    config: pipeline.StudyConfig,
    table: pipeline.ScoreTable,
    found: Findings,
    details: Mapping[str, Any],
) -> str:
    """Writes summary.json, figures/*.png and report.html.

    Args:
      folder: the output folder.
      config: of the study.
      table: its finished table.
      found: what `analyse` gave.
      details: of the study, JSON values, shown on the page.

    Returns:
      The table as text.
    """
    text = tables.alignment_table(tables.rows_of(found.alignments, found.families), level=config.level)
    drawn = render(found, level=config.level)
    for name, figure in drawn.items():
        figures.save(figure, folder / "figures" / f"{name}.png")
    shown = {name: figures.png(figure) for name, figure in drawn.items()}
    content = html.page(
        f"Quality and accuracy on {config.dataset}",
        [
            html.Section(
                "How well each metric predicts accuracy",
                [html.Text(text, fixed=True), html.Figure(shown["alignment_bars"], "The three rank correlations")],
            ),
            html.Section(
                "Condition by condition",
                [
                    html.Figure(shown["accuracy_against_quality"], "Accuracy against mean quality"),
                    html.Figure(shown["dose_response"], "Dose-response curves, each scaled to its own range"),
                ],
            ),
            html.Section("Desiderata", [html.Text(desiderata_table(found), fixed=True)]),
            html.Section("Settings", [html.Text(_settings(config, details), fixed=True)]),
        ],
    )
    (folder / "report.html").write_text(content, encoding="utf-8")
    pipeline.write_json(folder / "summary.json", summary(config, table, found))
    return text


def desiderata_table(found: Findings) -> str:
    """Returns the verdicts on every metric as text, with their evidence.

    Args:
      found: what `analyse` gave.
    """
    lines = []
    for metric, verdicts in found.desiderata.items():
        lines.append(f"{metric} ({found.families[metric]})")
        for name, verdict in verdicts._asdict().items():
            lines.append(f"  {'yes' if verdict.holds else 'no ':<4} {name:<14} {verdict.evidence}")
    return "\n".join(lines)


def _settings(config: pipeline.StudyConfig, details: Mapping[str, Any]) -> str:
    return json.dumps({"config": config.to_json(), **details}, indent=1, sort_keys=True)
