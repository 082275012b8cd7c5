"""Weighted Spearman sums of many resamples in one pass over the rows in order of their score.

A resample counts image n w_n times. Sorted once, the centred mid-rank of a row is the weight below it plus half the
weight of its tie group less half the total, so cumulative sums of weights yield all sums of a Spearman correlation
without sorting again. Neighbouring rows whose performances have the same levels go through as one: what the ranks
inside such a run add is that of their mean. All sums are of integers and halves: exact, in float32 where it holds them.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse

# Runs whose cumulative sums are taken together, and that are weighted together: what fits the caches.
_CHUNK, _PIECE = 128, 4096
# Rows whose cumulative sums are taken at once, block beside block; _CHUNK is a multiple.
_BLOCK = 8
# Levels up to which sums are taken by level first.
_FEW_LEVELS = 32
# Integers and halves below it are exact in float32.
_EXACT = 1 << 23


class Levels(NamedTuple):
    """The distinct values of a performance table in every group.

    Attributes:
      index: int [G, R], level of every row.
      counts: sparse float32 [G * L, N], rows of an image at a level.
      num_levels: L.
    """

    index: np.ndarray
    counts: sparse.csr_array
    num_levels: int


class Ranks(NamedTuple):
    """Centred mid-ranks of the levels in every resample: float64 [G, L, B], and sums of weight times square [G, B]."""

    table: np.ndarray
    squares: np.ndarray


class Rows(NamedTuple):
    """The rows of a score in ascending order, group by group, cut into runs that share one rank.

    Attributes:
      runs: sparse float32 [U, N], rows of an image in a run.
      first_run: int [G + 1], where the runs of a group begin.
      parts: sparse float32 [K, N] of the parts of runs that differ in level; None: every run is one part.
      first_part: int [U + 1], where the parts of a run begin.
      levels: int [P, K], levels of every part for P performances.
      alone: float64 [G, N], rows of an image that tie with no other row.
      ties: sparse float32 [T, N], rows of an image in a group of ties of two rows or more.
      first_tie: int [G + 1], where the ties of a group begin.
    """

    runs: sparse.csr_array
    first_run: np.ndarray
    parts: sparse.csr_array | None
    first_part: np.ndarray
    levels: np.ndarray
    alone: np.ndarray
    ties: sparse.csr_array
    first_tie: np.ndarray


def find_levels(m: np.ndarray, defined: np.ndarray, num_images: int) -> Levels:
    """Numbers the distinct performances of every group [G, R] in ascending order."""
    groups = len(m)
    index = np.zeros(m.shape, np.int64)
    for group, counted, values in zip(index, defined, m, strict=True):
        group[counted] = np.unique(values[counted], return_inverse=True)[1]
    num_levels = int(index.max()) + 1
    group, place = np.nonzero(defined)
    entries = (np.ones(group.size, np.float32), (group * num_levels + index[group, place], place % num_images))
    return Levels(index, sparse.csr_array(entries, shape=(groups * num_levels, num_images)), num_levels)


def level_ranks(levels: Levels, weights: np.ndarray) -> Ranks:
    """Ranks of the levels in every resample; weights: float32 [N, B], how often each image counts."""
    mass = (levels.counts @ weights).reshape(-1, levels.num_levels, weights.shape[1]).astype(np.float64)
    table = np.cumsum(mass, axis=1)
    table -= 0.5 * mass + 0.5 * mass.sum(axis=1, keepdims=True)
    return Ranks(table, np.einsum("glb,glb,glb->gb", mass, table, table))


def sort_rows(q: np.ndarray, defined: np.ndarray, levels: Sequence[Levels], num_images: int) -> Rows:
    """Sorts every group of scores.

    Args:
      q: scores [G, R]; the last axis runs over images fastest, R a multiple of N.
      defined: bool [G, R], the rows that count.
      levels: levels of P performances.
      num_images: N.

    Returns:
      The rows that count.
    """
    groups = len(q)
    group, place = np.nonzero(defined)
    values, code = q[group, place], _codes([level.index[group, place] for level in levels])
    order = np.lexsort((code, values, group))
    group, image, values, code = group[order], place[order] % num_images, values[order], code[order]
    of_row = np.stack([level.index[group, place[order]] for level in levels])
    new_group, new_code = _changes(group), _changes(code)
    new_tie = new_group | _changes(values)
    first = np.flatnonzero(new_tie)
    tie = np.cumsum(new_tie) - 1
    mixed = np.bincount(tie[new_code & ~new_tie], minlength=len(first)) > 0
    # Ties of one level, side by side, are one run.
    joins = ~mixed & ~np.roll(mixed, 1) & ~new_code[first] & ~new_group[first]
    new_run = new_tie.copy()
    new_run[first[joins]] = False
    new_part = new_run | (new_code & mixed[tie])
    size = np.diff(np.append(first, len(tie)))
    alone = np.zeros((groups, num_images))
    single = first[size == 1]
    np.add.at(alone, (group[single], image[single]), 1.0)
    several = size > 1
    in_ties = several[tie]
    number = np.cumsum(several) - 1
    part_starts, run_starts = np.flatnonzero(new_part), np.flatnonzero(new_run)
    run = np.cumsum(new_run) - 1
    every = np.arange(groups + 1)
    return Rows(
        _counts(run, image, num_images),
        np.searchsorted(group[run_starts], every),
        None if len(part_starts) == len(run_starts) else _counts(np.cumsum(new_part) - 1, image, num_images),
        np.searchsorted(run[part_starts], np.arange(len(run_starts) + 1)),
        of_row[:, part_starts],
        alone,
        _counts(number[tie[in_ties]], image[in_ties], num_images),
        np.searchsorted(group[first[several]], every),
    )


def _changes(x: np.ndarray) -> np.ndarray:
    """Whether each entry differs from the previous one; True for the first."""
    new = np.ones(len(x), bool)
    new[1:] = x[1:] != x[:-1]
    return new


def _codes(levels: Sequence[np.ndarray]) -> np.ndarray:
    """One number for the levels of several performances."""
    code, size = levels[0], int(levels[0].max(initial=0)) + 1
    for level in levels[1:]:
        own = int(level.max(initial=0)) + 1
        if size * own > 1 << 62:
            code = np.unique(code, return_inverse=True)[1]
            size = int(code.max(initial=0)) + 1
        code, size = code * own + level, size * own
    return code


def _counts(row: np.ndarray, image: np.ndarray, num_images: int) -> sparse.csr_array:
    """How many of the given pairs, in ascending order of row, are of each row and image."""
    num_rows = int(row[-1]) + 1 if len(row) else 0
    starts = np.searchsorted(row, np.arange(num_rows + 1))
    return sparse.csr_array((np.ones(len(row), np.float32), image, starts), shape=(num_rows, num_images))


def rank_sums(
    rows: Rows, ranks: Sequence[Ranks], weights: np.ndarray, total: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sums that make up the Spearman correlations of one score with several performances.

    Args:
      rows: the sorted score, G groups.
      ranks: ranks of the levels of its P performances.
      weights: float32 [N, B].
      total: float64 [G, B], weight of the rows that count.

    Returns:
      float64 [P, G, B] sum of weight times rank of score times rank of performance, and float64 [G, B] sum of weight
      times squared rank of score.
    """
    most = float(total.max(initial=0.0))
    exact = np.float32 if most < _EXACT else np.float64
    of_products = np.float32 if 2 * most**2 < _EXACT else np.float64
    few = [p for p, rank in enumerate(ranks) if rank.table.shape[1] <= _FEW_LEVELS]
    others = [p for p in range(len(ranks)) if p not in few]
    # The ranks of all levels sum to zero: what the last adds is known from the others.
    sizes = [ranks[p].table.shape[1] - 1 for p in few]
    which = [rows.levels[p] == np.arange(size)[:, None] for p, size in zip(few, sizes, strict=True)]
    which = np.concatenate(which).astype(of_products) if which else np.zeros((0, rows.levels.shape[1]), of_products)
    by_level = np.zeros((len(total), len(which), weights.shape[1]))
    products = np.zeros((len(ranks), *total.shape))
    weights = weights.astype(exact, copy=False)
    for group, parts, mass, rank in _ranked(rows, weights, (total / 2).astype(exact)):
        product = np.multiply(mass, rank, dtype=of_products)
        by_level[group] += which[:, parts] @ product
        for p in others:
            products[p, group] += np.einsum("kb,kb->b", product, ranks[p].table[group, rows.levels[p, parts]])
    ends = list(itertools.accumulate(sizes, initial=0))
    for p, start, end in zip(few, ends, ends[1:], strict=False):
        table = ranks[p].table
        products[p] = np.einsum("glb,glb->gb", by_level[:, start:end], table[:, :-1] - table[:, -1:])
    return products, _squares(rows, weights, total)


