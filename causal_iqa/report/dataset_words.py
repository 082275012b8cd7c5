"""What is found of scored sets, in sentences."""

import math
from collections.abc import Sequence

from causal_iqa.analysis.datasets import CauseShare, Comparison, DatasetFindings, ReasonedEstimate, SetFindings
from causal_iqa.report import format

HARDLY = (
    "No-reference statistics hardly predict whether a network gets an image right: take their order as a hint where to "
    "look, not as an expected accuracy."
)
WITHOUT_MAP = (
    "Without --map no accuracy is expected: a map is learned by a finished run of causal-iqa align on images, networks "
    "and conditions like yours."
)
_CAUSES = 3
_NO_CAUSE = ("none", "other")
_LEAST_SHARE = 0.005


def percent(value: float, digits: int = 1) -> str:
    """Returns a share as "12.3 %", "-" where undefined."""
    return format.percent(value, _in_hundredths(digits))


def _in_hundredths(digits: int) -> format.Style:
    return format.Style(f".{digits}f", scale=100)


def number(value: float) -> str:
    """Returns a score with four digits, "-" where undefined."""
    return format.number(value, format.Style(".4g"))


def interval(estimate: ReasonedEstimate, digits: int = 1) -> str:
    """Returns "76.1 % [70.2, 82.0]"; "-" where undefined."""
    known = format.bounds(estimate.low, estimate.high, _in_hundredths(digits)) if math.isfinite(estimate.value) else ""
    return " ".join(filter(None, [percent(estimate.value, digits), known]))


def count(num: int, one: str, several: str | None = None) -> str:
    """Returns "1 image", "12,345 images"."""
    return f"{num:,} {one if num == 1 else several or one + 's'}"


def headline(found: DatasetFindings) -> list[str]:
    """Returns the sentences that say the main thing, set by set, then what compares them.

    Args:
      found: the findings.
    """
    sentences = [_of_set(found, one) for one in found.sets]
    if found.map is not None:
        where = found.map
        sentences.append(
            f"Expected accuracy is that of {' and '.join(where.networks)}, by the map from {where.metric} that "
            f"the run {where.run} learned on {count(where.num_images, 'image')} of {where.dataset} under "
            f"{count(where.num_conditions, 'condition')}. It holds for the same task. The interval "
            f"({100 * found.level:g} %) knows how the map fares on degradations it was not learned on, not how else "
            "your images may differ."
        )
    if math.isfinite(found.cut.score):
        sentences.append(f"The threshold is {found.quality} = {number(found.cut.score)}: {found.cut.why}.")
    elif found.map is not None:
        sentences.append(f"No threshold: {found.cut.why}.")
    sentences += [sentence for one in found.comparisons for sentence in comparison(found, one)]
    if found.family == "no_reference":
        sentences.append(HARDLY)
    elif found.map is None:
        sentences.append(WITHOUT_MAP)
    return sentences


def _of_set(found: DatasetFindings, one: SetFindings) -> str:
    start = f"{one.name}: {count(one.size, 'image')}"
    if one.unreadable:
        start += f" ({one.unreadable:,} unreadable)"
    if one.scored == 0:
        return f"{start}; none has a score."
    parts = [start]
    if math.isfinite(one.expected.value):
        parts.append(f"expected accuracy {interval(one.expected)}")
    elif found.map is not None:
        parts.append(f"no expected accuracy, because {one.expected.reason}")
    elif one.quality.quantiles:
        middle, low, high = (number(one.quality.quantiles[i]) for i in (3, 1, 5))
        parts.append(f"{found.quality} of half of them is below {middle} (90 % lie between {low} and {high})")
    for network in one.networks:
        if math.isfinite(network.actual.value):
            parts.append(f"{network.network} is right on {interval(network.actual)} of those with labels")
    if math.isfinite(one.below) and found.cut.matters:
        parts.append(f"{percent(one.below)} are below the threshold")
    if one.causes:
        parts_of = {cause.name: _share(cause) for cause in one.causes}
        common = [name for name, part in parts_of.items() if name not in _NO_CAUSE and part >= _LEAST_SHARE]
        named = [f"{name} ({percent(parts_of[name], 0)})" for name in common[:_CAUSES]]
        clean = parts_of.get("none", 0.0)
        seen = f"no cause is seen in {percent(clean, 0)} of them, " if clean > 0 else ""
        parts.append(
            f"{seen}the commonest causes are {', '.join(named)}" if named else "no cause of poor quality is seen"
        )
    return f"{parts[0]}: {'; '.join(parts[1:])}." if len(parts) > 1 else f"{start}."


def _share(cause: CauseShare) -> float:
    """The corrected share of a cause, and where there are too few images for one how often it is the likeliest."""
    return cause.share.value if math.isfinite(cause.share.value) else cause.likeliest


def comparison(found: DatasetFindings, one: Comparison) -> list[str]:
    """Returns what compares two sets.

    Args:
      found: the findings.
      one: the comparison.
    """
    tests = [test for test in (one.features, one.quality) if test is not None]
    outcomes = []
    for test in tests:
        if test.reason:
            outcomes.append(f"{test.of}: not tested, {test.reason}")
        else:
            verdict = "differ" if test.p_value < 0.05 else "are not shown to differ"
            outcomes.append(f"the distributions of {test.of} {verdict} (p = {format.p_value(test.p_value)})")
    sentences = [f"{one.second} against {one.first}: {'; '.join(outcomes)}."]
    if math.isfinite(one.superiority.value):
        sentences[0] = sentences[0][:-1] + (
            f"; an image of {one.second} scores higher than one of {one.first} with probability "
            f"{interval(one.superiority)}."
        )
    difference = one.expected_accuracy
    if math.isfinite(difference.value):
        bounds = ""
        if math.isfinite(difference.low):
            bounds = f" [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
        sentences.append(
            f"Expected accuracy on {one.second} less that on {one.first}: {100 * difference.value:+.1f} points{bounds}."
        )
    elif found.map is not None:
        sentences.append(f"No difference of expected accuracy: {difference.reason}.")
    return sentences


def terminal(found: DatasetFindings, folder: str | None, written: Sequence[str]) -> str:
    """Returns the end of the command: headline, remarks, what lies where; lines of any length.

    Args:
      found: the findings.
      folder: folder of the results; None: nothing was written.
      written: names of files in it, each with a description.
    """
    lines = headline(found)
    lines += [f"note: {line}" for line in found.remarks]
    for one in found.odd:
        lines.append(f"note: {count(one.count, 'image')}: {one.kind}")
    if found.copies.count:
        across = f", {found.copies.across} groups of them across sets" if found.copies.across else ""
        lines.append(f"note: {count(found.copies.count, 'image looks', 'images look')} like another one{across}")
    if folder is not None:
        lines.append(f"results: {folder} ({', '.join(written)})")
    return "\n".join(lines)
