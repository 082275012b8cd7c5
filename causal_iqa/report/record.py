"""The tables of finished runs as Markdown, put into the places a page keeps for them."""

import csv
import math
import pathlib
import re
import typing
from collections.abc import Callable, Mapping
from typing import TypeVar

from causal_iqa import InputError, _files, _reads, estimators, pipeline
from causal_iqa.analysis import by_degradation, measured_bounds
from causal_iqa.analysis.audit import Audit
from causal_iqa.estimates import Estimate
from causal_iqa.report import audit as audit_report
from causal_iqa.report import format, markdown, record_audit, tables
from causal_iqa.report.recorded import Gain, Metric, Network, Recorded, Summary

L = TypeVar("L", by_degradation.Line, measured_bounds.Line)
_NUMBERS = ("between", "corrected", "within", "pooled")
_ALL = pipeline.ALL_NETWORKS
_PLACE = re.compile(r"<!-- ([\w-]+)/(\w+) -->\n.*?<!-- end -->", re.DOTALL)
# Rows of the short table by family, the best by between of each.
_BEST_OF_FAMILY = {
    "label_free": 4,
    "task_guided": 2,
    "feature_reference": 2,
    "network_output": 2,
    "full_reference": 3,
    "no_reference": 2,
}
# Scores of the table by network, and the families of architectures by what their names hold.
_BY_NETWORK = ("stages_free", "stages_guided", "rank_free", "rank_detectors_free", "nuclear_norm")
_OWN_OUTPUTS = "confidence"
_FAMILIES = {
    "resnet": "ResNet",
    "vgg": "VGG",
    "vit": "ViT",
    "deit": "ViT",
    "convnext": "ConvNeXt",
    "mobilenet": "MobileNet",
    "efficientnet": "EfficientNet",
}
# CSV files of a run, with the tables that read them.
_BY_DEGRADATION, _BOUNDS = "by_degradation.csv", "bounds.csv"
_WORDS_OF_BOUNDS = (
    "In brackets the bound of docs/theory.md beside the value: *between* that proposition 3 expects of the corrected "
    "value at this number of images; the largest tau that proposition 4 leaves to the population, with the "
    "probability of the intervals; the largest correlation within a condition that proposition 1 leaves to any "
    "function of the score, by tenths of its values; the two terms of proposition 2; and the tau that proposition 6 "
    "guarantees for the largest error of predicted performance."
)
_SIZE = re.compile(r"\[m=(\d+)\]$")


def _numbers(entry: Metric, network: str = _ALL) -> list[str]:
    """The numbers of the mean over networks with their intervals, and those for conditions like these."""
    numbers = (entry.number(name, network) for name in _NUMBERS)
    return [format.estimate(one, format.CORRELATION, other) for one, other in numbers]


def _table(head: list[str], rows: list[list[str]]) -> str:
    return format.Table.of(head, rows).markdown()


def _by_between(metrics: Mapping[str, Metric]) -> list[tuple[str, Metric]]:
    def order(item: tuple[str, Metric]) -> tuple[float, str]:
        rho = item[1].number("between")[0].value
        return (2.0 if math.isnan(rho) else -rho, item[0])

    return sorted(metrics.items(), key=order)


def _best(run: Recorded) -> str:
    return _table_of_alignment(_best_of_families(run))


def _best_of_families(run: Recorded) -> list[tuple[str, Metric]]:
    """The best scores of every family, fifteen at most."""
    seen: dict[str, int] = {}
    chosen = []
    for metric, entry in _by_between(run.summary.metrics):
        if _SIZE.search(metric):
            continue
        seen[entry.family] = seen.get(entry.family, 0) + 1
        if seen[entry.family] <= _BEST_OF_FAMILY.get(entry.family, 0):
            chosen.append((metric, entry))
    return chosen


def _alignment(run: Recorded) -> str:
    rows = [row for row in _by_between(run.summary.metrics) if not _SIZE.search(row[0])]
    return "\n\n".join([_table_of_alignment(rows), *_notes(run.summary)])


def _table_of_alignment(chosen: list[tuple[str, Metric]]) -> str:
    rows = [[markdown.name(metric), format.words(entry.family), *_numbers(entry)] for metric, entry in chosen]
    words = f"{tables.BOTH} {format.capital(tables.NUMBERS_ARE)}"
    return f"{words}\n\n" + _table(["metric", "family", *_NUMBERS], rows)


