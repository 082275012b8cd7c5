"""The page of a study: first which metric to use and why, then the tables behind it."""

import io
import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import PIL.Image

from causal_iqa import pipeline
from causal_iqa.alignment import NUMBERS, Alignment, Estimate
from causal_iqa.analysis import Findings, Judged
from causal_iqa.report import html, tables

_ALL = pipeline.ALL_NETWORKS
_THUMBNAIL = 160
_DEFINITIONS = (
    ("between", "over conditions: does the mean score order them as performance does?"),
    ("corrected", "between without the noise of few images, to be compared across studies"),
    ("within", "over the images of one condition: does the score tell those that a network handles from the others?"),
    ("pooled", "over all pairs of image and condition: both at once"),
)
_FAMILIES = (
    ("label_free", "Of the scores that need neither a label nor a pristine image"),
    ("full_reference", "Of the conventional metrics that need the pristine image"),
    ("no_reference", "Of the conventional metrics that need only the image"),
)


def best_of(found: Findings, family: str) -> str | None:
    """Returns the metric of a family that predicts best, by the pooled number of the mean over networks.

    Args:
      found: the findings.
      family: family of the metrics.

    Returns:
      Its name; None where the family has none with a number.
    """
    aligned = {
        metric: by[_ALL].pooled.value
        for metric, by in found.alignments.items()
        if found.families.get(metric) == family and _ALL in by and math.isfinite(by[_ALL].pooled.value)
    }
    return max(aligned, key=lambda metric: (aligned[metric], metric)) if aligned else None


def sentences(found: Findings, judged: Sequence[Judged], *, level: float) -> list[str]:
    """Recommends a metric, with the evidence for it.

    Args:
      found: the findings.
      judged: the networks.
      level: confidence level of the intervals.
    """
    sentences = []
    for family, words in _FAMILIES:
        best = best_of(found, family)
        if best is not None:
            own = found.alignments[best][_ALL]
            numbers = ", ".join(
                f"{number} {_interval(getattr(own, number))}" for number in ("between", "within", "pooled")
            )
            sentences.append(f"{words}, {best} predicts {_of_one(found.measure)} best: {numbers}.")
    ours = best_of(found, "label_free")
    gain = found.gains.get(ours or "", {}).get("best_conventional")
    if ours is not None and gain is not None:
        sentences.append(_gain(found, ours, gain, level))
    if judged:
        accuracies = ", ".join(
            f"{one.clean.network} {one.measure.shown(one.clean.mean)} and {one.measure.shown(one.degraded)}"
            for one in judged
        )
        sentences.append(f"{_capital(found.measure)} on the clean images and under the conditions: {accuracies}.")
    return sentences


def _gain(found: Findings, ours: str, gain, level: float) -> str:
    moved = found.like_these.gains.get(ours, {}).get("best_conventional")
    parts = []
    for number in ("corrected", "within", "pooled"):
        difference = getattr(gain.differences, number).estimate
        if math.isfinite(difference.value):
            other = "" if moved is None else f" {_bounds(getattr(moved.differences, number).estimate)}"
            parts.append(f"{difference.value:+.2f} {_bounds(difference)}{other} in {number}")
    second = "" if moved is None else ", the second for other images under other degradations like these"
    return (
        f"Compared with the best conventional metric, {ours} gains {', '.join(parts)} ({100 * level:g} % intervals: "
        f"the first for other images under these conditions{second})."
        if parts
        else f"The gain of {ours} over the best conventional metric is undefined here."
    )


def _interval(interval: Estimate) -> str:
    return "undefined" if math.isnan(interval.value) else interval.text()


def _bounds(difference: Estimate) -> str:
    return "[-]" if math.isnan(difference.low) else f"[{difference.low:+.2f}, {difference.high:+.2f}]"


def _capital(measure: pipeline.Measure) -> str:
    return f"{measure.name[:1].upper()}{measure.name[1:]}"


def _of_one(measure: pipeline.Measure) -> str:
    """What the measure says of one image."""
    return "correctness" if measure.is_accuracy else measure.name


def first_section(
    found: Findings, judged: Sequence[Judged], figures: Sequence[html.Figure], *, level: float
) -> html.Section:
    """The headline, the definitions, the table of all metrics.

    Args:
      found: the findings.
      judged: the networks.
      figures: that stand below the table.
      level: confidence level of the intervals.
    """
    of_what = f"Spearman correlation with {_of_one(found.measure)}, mean over networks"
    caption = f"{of_what}, {100 * level:g} % intervals. {tables.FIXED}"
    parts: list[html.Part] = [
        html.Headline(sentences(found, judged, level=level)),
        html.Definitions(_DEFINITIONS),
        _alignments(found.alignments, found.families, caption),
    ]
    if found.like_these.alignments:
        moved = _alignments(found.like_these.alignments, found.families, tables.LIKE_THESE)
        parts.append(html.Folded(tables.LIKE_THESE, [moved]))
    return html.Section("Which metric to use", [*parts, *figures])


