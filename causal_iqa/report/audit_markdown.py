"""The audit as Markdown."""

from collections.abc import Mapping, Sequence

from causal_iqa import causal
from causal_iqa.analysis import audit
from causal_iqa.analysis.audit import Family, MetricDoses, MetricMediation
from causal_iqa.report import audit_graphs, audit_observational, format
from causal_iqa.report.markdown import escaped, name, names, table

_TREND = format.Style(".2f")
SPLIT_HEAD = ("effect", "indirect", "direct", "off support", "carried", "surrogate")


def markdown(audited: audit.Audit, figures: Sequence[str] = ()) -> str:
    """Renders an audit.

    Args:
      audited: the audit.
      figures: paths of its figures, relative to the text.
    """
    lines = [
        "# Audit",
        "",
        f"{_images(audited)}, networks {_networks(audited)}. Every score is turned so that higher is "
        f"better; intervals of {format.level(audited.level)} resample the images.",
        "",
        *(f"Warning: {escaped(warning)}\n" for warning in audited.warnings),
        *_desiderata(audited),
        *audit_graphs.tested(audited.graph_tests),
        *_doses(audited.dose_alignment, audited.measure.name),
        *_mediation(audited.mediation, audited.measure.name),
        *audit_observational.study(audited.observational, audited.measure),
        *audit_observational.transfers(audited.transfer),
        *_families(audited.families),
        *_effects(audited),
    ]
    if figures:
        lines += ["", "## Figures", "", *(f"![{path}]({path})" for path in figures)]
    return "\n".join(lines) + "\n"


def _images(audited: audit.Audit) -> str:
    judged, every = audited.num_images, audited.images_of_run
    return f"{judged} images" if judged == every else f"{judged} images, drawn at random from {every}"


def _networks(audited: audit.Audit) -> str:
    """The judged networks with their clean accuracy, or mean performance."""
    what = escaped(audited.measure.name)
    clean = {network: format.mean(value, audited.measure) for network, value in audited.clean_performance.items()}
    return ", ".join(f"{name(network)} (clean {what} {value})" for network, value in clean.items())


def _desiderata(audited: audit.Audit) -> list[str]:
    rows = [
        [name(metric), *(f"{one.in_words(audited.num_images)}: {one.evidence}" for one in verdicts)]
        for metric, verdicts in audited.verdicts().items()
    ]
    tests = (
        "Yes: shown at these images. No: an interval excludes every effect that would matter (a correlation of "
        f"{causal.RELEVANT_CORRELATION:g}, a fall of {causal.RELEVANT_FALL:g} standard deviations from one severity to "
        "the next). Not shown: neither, and about how many images would decide with probability .8, were the "
        "estimates the truth. p-values by Holm: of independence over all tests of the audit, of falling means and "
        "Page's trend test over metrics and degradations, of the common sign over metrics."
    )
    return ["## Desiderata", "", tests, "", *table(["metric", *causal.Desiderata._fields], rows), ""]


def _doses(found: Mapping[str, MetricDoses], what: str) -> list[str]:
    rows = [[name(metric), *map(format.estimate, one.mean)] for metric, one in found.items()]
    text = (
        "Mean over the degradations of: Pearson correlation and Kendall's tau of the curve of the score with the curve "
        f"of {escaped(what)} over severity, and the mean distance of the two curves, scaled by their ranges over all "
        "degradations (area) or within each (shape)."
    )
    head = ["metric", *causal.DoseAlignment._fields]
    return [f"## Do score and {escaped(what)} fall together?", "", text, "", *table(head, rows), ""]


def _mediation(found: Mapping[str, MetricMediation], what: str) -> list[str]:
    rows = [[name(metric), one.base, *split(one)] for metric, one in found.items()]
    text = (
        f"The mean effect of the conditions on {escaped(what)}, split into what goes with the change of the score "
        "(natural indirect effect, step by step along the severities, as if the score were a mediator without other "
        "common causes) and the rest (direct). Carried is the indirect part over the whole, where it is a share: 1 "
        "for a perfect surrogate, 0 for an irrelevant score. Neither is known where severities next to each other have "
        f"few scores in common (off support, more than {format.percent(causal.MOST_OFF_SUPPORT)}). Surrogate is the "
        f"share that one curve of {escaped(what)} over the score predicts for all conditions. The direction of the "
        "score does not matter."
    )
    head = ["metric", "against", *SPLIT_HEAD]
    return ["## How much of the effect does the score carry?", "", text, "", *table(head, rows), ""]


def split(one: MetricMediation) -> list[str]:
    """Returns the cells of `SPLIT_HEAD`: effects, and shares only where they are shares.

    Args:
      one: the mediation of one metric.
    """
    effects = [format.estimate(part) for part in (one.mean.total, one.mean.indirect, one.mean.direct)]
    shares = [
        one.share_reason or format.estimate(one.share),
        one.surrogate_reason or format.estimate(one.surrogate_share),
    ]
    return [*effects, format.percent(one.off_support), *shares]


def _families(families: Mapping[str, Family]) -> list[str]:
    lines = ["## Families"]
    for family, about in families.items():
        lines += ["", f"### {escaped(family)}", "", f"Metrics: {names(about.metrics)}", ""]
        lines += [f"Graph: {name(about.graph)}"]
        lines += ["", "The graph says these must be independent:", ""]
        lines += [f"- {audit_graphs.statement(one)}" for one in about.independences]
    return lines


def _effects(audited: audit.Audit) -> list[str]:
    effects, trends = audited.effects, audited.trends
    key = audited.measure.key
    rows = [
        [name(condition), *(format.estimate(by[condition], format.EFFECT) for by in effects.values())]
        for condition in effects[key]
    ]
    falls = [[name(one), *(format.number(by[one], _TREND) for by in trends.values())] for one in trends[key]]
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
