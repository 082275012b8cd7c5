"""What the scores of sets of images say: distributions, expected accuracy, thresholds, comparisons, images to see."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from causal_iqa import _blas, _checks, _keys, pipeline
from causal_iqa.analysis.datasets import (
    causes,
    comparison,
    distributions,
    galleries,
    maps,
    oddities,
    qualities,
    rejection,
)
from causal_iqa.analysis.datasets.per_set import LEAST_OF_GROUP, MOST_GROUPS, finite, groups_of, of_set
from causal_iqa.analysis.datasets.records import Cut, DatasetFindings, Found, MapFacts, Maps, Request, Side

_SHOWN_GROUPS = 12
_WORST_SHARE = 0.05
_OF_SET, _OF_GROUP = 12, 4


def learn_maps(run: pipeline.Run, metric: str, *, level: float) -> Maps:
    """Learns the maps of a run for one score; InputError when the run has no such score."""
    networks = [choice.name for choice in run.config.networks]
    of_all = maps.learn(run, metric, level=level)
    each = [of_all] if len(networks) == 1 else [maps.learn(run, metric, network=one, level=level) for one in networks]
    return Maps(of_all, tuple(one._replace(network=name) for one, name in zip(each, networks, strict=True)))


@_blas.one_thread
def analyse(
    scored: pipeline.Scored,
    request: Request,
    learned: Maps | None = None,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> Found:
    """Finds what the scores of sets say.

    Args:
      scored: the sets.
      request: what the findings are to answer.
      learned: the maps of a run, of the metric that `qualities.choose` gives.
      progress: called with the name of the part in work, 0 and 1.

    Returns:
      The findings, and the columns quality, percentile, percentile_in_reference, expected_correct and odd.
    """
    tell = progress or (lambda part, done, total: None)
    metric = qualities.choose(scored.columns, request.quality)
    quality = qualities.quality_of(scored, metric)
    codes = _codes(scored.table["set"], scored.names)
    networks = [name[: -len("/correct")] for name in scored.table.column_names if name.endswith("/correct")]
    correct = {name: qualities.floats(scored.table, f"{name}/correct") for name in networks}
    if len(correct) > 1:
        correct = {pipeline.ALL_NETWORKS: np.mean(list(correct.values()), axis=0), **correct}
    tell("expected accuracy", 0, 1)
    probable = scored.table.select([name for name in scored.table.column_names if name.startswith(pipeline.CAUSE_IS)])
    sides = []
    for place, name in enumerate(scored.names):
        rows = np.flatnonzero(codes == place)
        own = quality.values[rows]
        applied = maps.apply(learned.all, own, level=request.level) if learned else None
        key = _keys.named(request.seed, f"composition of causes of {name}")
        diagnosed = causes.diagnosed(key, probable.take(pa.array(rows)), level=request.level)
        sides.append(Side(name, rows, own, {k: v[rows] for k, v in correct.items()}, applied, diagnosed))
    reference = _reference(scored.names, request.reference)
    expected_correct = np.full(len(codes), np.nan)
    for side in sides:
        if side.applied is not None:
            expected_correct[side.rows] = side.applied.probability
    tell("images that tell little", 0, 1)
    kinds = oddities.kinds_of(scored.table, scored.image_size, scored.crop_fraction)
    blank = np.any([kinds[kind] for kind in oddities.TELLS_NOTHING], axis=0)
    copies = oddities.find_copies(scored.table, codes, blank)
    cut = _cut(request, quality.values, expected_correct, learned, sides, scored.names.index(reference))
    edges = distributions.bin_edges(quality.values)
    found = []
    for side in sides:
        tell(f"set {side.name}", 0, 1)
        found.append(of_set(scored, side, request, learned, cut, edges))
    tell("comparisons", 0, 1)
    compared = _comparisons(scored, sides, reference, request, learned, metric)
    findings = DatasetFindings(
        metric=metric,
        quality=metric if quality.columns[0][1] > 0 else f"minus {metric}",
        family=quality.family,
        level=request.level,
        image_size=scored.image_size,
        reference=reference,
        map=_map_facts(learned, request.level),
        cut=cut,
        sets=tuple(found),
        comparisons=compared,
        odd=oddities.listed(kinds),
        copies=copies,
        galleries=_galleries(scored, sides, quality.values, blank | copies.is_copy),
        directions={column.name: column.higher_is_better for column in scored.columns},
        families={column.name: column.family for column in scored.columns},
        remarks=_remarks(scored, sides, kinds, learned),
    )
    percentile = np.full(len(codes), np.nan)
    against = np.sort(finite(sides[scored.names.index(reference)].quality))
    for side in sides:
        percentile[side.rows] = _percentiles(np.sort(finite(side.quality)), side.quality)
    in_reference = _percentiles(against, quality.values) if len(sides) > 1 else np.full(len(codes), np.nan)
    derived = {
        "odd": oddities.reasons(kinds),
        "quality": _nullable(quality.values),
        "percentile": _nullable(percentile),
        "percentile_in_reference": _nullable(in_reference),
        "expected_correct": _nullable(expected_correct),
    }
    return Found(findings, derived)


def _codes(column: pa.ChunkedArray, names: Sequence[str]) -> np.ndarray:
    at = pc.index_in(column, value_set=pa.array(names, pa.string()))  # pyright: ignore[reportAttributeAccessIssue]
    return at.to_numpy().astype(int)


def _reference(names: Sequence[str], wanted: str | None) -> str:
    if wanted is None:
        return names[0]
    if wanted not in names:
        raise _checks.InputError(f"reference: no set is called {wanted!r}; {_checks.closest(wanted, names)}")
    return wanted


def _nullable(numbers: np.ndarray) -> pa.Array:
    return pa.array(numbers.astype(np.float32), mask=~np.isfinite(numbers))


def _percentiles(ordered: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Share of `ordered` that is lower, ties counted half, in percent; NaN without a value or anything to compare."""
    if not ordered.size:
        return np.full(len(quality), np.nan)
    below = (np.searchsorted(ordered, quality, "left") + np.searchsorted(ordered, quality, "right")) / 2
    return np.where(np.isfinite(quality), 100 * below / len(ordered), np.nan)


