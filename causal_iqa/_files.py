"""Files written whole or not at all, with a seal that shows damage, and never through a link that leads elsewhere."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import math
import os
import pathlib
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from causal_iqa import _checks, _reading

# Stands in a sealed file's JSON; the digest is that of the file with zeros in its place.
SEAL = "content_sha256"
_BLANK = "0" * 64
_MARK = f'"{SEAL}": "'.encode()
# A second mark: a file that lost one of the two is damaged, not an unsealed one.
_SEALED = "sealed"
_SECOND_MARK = f'"{_SEALED}": true'.encode()
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SURROGATES = re.compile("[\ud800-\udfff]")


class OutputError(_checks.InputError):
    """A file cannot be written. No part of it is left, and the earlier file is kept."""


@contextlib.contextmanager
def _opened(folder: pathlib.Path, root: pathlib.Path | None) -> Iterator[int]:
    """Opens a folder; from the root on, its path may lead through no link."""
    descriptor = os.open(root or folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in folder.relative_to(root).parts if root else ():
            try:
                deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                raise OutputError(
                    f"{folder}: {name} is a link or no folder; nothing is written through it, remove it"
                ) from error
            os.close(descriptor)
            descriptor = deeper
        yield descriptor
    finally:
        os.close(descriptor)


def write_atomically(path: str | os.PathLike[str], content: bytes, *, root: pathlib.Path | None = None) -> None:
    """Writes a file so that it exists whole or not at all, even after a crash.

    A link that has the file's name is replaced, never followed.

    Args:
      path: path of the file; its folder exists.
      content: content of the file.
      root: a folder above the file that no link may lead out of; None: links to the file's folder are followed.

    Raises:
      OutputError: when it cannot be written, for instance because the disk is full; no other file changes.
    """
    path = pathlib.Path(path)
    try:
        with _opened(path.parent, root) as folder:
            _replace(folder, path.name, content)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); what was there before is kept"
        ) from error


def _replace(folder: int, name: str, content: bytes) -> None:
    # A random name: in containers a process number soon comes again.
    temporary = f".{secrets.token_hex(8)}.tmp"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=folder)
    try:
        try:
            _write(file, content)
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    with contextlib.suppress(OSError):  # Not every file system has it; the file itself is safe.
        os.fsync(folder)


def _write(file: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(file, rest) :]


def write_text(path: str | os.PathLike[str], text: str, *, root: pathlib.Path | None = None) -> None:
    """Writes text as UTF-8 with `write_atomically`; what UTF-8 cannot say is written as `readable` does."""
    write_atomically(path, readable(text).encode(), root=root)


def write_json(
    path: str | os.PathLike[str], value: Any, *, root: pathlib.Path | None = None, sealed: bool = False
) -> None:
    """Writes JSON with `write_atomically`, in one fixed layout.

    Args:
      path: path of the file.
      value: JSON values; a dictionary where it is sealed.
      root: see `write_atomically`.
      sealed: adds the digest of the content under SEAL, see `is_whole`.
    """
    value = with_blank_seal(value) if sealed else value
    content = (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
    write_atomically(path, seal(content) if sealed else content, root=root)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Reads what `write_json` wrote, sealed or not.

    Args:
      path: path of the file.

    Returns:
      The value, without what seals it.

    Raises:
      OSError: when it cannot be read.
      ValueError: when it is no JSON; InputError, one of them, when it is sealed and was changed or damaged.
    """
    with _reading.open_regular(path) as file:
        content = file.read()
    if is_sealed(content) and not is_whole(content):
        raise _checks.InputError(f"{path} is damaged or was changed: its content is not what was written")
    value = json.loads(content)
    if isinstance(value, dict):
        value = {name: own for name, own in value.items() if name not in (SEAL, _SEALED)}
    return value


def with_blank_seal(value: dict[str, Any]) -> dict[str, Any]:
    """Returns the dictionary with the place that `seal` fills in once it is part of a file's JSON."""
    return {**value, _SEALED: True, SEAL: _BLANK}


def seal(content: bytes) -> bytes:
    """Returns the content of a file with its digest in the place of `with_blank_seal`."""
    start = content.rindex(_MARK) + len(_MARK)
    assert content[start : start + len(_BLANK)] == _BLANK.encode()
    return content[:start] + hashlib.sha256(content).hexdigest().encode() + content[start + len(_BLANK) :]


def is_sealed(content: bytes) -> bool:
    """Whether the content of a file carries a seal, true or not."""
    return _MARK in content or _SECOND_MARK in content


def is_whole(content: bytes) -> bool:
    """Whether the content of a file is exactly what was sealed; False where there is no seal."""
    found = content.rfind(_MARK)
    if found < 0:
        return False
    start, end = found + len(_MARK), found + len(_MARK) + len(_BLANK)
    digest = hashlib.sha256()
    for piece in (memoryview(content)[:start], _BLANK.encode(), memoryview(content)[end:]):
        digest.update(piece)
    return content[start:end] == digest.hexdigest().encode()


def csv_text(rows: Iterable[Sequence[str | float | None]]) -> str:
    """Returns rows as CSV in which no cell is a formula to a spreadsheet.

    Args:
      rows: rows of cells. Text that begins with = + - @ is written with an apostrophe before it, numbers in their
        shortest form, those that are not finite and None as empty cells.

    Examples:
      >>> csv_text([["=1+1", -0.5, None]])
      "'=1+1,-0.5,\\r\\n"
    """
    out = io.StringIO(newline="")
    csv.writer(out).writerows([_csv_cell(cell) for cell in row] for row in rows)
    return out.getvalue()


def _csv_cell(cell: str | float | None) -> str:
    if isinstance(cell, str):
        return f"'{cell}" if cell.startswith(_FORMULA) else cell
    return str(cell) if cell is not None and math.isfinite(cell) else ""


def readable(text: str) -> str:
    r"""Returns text that UTF-8 can express: bytes of a file name that are not UTF-8 become escapes such as `\xe9`.

    Args:
      text: a name of a file, as Python returns it.

    Examples:
      >>> readable(b"caf\xe9.png".decode("utf-8", "surrogateescape"))
      'caf\\xe9.png'
    """

    def written(found: re.Match[str]) -> str:
        code = ord(found[0])
        return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"

    return _SURROGATES.sub(written, text)
