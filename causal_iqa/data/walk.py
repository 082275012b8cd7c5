"""The image files below a folder, and a record of all files that are skipped.

Links to folders are followed. Below one start every folder is read once, by its own path where this lies below the
start, so that loops of links end and no file is listed twice. Names are given as `names.text_of` writes them.
"""

import collections
import contextlib
import os
import stat
import types
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from causal_iqa import _reading
from causal_iqa.data import formats, names

_SHOWN = 5


class PassedOver(NamedTuple):
    """What lies in a source's folder and is not read as an image.

    Attributes:
      endings: ending in small letters, "" for none -> number of files that are no images by their ending.
      hidden: files and folders whose names begin with a dot.
      outside: images that lie in no class folder.
      named: (path, reason) of what should not be overlooked: folders that cannot be listed or are reached twice, links
        that lead nowhere, pipes, sockets and devices.
    """

    endings: Mapping[str, int] = types.MappingProxyType({})
    hidden: int = 0
    outside: int = 0
    named: tuple[tuple[str, str], ...] = ()

    def lines(self) -> tuple[str, ...]:
        """Returns the record as lines to print; none when nothing was passed over."""
        counts = [f"{n} {ending or 'without an ending'}" for ending, n in self.endings.items()]
        counts += [f"{self.outside} images in no class folder"] * (self.outside > 0)
        counts += [f"{self.hidden} hidden"] * (self.hidden > 0)
        lines = [f"passed over: {', '.join(counts)}"] if counts else []
        mends = {formats.mend(ending): ending for ending in self.endings}
        lines += [f"{ending} {mend}" for mend, ending in mends.items() if mend is not None]
        lines += [f"passed over: {path}: {reason}" for path, reason in self.named[:_SHOWN]]
        more = len(self.named) - _SHOWN
        return (*lines, *([f"passed over: {more} more of these"] * (more > 0)))


NOTHING = PassedOver()


class Tally:
    """A record of what is passed over, while it is made."""

    def __init__(self) -> None:
        """Starts with nothing."""
        self._endings: collections.Counter[str] = collections.Counter()
        self._hidden = 0
        self._outside = 0
        self._named: list[tuple[str, str]] = []

    def add(self, name: str, reason: str) -> None:
        """Notes one thing by its name."""
        self._named.append((names.text_of(name), reason))

    def add_file(self, name: str) -> None:
        """Counts a file that is no image, or an image that lies in no class folder."""
        if formats.is_image(name):
            self._outside += 1
        else:
            self._endings[names.text_of(formats.ending_of(name))] += 1

    def add_hidden(self) -> None:
        """Counts a hidden file or folder."""
        self._hidden += 1

    def result(self) -> PassedOver:
        """Returns the finished record, commonest endings first."""
        return PassedOver(dict(self._endings.most_common()), self._hidden, self._outside, tuple(sorted(self._named)))


class Folder(NamedTuple):
    """What one folder holds, sorted by name: paths relative to the start, as `os` gives them."""

    files: list[str]
    folders: list[str]
    linked_folders: list[str]


def look(root: str, below: str, tally: Tally) -> Folder | None:
    """Lists one folder.

    Args:
      root: the start.
      below: path of the folder relative to it; "" for the start itself.
      tally: notes what is no regular file and no folder, or hidden.

    Returns:
      The contents; None, and a note, when the folder cannot be listed.
    """
    found = Folder([], [], [])
    try:
        with os.scandir(os.path.join(root, below)) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except (OSError, ValueError) as error:
        tally.add(below or ".", _reading.reason_of(error))
        return None
    for entry in listed:
        path = f"{below}/{entry.name}" if below else entry.name
        if entry.name.startswith("."):
            tally.add_hidden()
        elif entry.is_symlink():
            _look_at_link(entry.path, path, found, tally)
        elif entry.is_dir(follow_symlinks=False):
            found.folders.append(path)
        elif entry.is_file(follow_symlinks=False):
            found.files.append(path)
        else:
            tally.add(path, _reading.kind_of(entry.stat(follow_symlinks=False).st_mode))
    return found


def _look_at_link(target: str, path: str, found: Folder, tally: Tally) -> None:
    try:
        mode = os.stat(target).st_mode
    except OSError as error:
        tally.add(path, f"a link: {_reading.reason_of(error)}")
        return
    if stat.S_ISDIR(mode):
        found.linked_folders.append(path)
    elif stat.S_ISREG(mode):
        found.files.append(path)
    else:
        tally.add(path, f"a link to {_reading.kind_of(mode)}")


def _ancestors(root: str, without_root: bool) -> set[tuple[int, int]]:
    """The folders around a root: a link to one of them is a loop, though nothing of it was read yet."""
    found = set()
    try:
        path = os.path.realpath(root)
    except OSError:  # The working directory was deleted.
        return found
    if without_root:
        path = os.path.dirname(path)
    while True:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            found.add((status.st_dev, status.st_ino))
        if path == os.path.dirname(path):
            return found
        path = os.path.dirname(path)


def image_files(root: str, starts: Iterable[str], tally: Tally) -> list[str]:
    """Lists the image files at any depth.

    Args:
      root: the folder to which paths are relative.
      starts: folders in it to begin with, "" for itself. They share the memory of the folders that were read.
      tally: notes everything else.

    Returns:
      Paths relative to the root, as `os` gives them, in no particular order.
    """
    files: list[str] = []
    pending, links = list(starts), []
    read = _ancestors(root, "" in pending)
    while pending or links:
        if not pending:
            # After everything that is no link, so that a path through a link is only taken where there is no other.
            links.sort(reverse=True)
            pending.append(links.pop())
        path = pending.pop()
        try:
            status = os.stat(os.path.join(root, path))
        except OSError as error:
            tally.add(path or ".", _reading.reason_of(error))
            continue
        if (status.st_dev, status.st_ino) in read:
            tally.add(path, "a link to a folder that is read already, or to one around it")
            continue
        read.add((status.st_dev, status.st_ino))
        found = look(root, path, tally)
        if found is None:
            continue
        for file in found.files:
            if formats.is_image(file):
                files.append(file)
            else:
                tally.add_file(file)
        pending += found.folders
        links += found.linked_folders
    return files
