"""Which classes a folder's images have, and in which order."""

import os
import re
from collections.abc import Sequence

from causal_iqa import _checks, _reading
from causal_iqa.data import names

CLASS_ORDERS = ("text", "natural")


def read_classes(path: str | os.PathLike) -> tuple[str, ...]:
    """Reads a class list: one class per line, label = line number from 0.

    Args:
      path: a UTF-8 text file.

    Returns:
      The class names in label order.

    Raises:
      InputError: when the file is missing, empty, not text, or has an empty line or a class twice.

    Examples:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     file = pathlib.Path(folder, "classes.txt")
      ...     _ = file.write_text("cat\\ndog\\n")
      ...     classes = data.read_classes(file)
      >>> classes
      ('cat', 'dog')
    """
    try:
        lines = _reading.read_text(path, encoding="utf-8-sig").rstrip().splitlines()
    except OSError as error:
        raise _checks.InputError(f"classes: cannot read {os.fspath(path)!r}: {_reading.reason_of(error)}") from error
    except UnicodeDecodeError as error:
        raise _checks.InputError(f"classes: cannot read {os.fspath(path)!r}: not a UTF-8 text file") from error
    return _check_classes([line.strip() for line in lines], os.fspath(path))


def _check_classes(listed: Sequence[str], origin: str) -> tuple[str, ...]:
    listed = tuple(listed)
    if not listed:
        raise _checks.InputError(f"classes: {origin!r} names no class; write one class per line")
    lines: dict[str, int] = {}
    for line, name in enumerate(listed, 1):
        if not name:
            raise _checks.InputError(f"classes: line {line} of {origin!r} is empty; it would shift every later label")
        if name in lines:
            raise _checks.InputError(f"classes: {name!r} is on lines {lines[name]} and {line} of {origin!r}")
        lines[name] = line
    return listed


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts names as people count: "2" before "10", "class9" before "class10"."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(part), part) if part[0] in "0123456789" else (1, 0, part) for part in parts)


def class_list(
    classes: str | os.PathLike | Sequence[str] | None, folders: list[str], class_order: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Decides which classes there are, in label order.

    Args:
      classes: the list, or a file with one class per line; None: the folders are the classes.
      folders: names of the class folders, sorted as text.
      class_order: one of CLASS_ORDERS, or None: text, with a remark where the natural order is another one.

    Returns:
      (names as `os` would give them, lines that a user should read).

    Raises:
      InputError: where `read_classes` raises it, or for a list with an empty name or a name twice.
    """
    if classes is not None:
        given = read_classes(classes) if isinstance(classes, str | os.PathLike) else classes
        return _check_classes(given, "the given list"), ()
    natural = sorted(folders, key=natural_order)
    if class_order == "natural":
        return tuple(natural), ()
    if class_order is not None or natural == folders:
        return tuple(folders), ()
    first = next(i for i, pair in enumerate(zip(folders, natural, strict=True)) if pair[0] != pair[1])
    return tuple(folders), (
        f"classes: folder names are sorted as text, so label {first} is {names.text_of(folders[first])!r}, where "
        f"counting gives {names.text_of(natural[first])!r}; if the network counts, give class_order=natural, or a "
        "class list",
    )
