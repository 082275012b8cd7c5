"""The audit as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from causal_iqa import _reads, causal, pipeline
from causal_iqa.report.audit_text import escaped, name, names, table

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
        f"{_images(audited)}, networks {_networks(audited)}. Every score is turned so that higher is "
        f"better; intervals of {level} resample the images.",
        "",
        *(f"Warning: {escaped(warning)}\n" for warning in audited["warnings"]),
        *_desiderata(audited),
        *_graphs(audited),
        *_doses(audited["dose_alignment"], measure_of(audited).name),
        *_mediation(audited["mediation"], measure_of(audited).name),
        *_observational(audited["observational"], measure_of(audited)),
        *_transfers(audited.get("transfer", ())),
        *_families(audited["families"]),
        *_effects(audited),
    ]
    if figures:
        lines += ["", "## Figures", "", *(f"![{path}]({path})" for path in figures)]
    return "\n".join(lines) + "\n"


def measure_of(audited: Mapping[str, Any]) -> pipeline.Measure:
    """Returns what performance is in an audit or a transfer of it; older ones have accuracies alone."""
    return pipeline.Measure.from_dict(audited.get("measure"))


def _images(audited: Mapping[str, Any]) -> str:
    judged, every = audited["num_images"], audited["images_of_run"]
    return f"{judged} images" if judged == every else f"{judged} images, drawn at random from {every}"


def _networks(audited: Mapping[str, Any]) -> str:
    """The judged networks with their clean accuracy, or mean performance."""
    measure = measure_of(audited)
    clean = {
        network: "-" if value is None else measure.shown(value).replace(" %", "%")
        for network, value in audited[f"clean_{measure.key}"].items()
    }
    return ", ".join(f"{name(network)} (clean {escaped(measure.name)} {value})" for network, value in clean.items())


def statement(one: Mapping[str, Any]) -> str:
    """Says an independence in words: "Q and M given C"."""
    given = f" given {', '.join(map(escaped, one['given']))}" if one["given"] else ""
    return f"{escaped(one['x'])} and {escaped(one['y'])}{given}"


def _desiderata(audited: Mapping[str, Any]) -> list[str]:
    num_images = audited["num_images"]
    rows = [
        [name(metric), *(f"{answer(one, num_images)}: {one['evidence']}" for one in verdicts.values())]
        for metric, verdicts in audited["desiderata"].items()
    ]
    tests = (
        "Yes: shown at these images. No: an interval excludes every effect that would matter (a correlation of "
        f"{causal.RELEVANT_CORRELATION:g}, a fall of {causal.RELEVANT_FALL:g} standard deviations from one severity to "
        "the next). Not shown: neither, and about how many images would decide with probability .8, were the "
        "estimates the truth. p-values by Holm: of independence over all tests of the audit, of falling means and "
        "Page's trend test over metrics and degradations, of the common sign over metrics."
    )
    return ["## Desiderata", "", tests, "", *table(["metric", *causal.Desiderata._fields], rows), ""]


def answer(one: Mapping[str, Any], num_images: int) -> str:
    """Returns yes, no, or not shown with so many images.

    Args:
      one: a verdict of an audit.
      num_images: of the audit.
    """
    return causal.Verdict(*(one[field] for field in causal.Verdict._fields)).in_words(num_images)


def _graphs(audited: Mapping[str, Any]) -> list[str]:
    tested = audited["graph_tests"]
    lines = [
        "## What the graphs imply, tested",
        "",
        f"The rows of one image under many conditions are no independent draws, so the tests take {tested['design']}. "
        f"Rejected: Holm below {tested['alpha']:g}. Kept means not rejected: with few images little is.",
        "",
    ]
    lines += table(["graph", "metrics", "rejected for", "by"], _by_graph(tested["verdicts"]))
    lines += ["", "### p-values", "", *_by_statement(tested["tests"]), "", "### What tells the graphs apart", ""]
    apart = [[statement(one), names(one["holds_in"]), names(one["fails_in"])] for one in tested["distinctions"]]
    lines += table(["independent", "must be in", "need not be in"], apart)
    lines += ["", *_alike(tested), "### Not testable", ""]
    for graph, about in tested["graphs"].items():
        hidden = [f"{statement(one)} ({escaped(one['reason'])})" for one in about["implications"] if one["reason"]]
        if hidden:
            lines.append(f"- {name(graph)}: " + "; ".join(hidden))
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
            rows.append([name(graph), str(len(by_metric)), f"{len(metrics)}: {names(metrics)}", by])
        if not rejected:
            rows.append([name(graph), str(len(by_metric)), "none", "-"])
    return rows


def _by_statement(tests: Sequence[Mapping[str, Any]]) -> list[str]:
    """A row per metric and a column per statement, with the corrected p-value; statements without Q stand alone."""
    of_score = [one for one in tests if one["metric"] is not None]
    statements = list(dict.fromkeys(statement(one) for one in of_score))
    cells: dict[str, dict[str, str]] = {}
    for one in of_score:
        mark = {"rejected": " *", "kept": ""}.get(one["verdict"], "")
        cells.setdefault(one["metric"], {})[statement(one)] = (
            p_value(one["holm"]) + mark if one["holm"] is not None else escaped(one["reason"])
        )
    lines = [
        "Corrected by Holm; * rejected. Tests: "
        + "; ".join(
            f"{said}: {', '.join(sorted({one['method'] for one in tests if statement(one) == said and one['method']}))}"
            for said in dict.fromkeys(map(statement, tests))
        )
        + ".",
        "",
    ]
    rows = [[name(metric), *(by.get(said, "") for said in statements)] for metric, by in cells.items()]
    lines += table(["metric (Q)", *statements], rows)
    alone = [
        [statement(one), p_value(one["p_value"]), p_value(one["holm"]), one["verdict"], escaped(one["reason"])]
        for one in tests
        if one["metric"] is None
    ]
    return [*lines, "", *table(["independent", "p", "Holm", "verdict", "reason"], alone)]


def _alike(tested: Mapping[str, Any]) -> list[str]:
    groups: dict[tuple[bool, ...], list[str]] = {}
    for graph in tested["graphs"]:
        groups.setdefault(tuple(graph in one["holds_in"] for one in tested["distinctions"]), []).append(graph)
    alike = [names(graphs) for graphs in groups.values() if len(graphs) > 1]
    if not alike:
        return []
    return [f"No independence of observed columns tells these apart: {'; '.join(alike)}.", ""]


def _doses(found: Mapping[str, Any], what: str) -> list[str]:
    fields = causal.DoseAlignment._fields
    rows = [[name(metric), *(interval(one["mean"][field]) for field in fields)] for metric, one in found.items()]
    text = (
        "Mean over the degradations of: Pearson correlation and Kendall's tau of the curve of the score with the curve "
        f"of {escaped(what)} over severity, and the mean distance of the two curves, scaled by their ranges over all "
        "degradations (area) or within each (shape)."
    )
    return [f"## Do score and {escaped(what)} fall together?", "", text, "", *table(["metric", *fields], rows), ""]


def _mediation(found: Mapping[str, Any], what: str) -> list[str]:
    rows = [[name(metric), one["base"], *split(one)] for metric, one in found.items()]
    text = (
        f"The mean effect of the conditions on {escaped(what)}, split into what goes with the change of the score "
        "(natural indirect effect, step by step along the severities, as if the score were a mediator without other "
        "common causes) and the rest (direct). Carried is the indirect part over the whole, where it is a share: 1 "
        "for a perfect surrogate, 0 for an irrelevant score. Neither is known where severities next to each other have "
        f"few scores in common (off support, more than {100 * causal.MOST_OFF_SUPPORT:.0f} %). Surrogate is the share "
        f"that one curve of {escaped(what)} over the score predicts for all conditions. The direction of the score "
        "does not matter."
    )
    head = ["metric", "against", *SPLIT_HEAD]
    return ["## How much of the effect does the score carry?", "", text, "", *table(head, rows), ""]


SPLIT_HEAD = ("effect", "indirect", "direct", "off support", "carried", "surrogate")


def split(one: Mapping[str, Any]) -> list[str]:
    """Returns the cells of `SPLIT_HEAD`: effects, and shares only where they are shares.

    Args:
      one: the mediation of one metric.
    """
    effects = [interval(one["mean"][part]) for part in ("total", "indirect", "direct")]
    off = "-" if one["off_support"] is None else f"{100 * one['off_support']:.0f} %"
    shares = (("share", "share_reason"), ("surrogate_share", "surrogate_reason"))
    return [*effects, off, *(one[reason] or interval(one[share]) for share, reason in shares)]


def _observational(found: Mapping[str, Any], measure: pipeline.Measure) -> list[str]:
    title = ["## Effects from observational data, against the known truth", ""]
    if "reason" in found:
        return [*title, f"Not done: {escaped(found['reason'])}.", ""]
    scores = [
        [name(metric), *(shown(one["methods"][method]["mean_absolute_error"], ".3g") for method in causal.METHODS)]
        for metric, one in found["metrics"].items()
    ]
    lines = [*title, *observed_effects(found, measure), "Mean absolute error of the effects on the scores:", ""]
    return [*lines, *table(["metric", *causal.METHODS], scores), "", *doubts(found, measure)]


def observed_effects(found: Mapping[str, Any], measure: pipeline.Measure = pipeline.ACCURACY) -> list[str]:
    """Returns the lines on the design and the effects on performance, by every method beside the truth.

    Args:
      found: the observational study of an audit, done.
      measure: what performance is.
    """
    adjusted = "no set" if found["adjustment_set"] is None else names(found["adjustment_set"]) or "nothing"
    overlap = found["overlap"]
    performance, arms = found[measure.key], found["arms"]
    truth = performance["truth"]
    rows = [["truth", *(f"{one - truth[0]:.3f}" for one in truth[1:]), "", "", "", ""]]
    for method, one in performance["methods"].items():
        again = found["repeats"]["methods"].get(method, {})
        repeated = [shown(again.get(field), ".3f") for field in _REPEATED]
        rows.append([method, *(interval(effect) for effect in one["effect"][1:]), f"{one['covered']}", *repeated])
    if incomplete := found["repeats"]["methods"].get("incomplete"):
        repeated = [shown(incomplete[field], ".3f") for field in _REPEATED]
        rows.append(["incomplete adjustment", *[""] * len(arms[1:]), "", *repeated])
    draws = found["repeats"]["draws"]
    head = ["method", *(f"severity {arm}" for arm in arms[1:]), "covered", f"bias ({draws} draws)", "± draws", "RMSE"]
    return [
        f"{_seen(found)} is seen under one condition; hard scenes meet severe ones ({names(found['factors'])}). Graph "
        f"{name(found['graph'])}; to adjust for: {adjusted}. Smallest propensity {overlap['smallest']:.3f}, effective "
        f"share of the images in each arm {', '.join(shown(one, '.2f') for one in overlap['effective_share'])}, "
        f"largest standardised difference {overlap['imbalance']:.2f}, after weighting "
        f"{overlap['imbalance_weighted']:.2f}.",
        "",
        f"Effect on {escaped(measure.name)} against clean:",
        "",
        *table(head, rows),
        "",
    ]


def _seen(found: Mapping[str, Any]) -> str:
    return f"Each of {found['num_images']} images, drawn at random," if found["drawn"] else "Each image"


def doubts(found: Mapping[str, Any], measure: pipeline.Measure = pipeline.ACCURACY) -> list[str]:
    """Returns the lines on refutations and sensitivity.

    Args:
      found: the observational study of an audit, done.
      measure: what performance is.
    """
    method = found["method"].replace("_", " ")
    rows = []
    for one in found["refutations"]:
        passed = "yes" if one["passed"] else "no"
        rows.append([one["name"].replace("_", " "), interval(one["expected"]), interval(one["found"]), passed])
    lines = [f"Refutations of the effect of the most severe arm by {method}:", ""]
    lines += [*table(["change", "expected", "found", "passed"], rows), ""]
    one = found["sensitivity"]
    if "reason" in one:
        return [*lines, f"No sensitivity bound: {escaped(one['reason'])}.", ""]
    twin = "There is no observed covariate to compare with."
    if one["strongest"] is not None:
        bias = one["benchmark_bias"]
        bound = "biases it without bound" if bias is None else f"biases it by at most {bias:.3f}"
        twin = f"One as strong as the strongest observed covariate ({name(one['strongest'])}) {bound}."
    what, means = ("correctness", "accuracies") if measure.is_accuracy else (measure.name, f"means of {measure.name}")
    ratio = ""
    if one["e_value"] is not None:
        ratio = (
            f" E-value of the ratio of the mean {escaped(means)} by {method}: {interval(one['e_value'])}, the lower "
            "bound that of the end nearer to 1."
        )
    return [
        *lines,
        f"Sensitivity: to bring the effect {one['effect']:.3f} of severity {escaped(one['arm'])} (linear regression on "
        "covariates and severities) to 0, an unobserved confounder must explain "
        f"{100 * one['value']:.0f} % of what is left of both severity and {escaped(what)}, "
        f"{100 * one['value_significance']:.0f} % to make it insignificant. {twin}{ratio}",
        "",
    ]


def _transfers(found: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [line for one in found for line in transferred(one)]
    what = measure_of(found[0]).name if found else ""
    title = f"## {escaped(what[:1].upper() + what[1:])} predicted by maps learned on another run"
    return [title, "", *lines] if lines else []


def transferred(found: Mapping[str, Any]) -> list[str]:
    """Returns the lines on the performance that maps learned on another run predict.

    Args:
      found: what `transfer.transfer` gave.
    """
    measure = measure_of(found)
    clean, what = found[f"clean_{measure.key}"], escaped(measure.name)
    text = (
        f"Learned on {name(found['source'])} (clean {what} {measure.shown(clean['source'])}), applied here "
        f"({measure.shown(clean['target'])}). Errors in {escaped(measure.unit)}: of the map applied to the score as "
        "it is, which reads nothing here but what the score reads, and to scores in units of the clean images' spread, "
        f"with {what} in proportion to the clean one, which reads the labels of the clean images besides; "
        f"share of the {100 * found['level']:g} % intervals that hold the truth."
    )
    head = ["score", "learned with", "reads here", "as it is", "bias", "held", "relative to clean", "bias", "held"]
    rows = sorted(_transfer_rows(found), key=lambda row: row[0])
    return [text, "", *table(head, [cells for _, cells in rows]), ""]


def _transfer_rows(found: Mapping[str, Any]) -> list[tuple[float, list[str]]]:
    """(Smallest error, cells), with what reads the outputs of the networks here."""
    rows, measure = [], measure_of(found)
    for one in found["scores"]:
        ways = [one["as_is"], one["relative_to_clean"]]
        same = one["learned_with"] == one["score"]
        of_row = [name(one["score"]), "" if same else name(one["learned_with"]), _reads.in_words(one["reads"])]
        cells = [*of_row, *_errors(ways[0], measure), *_errors(ways[1], measure)]
        rows.append((min(way["mean_absolute"] for way in ways if way is not None), cells))
    for one in found["beside"]:
        if one["mean_absolute"] is not None:
            error, bias, _ = _errors(one, measure)
            rows.append(
                (
                    one["mean_absolute"],
                    [name(one["score"]), "no map", _reads.in_words(one["reads"]), error, bias, "", "", "", ""],
                )
            )
    return rows


def _errors(one: Mapping[str, Any] | None, measure: pipeline.Measure) -> list[str]:
    if one is None:
        return ["-", "", ""]
    bounds = "" if one["low"] is None else f" [{measure.error(one['low'])}, {measure.error(one['high'])}]"
    held = "" if one["coverage"] is None else f"{100 * one['coverage']:.0f} %"
    return [f"{measure.error(one['mean_absolute'])}{bounds}", measure.error(one["bias"], "+"), held]


def _families(families: Mapping[str, Any]) -> list[str]:
    lines = ["## Families"]
    for family, about in families.items():
        lines += ["", f"### {escaped(family)}", "", f"Metrics: {names(about['metrics'])}", ""]
        lines += [f"Graph: {name(about['graph'])}"]
        lines += ["", "The graph says these must be independent:", ""]
        lines += [f"- {statement(one)}" for one in about["independences"]]
    return lines


def _effects(audited: Mapping[str, Any]) -> list[str]:
    effects, trends, key = audited["effects"], audited["trends"], measure_of(audited).key
    rows = [
        [name(condition), *(interval(by[condition], "effect", ".3g") for by in effects.values())]
        for condition in effects[key]
    ]
    falls = [[name(one), *(shown(by[one], ".2f") for by in trends.values())] for one in trends[key]]
    return [
        "",
        "## Average causal effect of every condition, against clean",
        "",
        *table(["condition", *map(name, effects)], rows),
        "",
        "A metric without a score on clean images (PSNR) is compared with the mildest conditions.",
        "",
        "## Dose-response trend",
        "",
        "Spearman correlation of severity and mean: -1 falls at every step.",
        "",
        *table(["degradation", *map(name, trends)], falls),
    ]


def shown(value: float | None, form: str) -> str:
    """Returns a number in a format, "-" where undefined."""
    return "-" if value is None else format(value, form)


def p_value(value: float | None) -> str:
    """Returns a p-value in words; below 1e-16 no law of a test is known to be right."""
    return "< 1e-16" if value is not None and value < causal.SMALLEST_P else shown(value, ".2g")


def interval(row: Mapping[str, float | None], field: str = "value", form: str = ".2f") -> str:
    """Returns an estimate with its interval, "-" where undefined; without one where there are too few images for it.

    Args:
      row: with the field, "low" and "high".
      field: name of the estimate.
      form: of the numbers.
    """
    value, low, high = (shown(row[part], form) for part in (field, "low", "high"))
    if row[field] is None:
        return "-"
    return value if row["low"] is None and row["high"] is None else f"{value} [{low}, {high}]"
