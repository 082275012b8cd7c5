"""The score table on disk: Parquet parts written atomically, so that a killed run loses at most the part in work."""

import contextlib
import fcntl
import json
import math
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from causal_iqa import _checks
from causal_iqa._files import write_atomically, write_json
from causal_iqa.pipeline.config import Condition, StudyConfig
from causal_iqa.pipeline.program import Column

# Images per part: what a kill can cost, and the most that are scored in one step.
PART_IMAGES = 64
_METADATA_KEY = b"causal_iqa"
# Columns of every table that are no scores; "undefined" names the scores a row lacks, and why.
_ROW_COLUMNS = ("image_id", "label", "condition", "degradation", "severity", "undefined")


class ScoreTable(NamedTuple):
    """A finished score table as arrays: C conditions, N images."""

    image_ids: tuple[str, ...]  # N
    labels: np.ndarray  # int32 [N]
    conditions: tuple[Condition, ...]  # C
    columns: Mapping[str, np.ndarray]  # name -> [C, N], NaN where undefined
    vectors: Mapping[str, np.ndarray]  # name -> float or uint16 [C, N, K]: class log probabilities, features
    skipped: tuple[tuple[str, str], ...]  # (id, reason) of unreadable images
    metadata: Mapping[str, Any]  # passports


class Run(NamedTuple):
    """A finished run, read back from its folder."""

    folder: pathlib.Path
    config: StudyConfig
    columns: tuple[Column, ...]  # score columns
    table: ScoreTable


def undefined_reasons(scores: Mapping[str, np.ndarray], passports: Mapping[str, Any], num_rows: int) -> pa.Array:
    """Says which scores a row lacks, and why.

    Args:
      scores: column -> [num_rows], not finite where undefined.
      passports: column -> its passport, whose "undefined" is the reason.
      num_rows: of the table.

    Returns:
      Strings [num_rows], "column: reason; ..." of the scores that are not finite in a row, null where all are.
    """
    if not scores:
        return pa.nulls(num_rows, pa.string())
    missing = np.stack([~np.isfinite(values) for values in scores.values()], axis=1)
    # Rows fall into few patterns, and each is put into words once.
    patterns, pattern_of_row = np.unique(missing, axis=0, return_inverse=True)
    reasons = [f"{name}: {passports[name].get('undefined', 'not a finite number')}" for name in scores]
    words = ["; ".join(np.asarray(reasons)[pattern]) or None for pattern in patterns]
    return pa.array(words, pa.string()).take(pa.array(pattern_of_row.reshape(-1)))


