"""The folders of a run: no way out of them through links, and nothing left behind by a kill."""

import contextlib
import os
import pathlib
import stat

from causal_iqa import _checks, _locks

_SUBFOLDERS = ("scores", "figures")


def check_subfolders(folder: pathlib.Path, descriptor: int) -> None:
    """Makes the subfolders of a run; InputError where one is a link or no folder.

    Args:
      folder: folder of the run, for messages.
      descriptor: its own, as `lock` gives it.
    """
    for name in _SUBFOLDERS:
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=descriptor)
            mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
        except OSError as error:
            raise _checks.InputError(f"output_dir: {folder / name} cannot be made: {error.strerror}") from error
        if not stat.S_ISDIR(mode):
            raise _checks.InputError(
                f"output_dir: {folder / name} is a link or no folder; nothing is written through it, remove it"
            )


def remove_leftovers(folder: pathlib.Path) -> None:
    """Removes what killed writes left in a run's folder; only for who holds its lock."""
    for place in (folder, *(folder / name for name in _SUBFOLDERS)):
        for path in place.glob(".*.tmp"):
            if _locks.LEFTOVER.fullmatch(path.name):
                path.unlink(missing_ok=True)
