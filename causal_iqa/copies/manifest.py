"""The record of a tree of copies: what was asked for, and every file that was written, with its digest.

`degrade.json` is written before the first copy: a later run continues only if its own would be the same. A part of the
record is written whenever some images are done; the manifest joins the parts at the end.
"""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from causal_iqa import _checks, _files

CONFIG_FILE, PARQUET, JSON = "degrade.json", "manifest.parquet", "manifest.json"
_PARTS = ".parts"
_METADATA_KEY = b"causal_iqa"


class Copy(NamedTuple):
    """One file that was written."""

    path: str  # relative to the tree
    condition: str  # as `degradations.Condition` writes it
    degradation: str
    severity: float
    image_id: str
    height: int
    width: int
    bytes: int
    sha256: str
    record: int | None = None  # place in the file, where it holds several


class Shard(NamedTuple):
    """A file of records: path relative to the tree, number of records, size and digest."""

    path: str
    records: int
    bytes: int
    sha256: str


class Part(NamedTuple):
    """What one task wrote, and the images it could not read, (id, reason) each; its files of records, if any."""

    copies: tuple[Copy, ...]
    unreadable: tuple[tuple[str, str], ...]
    shards: tuple[Shard, ...] = ()


def begin(folder: pathlib.Path, origin: Mapping[str, Any]) -> None:
    """Opens a tree for writing: records what it depends on, or checks that it is the same.

    Args:
      folder: folder of the tree; there already.
      origin: everything the copies depend on, JSON values.

    Raises:
      InputError: when the tree was begun with something else, which is named, or cannot be written.
    """
    path = folder / CONFIG_FILE
    try:
        there = _files.read_json(path)
    except FileNotFoundError:
        there = None
    except (OSError, ValueError) as error:
        raise _checks.InputError(f"output_dir: {path} cannot be read ({error})") from error
    now = json.loads(json.dumps(origin))
    if there is None:
        (folder / _PARTS).mkdir(exist_ok=True)
        _files.write_json(path, now, sealed=True)
        return
    (folder / _PARTS).mkdir(exist_ok=True)
    if there != now:
        raise _checks.InputError(
            f"output_dir: {folder} holds copies made otherwise: {'; '.join(_differences(there, now))}; choose another "
            "folder or remove it"
        )


def _differences(there: Any, now: Any, name: str = "") -> list[str]:
    if isinstance(there, dict) and isinstance(now, dict):
        return [
            line
            for key in {**there, **now}
            if there.get(key) != now.get(key)
            for line in _differences(there.get(key), now.get(key), key)
        ]
    shown = [text if len(text) < 60 else f"{text[:57]}..." for text in (json.dumps(there), json.dumps(now))]
    return [f"{name} ({shown[0]} there, {shown[1]} now)"]


def part_path(folder: pathlib.Path, number: int) -> pathlib.Path:
    """Returns the path of a part of the record."""
    return folder / _PARTS / f"{number:06d}.json"


def write_part(folder: pathlib.Path, number: int, part: Part) -> None:
    """Records a task as done, after its files were written."""
    value = {name: [list(one) for one in getattr(part, name)] for name in Part._fields}
    _files.write_json(part_path(folder, number), value, sealed=True)


def read_part(folder: pathlib.Path, number: int) -> Part | None:
    """Returns what a task recorded; None where it is to be done (again): no whole record, or a file is gone or cut."""
    try:
        value = _files.read_json(part_path(folder, number))
        part = Part(
            tuple(Copy(*row) for row in value["copies"]),
            tuple((i, why) for i, why in value["unreadable"]),
            tuple(Shard(*row) for row in value["shards"]),
        )
        whole = all(os.stat(folder / file.path).st_size == file.bytes for file in part.shards or part.copies)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return part if whole else None


def write(folder: pathlib.Path, origin: Mapping[str, Any], parts: Sequence[Part], details: Mapping[str, Any]) -> None:
    """Writes manifest.parquet, a row for each copy, and manifest.json, with the digest of each file.

    Args:
      folder: folder of the tree.
      origin: what it depends on.
      parts: parts of all tasks.
      details: passports of the conditions and other facts that a reader needs, JSON values.
    """
    copies = sorted((copy for part in parts for copy in part.copies), key=lambda copy: (copy.path, copy.record or 0))
    shards = sorted(shard for part in parts for shard in part.shards)
    unreadable = sorted({one for part in parts for one in part.unreadable})
    head = {**origin, **details, "unreadable": [list(one) for one in unreadable]}
    schema = _SCHEMA.append(pa.field("record", pa.int32())) if shards else _SCHEMA
    columns = {name: [getattr(copy, name) for copy in copies] for name in schema.names}
    table = pa.table(columns, schema=schema).replace_schema_metadata({_METADATA_KEY: json.dumps(head).encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    _files.write_atomically(folder / PARQUET, sink.getvalue().to_pybytes())
    _files.write_json(
        folder / JSON, {**head, "sha256": {file.path: file.sha256 for file in shards or copies}}, sealed=True
    )


_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("condition", pa.string()),
        ("degradation", pa.string()),
        ("severity", pa.float64()),
        ("image_id", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
    ]
)