def _num_rows(matrix: sparse.csr_array) -> int:
    assert matrix.shape is not None, "the stubs alone allow for it"
    return matrix.shape[0]


def _ranked(rows: Rows, weights: np.ndarray, half: np.ndarray) -> Iterator[tuple[int, slice, np.ndarray, np.ndarray]]:
    """Yields some parts of a group at a time: (group, parts, their weight [k, B], the rank of their runs [k, B])."""
    scratch = np.empty((_CHUNK, weights.shape[1]), weights.dtype)
    below = None
    num_runs = _num_rows(rows.runs)
    for piece in range(0, num_runs, _PIECE):
        runs = slice(piece, min(piece + _PIECE, num_runs))
        mass = rows.runs[runs] @ weights
        inside = slice(rows.first_part[runs.start], rows.first_part[runs.stop])
        of_parts = mass if rows.parts is None else rows.parts[inside] @ weights
        for group in range(*np.searchsorted(rows.first_run, [runs.start + 1, runs.stop], side="left") - [1, 0]):
            start, end = max(rows.first_run[group], runs.start), min(rows.first_run[group + 1], runs.stop)
            if start == rows.first_run[group]:
                below = -half[group]
            for at in range(start, end, _CHUNK):
                stop = min(at + _CHUNK, end)
                own = mass[at - piece : stop - piece]
                rank = _cumulative(own, scratch)
                rank += below
                below = rank[-1].copy()
                rank -= 0.5 * own
                parts = slice(rows.first_part[at], rows.first_part[stop])
                if rows.parts is not None:
                    own = of_parts[parts.start - inside.start : parts.stop - inside.start]
                    rank = np.repeat(rank, np.diff(rows.first_part[at : stop + 1]), axis=0)
                yield group, parts, own, rank


