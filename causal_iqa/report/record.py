"""The tables of finished runs as Markdown, put into the places a page keeps for them."""

import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from causal_iqa import InputError, _files, _reads, pipeline
from causal_iqa.analysis.audit import Audit
from causal_iqa.report import audit as audit_report
from causal_iqa.report import markdown, record_audit, tables

_NUMBERS = ("between", "corrected", "within", "pooled")
_ALL = "all"
_PLACE = re.compile(r"<!-- ([\w-]+)/(\w+) -->\n.*?<!-- end -->", re.DOTALL)
_SIZE = re.compile(r"\[m=(\d+)\]$")


class Recorded(NamedTuple):
    """What the folder of a finished run says of it; audit is None where there was none."""

    summary: Mapping[str, Any]
    config: Mapping[str, Any]
    audit: Audit | None = None


def _rho(entry: Mapping[str, Any], number: str) -> str:
    """A number of the mean over networks with its interval, and that for conditions like these."""
    one = entry["alignment"][_ALL].get(number, {"rho": None})
    if one["rho"] is None:
        return "-"
    other = entry.get("alignment_like_these", {}).get(_ALL, {}).get(number, {"low": None})
    return f"{one['rho']:.3f}{_bounds(one)}{_bounds(other)}"


def _bounds(one: Mapping[str, Any], form: str = ".2f") -> str:
    return "" if one.get("low") is None else f" [{one['low']:{form}}, {one['high']:{form}}]"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(markdown.table(head, rows))


def _by_between(metrics: Mapping[str, Any]) -> list[tuple[str, Any]]:
    def order(item: tuple[str, Any]) -> tuple[float, str]:
        rho = item[1]["alignment"][_ALL]["between"]["rho"]
        return (2.0 if rho is None else -rho, item[0])

    return sorted(metrics.items(), key=order)


