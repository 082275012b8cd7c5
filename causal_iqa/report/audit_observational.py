"""What an audit says of estimates from confounded data, and of maps learned on other runs, as Markdown."""

import math
from collections.abc import Sequence

from causal_iqa import _reads, causal, pipeline
from causal_iqa.alignment import Errors
from causal_iqa.analysis.audit import MethodErrors, NotDone, ObservationalStudy, Transfer, WayErrors
from causal_iqa.report import format
from causal_iqa.report.markdown import escaped, name, names, table

_ERROR = format.Style(".3f")


def study(found: ObservationalStudy | NotDone, measure: pipeline.Measure) -> list[str]:
    """Returns the lines on the observational study.

    Args:
      found: findings of an audit.
      measure: the definition of performance.
    """
    title = ["## Effects from observational data, against the known truth", ""]
    if isinstance(found, NotDone):
        return [*title, f"Not done: {escaped(found.reason)}.", ""]
    scores = [
        [name(metric), *(format.number(own.methods[one].mean_absolute_error, format.EFFECT) for one in causal.METHODS)]
        for metric, own in found.metrics.items()
    ]
    lines = [*title, *effects(found, measure), "Mean absolute error of the effects on the scores:", ""]
    return [*lines, *table(["metric", *causal.METHODS], scores), "", *doubts(found, measure)]


def effects(found: ObservationalStudy, measure: pipeline.Measure) -> list[str]:
    """Returns the lines on the design and the effects on performance, by every method next to the truth.

    Args:
      found: findings of an audit.
      measure: the definition of performance.
    """
    adjusted = "no set" if found.adjustment_set is None else names(found.adjustment_set) or "nothing"
    overlap, arms = found.overlap, found.arms[1:]
    truth = found.performance.truth
    rows = [["truth", *(format.number(one - truth[0], _ERROR) for one in truth[1:]), "", "", "", ""]]
    for method, own in found.performance.methods.items():
        cells = map(format.estimate, own.effect[1:])
        rows.append([method, *cells, str(own.covered), *_repeated(found.repeats.methods.get(method))])
    if incomplete := found.repeats.methods.get("incomplete"):
        rows.append(["incomplete adjustment", *[""] * len(arms), "", *_repeated(incomplete)])
    repeated = [f"bias ({found.repeats.draws} draws)", "± draws", "RMSE"]
    return [
        f"{_seen(found)} is seen under one condition; hard scenes meet severe ones ({names(found.factors)}). Graph "
        f"{name(found.graph)}; to adjust for: {adjusted}. Smallest propensity "
        f"{format.number(overlap.smallest, _ERROR)}, effective share of the images in each arm "
        f"{', '.join(map(format.number, overlap.effective_share))}, "
        f"largest standardised difference {format.number(overlap.imbalance)}, after weighting "
        f"{format.number(overlap.imbalance_weighted)}.{_grouped(found)}",
        "",
        f"Effect on {escaped(measure.name)} against clean:",
        "",
        *table(["method", *(f"severity {arm}" for arm in arms), "covered", *repeated], rows),
        "",
    ]


def _repeated(errors: MethodErrors | None) -> list[str]:
    if errors is None:
        return [format.UNKNOWN] * 3
    shown = (errors.mean_absolute_bias, errors.monte_carlo_error, errors.root_mean_square_error)
    return [format.number(value, _ERROR) for value in shown]


def _seen(found: ObservationalStudy) -> str:
    return f"Each of {found.num_images} images, drawn at random," if found.drawn else "Each image"


def _grouped(found: ObservationalStudy) -> str:
    if found.num_groups is None:
        return ""
    return (
        f" The images are of {found.num_groups} groups, which the intervals draw whole, since images of a "
        "group are not independent."
    )


