"""From a finished score table to summary.json, the figures and the page."""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from causal_iqa import alignment, causal, pipeline
from causal_iqa.report import accuracy, figures, html, rivals, sets, summary, tables

_DOSE_METRICS = 4
_PANELS_PER_FAMILY = 4
# Resamples of the further measures, whose intervals need a standard error only, and permutations of the null.
_MEASURE_RESAMPLES, _PERMUTATIONS = 100, 999
_OURS = ("label_free", "task_guided", "feature_reference")
_RANKED_SETS = ("atc_confidence", "atc_entropy", "cot")
_ALL = pipeline.ALL_NETWORKS


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
    # Of network "all", by metric; rivals that give one number per condition have an alignment alone.
    measures: Mapping[str, alignment.Measures]
    nulls: Mapping[str, alignment.Null]
    gains: Mapping[str, Mapping[str, alignment.Gains]]  # of the new metrics -> yardstick
    comparisons: tuple[alignment.Comparison, ...]  # of every metric with the best conventional one
    predicted: Mapping[str, Mapping[str, accuracy.Predicted]]  # metric or rival -> network


def _clean_scores(
    columns: Sequence[pipeline.Column], table: pipeline.ScoreTable, networks: Sequence[str]
) -> dict[str, dict[str, np.ndarray]]:
    """Scores of the clean images, metric -> network -> [N], higher is better; "all" is the mean over resolutions."""
    clean = next(i for i, condition in enumerate(table.conditions) if condition.severity == 0)
    found: dict[str, dict[str, np.ndarray]] = {}
    for column in columns:
        sign = 1.0 if column.higher_is_better else -1.0
        values = sign * table.columns[column.name][clean]
        found.setdefault(column.metric, {}).update(dict.fromkeys(column.networks, values))
    for by_network in found.values():
        by_network[_ALL] = np.mean([by_network[name] for name in networks], axis=0)
    return found