class Store:
    """One output folder: the config that made it, and its parts."""

    def __init__(
        self, folder: str | os.PathLike[str], config: StudyConfig, fingerprint: str, details: Mapping[str, Any]
    ):
        """Opens an output folder, or starts it.

        Args:
          folder: made when missing.
          config: of the study.
          fingerprint: names the study exactly.
          details: written beside the config, JSON values.

        Raises:
          InputError: when the folder cannot be written, or holds another study.
        """
        self.folder = pathlib.Path(folder)
        self.fingerprint = fingerprint
        self._degradations = {k: v for k, v in details.get("degradations", {}).items() if k != "passports"}
        try:
            (self.folder / "scores").mkdir(parents=True, exist_ok=True)
            (self.folder / "figures").mkdir(exist_ok=True)
        except OSError as error:
            raise _checks.InputError(f"output_dir: {self.folder} cannot be made: {error.strerror}") from error
        path = self.folder / "config.json"
        if path.exists():
            _check_same(path, config, fingerprint, details)
        elif any((self.folder / "scores").glob("*.parquet")):
            raise _checks.InputError(
                f"output_dir: {self.folder} holds scores without a config.json; choose another folder"
            )
        else:
            write_json(path, {"config": config.to_json(), "fingerprint": fingerprint, **details})

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process; InputError when another run works in it."""
        with open(self.folder / ".lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise _checks.InputError(f"output_dir: another run is working in {self.folder}") from error
            for leftover in (*self.folder.glob(".*.tmp"), *(self.folder / "scores").glob(".*.tmp")):
                leftover.unlink(missing_ok=True)
            yield

    def part(self, number: int) -> pathlib.Path:
        """Returns the path of a part."""
        return _part(self.folder, number)

    def has_part(self, number: int) -> bool:
        """Whether a part is there, whole and of this study."""
        return _is_part(self.part(number), self.fingerprint)

    def write_part(
        self,
        number: int,
        image_ids: Sequence[str],
        labels: np.ndarray,
        conditions: Sequence[Condition],
        columns: Mapping[str, np.ndarray],
        skipped: Sequence[tuple[str, str]],
        passports: Mapping[str, Any],
    ) -> None:
        """Writes the rows of one part, image by image, condition by condition.

        Args:
          number: of the part.
          image_ids: N of them.
          labels: int32 [N].
          conditions: C of them.
          columns: name -> [C, N]; numbers that are not finite become null, with the reason in `undefined`; or vectors,
            name -> [C, N, K].
          skipped: (id, reason) of unreadable images of this part.
          passports: what defines each column, JSON values.
        """
        n, c = len(image_ids), len(conditions)
        table = {
            "image_id": pa.array(np.repeat(np.asarray(image_ids, object), c), pa.string()),
            "label": pa.array(np.repeat(np.asarray(labels, np.int32), c)),
            "condition": pa.array([condition.name for condition in conditions] * n, pa.string()),
            "degradation": pa.array([condition.degradation for condition in conditions] * n, pa.string()),
            "severity": pa.array(np.tile(np.asarray([x.severity for x in conditions], np.float32), n)),
            "undefined": undefined_reasons(
                {name: np.asarray(columns[name], np.float32).T.reshape(-1) for name in passports if name in columns},
                passports,
                n * c,
            ),
        }
        for name, values in columns.items():
            if np.ndim(values) == 3:
                flat = np.ascontiguousarray(np.asarray(values).swapaxes(0, 1)).reshape(-1)
                table[name] = pa.FixedSizeListArray.from_arrays(pa.array(flat), values.shape[2])
                continue
            flat = np.asarray(values).T.reshape(-1)
            if flat.dtype == bool:
                table[name] = pa.array(flat)
            else:
                flat = flat.astype(np.float32)
                table[name] = pa.array(flat, mask=~np.isfinite(flat))
        metadata = {
            "fingerprint": self.fingerprint,
            "columns": dict(passports),
            "degradations": self._degradations,
            "skipped": [list(s) for s in skipped],
        }
        rows = pa.table(table).replace_schema_metadata({_METADATA_KEY: json.dumps(metadata, sort_keys=True).encode()})
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        write_atomically(self.part(number), sink.getvalue().to_pybytes())

    def read(self, num_parts: int, conditions: Sequence[Condition]) -> ScoreTable:
        """Reads the finished table.

        Args:
          num_parts: of the study.
          conditions: of the study, in order.

        Returns:
          The table.

        Raises:
          InputError: when no image could be read at all.
        """
        return read_parts([self.part(i) for i in range(num_parts)], conditions)


def read_parts(paths: Sequence[pathlib.Path], conditions: Sequence[Condition]) -> ScoreTable:
    """Reads parts of one study as arrays.

    Args:
      paths: of the parts, in order.
      conditions: of the study, in order: every image has one row for each.

    Returns:
      The table.

    Raises:
      InputError: when there is no row.
    """
    tables = [pq.ParquetFile(path).read() for path in paths]
    metadata = [_metadata(table.schema) for table in tables]
    skipped = tuple((name, reason) for one in metadata for name, reason in one["skipped"])
    rows = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    c = len(conditions)
    if rows.num_rows == 0:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped[:3])
        raise _checks.InputError(f"none of the {len(skipped)} chosen images can be read ({reasons})")
    columns, vectors = {}, {}
    for name in rows.column_names:
        if name in _ROW_COLUMNS:
            continue
        if pa.types.is_fixed_size_list(rows.schema.field(name).type):
            flat = rows[name].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            width = rows.schema.field(name).type.list_size
            vectors[name] = np.ascontiguousarray(flat.reshape(-1, c, width).swapaxes(0, 1))
            continue
        values = rows[name].to_numpy(zero_copy_only=False)
        columns[name] = np.ascontiguousarray(values.astype(np.float32).reshape(-1, c).T)
    return ScoreTable(
        image_ids=tuple(rows["image_id"].to_pylist()[::c]),
        labels=rows["label"].to_numpy()[::c],
        conditions=tuple(conditions),
        columns=columns,
        vectors=vectors,
        skipped=skipped,
        metadata=metadata[0],
    )


def read_run(folder: str | os.PathLike[str]) -> Run:
    """Reads a finished run from its folder alone; computes no score.

    Args:
      folder: what a study wrote: config.json and scores/*.parquet.

    Returns:
      The config, the score columns and the score table.

    Raises:
      InputError: when the folder holds no run, an unfinished one, or one of a version that stored less.
    """
    folder = pathlib.Path(folder)
    path = folder / "config.json"
    try:
        found = json.loads(path.read_text())
        config, fingerprint, size = (
            StudyConfig.from_json(found["config"]),
            found["fingerprint"],
            found["dataset"]["size"],
        )
    except FileNotFoundError as error:
        raise _checks.InputError(f"run: no {path}; expected the output folder of experiments.align") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _checks.InputError(f"run: {path} cannot be read: {type(error).__name__} {error}") from error
    num_parts = math.ceil((config.num_images or size) / PART_IMAGES)
    parts = [_part(folder, number) for number in range(num_parts)]
    missing = [part.name for part in parts if not _is_part(part, fingerprint)]
    if missing:
        raise _checks.InputError(
            f"run: {folder} is not finished: {len(missing)} of {num_parts} parts missing or damaged, first "
            f"{missing[0]}; give experiments.align the same flags again to finish it"
        )
    table = read_parts(parts, config.conditions)
    try:
        columns = tuple(Column.from_record(name, record) for name, record in table.metadata["columns"].items())
    except KeyError as error:
        raise _checks.InputError(
            f"run: {folder} was written by an older version, without {error}; run it again"
        ) from error
    return Run(folder, config, columns, table)


def _part(folder: pathlib.Path, number: int) -> pathlib.Path:
    return folder / "scores" / f"part-{number:05d}.parquet"


def _is_part(path: pathlib.Path, fingerprint: str) -> bool:
    try:
        metadata = _metadata(pq.read_schema(path))
        pq.ParquetFile(path).close()
        return metadata["fingerprint"] == fingerprint
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return False


def _metadata(schema: pa.Schema) -> dict[str, Any]:
    return json.loads(schema.metadata[_METADATA_KEY]) if schema.metadata else {}


def _check_same(path: pathlib.Path, config: StudyConfig, fingerprint: str, details: Mapping[str, Any]) -> None:
    try:
        found = json.loads(path.read_text())
        if found["fingerprint"] == fingerprint:
            return
        other, ours = found["config"], config.to_json()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _checks.InputError(f"output_dir: {path} cannot be read ({error}); choose another folder") from error
    changed = [f"{k} ({other.get(k)!r} there, {v!r} now)" for k, v in ours.items() if other.get(k) != v]
    if not changed:
        changed = [f"{k} changed" for k, v in details.items() if found.get(k) != v] or [
            "another version of this library"
        ]
    raise _checks.InputError(
        f"output_dir: {path.parent} holds a run of another config: {'; '.join(changed[:4])}; choose another folder"
    )
