"""Limits of the cost of reading a file that somebody else made, and bounded descriptions of its contents."""

import contextlib
import contextvars
import dataclasses
import os
import pathlib
import reprlib
from collections.abc import Iterator
from typing import Any

from causal_iqa import _checks, _reading


@dataclasses.dataclass(frozen=True)
class Budget:
    """What one weight, parameter or vocabulary file may cost at most; every reader takes one.

    Attributes:
      bytes: bytes of the file, and of its arrays once they are decompressed and expanded.
      text: bytes of what is structure or text: a pickle, a header, an index, a vocabulary.
      objects: steps of a pickle, members of an archive, tensors.
    """

    bytes: int = 2**34
    text: int = 2**28
    objects: int = 2**22

    def check(self, path: str, what: str, needed: int, limit: str) -> None:
        """Raises InputError when `needed` is more than the named attribute allows."""
        allowed = getattr(self, limit)
        if needed > allowed:
            raise _checks.InputError(
                f"{path}: {what} needs {needed} {limit}, the budget is {allowed}, see backbones.limited({limit}=...)"
            )


_DEFAULT = Budget()
_CURRENT = contextvars.ContextVar("budget", default=_DEFAULT)


def current() -> Budget:
    """The budget of readers that are given none: the default, or that of the `limited` around the call."""
    return _CURRENT.get()


@contextlib.contextmanager
def limited(**limits: int) -> Iterator[Budget]:
    """Sets the budget of every file that is read within the block: weights, parameters of metrics, vocabularies.

    Args:
      **limits: attributes of Budget; those not named keep their values.

    Yields:
      The budget.

    Examples:
      >>> with limited(bytes=2**20) as budget:
      ...     budget.bytes == current().bytes == 2**20
      True
    """
    budget = dataclasses.replace(current(), **limits)
    token = _CURRENT.set(budget)
    try:
        yield budget
    finally:
        _CURRENT.reset(token)


_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxtuple, _REPR.maxlist, _REPR.maxdict, _REPR.maxstring, _REPR.maxlong = 2, 4, 4, 4, 60, 40


def short(value: Any) -> str:
    """Describes a value in at most 80 characters, however deep or large it is.

    Examples:
      >>> short(("storage", "a" * 100))
      "('storage', 'aaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaaaaaaaaaaaa')"
    """
    if isinstance(value, int) and value.bit_length() > 128:  # Python refuses to print very long ones.
        return f"an integer of {value.bit_length()} bits"
    try:
        return _REPR.repr(value)[:80]
    except (ValueError, RecursionError):
        return type(value).__name__


def read_bytes(path: str | os.PathLike[str], budget: Budget | None = None, *, text: bool = False) -> bytes:
    """Reads a regular file within the budget.

    Args:
      path: path of the file.
      budget: bounds its bytes; None: the current budget.
      text: whether the budget's `text` bounds it instead of its `bytes`.

    Returns:
      Its bytes.

    Raises:
      InputError: when it is missing, not readable, no regular file, or larger than the budget.
    """
    path, limit, budget = pathlib.Path(path), "text" if text else "bytes", budget or current()
    try:
        with _reading.open_regular(path) as file:
            budget.check(str(path), "the file", os.fstat(file.fileno()).st_size, limit)
            return file.read(getattr(budget, limit))
    except OSError as error:
        raise _checks.InputError(f"{path}: cannot read the weight file ({_reading.reason_of(error)})") from None