def analyse(
    config: pipeline.StudyConfig,
    columns: Sequence[pipeline.Column],
    table: pipeline.ScoreTable,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Findings:
    """Aligns every metric and every rival with every network, judges them and predicts accuracy.

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
    clean = _clean_scores(columns, table, networks)
    families = {column.metric: column.family for column in columns}
    key = jax.random.key(config.seed)
    folds = alignment.image_folds(len(table.image_ids), seed=config.seed)
    own = rivals.gather(config, table, folds)
    families |= own.families
    # One number per condition, though made of rows that resample: within and pooled would not be theirs.
    of_sets = {name: rows for name, rows in own.accuracy.items() if name not in own.rows and name in _RANKED_SETS}
    for name, by_network in {**own.rows, **of_sets}.items():
        scores[name] = {network: rows[:-1] for network, rows in by_network.items()}
        clean[name] = {network: rows[-1] for network, rows in by_network.items()}
    shares, clean_shares, of_shares = sets.image_shares(table, tuple(performance))
    scores |= shares
    clean |= {metric: dict.fromkeys(performance, values) for metric, values in clean_shares.items()}
    families |= of_shares
    resamples = alignment.bootstrap(key, scores, performance, num_resamples=config.num_resamples, progress=progress)
    alignments = {
        metric: {name: alignment.summarise(values, level=config.level) for name, values in by.items()}
        for metric, by in resamples.items()
    }
    whole_sets, of_families = sets.align_sets(
        key, table, performance, num_resamples=config.num_resamples, level=config.level
    )
    families |= of_families
    nothing = alignment.Interval(np.nan, np.nan, np.nan)
    for name in of_sets:
        alignments[name] = {k: v._replace(within=nothing, pooled=nothing) for k, v in alignments[name].items()}
    per_image = {metric: by for metric, by in scores.items() if metric not in of_sets}
    conditions = tuple(condition for condition in table.conditions if condition.severity > 0)
    clean_correct = _clean_performance(table, networks)
    doses, effects, desiderata = _judge(
        config, conditions, families, scores, clean, performance, clean_correct, alignments
    )
    names = [condition.degradation for condition in conditions]
    return Findings(
        conditions=conditions,
        families=families,
        scores=scores,
        performance=performance,
        alignments=rivals.add_alignments(alignments, own, performance) | whole_sets,
        desiderata=desiderata,
        doses=doses,
        effects=effects,
        measures=alignment.measure_intervals(
            key,
            {metric: by[_ALL] for metric, by in per_image.items()},
            performance[_ALL],
            [condition.severity for condition in conditions],
            folds=folds,
            num_resamples=min(_MEASURE_RESAMPLES, config.num_resamples),
            level=config.level,
        ),
        nulls={
            metric: alignment.permutation_null(key, by[_ALL], performance[_ALL], num_permutations=_PERMUTATIONS)
            for metric, by in per_image.items()
        },
        gains=_gains(resamples, families, config.level),
        comparisons=_comparisons(resamples, alignments, families, config.level),
        predicted=accuracy.predict(per_image, clean, performance, clean_correct, names, folds, own, level=config.level),
    )


def _clean_performance(table: pipeline.ScoreTable, networks: Sequence[str]) -> dict[str, np.ndarray]:
    row = table.conditions.index(pipeline.Condition(pipeline.CLEAN, 0.0))
    correct = {name: table.columns[f"{name}/correct"][row] for name in networks}
    return {**correct, _ALL: np.mean(list(correct.values()), axis=0)}


def _judge(config, conditions, families, scores, clean, performance, clean_performance, alignments):
    """Dose-response curves, effects and desiderata of every metric, for the mean over the networks."""
    key = jax.random.key(config.seed)
    options = {"num_resamples": config.num_resamples, "level": config.level}
    names = [condition.degradation for condition in conditions]
    severities = [condition.severity for condition in conditions]
    doses = {"accuracy": causal.dose_response(performance[_ALL], names, severities)}
    effects = {"accuracy": causal.average_effects(key, performance[_ALL], clean_performance[_ALL], **options)}
    desiderata = {}
    for metric, by_network in scores.items():
        values, start = by_network[_ALL], clean[metric][_ALL]
        doses[metric] = causal.dose_response(values, names, severities)
        # Where the clean image has no score (PSNR against itself) the mildest conditions stand in for it.
        base = start if np.isfinite(start).any() else _mildest(values, severities)
        effects[metric] = causal.average_effects(key, values, base, **options)
        graph = family_graph(config, families[metric])
        desiderata[metric] = causal.judge(graph, effects[metric], doses[metric], alignments[metric][_ALL])
    return doses, effects, desiderata


def _gains(resamples, families, level) -> dict[str, Mapping[str, alignment.Gains]]:
    of_all = {metric: by[_ALL] for metric, by in resamples.items()}
    ours = [metric for metric in of_all if families[metric] in _OURS]
    return {metric: alignment.gains(of_all, families, metric, level=level) for metric in ours}


def _comparisons(resamples, alignments, families, level) -> tuple[alignment.Comparison, ...]:
    """Every metric that orders images against the conventional one of the best between."""
    of_all = {m: by[_ALL] for m, by in resamples.items() if np.isfinite(alignments[m][_ALL].pooled.rho)}
    conventional = [m for m in of_all if families[m] in ("no_reference", "full_reference")]
    conventional = [m for m in conventional if np.isfinite(alignments[m][_ALL].between.rho)]
    if not conventional:
        return ()
    best = max(conventional, key=lambda metric: alignments[metric][_ALL].between.rho)
    return tuple(alignment.compare(of_all, baseline=best, level=level))


def family_graph(config: pipeline.StudyConfig, family: str) -> causal.Graph:
    """Returns the causal graph of a metric family where this study scores quality."""
    graph = causal.FAMILIES[family]
    # The networks' own outputs are read behind the task's preprocessing anyway.
    return causal.at_task_input(graph) if config.score_at == "task" and ("X", "Q") in graph.edges else graph


def _mildest(values: np.ndarray, severities: Sequence[float]) -> np.ndarray:
    rows = values[np.asarray(severities) == min(severities)]
    finite = np.isfinite(rows)
    total = np.where(finite, rows, 0.0).sum(axis=0)
    return np.where(finite.any(axis=0), total / np.maximum(finite.sum(axis=0), 1), np.nan)


def render(found: Findings, *, level: float = 0.95) -> dict[str, figures.Figure]:
    """Draws the figures of a study.

    Args:
      found: what `analyse` gave.
      level: of the intervals.

    Returns:
      name -> figure: accuracy_against_quality, alignment_bars, dose_response.
    """
    rows = [row for row in tables.rows_of(found.alignments, found.families) if row.metric in found.scores]
    truth = found.performance[_ALL].mean(axis=1)
    means = {}
    shown = _shown(rows)
    for row in shown:
        values = found.scores[row.metric][_ALL]
        finite = np.isfinite(values)
        count = finite.sum(axis=1)
        means[row.metric] = np.where(count > 0, np.where(finite, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan)
    names = [condition.degradation for condition in found.conditions]
    best = [row.metric for row in rows[:_DOSE_METRICS]]
    return {
        "accuracy_against_quality": figures.accuracy_against_quality(
            means,
            truth,
            names,
            [condition.severity for condition in found.conditions],
            groups={condition.degradation: condition.group for condition in found.conditions},
            rho={row.metric: row.alignment.between for row in shown},
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


def _shown(rows: Sequence[tables.Row]) -> list[tables.Row]:
    """The best of every family: a panel each for all would fill pages."""
    found: dict[str, list[tables.Row]] = {}
    for row in rows:
        if np.isfinite(row.alignment.between.rho):
            found.setdefault(row.family, []).append(row)
    chosen = {row.metric for own in found.values() for row in own[:_PANELS_PER_FAMILY]}
    return [row for row in rows if row.metric in chosen] or list(rows)


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
      The table as text, with a warning below it for every metric whose numbers certainly have opposite signs.
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
            *_accuracy_sections(found, config.level),
            html.Section("Desiderata", [html.Text(desiderata_table(found), fixed=True)]),
            html.Section("Settings", [html.Text(_settings(config, details), fixed=True)]),
        ],
    )
    (folder / "report.html").write_text(content, encoding="utf-8")
    pipeline.write_json(folder / "summary.json", summary.summary(config, table, found))
    conflicts = [(metric, one) for metric, own in summary.warnings(found).items() for one in own if one.certain]
    return text + "".join(f"warning: {metric}: {one.message}\n" for metric, one in conflicts)


def _accuracy_sections(found: Findings, level: float) -> list[html.Section]:
    sections = []
    if found.predicted:
        text = accuracy.accuracy_table(found.predicted, found.families, level=level)
        words = (
            "Accuracy of each condition, mean over the networks, predicted without its degradation and without its "
            "images; errors in points. Rivals of the family network output run the networks that are judged; average "
            "confidence, agreement, DoC, ATC and COT read no label of a degraded image."
        )
        sections.append(html.Section("Accuracy predicted", [html.Text(words), html.Text(text, fixed=True)]))
    if found.gains:
        text = tables.gains_table(found.gains, level=level)
        words = "Spearman correlation less that of the yardstick; the best is chosen anew in every resample."
        sections.append(html.Section("Gains", [html.Text(words), html.Text(text, fixed=True)]))
    warnings = summary.warnings(found)
    if warnings:
        lines = [f"{metric}: {conflict.message}" for metric, own in warnings.items() for conflict in own]
        sections.append(html.Section("Signs that disagree", [html.Text("\n".join(lines), fixed=True)]))
    return sections


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
