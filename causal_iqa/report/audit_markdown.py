"""The audit as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from causal_iqa import causal

_ACCURACY = "accuracy"
_REPEATED = ("mean_absolute_bias", "monte_carlo_error", "root_mean_square_error")


def markdown(audited: Mapping[str, Any], figures: Sequence[str] = ()) -> str:
    """Renders an audit.

    Args:
      audited: what `audit.audit` gave.
      figures: paths of its figures, relative to the text.
    """
    level = f"{100 * audited['level']:g} %"
    lines = [
        "# Audit",
        "",
        f"{audited['num_images']} images, networks {', '.join(audited['networks'])}. Every score is turned so that "
        f"higher is better; intervals of {level} resample the images.",
        "",
        *_desiderata(audited),
        *_graphs(audited),
        *_doses(audited["dose_alignment"]),
        *_mediation(audited["mediation"]),
        *_observational(audited["observational"]),
        *_families(audited["families"]),
        *_effects(audited),
    ]
    if figures:
        lines += ["", "## Figures", "", *(f"![{path}]({path})" for path in figures)]
    return "\n".join(lines) + "\n"


def statement(one: Mapping[str, Any]) -> str:
    """Says an independence in words: "Q and M given C"."""
    given = f" given {', '.join(one['given'])}" if one["given"] else ""
    return f"{one['x']} and {one['y']}{given}"


def _desiderata(audited: Mapping[str, Any]) -> list[str]:
    rows = [
        [metric, *(f"{'yes' if one['holds'] else 'no'}: {one['evidence']}" for one in verdicts.values())]
        for metric, verdicts in audited["desiderata"].items()
    ]
    tests = "p-values by Holm over all tests of the audit; Page's trend test by Holm over metrics and degradations."
    return ["## Desiderata", "", tests, "", *_table(["metric", *causal.Desiderata._fields], rows), ""]


def _graphs(audited: Mapping[str, Any]) -> list[str]:
    tested = audited["graph_tests"]
    lines = [
        "## What the graphs imply, tested",
        "",
        f"The rows of one image under many conditions are no independent draws, so the tests take {tested['design']}. "
        f"Rejected: Holm below {tested['alpha']:g}. Kept means not rejected: with few images little is.",
        "",
    ]
    lines += _table(["graph", "metrics", "rejected for", "by"], _by_graph(tested["verdicts"]))
    lines += ["", "### p-values", "", *_by_statement(tested["tests"]), "", "### What tells the graphs apart", ""]
    apart = [[statement(one), ", ".join(one["holds_in"]), ", ".join(one["fails_in"])] for one in tested["distinctions"]]
    lines += _table(["independent", "must be in", "need not be in"], apart)
    lines += ["", *_alike(tested), "### Not testable", ""]
    for name, graph in tested["graphs"].items():
        hidden = [one for one in graph["implications"] if one["reason"]]
        if hidden:
            lines.append(f"- {name}: " + "; ".join(f"{statement(one)} ({one['reason']})" for one in hidden))
    return [*lines, ""]


def _by_graph(verdicts: Mapping[str, Any]) -> list[list[str]]:
    """A row per graph and set of rejected implications."""
    rows = []
    for graph, by_metric in verdicts.items():
        rejected: dict[str, list[str]] = {}
        for metric, counts in by_metric.items():
            if counts["rejected"]:
                rejected.setdefault("; ".join(statement(one) for one in counts["by"]), []).append(metric)
        for by, metrics in rejected.items():
            rows.append([graph, str(len(by_metric)), f"{len(metrics)}: {', '.join(metrics)}", by])
        if not rejected:
            rows.append([graph, str(len(by_metric)), "none", "-"])
    return rows


def _by_statement(tests: Sequence[Mapping[str, Any]]) -> list[str]:
    """A row per metric and a column per statement, with the corrected p-value; statements without Q stand alone."""
    of_score = [one for one in tests if one["metric"] is not None]
    statements = list(dict.fromkeys(statement(one) for one in of_score))
    cells: dict[str, dict[str, str]] = {}
    for one in of_score:
        mark = {"rejected": " *", "kept": ""}.get(one["verdict"], "")
        cells.setdefault(one["metric"], {})[statement(one)] = (
            _shown(one["holm"], ".2g") + mark if one["holm"] is not None else one["reason"]
        )
    lines = [
        "Corrected by Holm; * rejected. Tests: "
        + "; ".join(
            f"{name}: {', '.join(sorted({one['method'] for one in tests if statement(one) == name and one['method']}))}"
            for name in dict.fromkeys(map(statement, tests))
        )
        + ".",
        "",
    ]
    rows = [[metric, *(by.get(name, "") for name in statements)] for metric, by in cells.items()]
    lines += _table(["metric (Q)", *statements], rows)
    alone = [
        [statement(one), _shown(one["p_value"], ".2g"), _shown(one["holm"], ".2g"), one["verdict"], one["reason"]]
        for one in tests
        if one["metric"] is None
    ]
    return [*lines, "", *_table(["independent", "p", "Holm", "verdict", "reason"], alone)]


def _alike(tested: Mapping[str, Any]) -> list[str]:
    sides = {name: tuple(name in one["holds_in"] for one in tested["distinctions"]) for name in tested["graphs"]}
    groups: dict[tuple[bool, ...], list[str]] = {}
    for name, side in sides.items():
        groups.setdefault(side, []).append(name)
    alike = [", ".join(names) for names in groups.values() if len(names) > 1]
    if not alike:
        return []
    return [f"No independence of observed columns tells these apart: {'; '.join(alike)}.", ""]


def _doses(found: Mapping[str, Any]) -> list[str]:
    fields = causal.DoseAlignment._fields
    rows = [[metric, *(_interval(one["mean"][name]) for name in fields)] for metric, one in found.items()]
    text = (
        "Mean over the degradations of: Pearson correlation and Kendall's tau of the curve of the score with the curve "
        "of accuracy over severity, and the mean distance of the two curves, scaled by their ranges over all "
        "degradations (area) or within each (shape)."
    )
    return ["## Do score and accuracy fall together?", "", text, "", *_table(["metric", *fields], rows), ""]


def _mediation(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [metric, one["base"], _shown(one["total"], ".3f"), _interval(one["share"]), _interval(one["surrogate_share"])]
        for metric, one in found.items()
    ]
    text = (
        "Share of the mean effect of the conditions on accuracy that goes with the change of the score: natural "
        "indirect effect step by step along the severities, as if the score were a mediator without other common "
        "causes; and what one curve of accuracy over the score predicts for all conditions (surrogate). 1 is a perfect "
        "surrogate, 0 an irrelevant score; the direction of the score does not matter here."
    )
    head = ["metric", "against", "effect on accuracy", "share carried", "surrogate"]
    return ["## How much of the effect does the score carry?", "", text, "", *_table(head, rows), ""]


def _observational(found: Mapping[str, Any]) -> list[str]:
    title = ["## Effects from observational data, against the known truth", ""]
    if "reason" in found:
        return [*title, f"Not done: {found['reason']}.", ""]
    adjusted = "no set" if found["adjustment_set"] is None else ", ".join(found["adjustment_set"]) or "nothing"
    overlap = found["overlap"]
    lines = [
        *title,
        f"Each image is seen under one condition; hard scenes meet severe ones ({', '.join(found['factors'])}). Graph "
        f"`{found['graph']}`; to adjust for: {adjusted}. Smallest propensity {overlap['smallest']:.3f}, effective "
        f"share of the images in each arm {', '.join(_shown(one, '.2f') for one in overlap['effective_share'])}, "
        f"largest standardised difference {overlap['imbalance']:.2f}, after weighting "
        f"{overlap['imbalance_weighted']:.2f}.",
        "",
        "Effect on accuracy against clean:",
        "",
    ]
    accuracy, arms = found["accuracy"], found["arms"]
    truth = accuracy["truth"]
    rows = [["truth", *(f"{one - truth[0]:.3f}" for one in truth[1:]), "", "", "", ""]]
    for method, one in accuracy["methods"].items():
        again = found["repeats"]["methods"].get(method, {})
        repeated = [_shown(again.get(name), ".3f") for name in _REPEATED]
        rows.append([method, *(_interval(effect) for effect in one["effect"][1:]), f"{one['covered']}", *repeated])
    if incomplete := found["repeats"]["methods"].get("incomplete"):
        rows.append(
            [
                "incomplete adjustment",
                *[""] * len(arms[1:]),
                "",
                *(_shown(incomplete[name], ".3f") for name in _REPEATED),
            ]
        )
    draws = found["repeats"]["draws"]
    head = ["method", *(f"severity {arm}" for arm in arms[1:]), "covered", f"bias ({draws} draws)", "± draws", "RMSE"]
    lines += [*_table(head, rows), "", "Mean absolute error of the effects on the scores:", ""]
    scores = [
        [metric, *(_shown(one["methods"][method]["mean_absolute_error"], ".3g") for method in causal.METHODS)]
        for metric, one in found["metrics"].items()
    ]
    lines += [*_table(["metric", *causal.METHODS], scores), "", *_doubts(found)]
    return lines


def _doubts(found: Mapping[str, Any]) -> list[str]:
    rows = []
    for one in found["refutations"]:
        drawn = f"{one['mean']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"
        rows.append([one["name"], f"{one['expected']:.3f}", drawn, "yes" if one["passed"] else "no"])
    lines = ["Refutations of the doubly robust effect of the most severe arm:", ""]
    lines += [*_table(["change", "expected", "found", "passed"], rows), ""]
    one = found["sensitivity"]
    if "reason" in one:
        return [*lines, f"No sensitivity bound: {one['reason']}.", ""]
    return [
        *lines,
        f"Sensitivity: to bring the effect {one['effect']:.3f} of severity {one['arm']} to 0, an unobserved "
        f"confounder must explain {100 * one['value']:.0f} % of what is left of both severity and correctness, "
        f"{100 * one['value_significance']:.0f} % to make it insignificant. One as strong as the strongest observed "
        f"covariate biases it by at most {one['benchmark_bias']:.3f}. E-value {_shown(one['e_value'], '.2f')}.",
        "",
    ]


def _families(families: Mapping[str, Any]) -> list[str]:
    lines = ["## Families"]
    for family, about in families.items():
        lines += ["", f"### {family}", "", f"Metrics: {', '.join(about['metrics'])}", "", f"Graph: `{about['graph']}`"]
        lines += ["", "The graph says these must be independent:", ""]
        lines += [f"- {statement(one)}" for one in about["independences"]]
    return lines


def _effects(audited: Mapping[str, Any]) -> list[str]:
    effects, trends = audited["effects"], audited["trends"]
    rows = [[name, *(_interval(by[name], "effect", ".3g") for by in effects.values())] for name in effects[_ACCURACY]]
    falls = [[name, *(_shown(by[name], ".2f") for by in trends.values())] for name in trends[_ACCURACY]]
    return [
        "",
        "## Average causal effect of every condition, against clean",
        "",
        *_table(["condition", *effects], rows),
        "",
        "A metric without a score on clean images (PSNR) is compared with the mildest conditions.",
        "",
        "## Dose-response trend",
        "",
        "Spearman correlation of severity and mean: -1 falls at every step.",
        "",
        *_table(["degradation", *trends], falls),
    ]


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _interval(row: Mapping[str, float | None], field: str = "value", form: str = ".2f") -> str:
    value, low, high = (_shown(row[name], form) for name in (field, "low", "high"))
    return "-" if row[field] is None else f"{value} [{low}, {high}]"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in cells]
