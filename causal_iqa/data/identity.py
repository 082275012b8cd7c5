"""Whether two sources hold the same images: compared by their contents, not by the names of the sources."""

import collections
from collections.abc import Hashable, Iterable
from typing import Any

from causal_iqa.data.sources import Source, UnreadableImage


def place(source: Source, index: int) -> Hashable:
    """Returns an identifier of the stored image that is read, the same for two sources that read the same one.

    Args:
      source: any source. Those of this room know the file, the dataset's full name and the position in its split, or
        the seed of a scene. Other sources are identified by their name and the image's id.
      index: position in the source.

    Returns:
      A value to compare.

    Examples:
      >>> source = data.open_source("scenes")
      >>> first, again = data.place(source, 0), data.place(data.open_source("scenes"), 0)
      >>> first == again, first == data.place(source, 1)
      (True, False)
    """
    own = getattr(source, "place", None)
    return (source.name, source.id(index)) if own is None else own(index)


def shared_ids(source: Source, other: Source, indices: Iterable[int]) -> frozenset[str]:
    """Ids of a source's images that another source has, too.

    Args:
      source: whose ids are returned.
      other: the other source.
      indices: positions in it.

    Returns:
      Ids of `source`; an image under another name, through a link or in another spelling of its dataset is the same.

    Examples:
      >>> source, other = data.open_source("scenes"), data.open_source("scenes", seed=1)
      >>> len(data.shared_ids(source, source, range(3))), len(data.shared_ids(source, other, range(3)))
      (3, 0)
    """
    places = {place(other, int(i)) for i in indices}
    if not places:
        return frozenset()
    return frozenset(source.id(i) for i in range(len(source)) if place(source, i) in places)


def copies(
    source: Source, indices: Iterable[int], other: Source, other_indices: Iterable[int]
) -> tuple[tuple[str, str], ...]:
    """Finds images that are stored twice: whose encoded files are equal byte for byte.

    Only files of one size are read, so the search costs little.

    Args:
      source: a source.
      indices: positions in it.
      other: another source, or the same.
      other_indices: positions in that.

    Returns:
      (id in `source`, id of the first copy in `other`) of every image that has one in another place; empty when a
      source does not read encoded files.

    Examples:
      >>> source = data.open_source("scenes")
      >>> data.copies(source, range(3), source, range(3))  # scenes are rendered and have no encoded files to compare
      ()
    """
    if not all(hasattr(one, name) for one in (source, other) for name in ("content", "encoded_size")):
        return ()
    ours, theirs = _by_size(source, indices), _by_size(other, other_indices)
    found = []
    for size in ours.keys() & theirs.keys():
        if ours[size] == theirs[size] and len(ours[size]) == 1 and source is other:
            continue
        by_content = collections.defaultdict(list)
        for i in theirs[size]:
            by_content[_content(other, i)].append(i)
        for i in ours[size]:
            content = _content(source, i)
            twins = [] if content is None else by_content.get(content, [])
            where = place(source, i)
            twin = next((j for j in twins if place(other, j) != where), None)
            if twin is not None:
                found.append((source.id(i), other.id(twin)))
    return tuple(sorted(found))


def _by_size(source: Any, indices: Iterable[int]) -> dict[int, list[int]]:
    sizes = collections.defaultdict(list)
    for i in map(int, indices):
        try:
            sizes[source.encoded_size(i)].append(i)
        except UnreadableImage:
            continue  # Reported when its turn comes.
    return sizes


def _content(source: Any, index: int) -> bytes | None:
    try:
        return source.content(index)
    except UnreadableImage:
        return None
