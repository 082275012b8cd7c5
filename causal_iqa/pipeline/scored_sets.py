"""Scored sets of images as one table: what `score_sets` kept, read back."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from causal_iqa import _checks, _keys
from causal_iqa.pipeline import outputs, scoring
from causal_iqa.pipeline.columns import Column
from causal_iqa.pipeline.scored import FEATURES, Keeper, Part

# Features of at most so many images of a set are read back, to compare sets.
MOST_FEATURES = 1000


class Sample(NamedTuple):
    """Features of some images of a set, for comparing sets: rows [k] of the table, values float32 [k, d]."""

    rows: np.ndarray
    values: np.ndarray


class Scored(NamedTuple):
    """Scored sets of images; a row of `table` per readable image, set by set in order.

    Attributes:
      table: image_id, set, group, label, position in the set's source, the columns of FACTS, every score,
        `NETWORK/correct` and `/confidence` of judged networks, cause, cause_severity and cause_probability, float16
        `cause=NAME` of every cause that was looked for ("none" first, "other" last; rows sum to 1), and `undefined`,
        which says why scores are missing. What is undefined is null.
      columns: direction and passport of every score.
      names: names of the sets.
      sizes: images in each set, readable or not.
      skipped: (set, id, reason) of unreadable images.
      features: backbone -> a sample per set.
      image_size: side in pixels at which images were scored.
      crop_fraction: central square cut from photos of varying size, fraction of the shorter side.
      class_names: class names of each set, empty where unlabelled.
    """

    table: pa.Table
    columns: tuple[Column, ...]
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    skipped: tuple[tuple[str, str, str], ...]
    features: dict[str, tuple[Sample, ...]]
    image_size: int
    crop_fraction: float
    class_names: tuple[tuple[str, ...], ...]


def read_sets(work: scoring.Scoring, keeper: Keeper, stamps: Mapping[Part, str]) -> Scored:
    """Reads back what `score_sets` kept.

    Args:
      work: result of `scoring.prepare`.
      keeper: that holds every part.
      stamps: result of `score_sets`.

    Returns:
      The scored sets.

    Raises:
      InputError: when no image could be read.

    Examples:
      >>> import tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     for i in range(3):
      ...         Image.fromarray(np.full((32, 32, 3), 60 * i, np.uint8)).save(f"{folder}/{i}.png")
      ...     work = pipeline.prepare_scoring(pipeline.ScoringConfig(images=(folder,), metrics=("entropy",)))
      ...     keeper = pipeline.InMemory()
      ...     stamps = pipeline.score_sets(work, keeper, pipeline.Execution(num_devices=1))
      >>> pipeline.read_sets(work, keeper, stamps).table.column("image_id").to_pylist()
      ['0.png', '1.png', '2.png']
    """
    tables, skipped, features = [], [], {}
    sampled = [_sampled(work, place, len(one.source)) for place, one in enumerate(work.sets)]
    offset = 0
    for part, stamp in stamps.items():
        image_set = work.sets[part.place]
        table, unreadable = keeper.read(part, stamp)
        skipped += [(image_set.name, name, reason) for name, reason in unreadable]
        if not table.num_rows:
            continue
        vectors = [name for name in table.column_names if name.endswith(f"/{FEATURES}")]
        chosen = np.flatnonzero(sampled[part.place][part.first : part.last][: table.num_rows])
        for name in vectors:
            column = table[name].combine_chunks()
            flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
            values = flat.reshape(table.num_rows, -1)[chosen]
            features.setdefault(name, [[] for _ in work.sets])[part.place].append((chosen + offset, values))
        table = table.drop_columns(vectors)
        set_name = pa.array([image_set.name] * table.num_rows, pa.string())
        tables.append(table.add_column(1, "set", set_name))
        offset += table.num_rows
    if not tables:
        shown = "; ".join(f"{name}: {reason}" for _, name, reason in skipped[:3])
        raise _checks.InputError(f"images: none of the {len(skipped)} can be read ({shown})")
    return Scored(
        table=pa.concat_tables(tables).combine_chunks(),
        columns=tuple(scorer.column for scorer in work.work.scorers),
        names=tuple(one.name for one in work.sets),
        sizes=tuple(len(one.source) for one in work.sets),
        skipped=tuple(skipped),
        features={name.rpartition("/")[0]: tuple(map(_sample, by_set)) for name, by_set in features.items()},
        image_size=work.work.image_size,
        crop_fraction=work.work.crop_fraction,
        class_names=tuple(one.source.class_names for one in work.sets),
    )


def _sampled(work: scoring.Scoring, place: int, size: int) -> np.ndarray:
    """Which images of a set have their features read back, bool [size]."""
    if size <= MOST_FEATURES:
        return np.ones(size, bool)
    import jax

    name = work.sets[place].name
    draws = np.asarray(jax.random.uniform(_keys.named(work.config.seed, f"images of {name} to compare"), (size,)))
    return draws <= np.partition(draws, MOST_FEATURES - 1)[MOST_FEATURES - 1]


def _sample(found: Sequence[tuple[np.ndarray, np.ndarray]]) -> Sample:
    if not found:
        return Sample(np.zeros(0, int), np.zeros((0, outputs.KEPT_FEATURES), np.float32))
    return Sample(np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found]))
