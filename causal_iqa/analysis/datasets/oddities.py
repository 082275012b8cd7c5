"""Images that tell little: of one pixel or one colour, of extreme shape, smaller than they are scored at, or copies."""

import collections
from typing import NamedTuple

import numpy as np
import pyarrow as pa

EXTREME_ASPECT = 4.0
ONE_PIXEL, ONE_COLOUR, EXTREME, ENLARGED = "one pixel", "one colour", "extreme aspect", "enlarged to be scored"
# What keeps an image out of the pictures of worst and best.
TELLS_NOTHING = (ONE_PIXEL, ONE_COLOUR, EXTREME)
_SHOWN = 200
_MOST_BITS = 8
# Above so many images with equal quarters of a hash, only equal hashes are compared.
_LARGEST_BUCKET = 256


class Odd(NamedTuple):
    """Images of one kind: how many, and the rows of the first 200."""

    kind: str
    count: int
    rows: tuple[int, ...]


class Copies(NamedTuple):
    """Images that look alike.

    Attributes:
      count: images beyond the first of each group.
      across: groups whose images are in several sets.
      groups: rows of the largest groups, at most 200 groups of at most 20.
      is_copy: bool [n], whether a row is not the first of its group.
    """

    count: int
    across: int
    groups: tuple[tuple[int, ...], ...]
    is_copy: np.ndarray


def kinds_of(table: pa.Table, image_size: int, crop_fraction: float) -> dict[str, np.ndarray]:
    """Finds the images that are odd.

    Args:
      table: result of `pipeline.Scored`.
      image_size: side in pixels at which images were scored.
      crop_fraction: fraction of the shorter side that was scored.

    Returns:
      Kind -> bool [n].
    """
    width, height = (table[name].to_numpy().astype(np.float64) for name in ("width", "height"))
    shorter, longer = np.minimum(width, height), np.maximum(width, height)
    same = (shorter == image_size) & (longer == image_size)
    return {
        ONE_PIXEL: longer == 1,
        ONE_COLOUR: table["one_colour"].to_numpy(zero_copy_only=False).astype(bool) & (longer > 1),
        EXTREME: longer > EXTREME_ASPECT * shorter,
        ENLARGED: (np.round(shorter * crop_fraction) < image_size) & ~same,
    }


def reasons(kinds: dict[str, np.ndarray]) -> pa.Array:
    """Returns the kinds of every image in words, null for an ordinary one."""
    pattern = sum(own.astype(np.int64) << place for place, own in enumerate(kinds.values()))
    words = [
        "; ".join(kind for place, kind in enumerate(kinds) if number >> place & 1) or None
        for number in range(2 ** len(kinds))
    ]
    return pa.array(words, pa.string()).take(pa.array(pattern))


def listed(kinds: dict[str, np.ndarray]) -> tuple[Odd, ...]:
    """Returns the odd images by kind, kinds without any left out."""
    found = []
    for kind, own in kinds.items():
        places = np.flatnonzero(own)
        if places.size:
            found.append(Odd(kind, int(places.size), tuple(int(i) for i in places[:_SHOWN])))
    return tuple(found)


def find_copies(table: pa.Table, set_of_row: np.ndarray, left_out: np.ndarray) -> Copies:
    """Finds images that look alike: whose hashes of 128 bits agree in a quarter and differ in 8 bits at most.

    Args:
      table: result of `pipeline.Scored`.
      set_of_row: int [n].
      left_out: bool [n], images that show nothing and would all be alike.

    Returns:
      The copies. Images in a row of others that each look like the next are one group.
    """
    hashes = np.stack([table[name].to_numpy() for name in ("look_across", "look_down")], axis=1).astype(np.uint64)
    n = len(hashes)
    rows = np.flatnonzero(~left_out & hashes.any(axis=1))
    unique, inverse = np.unique(hashes[rows], axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    parent = np.arange(len(unique))
    quarters = unique.view(np.uint32).reshape(len(unique), 4)
    for quarter in range(4):
        order = np.argsort(quarters[:, quarter], kind="stable")
        ordered = quarters[order, quarter]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(order) else []
        sizes = np.diff(np.append(starts, len(order)))
        for start, size in zip(starts, sizes, strict=True):
            if 1 < size <= _LARGEST_BUCKET:
                _unite(parent, unique, order[start : start + size])
    roots = np.asarray([_root(parent, i) for i in range(len(unique))], int) if len(unique) else np.zeros(0, int)
    group = roots[inverse] if len(rows) else np.zeros(0, int)
    size = np.bincount(group, minlength=len(unique)) if len(group) else np.zeros(0, int)
    members = collections.defaultdict(list)
    for row, own in zip(rows[size[group] > 1].tolist(), group[size[group] > 1].tolist(), strict=True):
        members[own].append(row)
    is_copy = np.zeros(n, bool)
    for own in members.values():
        is_copy[own[1:]] = True
    across = sum(1 for own in members.values() if len(set(set_of_row[own].tolist())) > 1)
    largest = sorted(members.values(), key=lambda own: (-len(own), own[0]))[:_SHOWN]
    return Copies(int(is_copy.sum()), across, tuple(tuple(own[:20]) for own in largest), is_copy)


def _unite(parent: np.ndarray, unique: np.ndarray, bucket: np.ndarray) -> None:
    differing = np.bitwise_count(unique[bucket][:, None] ^ unique[bucket][None]).sum(axis=2)
    for i, j in np.argwhere(np.triu(differing <= _MOST_BITS, 1)):
        a, b = _root(parent, int(bucket[i])), _root(parent, int(bucket[j]))
        parent[max(a, b)] = min(a, b)


def _root(parent: np.ndarray, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return int(i)