def _alignment(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    rows = [
        [markdown.name(metric), entry["family"].replace("_", " "), *(_rho(entry, n) for n in _NUMBERS)]
        for metric, entry in _by_between(summary["metrics"])
        if not _SIZE.search(metric)
    ]
    words = f"{tables.BOTH} {tables.NUMBERS_ARE[0].upper()}{tables.NUMBERS_ARE[1:]}"
    return "\n\n".join([words, _table(["metric", "family", *_NUMBERS], rows), *_notes(summary)])


def _notes(summary: Mapping[str, Any]) -> list[str]:
    notes = summary.get("notes", [])
    return ["\n".join(f"- {markdown.escaped(note)}" for note in notes)] if notes else []


def _gains(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    rows = []
    for metric, entry in _by_between(summary["metrics"]):
        if _SIZE.search(metric) or entry["family"] != "label_free":
            continue
        for yardstick in tables.HEADLINE:
            gain = entry.get("gains", {}).get(yardstick, {})
            cells = [_gain(gain.get(number)) for number in tables.GAINED]
            rows.append([markdown.name(metric), yardstick.replace("_", " "), *cells])
    return f"{tables.BOTH}\n\n" + _table(["metric", "over", *tables.GAINED], rows)


def _headline(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """What the label-free scores gain in corrected between, from the hardest yardstick to the easiest."""
    rows = []
    for name, entry in _by_between(summary["metrics"]):
        if not _SIZE.search(name) and entry["family"] == "label_free":
            gains = (entry.get("gains", {}).get(yardstick, {}) for yardstick in tables.HEADLINE)
            rows.append([markdown.name(name), *(_gain(gain.get("corrected")) for gain in gains)])
    head = ["corrected between, gain over", *(yardstick.replace("_", " ") for yardstick in tables.HEADLINE)]
    return f"{tables.BOTH}\n\n" + _table(head, rows)


def _gain(one: Mapping[str, Any] | None) -> str:
    if one is None or one["difference"] is None:
        return "-"
    best = f" {markdown.name(one['best'])}" if one.get("best") else ""
    return f"{one['difference']:+.2f}{_bounds(one, '+.2f')}{_bounds(one.get('like_these', {}), '+.2f')}{best}"


def _anchors(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    rows = []
    for metric, entry in summary["metrics"].items():
        if not metric.startswith("stages_"):
            continue
        found = _SIZE.search(metric)
        size = int(found.group(1)) if found else config["num_anchors"]
        rows.append((_SIZE.sub("", metric), size, [_rho(entry, n) for n in _NUMBERS]))
    cells = [[markdown.name(metric), str(size), *numbers] for metric, size, numbers in sorted(rows)]
    return _table(["metric", "anchors", *_NUMBERS], cells)


def _accuracy(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    measure = _measure(summary)
    found = [(score, by[_ALL]) for score, by in summary[f"predicted_{measure.key}"].items() if _ALL in by]
    found = [row for row in found if row[1]["mean_absolute"] is not None and not _SIZE.search(row[0])]
    rows = []
    for score, one in sorted(found, key=lambda row: row[1]["mean_absolute"]):
        family = summary["metrics"].get(score, {"family": "network_output"})["family"].replace("_", " ")
        bounds = "" if one["low"] is None else f" [{measure.error(one['low'])}, {measure.error(one['high'])}]"
        if "reads" not in one:
            raise InputError("run: summary.json was written by an older version; run causal-iqa align on it again")
        error = f"{measure.error(one['mean_absolute'])}{bounds}"
        rows.append([markdown.name(score), family, _reads.in_words(one["reads"]), error])
    return _table(["score", "family", "reads beside the images", f"error in {markdown.escaped(measure.unit)}"], rows)


def _settings(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    networks = ", ".join(f"{markdown.name(k)} ({_clean(v, _measure(summary))})" for k, v in summary["networks"].items())
    backbones = markdown.names(choice["name"] for choice in config["backbones"])
    return (
        f"{summary['num_images']} images of {markdown.name(config['dataset'].rsplit('/', 1)[-1])}, "
        f"{len(summary['conditions']) - 1} conditions and clean; "
        f"networks {networks}; backbones {backbones}; anchors: {config['anchors']}, at most {config['num_anchors']}; "
        f"seed {config['seed']}, {config['num_resamples']} resamples."
    )


def _measure(summary: Mapping[str, Any]) -> pipeline.Measure:
    return pipeline.Measure.from_dict(summary.get("measure"))


def _clean(network: Mapping[str, Any], measure: pipeline.Measure) -> str:
    mean = network[f"clean_{measure.key}"]
    if mean is None:
        return f"clean {markdown.escaped(measure.name)} undefined"
    return f"{measure.shown(mean)} clean" + ("" if measure.is_accuracy else f" {markdown.escaped(measure.name)}")


_TABLES: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]] = {
    "settings": _settings,
    "alignment": _alignment,
    "headline": _headline,
    "gains": _gains,
    "anchors": _anchors,
    "accuracy": _accuracy,
}


_AUDIT_TABLES: Mapping[str, Callable[[Audit], str]] = {
    "desiderata": record_audit.desiderata,
    "implications": record_audit.implications,
    "carried": record_audit.carried,
    "observational": record_audit.observational,
    "transfer": record_audit.transfer,
}


def read(folder: pathlib.Path) -> Recorded:
    """Reads summary.json, config.json and, where it is there, audit.json of a finished run.

    Args:
      folder: of the run.

    Raises:
      InputError: when the folder holds no finished run, or a file of it is damaged.
    """
    try:
        summary = _files.read_json(folder / "summary.json")
        config = _files.read_json(folder / "config.json")["config"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"run: {folder} holds no finished run ({error})") from error
    return Recorded(summary, config, audit_report.read(folder))


def fill(page: str, runs: Mapping[str, Recorded]) -> str:
    """Returns the page with the tables of the given runs put into their places.

    Args:
      page: Markdown.
      runs: name -> what `read` gave.

    Raises:
      InputError: when a place asks for a table that does not exist, or for one of an audit that was not made, or a run
        has no place.
    """
    used = set()

    def table(match: re.Match[str]) -> str:
        run, name = match.groups()
        known = (*_TABLES, *_AUDIT_TABLES)
        if name not in known:
            raise InputError(f"page: unknown table {name!r} in <!-- {run}/{name} -->; there are {', '.join(known)}")
        if run not in runs:
            return match.group(0)
        used.add(run)
        found = runs[run]
        if name in _TABLES:
            text = _TABLES[name](found.summary, found.config)
        elif found.audit is None:
            raise InputError(f"page: <!-- {run}/{name} --> needs an audit; run causal-iqa audit on {run} first")
        else:
            text = _AUDIT_TABLES[name](found.audit)
        return f"<!-- {run}/{name} -->\n{text}\n<!-- end -->"

    filled = _PLACE.sub(table, page)
    if missing := sorted(set(runs) - used):
        raise InputError(f"page: no place for run {', '.join(missing)}")
    return filled
