"""One process at a time in an output folder, and no way out of it through links."""

import contextlib
import errno
import fcntl
import os
import pathlib
import re
import stat
from collections.abc import Iterator

from causal_iqa import _checks

_SUBFOLDERS = ("scores", "figures")
# What a killed write leaves behind, by this version and by older ones.
_LEFTOVER = re.compile(r"\.([0-9a-f]{16}|.+\.\d+)\.tmp")


@contextlib.contextmanager
def lock(folder: pathlib.Path, *, make: bool = False, flag: str = "output_dir") -> Iterator[int]:
    """Holds an output folder for this process.

    Args:
      folder: the folder to hold.
      make: whether to make it when it is missing.
      flag: names the folder in an error.

    Yields:
      The folder's descriptor.

    Raises:
      InputError: when the folder cannot be made or written, another process holds it, or its .lock is no plain file.

    Examples:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder, pipeline.lock(pathlib.Path(folder)):
      ...     names = [path.name for path in pathlib.Path(folder).iterdir()]
      >>> names
      ['.lock']
    """
    with contextlib.ExitStack() as stack:
        try:
            if make:
                folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, descriptor)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            file = os.open(".lock", flags, 0o666, dir_fd=descriptor)
            stack.callback(os.close, file)
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.ELOOP, "no plain file")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _checks.InputError(f"{flag}: another run is working in {folder}") from error
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise _checks.InputError(f"{flag}: {folder / '.lock'} is a link or no plain file; remove it") from error
            raise _checks.InputError(
                f"{flag}: {folder} cannot be made or written: {error.strerror or error}"
            ) from error
        yield descriptor


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
            if _LEFTOVER.fullmatch(path.name):
                path.unlink(missing_ok=True)