def doubts(found: ObservationalStudy, measure: pipeline.Measure) -> list[str]:
    """Returns the lines on refutations and sensitivity.

    Args:
      found: findings of an audit.
      measure: the definition of performance.
    """
    method = format.words(found.method)
    rows = [
        [
            format.words(one.name),
            format.estimate(one.expected),
            format.estimate(one.found),
            "yes" if one.passed else "no",
        ]
        for one in found.refutations
    ]
    lines = [f"Refutations of the effect of the most severe arm by {method}:", ""]
    lines += [*table(["change", "expected", "found", "passed"], rows), ""]
    one = found.sensitivity
    if isinstance(one, NotDone):
        return [*lines, f"No sensitivity bound: {escaped(one.reason)}.", ""]
    twin = "There is no observed covariate to compare with."
    if one.strongest is not None:
        bias = format.number(one.benchmark_bias, _ERROR)
        bound = "biases it without bound" if math.isnan(one.benchmark_bias) else f"biases it by at most {bias}"
        twin = f"One as strong as the strongest observed covariate ({name(one.strongest)}) {bound}."
    what, means = ("correctness", "accuracies") if measure.is_accuracy else (measure.name, f"means of {measure.name}")
    ratio = ""
    if one.e_value is not None:
        ratio = (
            f" E-value of the ratio of the mean {escaped(means)} by {method}: {format.estimate(one.e_value)}, the "
            "lower bound that of the end nearer to 1."
        )
    return [
        *lines,
        f"Sensitivity: to bring the effect {format.number(one.effect, _ERROR)} of severity {escaped(one.arm)} (linear "
        "regression on covariates and severities) to 0, an unobserved confounder must explain "
        f"{format.percent(one.value)} of the remaining variance of both severity and {escaped(what)}, "
        f"{format.percent(one.value_significance)} to make it insignificant. {twin}{ratio}",
        "",
    ]


def transfers(found: Sequence[Transfer]) -> list[str]:
    """Returns the lines on all transfers, none where there is none.

    Args:
      found: findings of an audit.
    """
    lines = [line for one in found for line in transferred(one)]
    if not found:
        return []
    return [f"## {escaped(format.capital(found[0].measure.name))} predicted by maps learned on another run", "", *lines]


def transferred(found: Transfer) -> list[str]:
    """Returns the lines on the performance that maps learned on another run predict.

    Args:
      found: findings of an audit.
    """
    what = escaped(found.measure.name)
    source, target = (format.mean(value, found.measure) for value in found.clean_performance)
    text = (
        f"Learned on {name(found.source)} (clean {what} {source}), applied here "
        f"({target}). Errors in {escaped(found.measure.unit)}: of the map applied to the score as it is, which reads "
        "nothing here but what the score reads, and to scores in units of the clean images' spread, with "
        f"{what} in proportion to the clean one, which reads the labels of the clean images besides; "
        f"share of the {format.level(found.level)} intervals that hold the truth."
    )
    head = ["score", "learned with", "reads here", "as it is", "bias", "held", "relative to clean", "bias", "held"]
    rows = sorted(_transfer_rows(found), key=lambda row: row[0])
    return [text, "", *table(head, [cells for _, cells in rows]), ""]


def _transfer_rows(found: Transfer) -> list[tuple[float, list[str]]]:
    """(Smallest error, cells), with what reads the outputs of the networks here."""
    rows = []
    for one in found.scores:
        ways = (one.as_is, one.relative_to_clean)
        same = one.learned_with == one.score
        of_row = [name(one.score), "" if same else name(one.learned_with), _reads.in_words(one.reads)]
        cells = [*of_row, *(cell for way in ways for cell in _way(way, found.measure))]
        rows.append((min(way.errors.mean_absolute.value for way in ways if way is not None), cells))
    for one in found.beside:
        if math.isfinite(one.errors.mean_absolute.value):
            error, bias, _ = _errors(one.errors, found.measure)
            cells = [name(one.score), "no map", _reads.in_words(one.reads), error, bias, "", "", "", ""]
            rows.append((one.errors.mean_absolute.value, cells))
    return rows


def _way(one: WayErrors | None, measure: pipeline.Measure) -> list[str]:
    return [format.UNKNOWN, "", ""] if one is None else _errors(one.errors, measure)


def _errors(one: Errors, measure: pipeline.Measure) -> list[str]:
    mean = format.estimate(one.mean_absolute, format.of_measure(measure))
    held = format.percent(one.coverage, unknown="")
    return [mean, format.number(one.bias, format.of_measure(measure, "+")), held]
