"""What an audit says of causal graphs, as Markdown."""

import math
from collections.abc import Mapping, Sequence

from causal_iqa import causal
from causal_iqa.analysis.audit import GraphTest, GraphTests, GraphVerdict
from causal_iqa.report import format
from causal_iqa.report.markdown import escaped, name, names, table


def statement(one: causal.Independence) -> str:
    """Says an independence in words: "Q and M given C".

    Args:
      one: the independence.
    """
    given = f" given {', '.join(map(escaped, sorted(one.given)))}" if one.given else ""
    return f"{escaped(one.x)} and {escaped(one.y)}{given}"


def tested(found: GraphTests) -> list[str]:
    """Returns the lines on the independences that the graphs imply, and the results of their tests.

    Args:
      found: findings of an audit.
    """
    lines = [
        "## What the graphs imply, tested",
        "",
        f"The rows of one image under many conditions are no independent draws, so the tests take {found.design}. "
        f"Rejected: Holm below {found.alpha:g}. Kept means not rejected: with few images little is.",
        "",
    ]
    lines += table(["graph", "metrics", "rejected for", "by"], _by_graph(found.verdicts))
    lines += ["", "### p-values", "", *_by_statement(found.tests), "", "### What tells the graphs apart", ""]
    apart = [[statement(one.independence), names(one.holds_in), names(one.fails_in)] for one in found.distinctions]
    lines += table(["independent", "must be in", "need not be in"], apart)
    lines += ["", *_alike(found), "### Not testable", ""]
    for graph, about in found.graphs.items():
        hidden = [f"{statement(one.independence)} ({escaped(one.reason)})" for one in about.implications if one.reason]
        if hidden:
            lines.append(f"- {name(graph)}: " + "; ".join(hidden))
    return [*lines, ""]


def _by_graph(verdicts: Mapping[str, Mapping[str, GraphVerdict]]) -> list[list[str]]:
    """A row per graph and set of rejected implications."""
    rows = []
    for graph, by_metric in verdicts.items():
        rejected: dict[str, list[str]] = {}
        for metric, own in by_metric.items():
            if own.rejected:
                rejected.setdefault("; ".join(map(statement, own.by)), []).append(metric)
        for by, metrics in rejected.items():
            rows.append([name(graph), str(len(by_metric)), f"{len(metrics)}: {names(metrics)}", by])
        if not rejected:
            rows.append([name(graph), str(len(by_metric)), "none", format.UNKNOWN])
    return rows


def _by_statement(tests: Sequence[GraphTest]) -> list[str]:
    """A row per metric and a column per statement, with the corrected p-value; statements without Q stand alone."""
    said = {one.independence: statement(one.independence) for one in tests}
    statements = list(dict.fromkeys(said[one.independence] for one in tests if one.metric is not None))
    methods: dict[str, set[str]] = {}
    cells: dict[str, dict[str, str]] = {}
    for one in tests:
        words = said[one.independence]
        methods.setdefault(words, set()).update({one.method} - {""})
        if one.metric is not None:
            mark = " *" if one.verdict == "rejected" else ""
            shown = escaped(one.reason) if math.isnan(one.holm) else format.p_value(one.holm) + mark
            cells.setdefault(one.metric, {})[words] = shown
    lines = [
        "Corrected by Holm; * rejected. Tests: "
        + "; ".join(f"{words}: {', '.join(sorted(own))}" for words, own in methods.items())
        + ".",
        "",
    ]
    rows = [[name(metric), *(by.get(words, "") for words in statements)] for metric, by in cells.items()]
    lines += table(["metric (Q)", *statements], rows)
    alone = [
        [
            said[one.independence],
            format.p_value(one.p_value),
            format.p_value(one.holm),
            one.verdict,
            escaped(one.reason),
        ]
        for one in tests
        if one.metric is None
    ]
    return [*lines, "", *table(["independent", "p", "Holm", "verdict", "reason"], alone)]


def _alike(found: GraphTests) -> list[str]:
    groups: dict[tuple[bool, ...], list[str]] = {}
    for graph in found.graphs:
        groups.setdefault(tuple(graph in one.holds_in for one in found.distinctions), []).append(graph)
    alike = [names(graphs) for graphs in groups.values() if len(graphs) > 1]
    if not alike:
        return []
    return [f"No independence of observed columns tells these apart: {'; '.join(alike)}.", ""]
