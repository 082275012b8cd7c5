"""Findings from the scores of one set: its distribution, accuracy by tenths and groups, the effect of leaving out."""

import math

import numpy as np
import pyarrow as pa

from causal_iqa import _keys, pipeline
from causal_iqa.analysis.datasets import causes, distributions, maps, qualities, rejection, values
from causal_iqa.analysis.datasets.records import (
    CauseShare,
    Cut,
    Group,
    Maps,
    OfNetwork,
    Request,
    SetFindings,
    Side,
    Tenth,
)
from causal_iqa.analysis.datasets.values import ReasonedEstimate, undefined

LEAST_OF_GROUP = 20
MOST_GROUPS = 1000
_TENTHS = 10


def of_set(
    scored: pipeline.Scored, side: Side, request: Request, learned: Maps | None, cut: Cut, edges: np.ndarray
) -> SetFindings:
    """Finds the statements about one set.

    Args:
      scored: all sets.
      side: the set.
      request: what the findings are to answer.
      learned: the maps of a run.
      cut: the threshold.
      edges: edges of the histogram of quality.
    """
    table = scored.table.take(pa.array(side.rows)) if len(scored.names) > 1 else scored.table
    key = _keys.named(request.seed, f"modes of {side.name}")
    level = request.level
    correct = next(iter(side.correct.values()), None)
    applied = side.applied
    defined = finite(side.quality)
    thresholds = []
    if request.accuracy is not None:
        options = [("expected", None if applied is None else applied.probability), ("actual", correct)]
        thresholds = [
            rejection.threshold_for(request.accuracy, side.quality, own, by=by)
            for by, own in options
            if own is not None
        ]
    of_all = learned.all if learned else None
    names, group_codes = groups_of(table["group"])
    statistics = {
        column.name: distributions.describe(None, qualities.floats(table, column.name)) for column in scored.columns
    }
    formats = table["format"].combine_chunks().value_counts()
    return SetFindings(
        name=side.name,
        size=scored.sizes[scored.names.index(side.name)],
        scored=len(defined),
        unreadable=sum(1 for name, _, _ in scored.skipped if name == side.name),
        labelled=int((table["label"].to_numpy() >= 0).sum()),
        widths=_three(table["width"].to_numpy()),
        heights=_three(table["height"].to_numpy()),
        formats=_counted(formats),
        quality=distributions.describe(key, side.quality, edges=edges),
        statistics=statistics,
        expected=undefined("no map was given") if applied is None else applied.accuracy,
        outside=math.nan if applied is None else applied.outside,
        networks=_of_networks(side, learned, level),
        below=float((defined < cut.score).mean()) if defined.size and math.isfinite(cut.score) else math.nan,
        tenths=_tenths(side, correct, of_all, level),
        reject=rejection.curve(side.quality, correct, of_all, applied, level=level),
        thresholds=tuple(thresholds),
        groups=_of_groups(side, names, group_codes, correct, of_all, cut, level),
        num_groups=len(names),
        causes=_causes(table, side),
    )


def _causes(table: pa.Table, side: Side) -> tuple[CauseShare, ...]:
    likeliest = table["cause"].combine_chunks().drop_null()
    if not len(likeliest):
        return ()
    counted = {name: count / table.num_rows for name, count in _counted(likeliest.value_counts())}
    if side.diagnosed is None:
        few = undefined(f"fewer than {causes.FEWEST_IMAGES} images")
        return tuple(CauseShare(name, few, part) for name, part in counted.items())
    made = side.diagnosed.composition
    found = [
        CauseShare(name, ReasonedEstimate(float(share), float(low), float(high)), counted.get(name, 0.0))
        for name, share, low, high in zip(made.causes, made.shares, made.low, made.high, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: -one.share.value))


def finite(numbers: np.ndarray) -> np.ndarray:
    """Returns the finite ones."""
    return numbers[np.isfinite(numbers)]


def _three(sides: np.ndarray) -> tuple[int, int, int]:
    return (int(sides.min()), int(np.median(sides)), int(sides.max())) if sides.size else (0, 0, 0)


def _counted(counts: pa.Array) -> tuple[tuple[str, int], ...]:
    pairs = [(one["values"] or "unknown", one["counts"]) for one in counts.to_pylist()]
    return tuple(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def groups_of(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """Returns the names of groups, and the place of every row's group among them."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()


def _actual(correct: np.ndarray | None, level: float) -> ReasonedEstimate:
    if correct is None:
        return undefined("no network was judged")
    known = finite(correct)
    if not known.size:
        return undefined("no image has a label")
    if np.isin(known, (0.0, 1.0)).all():
        return values.share(int(known.sum()), len(known), level=level)
    return ReasonedEstimate(float(known.mean()), math.nan, math.nan)


def _of_networks(side: Side, learned: Maps | None, level: float) -> tuple[OfNetwork, ...]:
    expected = {}
    for one in learned.each if learned else ():
        expected[one.network] = maps.apply(one, side.quality, level=level).accuracy
    names = dict.fromkeys([*expected, *(name for name in side.correct if name != pipeline.ALL_NETWORKS)])
    return tuple(
        OfNetwork(name, expected.get(name, undefined("not of the map")), _actual(side.correct.get(name), level))
        for name in names
    )


def _tenths(side: Side, correct, learned, level) -> tuple[Tenth, ...]:
    defined = np.isfinite(side.quality)
    if defined.sum() < 2 * _TENTHS:
        return ()
    edges = np.quantile(side.quality[defined], np.linspace(0, 1, _TENTHS + 1))
    place = np.clip(np.searchsorted(edges, side.quality, "right") - 1, 0, _TENTHS - 1)
    found = []
    for tenth in range(_TENTHS):
        chosen = defined & (place == tenth)
        if not chosen.any():
            continue
        expected = undefined("no map was given")
        if learned is not None and side.applied is not None:
            expected = maps.subset(learned, side.applied, side.quality, chosen, level=level)
        actual = _actual(None if correct is None else correct[chosen], level)
        low, high = float(edges[tenth]), float(edges[tenth + 1])
        found.append(Tenth(low, high, int(chosen.sum()), expected, actual))
    return tuple(found)


def _of_groups(side: Side, names, codes, correct, learned, cut, level) -> tuple[Group, ...]:
    if len(names) < 2:
        return ()
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(names) + 1))
    found = []
    for place in np.argsort(bounds[:-1] - bounds[1:], kind="stable")[:MOST_GROUPS]:
        rows = order[bounds[place] : bounds[place + 1]]
        quality = side.quality[rows]
        defined = finite(quality)
        few = f"fewer than {LEAST_OF_GROUP} images"
        expected = undefined("no map was given")
        if learned is not None:
            expected = undefined(few) if len(defined) < LEAST_OF_GROUP else maps.of_group(learned, quality, level=level)
        low, high = np.quantile(defined, (0.05, 0.95)) if defined.size > 1 else (math.nan, math.nan)
        found.append(
            Group(
                names[place] or "(no folder)",
                len(defined),
                float(defined.mean()) if defined.size else math.nan,
                float(low),
                float(high),
                float((defined < cut.score).mean()) if defined.size and math.isfinite(cut.score) else math.nan,
                expected,
                _actual(None if correct is None else correct[rows], level),
            )
        )
    return tuple(sorted(found, key=lambda group: (not math.isfinite(group.mean), group.mean)))
