"""What an audit found, as the tables of a Markdown page."""

import math
from collections.abc import Sequence

from causal_iqa import causal
from causal_iqa.analysis import audit
from causal_iqa.analysis.audit import GraphTest, HolmTest
from causal_iqa.report import audit_graphs, audit_observational, format
from causal_iqa.report.audit_markdown import SPLIT_HEAD, split
from causal_iqa.report.markdown import escaped, name, names, table

# So many metrics are named in a cell, more are counted.
_NAMED = 12


def desiderata(audited: audit.Audit) -> str:
    """D1 to D4 of every metric that has a score.

    Args:
      audited: the audit.
    """
    families = {metric: family for family, about in audited.families.items() for metric in about.metrics}
    alpha, num_images = audited.graph_tests.alpha, audited.num_images
    rows, undefined = [], []
    for metric, one in audited.desiderata.items():
        if one.sensitive.verdict.evidence.startswith(causal.UNDEFINED):
            undefined.append(metric)
            continue
        sensitive, aligned, free_standing, prior = (verdict.in_words(num_images) for verdict in one.verdicts())
        falls = one.sensitive.degradations.values()
        counted = sum(fall.answer == "yes" for fall in falls), sum(fall.page.corrected < alpha for fall in falls)
        rows.append(
            [
                name(metric),
                format.words(families[metric]),
                f"{sensitive}; falls in {counted[0]} of {len(falls)} (Page {counted[1]})",
                aligned,
                format.p_value(one.aligned.independence.corrected),
                _signed(one.aligned.common_sign),
                free_standing,
                prior,
            ]
        )
    rows.sort(key=lambda row: (row[1], row[0]))
    head = ["metric", "family", "D1 sensitive", "D2 aligned", "p, independence", "p, common sign"]
    lines = table([*head, "D3 free-standing", "D4 prior"], rows)
    if undefined:
        lines += ["", f"No score to judge: {names(undefined)}."]
    return "\n".join(lines)


def implications(audited: audit.Audit) -> str:
    """Every independence that was tested: the graphs that imply it, and for which metrics the data reject it.

    Args:
      audited: the audit.
    """
    tested = audited.graph_tests
    holders: dict[causal.Independence, list[str]] = {}
    for graph, about in tested.graphs.items():
        for one in about.implications:
            if not one.reason:
                holders.setdefault(one.independence, []).append(escaped(format.words(graph)))
    found: dict[causal.Independence, list[GraphTest]] = {}
    for test in tested.tests:
        found.setdefault(test.independence, []).append(test)
    rows = []
    for independence, tests in found.items():
        graphs = holders.get(independence, [])
        implied = "all graphs" if len(graphs) == len(tested.graphs) else ", ".join(graphs) or format.UNKNOWN
        methods = ", ".join(sorted({test.method for test in tests} - {""}))
        cells = [_metrics([t.metric or "" for t in tests if t.verdict == verdict]) for verdict in ("kept", "rejected")]
        rows.append([audit_graphs.statement(independence), implied, methods, *cells])
    head = ["independent", "must be in", "test", "kept for", "rejected for"]
    return "\n".join([f"Tests take {tested.design}.", "", *table(head, rows)])


def carried(audited: audit.Audit) -> str:
    """What share of the effect on performance goes with the score, and whether the curves fall together.

    Args:
      audited: the audit.
    """
    rows = []
    for metric, one in audited.mediation.items():
        curves = audited.dose_alignment[metric].mean
        if math.isnan(one.mean.total.value) and math.isnan(curves.order.value):
            continue
        surrogate = one.surrogate_share.value
        order = -math.inf if math.isnan(surrogate) else surrogate
        rows.append((order, [name(metric), one.base, *split(one), *map(format.estimate, curves)]))
    rows.sort(key=lambda row: -row[0])
    head = ["metric", "against", *SPLIT_HEAD, "correlation", "order", "area", "area within"]
    return "\n".join(table(head, [cells for _, cells in rows]))


def observational(audited: audit.Audit) -> str:
    """Estimates from confounded data against the interventional truth, refutations and the sensitivity bound.

    Args:
      audited: the audit.
    """
    found = audited.observational
    if isinstance(found, audit.NotDone):
        return f"Not done: {escaped(found.reason)}."
    measure = audited.measure
    return "\n".join(
        [*audit_observational.effects(found, measure), *audit_observational.doubts(found, measure)]
    ).rstrip()


def transfer(audited: audit.Audit) -> str:
    """Performance predicted by maps learned on other runs.

    Args:
      audited: the audit.
    """
    if not audited.transfer:
        return "Not done: no other run was given (causal-iqa audit --transfer_from)."
    parts = ("\n".join(audit_observational.transferred(one)) for one in audited.transfer)
    return "\n\n".join(parts).rstrip()


def _signed(test: HolmTest) -> str:
    text = format.p_value(test.corrected)
    return text if math.isnan(test.z) else f"{text} ({'+' if test.z > 0 else '-'})"


def _metrics(metrics: Sequence[str]) -> str:
    """Which metrics: names where they are few; the statement itself where it reads no score."""
    if not any(metrics):
        return "yes" if metrics else format.UNKNOWN
    return f"{len(metrics)}: {names(metrics)}" if len(metrics) <= _NAMED else str(len(metrics))
