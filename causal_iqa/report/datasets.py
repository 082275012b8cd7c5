"""The page of scored sets of images."""

import json
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from causal_iqa.analysis import datasets
from causal_iqa.analysis.datasets import DatasetFindings, Gallery, ReasonedEstimate, SetFindings
from causal_iqa.report import dataset_figures, dataset_words, figures, format, html
from causal_iqa.report.dataset_words import interval, number, percent

_ODD_SHOWN = 12
_LEAST_PART = 0.0005
_COPIES_SHOWN = 6
# Row of the table -> its picture.
PictureOf = Callable[[int, str], html.Picture]
_DEFINITIONS = (
    ("quality", "the score of the headline; higher is better"),
    ("expected accuracy", "share of the images that the map's networks are expected to get right"),
    ("actual", "share that a judged network got right, where images have labels"),
    ("percentile", "share of the set's images that score lower"),
    ("p", "how often sets of one distribution would differ as much; small: they differ"),
)


def page(
    found: DatasetFindings,
    *,
    title: str,
    picture: PictureOf | None,
    skipped: Sequence[tuple[str, str, str]],
    settings: Mapping[str, object],
) -> str:
    """Renders the page.

    Args:
      found: the findings.
      title: title of the page.
      picture: gives the picture of a row with a caption that begins as told; None: no pictures.
      skipped: (set, id, reason) of unreadable images.
      settings: JSON values, folded away.
    """
    sections = [
        html.Section(
            "What the scores say",
            [
                html.Headline(dataset_words.headline(found)),
                *(html.Text(f"Note: {line}.") for line in found.remarks),
                html.Definitions([(word, text) for word, text in _DEFINITIONS if _is_used(word, found)]),
                _overview(found),
            ],
        ),
        html.Section("Distribution of quality", _distribution(found)),
    ]
    sections += _accuracy(found)
    sections += _causes(found)
    sections += _comparisons(found)
    sections += _groups(found)
    if picture is not None:
        sections += _pictures(found, picture)
    sections += _oddities(found, picture)
    sections.append(html.Section("Every statistic", _statistics(found)))
    if skipped:
        rows = [(name, image_id, reason) for name, image_id, reason in skipped[:200]]
        caption = f"{len(skipped)} images could not be read" + (", the first 200" if len(skipped) > 200 else "")
        sections.append(html.Section("Unreadable images", [html.Table(caption, ("set", "image", "reason"), rows)]))
    folded = html.Folded("Settings", [html.Text(json.dumps(settings, indent=1, sort_keys=True), fixed=True)])
    sections.append(html.Section("How it was made", [folded]))
    return html.page(title, sections)


def _is_used(word: str, found: DatasetFindings) -> bool:
    if word == "expected accuracy":
        return found.map is not None
    if word == "actual":
        return any(one.networks and math.isfinite(one.networks[0].actual.value) for one in found.sets)
    return word != "p" or bool(found.comparisons)


def _numeric(text: str, value: float) -> html.Cell:
    return html.Cell(text, value)


def _percent(value: float) -> html.Cell:
    return html.Cell(percent(value), value)


def _estimate(estimate: ReasonedEstimate) -> html.Cell:
    return html.Cell(interval(estimate), estimate.value)


def _score(value: float) -> html.Cell:
    return html.Cell(number(value), value)


def _whole(value: int) -> html.Cell:
    return html.Cell(f"{value:,}", value)


def _overview(found: DatasetFindings) -> html.Table:
    with_map = found.map is not None
    head = ["set", "images", "unreadable", "with labels", "median width", "median height", "formats", "median quality"]
    head += ["expected accuracy"] * with_map + ["below the threshold"]
    rows = []
    for one in found.sets:
        formats = ", ".join(f"{name} {count:,}" for name, count in one.formats)
        median = one.quality.quantiles[3] if one.quality.quantiles else one.quality.mean
        row = [one.name, _whole(one.size), _whole(one.unreadable), _whole(one.labelled)]
        row += [_whole(one.widths[1]), _whole(one.heights[1]), formats, _score(median)]
        row += [_estimate(one.expected)] * with_map + [_percent(one.below)]
        rows.append(row)
    return html.Table("Sets", head, rows)


def _figure(figure, caption: str) -> list[html.Figure]:
    return [] if figure is None else [html.Figure(figures.png(figure), caption)]


