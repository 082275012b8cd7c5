"""Weighted Spearman sums of many resamples in one pass over the rows in order of their score.

A resample counts image n w_n times. Sorted once, the centred mid-rank of a row is the weight below it plus half the
weight of its tie group less half the total, so a pass that carries the weight below yields all sums of a Spearman
correlation without sorting again. Ranks are half-integers and exact in float32 up to 8 million rows; the products are
summed in float32 over chunks and the chunks in float64.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

_CHUNK = 256


class Rows(NamedTuple):
    """Rows in ascending score order, cut into chunks; leading axis [G] for the groups ranked apart.

    image: int32 [G, K, chunk], the row's image; N for a row that does not count.
    last: float32 [G, K, chunk], 1 where the row ends its tie group.
    place: int32 [G, K, chunk], the row's place in its group before sorting; `size` for padding.
    ties: whether any group of ties has two rows.
    """

    image: np.ndarray
    last: np.ndarray
    place: np.ndarray
    ties: bool


class Levels(NamedTuple):
    """The distinct values of a performance table in every group.

    index: int32 [G, R], level of every row.
    counts: sparse [G * L, N], rows of an image at a level.
    num_levels: L, 4, 8, ... or a multiple of the chunk, so that few programs serve all networks.
    """

    index: np.ndarray
    counts: sparse.csr_array
    num_levels: int


def sort_rows(q: np.ndarray, defined: np.ndarray, num_images: int) -> Rows:
    """Sorts every group of scores.

    Args:
      q: scores [G, R]; the last axis runs over images fastest, R a multiple of N.
      defined: bool [G, R], the rows that count.
      num_images: N.

    Returns:
      The rows of every group in ascending order, those that do not count last.
    """
    groups, size = q.shape
    values = np.where(defined, q, np.inf)
    order = np.argsort(values, axis=1, kind="stable")
    values = np.take_along_axis(values, order, axis=1)
    counted = np.take_along_axis(defined, order, axis=1)
    last = np.ones((groups, size), bool)
    last[:, :-1] = (values[:, 1:] != values[:, :-1]) | ~counted[:, :-1]
    image = np.where(counted, order % num_images, num_images)
    chunk = min(_CHUNK, size)
    pad = ((0, 0), (0, -size % chunk))

    def cut(x: np.ndarray, fill: int, dtype: type) -> np.ndarray:
        return np.pad(x, pad, constant_values=fill).astype(dtype).reshape(groups, -1, chunk)

    return Rows(cut(image, num_images, np.int32), cut(last, 1, np.float32), cut(order, size, np.int32), not last.all())


def find_levels(m: np.ndarray, defined: np.ndarray, num_images: int) -> Levels:
    """Numbers the distinct performances of every group [G, R] in ascending order."""
    groups, size = m.shape
    index = np.zeros((groups, size), np.int32)
    for group, counted, values in zip(index, defined, m, strict=True):
        group[counted] = np.unique(values[counted], return_inverse=True)[1]
    num_levels = 1 << max(2, int(index.max()).bit_length())
    if num_levels > _CHUNK:
        num_levels = -(-(int(index.max()) + 1) // _CHUNK) * _CHUNK
    group, place = np.nonzero(defined)
    entries = (np.ones(group.size, np.float32), (group * num_levels + index[group, place], place % num_images))
    return Levels(index, sparse.csr_array(entries, shape=(groups * num_levels, num_images)), num_levels)


@jax.jit
def _midranks(mass: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Centred mid-rank of every level and the rank variance: mass [G, L, B] -> [G, L, B], [G, K, B]."""

    def step(below, mass):
        return below + mass, below + 0.5 * mass

    _, rank = jax.lax.scan(step, -0.5 * mass.sum(axis=1), mass.swapaxes(0, 1))
    rank = rank.swapaxes(0, 1)
    groups, levels, width = mass.shape
    parts = (mass * rank * rank).reshape(groups, -1, min(levels, _CHUNK), width)
    return rank, parts.sum(axis=2)


def level_ranks(levels: Levels, weights: np.ndarray, device: jax.Device) -> tuple[jax.Array, np.ndarray]:
    """Centred mid-ranks of the levels in every resample.

    Args:
      levels: levels of G groups.
      weights: float32 [N, B], how often each image counts in each resample.
      device: where the ranks shall lie.

    Returns:
      float32 [G, L, B] ranks, and float64 [G, B] the sum of weight times squared rank.
    """
    mass = (levels.counts @ weights).reshape(-1, levels.num_levels, weights.shape[1])
    rank, parts = _midranks(jax.device_put(mass, device))
    return rank, np.asarray(parts, np.float64).sum(axis=1)


def _advance(weights, tables, ties, state, row):
    below, tied, tied_products, products, squares = state
    image, last, levels = row
    weight = weights[image]
    ranks = [table[level] for table, level in zip(tables, levels, strict=True)]
    if not ties:
        rank = below + 0.5 * weight
        weighted = weight * rank
        products = tuple(p + weighted * r for p, r in zip(products, ranks, strict=True))
        return (below + weight, tied, tied_products, products, squares + weighted * rank), None
    tied = tied + weight
    tied_products = tuple(t + weight * r for t, r in zip(tied_products, ranks, strict=True))
    rank = below + 0.5 * tied
    products = tuple(p + last * (t * rank) for p, t in zip(products, tied_products, strict=True))
    squares = squares + last * (tied * rank * rank)
    keep = 1.0 - last
    return (below + last * tied, keep * tied, tuple(keep * t for t in tied_products), products, squares), None


@functools.partial(jax.jit, static_argnames="ties")
def _sweep(weights, total, tables, image, last, levels, *, ties):
    """Sums of products and squares per chunk: -> tuple of [G, K, B] (one per table), [G, K, B]."""

    def chunk(carried, rows, tables):
        zero = jnp.zeros_like(carried[0])
        state = (*carried, tuple(zero for _ in tables), zero)
        (*carried, products, squares), _ = jax.lax.scan(functools.partial(_advance, weights, tables, ties), state, rows)
        return tuple(carried), (products, squares)

    def group(arguments):
        total, tables, rows = arguments
        zero = jnp.zeros_like(total)
        start = (-0.5 * total, zero, tuple(zero for _ in tables))
        return jax.lax.scan(functools.partial(chunk, tables=tables), start, rows)[1]

    return jax.lax.map(group, (total, tables, (image, last, levels)))


def rank_sums(
    rows: Rows, levels: tuple[Levels, ...], tables: tuple[jax.Array, ...], weights: jax.Array, total: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sums that make up the Spearman correlations of one score with several performances.

    Args:
      rows: the sorted score, G groups.
      levels: levels of each of P performances.
      tables: ranks of the levels, P arrays float32 [G, L, B].
      weights: float32 [N + 1, B] on the device; the last row is zero.
      total: float32 [G, B], weight of the rows that count.

    Returns:
      float64 [P, G, B] sum of weight times rank of score times rank of performance, and float64 [G, B] sum of weight
      times squared rank of score.
    """
    index = [np.pad(level.index, ((0, 0), (0, 1))) for level in levels]
    place = rows.place.reshape(len(rows.place), -1)
    index = tuple(np.take_along_axis(level, place, axis=1).reshape(rows.place.shape) for level in index)
    products, squares = _sweep(weights, total, tables, rows.image, rows.last, index, ties=rows.ties)
    return np.stack([np.asarray(p, np.float64).sum(axis=1) for p in products]), np.asarray(squares, np.float64).sum(1)
