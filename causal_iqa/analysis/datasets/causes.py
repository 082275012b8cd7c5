"""What sets of images suffer from, and which causes and groups the difference between two of them comes from."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
import pyarrow as pa

from causal_iqa import diagnosis, pipeline
from causal_iqa.analysis import attribution

# The shares of a larger set are those of so many of its images, drawn: they move by .0016 at most (standard error).
MOST_IMAGES = 100_000
# Fewer have no composition.
FEWEST_IMAGES = 20


class Diagnosed(NamedTuple):
    """The diagnosis of one set.

    Attributes:
      probabilities: float32 [n, causes] of every image under even shares of the causes, NaN where nothing is known.
      composition: shares of the causes in the set.
    """

    probabilities: np.ndarray
    composition: diagnosis.Composition


def diagnosed(key: jax.Array, table: pa.Table, *, level: float) -> Diagnosed | None:
    """Estimates the composition of causes of a set, from all probabilities of every image.

    Args:
      key: key of the choice of at most 100,000 images, and of the resamples.
      table: table of the set, with a column `cause=NAME` for every cause, "none" first and "other" last.
      level: confidence level of the intervals.

    Returns:
      The probabilities and the composition; None without such columns, or with fewer than 20 images that have them.
    """
    columns = [name for name in table.column_names if name.startswith(pipeline.CAUSE_IS)]
    if not columns:
        return None
    probabilities = np.stack([table[name].to_numpy().astype(np.float32) for name in columns], axis=1)
    # Rounded to half precision when they were kept.
    probabilities /= np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-6)
    known = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
    if len(known) < FEWEST_IMAGES:
        return None
    draw, resample = jax.random.split(key)
    if len(known) > MOST_IMAGES:
        known = np.sort(np.random.default_rng(np.asarray(jax.random.key_data(draw))).permutation(known)[:MOST_IMAGES])
    names = tuple(name.removeprefix(pipeline.CAUSE_IS) for name in columns)
    found = diagnosis.composition(resample, probabilities[known, :-1], names[:-1], level=level)
    return Diagnosed(probabilities, found)


def attribute(
    sets: Sequence[tuple[pa.Table, np.ndarray, Diagnosed]],
    *,
    level: float,
    seed: int,
) -> attribution.Attribution | None:
    """Attributes the difference of the mean expected correctness of two sets.

    Every image counts for each cause by its probability, given the composition of its set. Groups are a part where
    both sets have groups of the same names.

    Args:
      sets: for the first and the second set, its table, with a column group; correctness expected of each image, NaN
        where undefined; and its diagnosis.
      level: confidence level of the intervals.
      seed: seed of the resamples.

    Returns:
      The parts of the second minus the first; None where fewer than 20 images of a set have both a diagnosis and an
      expected correctness.
    """
    known = [np.isfinite(e) & np.isfinite(d.probabilities).all(axis=1) for _, e, d in sets]
    if min(int(rows.sum()) for rows in known) < FEWEST_IMAGES:
        return None
    groups = [
        np.asarray(table["group"].to_pylist(), object)[rows].astype(str)
        for (table, _, _), rows in zip(sets, known, strict=True)
    ]
    shared = set(groups[0]) & set(groups[1])
    first, second = (
        attribution.SetOfImages(
            np.clip(e[rows], 0.0, 1.0),
            diagnosis.adapted(d.probabilities[rows, :-1], d.composition.shares),
            g if len(shared) > 1 else None,
        )
        for (_, e, d), rows, g in zip(sets, known, groups, strict=True)
    )
    return attribution.attribute(first, second, sets[0][2].composition.causes, level=level, seed=seed)
