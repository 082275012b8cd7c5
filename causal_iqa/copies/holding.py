"""One run at a time in a tree of copies."""

import contextlib
import contextvars
import os
import pathlib
from collections.abc import Iterator

from causal_iqa import _locks

# The trees that this thread of work holds: what writes into one may call another that does, too.
_held: contextvars.ContextVar[frozenset[pathlib.Path]] = contextvars.ContextVar("held", default=frozenset())


@contextlib.contextmanager
def hold(output_dir: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Holds a tree of copies, so that no other run writes into it; within itself it does nothing.

    `write`, `finish` and `write_annotations` hold the tree by themselves, and the processes of one `write` share it.
    Whoever does the tasks elsewhere holds it from `begin` to `finish`. The system gives a lock back however its process
    ends.

    Args:
      output_dir: the tree; made when missing.

    Yields:
      The folder of the tree.

    Raises:
      InputError: when it cannot be made or written, or another run works in it.

    Examples:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as folder, copies.hold(folder) as tree:
      ...     names = [path.name for path in tree.iterdir()]
      >>> names
      ['.lock']
    """
    folder = pathlib.Path(output_dir)
    place = folder.resolve()
    if place in _held.get():
        yield folder
        return
    with _locks.lock(folder, make=True):
        token = _held.set(_held.get() | {place})
        try:
            yield folder
        finally:
            _held.reset(token)


def remove_leftovers(folder: pathlib.Path) -> None:
    """Removes what killed writes left in a tree at any depth; only for who holds it."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".tmp") and _locks.LEFTOVER.fullmatch(name):
                pathlib.Path(place, name).unlink(missing_ok=True)