def _notes(summary: Summary) -> list[str]:
    return ["\n".join(f"- {markdown.escaped(note)}" for note in summary.notes)] if summary.notes else []


def _family(architecture: str) -> str:
    """The family of an architecture; its own name where no family is known."""
    return next((family for part, family in _FAMILIES.items() if part in architecture), architecture)


def _by_network(run: Recorded) -> str:
    """Every network by itself, judged only by backbones of other families than its own."""
    backbones = {choice.name: _family(choice.architecture) for choice in run.settings.backbones}
    networks = {choice.name: _family(choice.architecture) for choice in run.settings.networks}
    rows = []
    for metric, entry in run.summary.metrics.items():
        formula, _, through = metric.partition("@")
        if _SIZE.search(metric) or formula not in (*_BY_NETWORK, _OWN_OUTPUTS):
            continue
        families = {backbones.get(name, name) for name in through.split("+")} if through else set()
        for network, family in networks.items():
            if family not in families:
                rows.append((metric, network, family, _numbers(entry, network)))
    cells = [[markdown.name(m), markdown.name(n), family, *numbers] for m, n, family, numbers in sorted(rows)]
    words = "No score is shown for networks of a family that one of its backbones belongs to."
    return f"{tables.BOTH} {words}\n\n" + _table(["score", "judged network", "its family", *_NUMBERS], cells)


def _label_free(run: Recorded) -> list[tuple[str, Metric]]:
    rows = _by_between(run.summary.metrics)
    return [(metric, entry) for metric, entry in rows if not _SIZE.search(metric) and entry.family == "label_free"]


def _gains(run: Recorded) -> str:
    rows = []
    for metric, entry in _label_free(run):
        for yardstick in tables.HEADLINE:
            cells = [_gain(entry.gain(yardstick, number)) for number in tables.GAINED]
            rows.append([markdown.name(metric), format.words(yardstick), *cells])
    return f"{tables.BOTH}\n\n" + _table(["metric", "over", *tables.GAINED], rows)


def _headline(run: Recorded) -> str:
    """What the label-free scores gain in corrected between, from the hardest yardstick to the easiest."""
    rows = [
        [markdown.name(name), *(_gain(entry.gain(yardstick, "corrected")) for yardstick in tables.HEADLINE)]
        for name, entry in _label_free(run)
    ]
    head = ["corrected between, gain over", *map(format.words, tables.HEADLINE)]
    return f"{tables.BOTH}\n\n" + _table(head, rows)


def _gain(one: Gain | None) -> str:
    if one is None or math.isnan(one.estimate.value):
        return format.UNKNOWN
    best = f" {markdown.name(one.best)}" if one.best else ""
    return format.estimate(one.estimate, format.GAIN, Estimate(one.estimate.value, *one.like_these)) + best


def _anchors(run: Recorded) -> str:
    rows = []
    for metric, entry in run.summary.metrics.items():
        if metric.startswith("stages_"):
            found = _SIZE.search(metric)
            size = int(found.group(1)) if found else run.settings.num_anchors
            rows.append((_SIZE.sub("", metric), size, _numbers(entry)))
    cells = [[markdown.name(metric), str(size), *numbers] for metric, size, numbers in sorted(rows)]
    return _table(["metric", "anchors", *_NUMBERS], cells)


def _accuracy(run: Recorded) -> str:
    measure, metrics = run.summary.measure, run.summary.metrics
    found = [(score, by[_ALL]) for score, by in run.summary.predicted_performance.items() if _ALL in by]
    found = [row for row in found if not math.isnan(row[1].error.value) and not _SIZE.search(row[0])]
    rows = []
    for score, one in sorted(found, key=lambda row: row[1].error.value):
        family = format.words(metrics[score].family if score in metrics else estimators.FAMILY)
        error = format.estimate(one.error, format.of_measure(measure))
        rows.append([markdown.name(score), family, _reads.in_words(one.reads), error])
    return _table(["score", "family", "reads beside the images", f"error in {markdown.escaped(measure.unit)}"], rows)


