"""One process at a time in an output folder, by a lock that the system gives back whenever the process ends."""

import contextlib
import errno
import fcntl
import os
import pathlib
import re
import stat
from collections.abc import Iterator

from causal_iqa import _checks

# What a killed write leaves behind, by this version and by older ones.
LEFTOVER = re.compile(r"\.([0-9a-f]{16}|.+\.\d+)\.tmp")


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