def _distribution(found: DatasetFindings) -> list[html.Part]:
    cut = found.cut.score
    line = ", the threshold dashed" if math.isfinite(cut) else ""
    drawn = [
        *_figure(dataset_figures.histogram(found.sets, found.quality, cut), f"Histogram of {found.quality}{line}"),
        *_figure(dataset_figures.cumulative(found.sets, found.quality, cut), f"Cumulative shares{line}"),
    ]
    parts: list[html.Part] = [html.Grid(drawn)] if drawn else []
    if not drawn:
        parts.append(html.Text("Too few images with different scores for a distribution."))
    for one in found.sets:
        modes = one.quality.modes
        if modes.places:
            parts.append(
                html.Text(
                    f"{one.name} has more than one mode (Silverman's test, "
                    f"p = {format.p_value(modes.p_value)}): around "
                    f"{number(modes.places[0])} and {number(modes.places[1])}, divided at {number(modes.valley)}. "
                    "It may hold images of two kinds."
                )
            )
    head = ["set", "scored", "mean", "standard deviation", *(f"{100 * q:g} %" for q in datasets.QUANTILES)]
    rows = [
        [
            one.name,
            _whole(one.quality.count),
            _score(one.quality.mean),
            _score(one.quality.std),
            *map(_score, one.quality.quantiles or (math.nan,) * len(datasets.QUANTILES)),
        ]
        for one in found.sets
    ]
    parts.append(html.Table(f"Quantiles of {found.quality}", head, rows))
    return parts


def _has_accuracy(one: SetFindings) -> tuple[bool, bool]:
    return (
        any(math.isfinite(step.expected.value) for step in one.reject),
        any(math.isfinite(step.actual.value) for step in one.reject),
    )


def _accuracy(found: DatasetFindings) -> list[html.Section]:
    parts: list[html.Part] = []
    networks = [(one.name, own) for one in found.sets for own in one.networks]
    if networks:
        rows = [(name, own.network, _estimate(own.expected), _estimate(own.actual)) for name, own in networks]
        parts.append(html.Table("Accuracy per network", ("set", "network", "expected", "actual"), rows))
    drawn = _figure(dataset_figures.rejection(found.sets), "Accuracy of the rest when the worst images are left out")
    parts += [html.Grid(drawn)] if drawn else []
    for one in found.sets:
        expected, actual = _has_accuracy(one)
        if not expected and not actual:
            continue
        head = ["left out", "lowest score kept", "images kept"] + ["expected"] * expected
        head += ["actual", "errors left out"] * actual
        rows = []
        for step in one.reject:
            row = [_percent(step.left_out), _score(step.threshold), _whole(step.kept)]
            row += [_estimate(step.expected)] * expected
            row += [_estimate(step.actual), _percent(step.errors_removed)] if actual else []
            rows.append(row)
        parts.append(html.Table(f"{one.name}: leaving out the worst", head, rows))
        for threshold in one.thresholds:
            wanted = f"{one.name}: {percent(threshold.wanted)} {threshold.by}"
            text = (
                f"{wanted}: {threshold.reason}."
                if threshold.reason
                else f"{wanted}: keep scores of at least {number(threshold.score)}, which leaves out "
                f"{percent(threshold.left_out)}; the rest has {percent(threshold.accuracy)}."
            )
            parts.append(html.Text(text))
        head = ["from", "to", "images"] + ["expected"] * expected + ["actual"] * actual
        rows = [
            [_score(tenth.low), _score(tenth.high), _whole(tenth.count)]
            + [_estimate(tenth.expected)] * expected
            + [_estimate(tenth.actual)] * actual
            for tenth in one.tenths
        ]
        if rows:
            parts.append(html.Table(f"{one.name}: tenths of its images by quality", head, rows))
    return [html.Section("Accuracy, and the effect of leaving out", parts)] if parts else []


def _causes(found: DatasetFindings) -> list[html.Section]:
    rows = [
        [one.name, cause.name.replace("_", " "), _estimate(cause.share), _percent(cause.likeliest)]
        for one in found.sets
        for cause in one.causes
        if not max(cause.share.value, cause.likeliest) < _LEAST_PART
    ]
    if not rows:
        return []
    words = (
        "The imaging condition that each image was most likely taken under, by a model that was fitted on "
        "degradations of clean images; none: no condition is seen; other: one that the model does not know. The share "
        "of the set is corrected for how often the model takes one cause for another; for the single images it is not."
    )
    head = ("set", "cause", "share of the set", "likeliest cause of")
    table = html.Table("Causes of poor quality", head, rows)
    return [html.Section("Likely causes", [html.Text(words), table])]


def _comparisons(found: DatasetFindings) -> list[html.Section]:
    if not found.comparisons:
        return []
    rows = []
    for one in found.comparisons:
        for test in (one.features, one.quality):
            if test is not None:
                said = test.reason or format.p_value(test.p_value)
                rows.append(
                    [
                        one.second,
                        test.of,
                        _whole(test.first),
                        _whole(test.second),
                        html.Cell(number(test.mmd_squared), test.mmd_squared),
                        html.Cell(said, test.p_value),
                    ]
                )
    head = ("set", "compared by", "images of the reference", "images of the set", "MMD squared", "p")
    words = [sentence for one in found.comparisons for sentence in dataset_words.comparison(found, one)]
    caption = "Maximum mean discrepancy with the reference, p-value by permutation of the set membership"
    shown: list[html.Part] = [html.Headline(words), html.Table(caption, head, rows)]
    return [html.Section(f"Against {found.reference}", [*shown, *_attributions(found)])]