def _lines_of(run: Recorded, file: str, kind: type[L]) -> list[L]:
    """Lines of a CSV file; one that is missing, or of a version with other columns, is refused."""
    rows = run.files.get(file, ())
    if not rows or not rows[0].keys() >= set(kind._fields):
        raise InputError(f"run: its folder has no {file} of this version; run causal-iqa align on it again")
    types = typing.get_type_hints(kind)

    def value(text: str, column: str) -> str | int | float:
        return math.nan if types[column] is float and not text else types[column](text)

    return [kind._make(value(row[column], column) for column in kind._fields) for row in rows]


def _cell(value: float, form: str = ".3f", scale: float = 1.0) -> str:
    return format.UNKNOWN if math.isnan(value) else f"{scale * value:{form}}"


def _by_degradation(run: Recorded) -> str:
    """The best scores of every family, degradation by degradation, and where they are blind."""
    found = _lines_of(run, _BY_DEGRADATION, by_degradation.Line)
    cells = {(one.metric, one.degradation or one.severity): one for one in found}
    chosen = [metric for metric, _ in _best_of_families(run) if any(one.metric == metric for one in found)]
    scale, form = (100.0, "+.0f") if run.summary.measure.is_accuracy else (1.0, "+.2f")
    degradations = dict.fromkeys(one.degradation for one in found if one.degradation)
    severities = dict.fromkeys(one.severity for one in found if not one.degradation)
    lines = []
    for degradation in degradations:
        own = [cells[metric, degradation] for metric in chosen]
        both = [
            f"{_cell(one.spearman_over_severities, '.2f')} ({_cell(one.predicted_less_true, form, scale)})"
            for one in own
        ]
        lines.append([markdown.escaped(degradation), *both])
    for severity in severities:
        across = [cells[metric, severity].spearman_over_degradations for metric in chosen]
        lines.append([f"over degradations, severity {severity:g}", *(_cell(value, ".2f") for value in across)])
    measure = run.summary.measure
    words = (
        "Of each degradation: Spearman correlation of mean score and mean performance over its severities; in brackets "
        f"predicted less true performance, in {measure.unit}, where the map was learned on the other degradations. "
        "Above 0 the score misses harm that the networks feel, below 0 it is alarmed by what they do not mind. The "
        "last rows are the correlations over degradations at one severity."
    )
    return f"{words}\n\n" + _table(["degradation", *map(markdown.name, chosen)], lines)


def _bounds(run: Recorded) -> str:
    """The bounds of docs/theory.md beside what they bound, the least contradicted score first."""
    found = _lines_of(run, _BOUNDS, measured_bounds.Line)
    chosen = {metric for metric, _ in _best_of_families(run)}
    lines = [
        [
            markdown.name(one.metric),
            format.words(one.family),
            f"{_cell(one.between)} ({_cell(one.between_expected)})",
            f"{_cell(one.tau)} ({_cell(one.tau_at_most)})",
            f"{one.contradicted_pairs} of {one.proven_pairs}",
            f"{_cell(one.within_pearson)} ({_cell(one.within_at_most)})",
            f"{_cell(one.pooled_pearson)} = {_sum_of_parts(one)}",
            f"{_cell(one.largest_error, '.1f', 100.0)} ({_cell(one.tau_at_least, '.2f')})",
        ]
        for one in found
        if one.metric in chosen
    ]
    head = [
        "score",
        "family",
        "between (expected at this number of images)",
        "tau (at most)",
        "contradicted pairs",
        "within, Pearson (of any function of the score)",
        "pooled = between + within, Pearson",
        "largest error in points (tau at least)",
    ]
    words = f"Share of the variance of performance that lies between conditions: {_cell(found[0].share_m, '.2f')}. "
    return f"{words}{_WORDS_OF_BOUNDS}\n\n" + _table(head, lines)


def _sum_of_parts(one: measured_bounds.Line) -> str:
    """The two terms of proposition 2."""
    q, m = one.share_q, one.share_m
    parts = one.between_pearson * math.sqrt(q * m), one.within_pearson * math.sqrt((1 - q) * (1 - m))
    return format.UNKNOWN if math.isnan(sum(parts)) else " + ".join(f"{part:.3f}" for part in parts)