def _cut(request, quality, expected_correct, learned, sides, reference) -> Cut:
    if request.threshold is not None:
        return Cut(request.threshold, "the threshold that was given")
    if request.accuracy is not None and learned is not None:
        found = rejection.threshold_for(request.accuracy, quality, expected_correct, by="expected")
        wanted = f"{100 * request.accuracy:g} %"
        if found.reason:
            return Cut(math.nan, f"an expected accuracy of {wanted}: {found.reason}")
        return Cut(found.score, f"above it {wanted} of the images are expected to be right")
    if learned is not None:
        fitted = learned.all.fitted
        right = fitted.probability >= 0.5
        if right.any() and not right.all():
            return Cut(float(fitted.score[np.argmax(right)]), "below it an image is more likely wrong than right")
        side = "more likely right than wrong" if right.all() else "more likely wrong than right"
        return Cut(math.nan, f"at every score an image is {side}")
    against = finite(sides[reference].quality)
    if not against.size:
        return Cut(math.nan, "no image has a score")
    if len(against) * _WORST_SHARE < 1:
        return Cut(math.nan, f"{100 * _WORST_SHARE:g} % of {len(against)} scores are less than one image")
    worst = float(np.quantile(against, _WORST_SHARE))
    several = len(sides) > 1
    if several:
        why = f"the worst {100 * _WORST_SHARE:g} % of the reference set {sides[reference].name} are below"
    else:
        why = f"the worst {100 * _WORST_SHARE:g} % of the images, for there is no map and no other set"
    if request.accuracy is not None:
        why += f"; a threshold for an accuracy of {100 * request.accuracy:g} % needs a map"
    return Cut(worst, why, several)


