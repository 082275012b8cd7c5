"""What an audit found, as the tables of a Markdown page."""

from collections.abc import Mapping, Sequence
from typing import Any

from causal_iqa import causal
from causal_iqa.report import audit_markdown as words
from causal_iqa.report.audit_text import escaped, name, names, table

# So many metrics are named in a cell, more are counted.
_NAMED = 12


def desiderata(audited: Mapping[str, Any]) -> str:
    """D1 to D4 of every metric that has a score.

    Args:
      audited: audit.json.
    """
    families = {metric: family for family, about in audited["families"].items() for metric in about["metrics"]}
    alpha, num_images = audited["graph_tests"]["alpha"], audited["num_images"]
    rows, undefined = [], []
    for metric, one in audited["desiderata"].items():
        sensitive, aligned = one["sensitive"], one["aligned"]
        if sensitive["evidence"].startswith(causal.UNDEFINED):
            undefined.append(metric)
            continue
        answers = {field: words.answer(one[field], num_images) for field in causal.Desiderata._fields}
        degradations = sensitive["degradations"].values()
        falls = sum(fall["answer"] == "yes" for fall in degradations)
        page = sum((fall["page"]["holm"] or 0.0) < alpha for fall in degradations if fall["page"]["holm"] is not None)
        rows.append(
            [
                name(metric),
                families[metric].replace("_", " "),
                f"{answers['sensitive']}; falls in {falls} of {len(degradations)} (Page {page})",
                answers["aligned"],
                words.p_value(aligned["independence"]["holm"]),
                _signed(aligned["common_sign"]),
                answers["free_standing"],
                answers["prior"],
            ]
        )
    rows.sort(key=lambda row: (row[1], row[0]))
    head = ["metric", "family", "D1 sensitive", "D2 aligned", "p, independence", "p, common sign"]
    lines = table([*head, "D3 free-standing", "D4 prior"], rows)
    if undefined:
        lines += ["", f"No score to judge: {names(undefined)}."]
    return "\n".join(lines)


def implications(audited: Mapping[str, Any]) -> str:
    """Every independence that was tested: the graphs that imply it, and for which metrics the data reject it.

    Args:
      audited: audit.json.
    """
    tested = audited["graph_tests"]
    holders: dict[str, list[str]] = {}
    for graph, about in tested["graphs"].items():
        for one in about["implications"]:
            if not one["reason"]:
                holders.setdefault(words.statement(one), []).append(escaped(graph.replace("_", " ")))
    found: dict[str, dict[str, list[str]]] = {}
    methods: dict[str, set[str]] = {}
    for one in tested["tests"]:
        by = found.setdefault(words.statement(one), {"kept": [], "rejected": [], "not testable": []})
        by[one["verdict"]].append(one["metric"] or "")
        methods.setdefault(words.statement(one), set()).update({one["method"]} - {""})
    every = len(tested["graphs"])
    rows = []
    for said, by in found.items():
        graphs = holders.get(said, [])
        implied = "all graphs" if len(graphs) == every else ", ".join(graphs) or "-"
        cells = [_verdict(by[verdict]) for verdict in ("kept", "rejected")]
        rows.append([said, implied, ", ".join(sorted(methods[said])), *cells])
    head = ["independent", "must be in", "test", "kept for", "rejected for"]
    return "\n".join([f"Tests take {tested['design']}.", "", *table(head, rows)])


def carried(audited: Mapping[str, Any]) -> str:
    """What share of the effect on performance goes with the score, and whether the curves fall together.

    Args:
      audited: audit.json.
    """
    rows = []
    for metric, one in audited["mediation"].items():
        dose = audited["dose_alignment"][metric]["mean"]
        if one["mean"]["total"]["value"] is None and dose["order"]["value"] is None:
            continue
        curves = [words.interval(dose[field]) for field in ("correlation", "order", "area", "shape_area")]
        surrogate = one["surrogate_share"]["value"]
        order = -1e9 if surrogate is None else surrogate
        rows.append((order, [name(metric), one["base"], *words.split(one), *curves]))
    rows.sort(key=lambda row: -row[0])
    head = ["metric", "against", *words.SPLIT_HEAD, "correlation", "order", "area", "area within"]
    return "\n".join(table(head, [cells for _, cells in rows]))


def observational(audited: Mapping[str, Any]) -> str:
    """Estimates from confounded data against the interventional truth, refutations and the sensitivity bound.

    Args:
      audited: audit.json.
    """
    found = audited["observational"]
    if "reason" in found:
        return f"Not done: {escaped(found['reason'])}."
    measure = words.measure_of(audited)
    return "\n".join([*words.observed_effects(found, measure), *words.doubts(found, measure)]).rstrip()


def transfer(audited: Mapping[str, Any]) -> str:
    """Performance predicted by maps learned on other runs.

    Args:
      audited: audit.json.
    """
    if not audited.get("transfer"):
        return "Not done: no other run was given (causal-iqa audit --transfer_from)."
    parts = ("\n".join(words.transferred(one)) for one in audited["transfer"])
    return "\n\n".join(parts).rstrip()


def _signed(test: Mapping[str, float | None]) -> str:
    text = words.p_value(test["holm"])
    return text if test["z"] is None else f"{text} ({'+' if test['z'] > 0 else '-'})"


def _verdict(metrics: Sequence[str]) -> str:
    """Which metrics: names where they are few; the statement itself where it reads no score."""
    if not any(metrics):
        return "yes" if metrics else "-"
    return f"{len(metrics)}: {names(metrics)}" if len(metrics) <= _NAMED else str(len(metrics))