def _settings(run: Recorded) -> str:
    summary, settings = run.summary, run.settings
    networks = ", ".join(f"{markdown.name(k)} ({_clean(v, summary)})" for k, v in summary.networks.items())
    backbones = markdown.names(choice.name for choice in settings.backbones)
    return (
        f"{summary.num_images} images of {markdown.name(settings.dataset.rsplit('/', 1)[-1])}, "
        f"{len(summary.conditions) - 1} conditions and clean; "
        f"networks {networks}; backbones {backbones}; anchors: {settings.anchors}, at most {settings.num_anchors}; "
        f"seed {settings.seed}, {settings.num_resamples} resamples."
    )


def _clean(network: Network, summary: Summary) -> str:
    measure, mean = summary.measure, network.clean_performance
    if math.isnan(mean):
        return f"clean {markdown.escaped(measure.name)} undefined"
    of_what = "" if measure.is_accuracy else f" {markdown.escaped(measure.name)}"
    return f"{format.mean(mean, measure)} clean{of_what}"


_TABLES: Mapping[str, Callable[[Recorded], str]] = {
    "settings": _settings,
    "best": _best,
    "alignment": _alignment,
    "headline": _headline,
    "gains": _gains,
    "anchors": _anchors,
    "by_network": _by_network,
    "accuracy": _accuracy,
    "by_degradation": _by_degradation,
    "bounds": _bounds,
}


_AUDIT_TABLES: Mapping[str, Callable[[Audit], str]] = {
    "desiderata": record_audit.desiderata,
    "implications": record_audit.implications,
    "carried": record_audit.carried,
    "observational": record_audit.observational,
    "transfer": record_audit.transfer,
}


def read(folder: pathlib.Path) -> Recorded:
    """Reads summary.json, config.json and, where they exist, audit.json and the CSV files of a finished run.

    Args:
      folder: folder of the run.

    Raises:
      InputError: when the folder holds no finished run, or a file of it is damaged.
    """
    try:
        summary = _files.read_json(folder / "summary.json")
        config = _files.read_json(folder / "config.json")["config"]
        files = {name: _csv_rows(folder / name) for name in (_BY_DEGRADATION, _BOUNDS) if (folder / name).exists()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"run: {folder} holds no finished run ({error})") from error
    try:
        return Recorded.of(summary, config, audit_report.read(folder), files)
    except InputError as error:
        raise InputError(f"run: {folder} cannot be recorded ({error}); run causal-iqa align on it again") from error


def _csv_rows(path: pathlib.Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def fill(page: str, runs: Mapping[str, Recorded]) -> str:
    """Returns a page with the tables of the given runs put into their places, as `fill_pages` does for several."""
    (filled,) = fill_pages({pathlib.Path(): page}, runs).values()
    return filled


def fill_pages(pages: Mapping[pathlib.Path, str], runs: Mapping[str, Recorded]) -> dict[pathlib.Path, str]:
    """Returns the pages with the tables of the given runs put into their places.

    Args:
      pages: path -> Markdown.
      runs: name -> result of `read`.

    Raises:
      InputError: when a place asks for a table that does not exist, or for one of an audit that was not made, or a run
        has no place in any page.
    """
    used: set[str] = set()

    def table(match: re.Match[str]) -> str:
        run, name = match.groups()
        known = (*_TABLES, *_AUDIT_TABLES)
        if name not in known:
            raise InputError(
                f"page: unknown table {name!r} in <!-- {run}/{name} -->; expected one of {', '.join(known)}"
            )
        if run not in runs:
            return match.group(0)
        used.add(run)
        found = runs[run]
        if name in _TABLES:
            text = _TABLES[name](found)
        elif found.audit is None:
            raise InputError(f"page: <!-- {run}/{name} --> needs an audit; run causal-iqa audit on {run} first")
        else:
            text = _AUDIT_TABLES[name](found.audit)
        return f"<!-- {run}/{name} -->\n{text}\n<!-- end -->"

    filled = {path: _PLACE.sub(table, text) for path, text in pages.items()}
    if missing := sorted(set(runs) - used):
        raise InputError(
            f"page: no place for run {', '.join(missing)}: expected <!-- {missing[0]}/TABLE --> and <!-- end --> on "
            f"lines of their own where a table belongs; tables are {', '.join((*_TABLES, *_AUDIT_TABLES))}"
        )
    return filled
