"""What an audit found, as the tables of a Markdown page."""

from collections.abc import Mapping, Sequence
from typing import Any

from causal_iqa import causal
from causal_iqa.report import audit_markdown as words

# So many metrics are named in a cell, more are counted.
_NAMED = 12


def desiderata(audited: Mapping[str, Any]) -> str:
    """D1 to D4 of every metric that has a score.

    Args:
      audited: audit.json.
    """
    families = {metric: family for family, about in audited["families"].items() for metric in about["metrics"]}
    alpha = audited["graph_tests"]["alpha"]
    rows, undefined = [], []
    for metric, one in audited["desiderata"].items():
        sensitive, aligned = one["sensitive"], one["aligned"]
        if sensitive["evidence"].startswith(causal.UNDEFINED):
            undefined.append(metric)
            continue
        falling = [p is not None and p < alpha for p in sensitive["falling"].values()]
        falls = f"{_yes(sensitive)}, falls in {sum(falling)} of {len(falling)}"
        given = "" if aligned["p_value"] is None else f", p {_p(aligned['p_value'])}"
        family = families[metric].replace("_", " ")
        rows.append(
            [f"`{metric}`", family, falls, _yes(aligned) + given, _yes(one["free_standing"]), _yes(one["prior"])]
        )
    rows.sort(key=lambda row: (row[1], row[0]))
    head = ["metric", "family", "D1 sensitive", "D2 aligned", "D3 free-standing", "D4 prior"]
    lines = words.table(head, rows)
    if undefined:
        lines += ["", f"No score to judge: {_names(undefined, most=len(undefined))}."]
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
                holders.setdefault(words.statement(one), []).append(graph.replace("_", " "))
    found: dict[str, dict[str, list[str]]] = {}
    methods: dict[str, set[str]] = {}
    for one in tested["tests"]:
        by = found.setdefault(words.statement(one), {"kept": [], "rejected": [], "not testable": []})
        by[one["verdict"]].append(one["metric"] or "")
        methods.setdefault(words.statement(one), set()).update({one["method"]} - {""})
    every = len(tested["graphs"])
    rows = []
    for name, by in found.items():
        graphs = holders.get(name, [])
        implied = "all graphs" if len(graphs) == every else ", ".join(graphs) or "-"
        cells = [_verdict(by[verdict]) for verdict in ("kept", "rejected")]
        rows.append([name, implied, ", ".join(sorted(methods[name])), *cells])
    head = ["independent", "must be in", "test", "kept for", "rejected for"]
    return "\n".join([f"Tests take {tested['design']}.", "", *words.table(head, rows)])


def carried(audited: Mapping[str, Any]) -> str:
    """What share of the effect on accuracy goes with the score, and whether the curves fall together.

    Args:
      audited: audit.json.
    """
    rows = []
    for metric, one in audited["mediation"].items():
        dose = audited["dose_alignment"][metric]["mean"]
        if one["share"]["value"] is None and dose["order"]["value"] is None:
            continue
        shares = [words.interval(one[name]) for name in ("share", "surrogate_share")]
        curves = [words.interval(dose[name]) for name in ("correlation", "order", "area", "shape_area")]
        surrogate = one["surrogate_share"]["value"]
        rows.append((-1e9 if surrogate is None else surrogate, [f"`{metric}`", one["base"], *shares, *curves]))
    rows.sort(key=lambda row: -row[0])
    head = ["metric", "against", "carried", "surrogate", "correlation", "order", "area", "area within"]
    return "\n".join(words.table(head, [cells for _, cells in rows]))


def observational(audited: Mapping[str, Any]) -> str:
    """Estimates from confounded data against the interventional truth, refutations and the sensitivity bound.

    Args:
      audited: audit.json.
    """
    found = audited["observational"]
    if "reason" in found:
        return f"Not done: {found['reason']}."
    return "\n".join([*words.observed_effects(found), *words.doubts(found)]).rstrip()


def transfer(audited: Mapping[str, Any]) -> str:
    """Accuracy predicted by maps learned on other runs.

    Args:
      audited: audit.json.
    """
    if not audited.get("transfer"):
        return "Not done: no other run was given (experiments.audit --transfer_from)."
    parts = ("\n".join(words.transferred(one)) for one in audited["transfer"])
    return "\n\n".join(parts).rstrip()


def _yes(one: Mapping[str, Any]) -> str:
    return "yes" if one["holds"] else "no"


def _p(value: float) -> str:
    text = words.p_value(value)
    return text if text.startswith("<") else f"= {text}"


def _names(metrics: Sequence[str], *, most: int = _NAMED) -> str:
    if len(metrics) > most:
        return str(len(metrics))
    return ", ".join(f"`{metric}`" for metric in metrics)


def _verdict(metrics: Sequence[str]) -> str:
    """Which metrics: names where they are few; the statement itself where it reads no score."""
    if not any(metrics):
        return "yes" if metrics else "-"
    return f"{len(metrics)}: {_names(metrics)}" if len(metrics) <= _NAMED else str(len(metrics))