def _cumulative(x: np.ndarray, scratch: np.ndarray) -> np.ndarray:
    """Cumulative sums over the first axis [k, B], k at most _CHUNK: NumPy's own goes through every column by itself."""
    num_blocks = -(-len(x) // _BLOCK)
    sums = scratch[: num_blocks * _BLOCK]
    sums[: len(x)], sums[len(x) :] = x, 0
    blocks = sums.reshape(num_blocks, _BLOCK, -1)
    for i in range(1, _BLOCK):
        blocks[:, i] += blocks[:, i - 1]
    for i in range(1, num_blocks):
        blocks[i] += blocks[i - 1, -1]
    return sums[: len(x)]


def _squares(rows: Rows, weights: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Sum of weight times squared centred mid-rank: (total^3 - sum of the cubes of the ties) / 12."""
    cubes = rows.alone @ _cubed(weights.astype(np.float64))
    if _num_rows(rows.ties):
        tied = _cubed((rows.ties @ weights).astype(np.float64))
        some = np.flatnonzero(np.diff(rows.first_tie))
        cubes[some] += np.add.reduceat(tied, rows.first_tie[some], axis=0)
    return (_cubed(total) - cubes) / 12


def _cubed(x: np.ndarray) -> np.ndarray:
    return x * x * x