def _attributions(found: DatasetFindings) -> list[html.Part]:
    rows = []
    for one in found.comparisons:
        if one.parts is None:
            continue
        for i in np.argsort(-np.abs(one.parts.values), kind="stable"):
            value, low, high = (float(x[i]) for x in (one.parts.values, one.parts.low, one.parts.high))
            if max(abs(value), abs(low), abs(high)) >= _LEAST_PART:
                name = one.parts.names[i].replace("_", " ")
                rows.append([one.second, name, _estimate(ReasonedEstimate(value, low, high))])
    if not rows:
        return []
    words = (
        "Shapley's values of the difference of the mean expected correctness, every image counted for each cause by "
        "its probability: negative where the set loses by it. They sum to the whole difference."
    )
    return [html.Text(words), html.Table("Where the difference comes from", ("set", "part", "difference"), rows)]


def _groups(found: DatasetFindings) -> list[html.Section]:
    parts: list[html.Part] = []
    for one in found.sets:
        if not one.groups:
            continue
        expected = any(math.isfinite(group.expected.value) for group in one.groups)
        actual = any(math.isfinite(group.actual.value) for group in one.groups)
        head = ["group", "images", "mean quality", "5 %", "95 %", "below the threshold"]
        head += ["expected"] * expected + ["actual"] * actual
        rows = []
        for group in one.groups:
            row = [group.name, _whole(group.count), _score(group.mean), _score(group.low), _score(group.high)]
            row += [_percent(group.below)] + [_estimate(group.expected)] * expected + [_estimate(group.actual)] * actual
            rows.append(row)
        more = f", the {len(rows)} largest of {one.num_groups}" if one.num_groups > len(rows) else ""
        table = html.Table(f"Groups of {one.name}, the worst first{more}", head, rows)
        parts.append(table if len(rows) <= 60 else html.Folded(f"{len(rows)} groups of {one.name}", [table]))
    return [html.Section("Groups", parts)] if parts else []


def _pictures(found: DatasetFindings, picture: PictureOf) -> list[html.Section]:
    whole = [one for one in found.galleries if one.group is None]
    parts: list[html.Part] = []
    for one in whole:
        parts += _gallery(one, picture, one.set)
    sections = [html.Section("Worst, typical and best images", parts)] if parts else []
    of_groups = [one for one in found.galleries if one.group is not None]
    if of_groups:
        inner: list[html.Part] = []
        for one in of_groups:
            inner += _gallery(one, picture, f"{one.set}, {one.group}")
        sections.append(html.Section("Images of the worst groups", [html.Folded("Show the groups", inner)]))
    return sections


def _gallery(one: Gallery, picture: PictureOf, name: str) -> list[html.Part]:
    kinds = (("worst", one.worst), ("typical", one.typical), ("best", one.best))
    return [html.Gallery(f"{name}: {kind}", [picture(row, "") for row in rows]) for kind, rows in kinds if len(rows)]


def _oddities(found: DatasetFindings, picture: PictureOf | None) -> list[html.Section]:
    parts: list[html.Part] = []
    for one in found.odd:
        said = f"{one.kind}: {dataset_words.count(one.count, 'image')}"
        if picture is None:
            parts.append(html.Text(f"{said}."))
            continue
        shown = [picture(row, "") for row in one.rows[:_ODD_SHOWN]]
        parts.append(html.Gallery(f"{said}{_first(one.count, len(shown))}", shown))
    copies = found.copies
    if copies.count:
        across = f" {copies.across} groups hold images of several sets." if copies.across else ""
        parts.append(
            html.Text(
                f"{dataset_words.count(copies.count, 'image looks', 'images look')} like another one; they count in "
                f"every number above.{across}"
            )
        )
        if picture is not None:
            for number, group in enumerate(copies.groups[:_COPIES_SHOWN], 1):
                parts.append(html.Gallery(f"alike {number}", [picture(row, "") for row in group[:_ODD_SHOWN]]))
    return [html.Section("Images that tell little, and copies", parts)] if parts else []


def _first(count: int, shown: int) -> str:
    return f", the first {shown} shown" if count > shown else ""


def _statistics(found: DatasetFindings) -> list[html.Part]:
    head = ["statistic", "set", "family", "better", "undefined", "mean", "5 %", "25 %", "50 %", "75 %", "95 %"]
    rows = []
    for one in found.sets:
        for name, own in one.statistics.items():
            quantiles = own.quantiles[1:6] if own.quantiles else (math.nan,) * 5
            direction = "higher" if found.directions[name] else "lower"
            family = found.families[name].replace("_", " ")
            rows.append([name, one.name, family, direction, _whole(own.undefined), _score(own.mean)])
            rows[-1] += map(_score, quantiles)
    parts: list[html.Part] = []
    if any(family == "no_reference" for family in found.families.values()):
        parts.append(html.Text(dataset_words.HARDLY))
    return [*parts, html.Table("Every score, set by set", head, rows)]
