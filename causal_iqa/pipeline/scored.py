"""Sets of images scored part by part: what is computed of each, kept so that a kill costs one part, and read back."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from causal_iqa import _files, data
from causal_iqa.pipeline import parts, provenance, rows, scoring
from causal_iqa.pipeline.execution import DEFAULT_EXECUTION, Execution

# Images of one part: what a kill can cost.
PART_IMAGES = 256
# Parts that are read in one go; between two goes the device waits for the first images.
_PARTS_AT_ONCE = 16
# Kept of a judged network.
NETWORK_FIELDS = ("correct", "confidence")
FEATURES = "features"
# Field of `data.Facts` -> the type of its column in memory and in the table. Small numbers alone would not tell it.
_FACT_TYPES = {
    "width": (np.int32, pa.int32()),
    "height": (np.int32, pa.int32()),
    "format": (np.object_, pa.string()),
    "one_colour": (np.bool_, pa.bool_()),
    "look_across": (np.uint64, pa.uint64()),
    "look_down": (np.uint64, pa.uint64()),
}
FACTS = tuple(_FACT_TYPES)
_CAUSES = ("cause", "cause_severity", "cause_probability")
# Before the name of a cause: the column of its probability. No network or score has an equals sign in its name.
CAUSE_IS = "cause="

# uint8 [B, S, S, 3] -> columns of B values: the likely cause of what ails the images, and the probability of each.
Diagnose = Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Part:
    """Some images of a set: the set's place, the part's number in it, positions `first` to `last` of the source."""

    place: int
    number: int
    first: int
    last: int


class Keeper(Protocol):
    """Where finished parts go."""

    def has(self, part: Part, stamp: str) -> bool:
        """Whether the part exists, with the same images."""
        ...

    def write(self, part: Part, stamp: str, table: pa.Table, skipped: Sequence[tuple[str, str]]) -> None:
        """Keeps a part."""

    def read(self, part: Part, stamp: str) -> tuple[pa.Table, list[tuple[str, str]]]:
        """Returns a part and its unreadable images."""
        ...


class InMemory:
    """Keeps parts in memory."""

    def __init__(self) -> None:
        """Starts with nothing."""
        self._kept: dict[Part, tuple[pa.Table, list[tuple[str, str]]]] = {}

    def has(self, part: Part, stamp: str) -> bool:
        """Whether the part exists."""
        return part in self._kept

    def write(self, part: Part, stamp: str, table: pa.Table, skipped: Sequence[tuple[str, str]]) -> None:
        """Keeps a part."""
        self._kept[part] = table, list(skipped)

    def read(self, part: Part, stamp: str) -> tuple[pa.Table, list[tuple[str, str]]]:
        """Returns a part and its unreadable images."""
        return self._kept[part]


def parts_of(sets: Sequence[data.ImageSet]) -> Iterator[Part]:
    """Deals the images of sets into parts.

    Args:
      sets: sets of images.

    Yields:
      The parts, set by set, in order: PART_IMAGES images each, the last of a set with fewer.

    Examples:
      >>> photos = np.zeros((300, 8, 8, 3), np.uint8)
      >>> [part.last - part.first for part in pipeline.parts_of([data.ImageSet("photos", data.open_arrays(photos))])]
      [256, 44]
    """
    for place, one in enumerate(sets):
        for number, first in enumerate(range(0, len(one.source), PART_IMAGES)):
            yield Part(place, number, first, min(first + PART_IMAGES, len(one.source)))


def stamp_of(image_set: data.ImageSet, part: Part) -> str:
    """Returns a digest of which images a part holds: names, sizes and times of change; reads no image.

    Args:
      image_set: the set.
      part: a part of it.

    Returns:
      16 hexadecimal digits.

    Examples:
      >>> photos = data.ImageSet("photos", data.open_arrays(np.zeros((3, 8, 8, 3), np.uint8)))
      >>> stamps = [pipeline.stamp_of(photos, part) for part in pipeline.parts_of([photos])]
      >>> len(stamps), len(stamps[0])
      (1, 16)
    """
    source = image_set.source
    file: Callable[[int], pathlib.Path] | None = getattr(source, "file", None)
    place: Callable[[int], tuple] | None = getattr(source, "place", None)
    pieces = [image_set.name]
    for index in range(part.first, part.last):
        pieces += [source.id(index), str(source.label(index))]
        if file is not None:
            try:
                status = os.stat(file(index))
                pieces.append(f"{status.st_size} {status.st_mtime_ns}")
            except (OSError, ValueError):
                pieces.append("unreadable")
        elif place is not None:
            pieces.append(repr(place(index)))
    return provenance.digest(*pieces)


def score_sets(
    work: scoring.Scoring,
    keeper: Keeper,
    execution: Execution = DEFAULT_EXECUTION,
    *,
    progress: Callable[[int, int], None] | None = None,
    diagnose: Diagnose | None = None,
) -> dict[Part, str]:
    """Scores the images of every part that is not there yet.

    Args:
      work: result of `scoring.prepare`.
      keeper: where parts go.
      execution: changes no number by more than rounding, see `Execution`.
      progress: called with (images done, images in all), first with what an earlier call left.
      diagnose: adds the columns cause, cause_severity and cause_probability, and `cause=NAME` of every cause.

    Returns:
      Part -> stamp of its images.

    Examples:
      >>> import tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     for i in range(3):
      ...         Image.fromarray(np.full((32, 32, 3), 60 * i, np.uint8)).save(f"{folder}/{i}.png")
      ...     work = pipeline.prepare_scoring(pipeline.ScoringConfig(images=(folder,), metrics=("entropy",)))
      ...     stamps = pipeline.score_sets(work, pipeline.InMemory(), pipeline.Execution(num_devices=1))
      >>> [(part.first, part.last) for part in stamps]  # images of each part
      [(0, 3)]
    """
    every = [(part, stamp_of(work.sets[part.place], part)) for part in parts_of(work.sets)]
    pending = [(part, stamp) for part, stamp in every if not keeper.has(part, stamp)]
    total = work.num_images
    done = total - sum(part.last - part.first for part, _ in pending)
    if progress:
        progress(done, total)
    if not pending:
        return dict(every)
    scorer = PartScorer(work, execution, diagnose)
    for go in _goes(pending):
        for (part, stamp), (table, skipped) in zip(go, scorer.score([part for part, _ in go]), strict=True):
            keeper.write(part, stamp, table, skipped)
            done += part.last - part.first
            if progress:
                progress(done, total)
    return dict(every)


class PartScorer:
    """Scores parts; keeps its compiled programs from one to the next."""

    def __init__(self, work: scoring.Scoring, execution: Execution, diagnose: Diagnose | None):
        """Builds the programs; for the arguments see `score_sets`."""
        self._work, self._execution, self._diagnose = work, execution, diagnose
        self._step, self._batch_size = rows.make_step(work.work, execution)

    def score(self, some: Sequence[Part]) -> Iterator[tuple[pa.Table, list[tuple[str, str]]]]:
        """Reads and scores the images of some parts of one set, in order.

        Args:
          some: parts of one set.

        Yields:
          The rows of each part, as soon as it is whole, and its unreadable images.
        """
        work, source = self._work, self._work.sets[some[0].place].source
        indices = [index for part in some for index in range(part.first, part.last)]
        batches = data.batches(
            source,
            indices,
            batch_size=self._batch_size,
            size=work.work.image_size,
            crop_fraction=work.work.crop_fraction,
            workers=self._execution.workers,
            look=data.Looker(source),
        )
        pieces: list[_Piece] = []
        waiting = list(some)
        reached = 0
        for batch in batches:
            chunk = indices[reached : reached + self._batch_size]
            reached += len(chunk)
            pieces.append(_piece(work, batch, chunk, self._step, self._diagnose))
            while waiting and reached >= sum(p.last - p.first for p in some[: len(some) - len(waiting) + 1]):
                part = waiting.pop(0)
                yield _cut(work, pieces, part)
                pieces = [one for one in pieces if _reaches_beyond(one, part)]


def _goes(pending: Sequence[tuple[Part, str]]) -> Iterator[list[tuple[Part, str]]]:
    """Parts of one set, a few at a time."""
    go: list[tuple[Part, str]] = []
    for one in pending:
        if go and (len(go) == _PARTS_AT_ONCE or go[0][0].place != one[0].place):
            yield go
            go = []
        go.append(one)
    yield go


class _Piece(NamedTuple):
    """The scores of consecutive images: positions of the readable ones, their columns, and the unreadable ones."""

    positions: list[int]
    columns: dict[str, np.ndarray | list]
    skipped: list[tuple[int, str, str]]


def _reaches_beyond(piece: _Piece, part: Part) -> bool:
    positions = piece.positions + [index for index, _, _ in piece.skipped]
    return any(index >= part.last for index in positions)


def _piece(work, batch: data.Batch, chunk: Sequence[int], step, diagnose) -> _Piece:
    valid = batch.valid[: len(chunk)]
    positions = [index for index, ok in zip(chunk, valid, strict=True) if ok]
    unreadable = [index for index, ok in zip(chunk, valid, strict=True) if not ok]
    skipped = [(index, name, reason) for index, (name, reason) in zip(unreadable, batch.skipped, strict=True)]
    if not positions:
        return _Piece([], {}, skipped)
    computed = step(batch)
    columns: dict[str, np.ndarray | list] = {
        name: np.asarray(computed[name])[0][batch.valid] for name in _kept(work, computed)
    }
    columns |= facts_columns(batch.looks)
    if diagnose is not None:
        columns |= {name: values[batch.valid] for name, values in diagnose(batch.images).items()}
    columns["label"] = np.asarray(batch.labels[batch.valid], np.int32)
    columns["image_id"] = [name for name, ok in zip(batch.ids, batch.valid, strict=True) if ok]
    return _Piece(positions, columns, skipped)


def facts_columns(looks: Sequence[data.Facts]) -> dict[str, np.ndarray]:
    """Returns a column [N] for each of FACTS; hashes stay whole numbers of 64 bits, however small those of N images."""
    return {field: np.array([getattr(one, field) for one in looks], dtype) for field, (dtype, _) in _FACT_TYPES.items()}


def _kept(work: scoring.Scoring, computed: Iterable[str]) -> list[str]:
    computed = list(computed)
    scores = [scorer.column.name for scorer in work.work.scorers]
    of_networks = [f"{name}/{field}" for name in work.work.networks for field in NETWORK_FIELDS]
    features = [name for name in computed if name.endswith(f"/{FEATURES}")]
    return [*scores, *of_networks, *features]


def _cut(work: scoring.Scoring, pieces: Sequence[_Piece], part: Part) -> tuple[pa.Table, list[tuple[str, str]]]:
    """The table of one part out of the pieces that cover it."""
    skipped = [
        (_files.readable(name), reason)
        for piece in pieces
        for index, name, reason in piece.skipped
        if part.first <= index < part.last
    ]
    chosen = []
    for piece in pieces:
        inside = np.asarray([part.first <= index < part.last for index in piece.positions], bool)
        if inside.any():
            chosen.append((piece, np.flatnonzero(inside)))
    if not chosen:
        return pa.table({}), skipped
    joined = {
        name: np.concatenate([np.asarray(piece.columns[name])[inside] for piece, inside in chosen])
        for name in chosen[0][0].columns
    }
    image_set = work.sets[part.place]
    positions = [piece.positions[i] for piece, inside in chosen for i in inside]
    groups = [image_set.group(index, name) for index, name in zip(positions, joined["image_id"].tolist(), strict=True)]
    joined["position"] = np.asarray(positions, np.int64)
    return _table(work, joined, groups), skipped


def _table(work: scoring.Scoring, joined: dict[str, np.ndarray], groups: Sequence[str]) -> pa.Table:
    records = {scorer.column.name: scorer.column.record() for scorer in work.work.scorers}
    found: dict[str, pa.Array] = {
        "image_id": pa.array([_files.readable(name) for name in joined["image_id"].tolist()], pa.string()),
        "group": pa.array([_files.readable(name) for name in groups], pa.string()),
        "label": pa.array(joined["label"]),
        "position": pa.array(joined["position"]),
    }
    found |= {field: pa.array(joined[field].tolist(), kind) for field, (_, kind) in _FACT_TYPES.items()}
    scores = {name: np.asarray(joined[name], np.float32) for name in records}
    for name, values in scores.items():
        found[name] = pa.array(values, mask=~np.isfinite(values))
    for name in work.work.networks:
        for field in NETWORK_FIELDS:
            values = np.asarray(joined[f"{name}/{field}"], np.float32)
            found[f"{name}/{field}"] = pa.array(values, mask=~np.isfinite(values))
    for name, kind in zip(_CAUSES, (pa.string(), pa.float32(), pa.float32()), strict=True):
        there = name in joined
        found[name] = pa.array(joined[name].tolist() if there else [None] * len(groups), kind, from_pandas=True)
    found |= {name: pa.array(np.asarray(joined[name], np.float16)) for name in joined if name.startswith(CAUSE_IS)}
    found["undefined"] = parts.undefined_reasons(scores, records, len(groups))
    for name, values in joined.items():
        if name.endswith(f"/{FEATURES}"):
            flat = pa.array(np.ascontiguousarray(values).reshape(-1))
            found[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.table(found)