def _alignments(
    alignments: Mapping[str, Mapping[str, Alignment]], families: Mapping[str, str], caption: str
) -> html.Table:
    rows = []
    for row in tables.rows_of(alignments, families):
        cells = [getattr(row.alignment, number) for number in NUMBERS]
        rows.append(
            [row.metric, row.family.replace("_", " "), *(html.Cell(_interval(one), one.value) for one in cells)]
        )
    return html.Table(caption, ("metric", "family", *NUMBERS), rows)


def samples_section(samples: Sequence[tuple[str, np.ndarray]]) -> list[html.Section]:
    """Small pictures of one image under some conditions; nothing without images.

    Args:
      samples: (condition, uint8 [H, W, 3]).
    """
    if not samples:
        return []
    pictures = []
    for name, pixels in samples:
        image = PIL.Image.fromarray(pixels)
        image.thumbnail((_THUMBNAIL, _THUMBNAIL))
        out = io.BytesIO()
        # Of few pixels each counts.
        image.save(out, **({"format": "PNG"} if max(image.size) < 100 else {"format": "JPEG", "quality": 85}))
        pictures.append(html.Picture(out.getvalue(), name.replace("_", " "), *image.size))
    return [html.Section("What the conditions do", [html.Gallery("One image, clean and degraded most", pictures)])]


def desiderata_section(found: Findings, folder: pathlib.Path, evidence: Sequence[html.Part]) -> html.Section:
    """What a metric should do, a row per metric, the evidence folded away, and where the audit says more.

    Args:
      found: the findings.
      folder: folder of the run; whether it was audited.
      evidence: that is folded away.
    """
    if not found.desiderata:
        return html.Section("Audit in short", list(evidence))
    num_images = found.performance[_ALL].shape[1]
    rows = [
        [metric, found.families[metric].replace("_", " "), *(one.in_words(num_images) for one in verdicts)]
        for metric, verdicts in found.desiderata.items()
    ]
    caption = "Does the metric fall with severity, predict performance, need no pristine image, and no judged network?"
    head = ("metric", "family", "falls with severity", "predicts", "free-standing", "prior to the networks")
    summed = [
        f"{sum(one.aligned.answer == 'yes' for one in found.desiderata.values())} of {len(rows)} metrics are shown to "
        f"predict {_of_one(found.measure)} between, within and pooled, "
        f"{sum(one.sensitive.answer == 'yes' for one in found.desiderata.values())} to fall at every step of severity."
    ]
    there = (folder / "audit.md").exists()
    more = "audit.md in this folder tests the causal graphs" if there else f"causal-iqa audit --run={folder} tests"
    words = f"{more if there else f'{more} the causal graphs'}, effects and confounding behind these answers."
    parts: list[html.Part] = [html.Headline(summed), html.Table(caption, head, rows), html.Text(words)]
    return html.Section("Audit in short", [*parts, html.Folded("The evidence", list(evidence))])


def networks_section(judged: Sequence[Judged], doubts: Sequence[str]) -> html.Section:
    """Accuracy per network, clean and in the mean, and folded away under every condition.

    Args:
      judged: the networks.
      doubts: what is likely to be wrong with them, a line each.
    """
    rows = [
        [
            one.clean.network,
            html.Cell(one.measure.shown(one.clean.mean), one.clean.mean),
            html.Cell(f"{one.clean.num_images:,}", one.clean.num_images),
            html.Cell(one.measure.shown(one.degraded), one.degraded),
        ]
        for one in judged
    ]
    measure = judged[0].measure if judged else pipeline.ACCURACY
    head = ("network", f"clean {measure.name}", "clean images", "mean under the conditions")
    parts: list[html.Part] = [html.Table(f"{_capital(measure)} per network", head, rows)]
    for one in judged:
        if one.of_set is not None:
            of_set = [[name, html.Cell(measure.shown(x), x)] for name, x in one.of_set.by_condition.items()]
            caption = f"{one.of_set.name} of all images as one set, {one.clean.network}"
            parts.append(html.Folded(caption, [html.Table(caption, ("condition", one.of_set.name), of_set)]))
    if judged:
        names = list(judged[0].by_condition)
        by_condition = [
            [name, *(html.Cell(measure.shown(one.by_condition[name]), one.by_condition[name]) for one in judged)]
            for name in names
        ]
        table = html.Table(
            f"{_capital(measure)} by condition", ("condition", *(one.clean.network for one in judged)), by_condition
        )
        parts.append(html.Folded(f"Under each of {len(names)} conditions", [table]))
    parts += [html.Text(f"warning: {line}") for line in doubts]
    return html.Section("Networks", parts)
