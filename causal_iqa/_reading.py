"""Files that a user names, opened so that none can hang or fill the memory: regular ones alone, up to a size."""

import errno
import io
import os
import stat

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_LARGEST_TEXT = 2**26


def kind_of(mode: int) -> str:
    """Returns the kind of file that a mode of `os.stat` stands for, e.g. "a pipe"."""
    return next((name for test, name in _KINDS if test(mode)), "a file" if stat.S_ISREG(mode) else "a special file")


def reason_of(error: Exception) -> str:
    """Says on one line why a path cannot be used."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def stat_of(path: str | os.PathLike[str]) -> os.stat_result:
    """`os.stat`, with OSError for every path that cannot be: one with a NUL, a link loop, one that is too long."""
    try:
        return os.stat(path)
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no path: {error}") from error


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Opens a regular file for reading; a pipe would block for ever, a device never end.

    Args:
      path: path of the file; links are followed.

    Returns:
      The binary file.

    Raises:
      OSError: when there is no file, no permission, or another kind of file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    mode = stat_of(path).st_mode
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"{kind_of(mode)}, not a regular file")
    descriptor = os.open(path, flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):  # Another one since the first look.
            raise OSError(errno.EINVAL, f"{kind_of(mode)}, not a regular file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_text(path: str | os.PathLike[str], *, encoding: str = "utf-8", largest: int = _LARGEST_TEXT) -> str:
    """Reads a regular text file of bounded size.

    Args:
      path: path of the file.
      encoding: encoding of the text.
      largest: most bytes that are read.

    Returns:
      The text.

    Raises:
      OSError: as `open_regular`, or when the file is larger.
      UnicodeDecodeError: when it is not text of this encoding.
    """
    with open_regular(path) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"larger than {largest} bytes")
    return content.decode(encoding)
