"""What the binaries share: user errors as one line, and checks of where output goes."""

import functools
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from causal_iqa import InputError


def reporting_user_errors(main: Callable[[list[str]], Any]) -> Callable[[list[str]], Any]:
    """Wraps a binary's main: an InputError ends it with one line on stderr and exit code 1, no traceback.

    Args:
      main: takes the command line's remaining arguments.

    Returns:
      The wrapped main. Other exceptions are bugs and keep their traceback.
    """

    @functools.wraps(main)
    def wrapped(argv: list[str]) -> Any:
        try:
            if len(argv) > 1:
                raise InputError(f"unexpected argument {argv[1]!r}: flags are written --name=value (see --help)")
            return main(argv)
        except InputError as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(130)
        sys.exit(1)

    return wrapped


def check_writable(path: str) -> None:
    """Raises InputError unless a file can be written at `path`; a missing folder is made."""
    folder = pathlib.Path(path).resolve().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder}: no permission to write there")
