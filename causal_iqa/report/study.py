"""The findings of a study as summary.json, figures and the page."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from causal_iqa import _files, pipeline
from causal_iqa.analysis import Findings, by_degradation, kept, measured_bounds, parts
from causal_iqa.analysis.networks import judged_networks
from causal_iqa.report import accuracy, blind_spots, figures, format, html, networks, study_page, summary, tables

__all__ = ["Findings", "desiderata_table", "render", "write"]

# Tracebacks of the parts of an analysis that failed.
ERRORS = "analysis_errors.txt"
_DOSE_METRICS = 4
_PANELS_PER_FAMILY = 4
_ALL = pipeline.ALL_NETWORKS


def render(found: Findings, *, level: float = 0.95) -> dict[str, figures.Figure]:
    """Draws the figures of a study.

    Args:
      found: result of `analyse`.
      level: confidence level of the intervals.

    Returns:
      name -> figure: alignment_bars, accuracy_against_quality, dose_response, and blind_spots where performance can be
      predicted on degradations that were left out.
    """
    return {name: draw(found, level) for name, (_, draw) in _drawable(found).items()}


def _bars(found: Findings, level: float) -> figures.Figure:
    rows = _aligned_rows(found)
    return figures.alignment_bars(
        rows, title=f"How well each metric predicts {_of_one(found.measure)} (Spearman)", level=level
    )


def _against_quality(found: Findings, level: float) -> figures.Figure:
    shown = _shown(_aligned_rows(found))
    means = {}
    for row in shown:
        means[row.metric] = pipeline.mean_over_images(found.scores[row.metric][_ALL])
    return figures.accuracy_against_quality(
        means,
        pipeline.mean_over_images(found.performance[_ALL]),
        [condition.degradation for condition in found.conditions],
        [condition.severity for condition in found.conditions],
        groups={condition.degradation: condition.group for condition in found.conditions},
        rho={row.metric: row.alignment.between for row in shown},
        title=f"{format.capital(found.measure.name)} (mean over networks) against mean quality, a point per condition",
        measure=found.measure,
    )


def _doses(found: Findings, level: float) -> figures.Figure:
    of_families = (study_page.best_of(found, family) for family in ("label_free", "full_reference", "no_reference"))
    best = [name for name in of_families if name is not None and name in found.doses]
    best = best if len(best) > 1 else [row.metric for row in _aligned_rows(found)[:_DOSE_METRICS]]
    return figures.dose_response(
        {name: found.doses[name] for name in (found.measure.key, *best) if name in found.doses},
        normalise=True,
        ylabel="from worst to best",
        title=f"{format.capital(found.measure.name)}, ours and the best of each conventional family over severity",
    )


def _split(found: Findings) -> by_degradation.ByDegradation:
    order = [row.metric for row in _aligned_rows(found)]
    predicted = {
        metric: {network: one.held_out for network, one in by.items()} for metric, by in found.predicted.items()
    }
    scores = {metric: found.scores[metric] for metric in order}
    return by_degradation.of_findings(scores, found.performance, predicted, found.conditions)


def _bounds(found: Findings, level: float) -> dict[str, measured_bounds.MeasuredBounds]:
    return measured_bounds.measure_bounds(
        found.families,
        {row.metric: found.scores[row.metric] for row in _aligned_rows(found)},
        found.performance,
        found.alignments,
        found.predicted,
        level=level,
    )


def _blind_spots(found: Findings, level: float) -> figures.Figure:
    percent = {"unit": "points of accuracy", "scale": 100.0} if found.measure.is_accuracy else {}
    return blind_spots.blind_spots(
        _split(found), title="Where each metric is blind", **(percent or {"unit": found.measure.name, "scale": 1.0})
    )


def _of_one(measure: pipeline.Measure) -> str:
    """What performance is of one image."""
    return "correctness" if measure.is_accuracy else measure.name


# name -> (caption, how it is drawn), in the order of the page.
_FIGURES: Mapping[str, tuple[str, Callable[[Findings, float], figures.Figure]]] = {
    "alignment_bars": ("The three rank correlations, with intervals for other images under these conditions", _bars),
    "accuracy_against_quality": ("{measure} against mean quality", _against_quality),
    "dose_response": ("Dose-response curves, each scaled to its own range", _doses),
    "blind_spots": (
        "Predicted less true performance by metric and degradation, predicted from the other degradations. Orange: "
        "the metric misses harm that the networks feel. Violet: it is alarmed by what they do not mind",
        _blind_spots,
    ),
}


def _drawable(found: Findings) -> Mapping[str, tuple[str, Callable[[Findings, float], figures.Figure]]]:
    """Without the picture of predictions where none could be made: with one degradation, or images too few."""
    some = any(np.isfinite(by[_ALL].held_out.predicted).any() for by in found.predicted.values() if _ALL in by)
    return {name: one for name, one in _FIGURES.items() if some or name != "blind_spots"}


def _aligned_rows(found: Findings) -> list[tables.Row]:
    return [row for row in tables.rows_of(found.alignments, found.families) if row.metric in found.scores]


def _shown(rows: Sequence[tables.Row]) -> list[tables.Row]:
    """The best of every family: a panel each for all would fill pages."""
    found: dict[str, list[tables.Row]] = {}
    for row in rows:
        if np.isfinite(row.alignment.between.value):
            found.setdefault(row.family, []).append(row)
    chosen = {row.metric for own in found.values() for row in own[:_PANELS_PER_FAMILY]}
    return [row for row in rows if row.metric in chosen] or list(rows)


def write(
    folder: pathlib.Path,
    config: pipeline.StudyConfig,
    table: pipeline.ScoreTable,
    found: Findings,
    details: Mapping[str, Any],
    *,
    samples: Sequence[tuple[str, np.ndarray]] = (),
) -> str:
    """Writes summary.json, findings.json, figures/*.png and report.html, and analysis_errors.txt where a part failed.

    Args:
      folder: the output folder.
      config: configuration of the study.
      table: its finished table.
      found: result of `analyse`.
      details: details of the study, JSON values, shown on the page.
      samples: (condition, uint8 [H, W, 3]) of images that are shown.

    Returns:
      The networks and the metrics as text, the hardest yardsticks first, with a warning below for every network that is
      likely to be wrapped wrongly, every metric whose numbers certainly have opposite signs, and every part of the
      analysis that is missing.
    """
    doing = parts.Parts()
    judged = judged_networks(config, table, details.get("dataset", {}).get("num_classes"))
    of_networks = networks.networks_table(judged)
    plain = tables.alignment_table(tables.rows_of(found.alignments, found.families), level=config.level)
    text = doing.attempt("tables", lambda: headline(found, level=config.level), plain)
    pictures = {}
    for name, (_, draw) in _drawable(found).items():
        drawn = doing.attempt(f"figure {name}", lambda draw=draw: figures.png(draw(found, config.level)), None)
        if drawn is not None:
            pictures[name] = drawn
    files = {
        "by_degradation.csv": lambda: by_degradation.as_csv(_split(found)),
        "bounds.csv": lambda: measured_bounds.as_csv(_bounds(found, config.level)),
    }
    rows = {name: doing.attempt(name, make, None) for name, make in files.items()}
    sections = doing.attempt("tables of the page", lambda: _accuracy_sections(found, config.level), [])
    found = dataclasses.replace(found, failures=(*found.failures, *doing.failures))
    # First the files that cannot be made again from others.
    _files.write_json(
        folder / "summary.json", summary.summary(config, table, found, judged).to_json(), root=folder, sealed=True
    )
    kept.write(folder, config, table, found)
    for name, png in pictures.items():
        _files.write_atomically(folder / "figures" / f"{name}.png", png, root=folder)
    shown = {
        name: html.Figure(png, _FIGURES[name][0].format(measure=format.capital(found.measure.name)))
        for name, png in pictures.items()
    }
    missing = _missing(found.failures)
    doubts = [warning for one in judged for warning in one.warnings]
    content = html.page(
        f"Quality and {found.measure.name} on {config.dataset}",
        [
            *([html.Section("Missing", [html.Text("\n".join(missing), fixed=True)])] if missing else []),
            study_page.first_section(found, judged, _of(shown, "alignment_bars"), level=config.level),
            study_page.networks_section(judged, doubts),
            *study_page.samples_section(samples),
            html.Section(
                "Condition by condition", _of(shown, "dose_response", "accuracy_against_quality", "blind_spots")
            ),
            *sections,
            study_page.desiderata_section(found, folder, [html.Text(desiderata_table(found), fixed=True)]),
            html.Section(
                "How it was made",
                [
                    html.Folded("The tables as text", [html.Text(text, fixed=True)]),
                    html.Folded("Settings", [html.Text(_settings(config, details), fixed=True)]),
                ],
            ),
        ],
    )
    _files.write_text(folder / "report.html", content, root=folder)
    for name, content in rows.items():
        if content is not None:
            _files.write_text(folder / name, content, root=folder)
    _write_failures(folder, found.failures)
    conflicts = [(metric, one) for metric, own in summary.warnings(found).items() for one in own if one.certain]
    return f"{of_networks}\n{text}" + _lines([*doubts, *(f"{m}: {one.message}" for m, one in conflicts), *missing])


def _lines(warnings: Sequence[str]) -> str:
    return "".join(f"warning: {line}\n" for line in warnings)


def headline(found: Findings, *, level: float = 0.95) -> str:
    """Returns the alignment tables with both kinds of interval and the gains of the label-free metrics as text.

    Args:
      found: result of `analyse`.
      level: confidence level of the intervals.
    """
    blocks = [tables.alignment_table(tables.rows_of(found.alignments, found.families), level=level), tables.NUMBERS_ARE]
    moved = tables.rows_of(found.like_these.alignments, found.families)
    if moved:
        blocks += [tables.FIXED, "", tables.alignment_table(moved, level=level), tables.LIKE_THESE]
    label_free = {metric: own for metric, own in found.gains.items() if found.families[metric] == "label_free"}
    if label_free:
        gained = tables.gains_table(label_free, found.like_these.gains, yardsticks=tables.HEADLINE, level=level)
        blocks += ["", gained, tables.BOTH]
    notes = [f"note: {note}" for note in summary.notes(found)]
    return "\n".join(block.rstrip("\n") for block in (*blocks, *notes)) + "\n"


def _of(shown: Mapping[str, html.Figure], *names: str) -> list[html.Figure]:
    return [shown[name] for name in names if name in shown]


def _missing(failures: Sequence[parts.Failure]) -> list[str]:
    return [f"{one.part} is missing ({one.reason})" for one in failures]


def _write_failures(folder: pathlib.Path, failures: Sequence[parts.Failure]) -> None:
    path = folder / ERRORS
    if failures:
        _files.write_text(path, "\n".join(f"{one.part}\n{one.trace}" for one in failures), root=folder)
    else:
        path.unlink(missing_ok=True)


def _accuracy_sections(found: Findings, level: float) -> list[html.Section]:
    sections = []
    if found.predicted:
        measure, what = found.measure, format.capital(found.measure.name)
        text = accuracy.accuracy_table(found.predicted, found.families, measure=measure, level=level)
        words = (
            f"{what} of each condition, mean over the networks, predicted without its degradation and "
            f"without its images; errors in {measure.unit}. Estimators of the family network output run the "
            "networks that are judged. The letters say all that is read beside the judged images, for the score and "
            f"for the map to {measure.name}."
        )
        sections.append(html.Section(f"{what} predicted", [html.Text(words), html.Text(text, fixed=True)]))
    if found.gains:
        others = dict.fromkeys(name for by in found.gains.values() for name in by)
        hardest_first = list(dict.fromkeys([*tables.HEADLINE, *others]))
        text = tables.gains_table(found.gains, found.like_these.gains, yardsticks=hardest_first, level=level)
        words = (
            "Spearman correlation less that of the yardstick, from the hardest yardstick to the easiest: the best, "
            "chosen anew in every resample; the mean of |rho|; the mean as it is, lowered by what points the wrong "
            f"way. {tables.BOTH}"
        )
        sections.append(html.Section("Gains", [html.Text(words), html.Text(text, fixed=True)]))
    warnings = summary.warnings(found)
    if warnings:
        lines = [f"{metric}: {conflict.message}" for metric, own in warnings.items() for conflict in own]
        sections.append(html.Section("Signs that disagree", [html.Text("\n".join(lines), fixed=True)]))
    return sections


def desiderata_table(found: Findings) -> str:
    """Returns the verdicts on every metric as text, with their evidence.

    Args:
      found: result of `analyse`.
    """
    lines, num_images = [], found.performance[_ALL].shape[1]
    for metric, verdicts in found.desiderata.items():
        lines.append(f"{metric} ({found.families[metric]})")
        for name, verdict in verdicts._asdict().items():
            lines.append(f"  {name + ':':<15} {verdict.in_words(num_images)}: {verdict.evidence}")
    return "\n".join(lines)


def _settings(config: pipeline.StudyConfig, details: Mapping[str, Any]) -> str:
    return json.dumps({"config": config.to_json(), **details}, indent=1, sort_keys=True)