def _map_facts(learned: Maps | None, level: float) -> MapFacts | None:
    if learned is None:
        return None
    one = learned.all
    return MapFacts(
        one.run,
        one.dataset,
        one.metric,
        tuple(each.network for each in learned.each),
        one.num_images,
        one.num_conditions,
        one.clean_accuracy,
        one.transfer_half(level),
    )


def _comparisons(scored, sides, reference, request, learned, metric) -> tuple[comparison.Comparison, ...]:
    first = next(side for side in sides if side.name == reference)
    found = []
    for place, side in enumerate(sides):
        if side.name == reference:
            continue
        features = None
        for backbone, samples in scored.features.items():
            features = (backbone, samples[scored.names.index(reference)].values, samples[place].values)
            break
        compared = comparison.compare(
            _keys.named(request.seed, f"comparison of {reference} and {side.name}"),
            (reference, side.name),
            (first.quality, side.quality),
            features,
            learned.all if learned else None,
            metric=metric,
            level=request.level,
        )
        both = (first, side)
        if all(one.applied is not None and one.diagnosed is not None for one in both):
            given = [
                (scored.table.select(["group"]).take(pa.array(one.rows)), one.applied.probability, one.diagnosed)
                for one in both
            ]
            parts = causes.attribute(given, level=request.level, seed=request.seed)
            compared = compared._replace(parts=parts)
        found.append(compared)
    return tuple(found)


def _galleries(scored, sides, quality, left_out) -> tuple[galleries.Gallery, ...]:
    found = []
    for side in sides:
        rows = side.rows[~left_out[side.rows]]
        found.append(galleries.pick(side.name, None, rows, quality[rows], num=_OF_SET))
    for side in sides:
        names, codes = groups_of(scored.table["group"].take(pa.array(side.rows)))
        if len(names) < 2:
            continue
        means = []
        for code in range(len(names)):
            own = side.rows[codes == code] if len(names) <= MOST_GROUPS else np.zeros(0, int)
            own = own[~left_out[own]]
            own = own[np.isfinite(quality[own])]
            if len(own) >= _OF_GROUP:
                means.append((float(quality[own].mean()), names[code], own))
        for _, name, own in sorted(means, key=lambda one: one[:2])[:_SHOWN_GROUPS]:
            found.append(galleries.pick(side.name, name or "(no folder)", own, quality[own], num=_OF_GROUP))
    return tuple(found)


def _remarks(scored, sides, kinds, learned: Maps | None) -> tuple[str, ...]:
    """What a reader must know before any number."""
    found = []
    enlarged = int(kinds[oddities.ENLARGED].sum())
    n = scored.table.num_rows
    if enlarged:
        found.append(
            f"{enlarged} of {n} images are smaller than the {scored.image_size} pixels at which they are scored and "
            "were enlarged: their scores say nothing about detail beyond their own size; --image_size sets "
            "another"
        )
    for side in sides:
        count = int(np.isfinite(side.quality).sum())
        if count < LEAST_OF_GROUP:
            images = "image" if count == 1 else "images"
            found.append(f"{side.name} has {count} scored {images}: too few to describe its distribution")
        elif np.ptp(finite(side.quality)) == 0:
            found.append(f"every image of {side.name} has the same score: nothing can be ranked")
        if side.applied is None:
            continue
        if side.applied.refused:
            found.append(f"{side.name}: no accuracy is expected: {side.applied.refused}")
        elif side.applied.outside > maps.WARN_OUTSIDE:
            found.append(
                f"{side.name}: {100 * side.applied.outside:.1f} % of the scores lie outside the range on which the map "
                "was learned"
            )
    if learned is not None and not math.isfinite(learned.all.transfer_half(0.95)):
        found.append("the map's run has fewer than three degradations: expected accuracies have no interval")
    return tuple(found)
