"""Parts of a score table as Parquet: how they are written and sealed, and checked before a row of them is used."""

import collections
import itertools
import json
import pathlib
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from causal_iqa import _checks, _files, _reading
from causal_iqa.pipeline import former_names
from causal_iqa.pipeline.columns import Output
from causal_iqa.pipeline.config import Condition

_METADATA_KEY = b"causal_iqa"
# Columns of every table that are no scores; "undefined" names the scores a row lacks, and why.
_ROW_COLUMNS = ("image_id", "label", "condition", "degradation", "severity", "undefined")
# Why a column that is no score may lack a value, by its field.
_UNDEFINED_OUTPUTS = {
    "correct": {"undefined": "the network's outputs are not finite"},
    "performance": {"undefined": "not in the table of performance"},
}
# What pyarrow and the metadata raise on a file that is no part, or a damaged one without a seal.
UNREADABLE = (OSError, pa.ArrowException, KeyError, ValueError, TypeError, MemoryError, OverflowError)


class ScoreTable(NamedTuple):
    """A finished score table as arrays: C conditions, N images."""

    image_ids: tuple[str, ...]  # N
    labels: np.ndarray  # int32 [N]
    conditions: tuple[Condition, ...]  # C
    columns: Mapping[str, np.ndarray]  # name -> [C, N], NaN where undefined
    vectors: Mapping[str, np.ndarray]  # name -> float or uint16 [C, N, K]: class log probabilities, features
    skipped: tuple[tuple[str, str], ...]  # (id, reason) of unreadable images
    metadata: Mapping[str, Any]  # passports

    @property
    def clean(self) -> "ScoreTable":
        """The same images, not degraded."""
        return self._under([condition.severity == 0 for condition in self.conditions])

    @property
    def degraded(self) -> "ScoreTable":
        """The same images under the degraded conditions only."""
        return self._under([condition.severity > 0 for condition in self.conditions])

    @property
    def outputs(self) -> Mapping[str, Mapping[str, np.ndarray]]:
        """What every network, or backbone with its view, gave, in order: name -> field -> [C, N] or [C, N, K]."""
        found: dict[str, dict[str, np.ndarray]] = {}
        meant = self._outputs()
        for name, values in {**self.columns, **self.vectors}.items():
            if name in meant:
                output = meant[name]
                found.setdefault(f"{output.owner}{output.view}", {})[output.field] = values
        return found

    @property
    def features(self) -> Mapping[str, np.ndarray]:
        """Kept features by backbone, with its view where there are several: [C, N, K]."""
        return {name: fields["features"] for name, fields in self.outputs.items() if "features" in fields}

    def _outputs(self) -> Mapping[str, Output]:
        recorded = self.metadata.get("outputs")
        if recorded is None:
            return _by_former_names([*self.columns, *self.vectors], self.metadata.get("columns", {}))
        return {name: Output(**fields) for name, fields in recorded.items()}

    def _under(self, chosen: Sequence[bool]) -> "ScoreTable":
        rows = np.asarray(chosen, bool)
        return self._replace(
            conditions=tuple(itertools.compress(self.conditions, chosen)),
            columns={name: values[rows] for name, values in self.columns.items()},
            vectors={name: values[rows] for name, values in self.vectors.items()},
        )


def _by_former_names(names: Iterable[str], passports: Mapping[str, Any]) -> dict[str, Output]:
    found = {name: former_names.output(name) for name in names if name not in passports}
    return {name: Output(**fields) for name, fields in found.items() if fields is not None}


class Expected(NamedTuple):
    """What a part must be: of which study, at which place, of which images; None where that was not recorded."""

    fingerprint: str
    number: int
    image_ids: tuple[str, ...] | None


def undefined_reasons(scores: Mapping[str, np.ndarray], passports: Mapping[str, Any], num_rows: int) -> pa.Array:
    """Lists the scores that a row lacks, and why.

    Args:
      scores: column -> [num_rows], not finite where undefined.
      passports: column -> its passport, whose "undefined" is the reason.
      num_rows: number of rows of the table.

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


def sealed_parquet(table: pa.Table, metadata: Mapping[str, Any]) -> bytes:
    """Returns a table as a Parquet file that carries metadata and, sealed, the digest of all its bytes.

    Args:
      table: the rows.
      metadata: JSON values.
    """
    sealed = _files.with_blank_seal(dict(metadata))
    rows = table.replace_schema_metadata({_METADATA_KEY: json.dumps(sealed, sort_keys=True).encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    return _files.seal(sink.getvalue().to_pybytes())


def metadata_of(schema: pa.Schema) -> dict[str, Any]:
    """Returns the metadata of a table that `sealed_parquet` wrote; empty without."""
    return json.loads(schema.metadata[_METADATA_KEY]) if schema.metadata else {}


def encode(
    expected: Expected,
    image_ids: Sequence[str],
    labels: np.ndarray,
    conditions: Sequence[Condition],
    columns: Mapping[str, np.ndarray],
    skipped: Sequence[tuple[str, str]],
    passports: Mapping[str, Any],
    degradations: Mapping[str, Any],
    *,
    outputs: Mapping[str, Output] = types.MappingProxyType({}),
) -> bytes:
    """Returns the file of one part, image by image, condition by condition.

    Args:
      expected: which part it is.
      image_ids: N of them.
      labels: int32 [N].
      conditions: C of them.
      columns: name -> [C, N]; numbers that are not finite become null, with the reason in `undefined`; or vectors,
        name -> [C, N, K].
      skipped: (id, reason) of unreadable images of this part.
      passports: what defines each column, JSON values.
      degradations: the definition of the conditions, JSON values.
      outputs: the definition of columns that are no scores; columns that it leaves out are known by their former names.
    """
    n, c = len(image_ids), len(conditions)
    explained = {name: passport for name, passport in passports.items() if name in columns}
    meant = {**_by_former_names(columns, passports), **outputs}
    for field, reason in _UNDEFINED_OUTPUTS.items():
        explained |= {name: reason for name in columns if name in meant and meant[name].field == field}
    table = {
        "image_id": pa.array(np.repeat(np.asarray([_files.readable(x) for x in image_ids], object), c), pa.string()),
        "label": pa.array(np.repeat(np.asarray(labels, np.int32), c)),
        "condition": pa.array([condition.name for condition in conditions] * n, pa.string()),
        "degradation": pa.array([condition.degradation for condition in conditions] * n, pa.string()),
        "severity": pa.array(np.tile(np.asarray([x.severity for x in conditions], np.float32), n)),
        "undefined": undefined_reasons(
            {name: np.asarray(columns[name], np.float32).T.reshape(-1) for name in explained},
            explained,
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
        "fingerprint": expected.fingerprint,
        "part": expected.number,
        "columns": dict(passports),
        "outputs": {name: output.record() for name, output in meant.items()},
        "degradations": dict(degradations),
        "skipped": [[_files.readable(name), reason] for name, reason in skipped],
    }
    return sealed_parquet(pa.table(table), metadata)


def read_whole(path: pathlib.Path, *, must_be_sealed: bool = True) -> bytes:
    """Reads a file and checks its seal.

    Args:
      path: path of the file.
      must_be_sealed: False accepts one that has no seal.

    Returns:
      Its content.

    Raises:
      InputError: when it is damaged, not sealed or cannot be read.
    """
    try:
        with _reading.open_regular(path) as file:
            content = file.read()
    except OSError as error:
        raise _checks.InputError(f"{path.name}: cannot be read ({_reading.reason_of(error)})") from error
    if (must_be_sealed or _files.is_sealed(content)) and not _files.is_whole(content):
        raise _checks.InputError(f"{path.name}: damaged, its content is not what was written")
    return content


def open_part(path: pathlib.Path, expected: Expected, *, must_be_sealed: bool = True) -> pq.ParquetFile:
    """Opens a part after checking that it is whole and the expected one; reads no rows yet.

    Args:
      path: path of the part.
      expected: what it must be.
      must_be_sealed: False accepts a part of an older version, which had no seal.

    Returns:
      The open file.

    Raises:
      InputError: when it is damaged, or the part of another study or place.
    """
    content = read_whole(path, must_be_sealed=must_be_sealed)
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        metadata = metadata_of(file.schema_arrow)
        fingerprint, number = metadata["fingerprint"], metadata.get("part", expected.number)
        skipped = {str(name) for name, _ in metadata["skipped"]}
    except UNREADABLE as error:
        raise _checks.InputError(f"{path.name}: no part of a score table ({type(error).__name__})") from error
    if fingerprint != expected.fingerprint:
        raise _checks.InputError(f"{path.name}: a part of another study")
    if number != expected.number:
        raise _checks.InputError(f"{path.name}: a copy of part {number}")
    if expected.image_ids is not None and not skipped <= set(expected.image_ids):
        raise _checks.InputError(f"{path.name}: left out images that it never had to hold")
    return file


def _rows(path: pathlib.Path, file: pq.ParquetFile, expected: Expected, conditions: Sequence[Condition]) -> pa.Table:
    """The rows of a part: every image that it must hold once under every condition, in order."""
    c = len(conditions)
    try:
        table = file.read()
        metadata = metadata_of(table.schema)
        ids = table["image_id"].combine_chunks()
        condition = table["condition"].combine_chunks()
    except UNREADABLE as error:
        raise _checks.InputError(f"{path.name}: its rows cannot be read ({type(error).__name__})") from error
    own = ids.take(pa.array(np.arange(0, table.num_rows, c)))
    names = pa.array([one.name for one in conditions] * (table.num_rows // c), pa.string())
    if table.num_rows % c or not condition.equals(names):
        raise _checks.InputError(f"{path.name}: its rows are not one per image and condition, in order")
    if not ids.equals(own.take(pa.array(np.repeat(np.arange(len(own)), c)))) or len(own.unique()) < len(own):
        raise _checks.InputError(f"{path.name}: its rows are not one per image and condition, in order")
    if expected.image_ids is not None:
        left_out = {name for name, _ in metadata["skipped"]}
        if own.to_pylist() != [name for name in expected.image_ids if name not in left_out]:
            raise _checks.InputError(f"{path.name}: its images are not those that the study chose")
    return table


def read_parts(
    paths: Sequence[pathlib.Path],
    expected: Sequence[Expected],
    conditions: Sequence[Condition],
    *,
    must_be_sealed: bool = True,
) -> ScoreTable:
    """Reads parts of one study as arrays.

    Args:
      paths: paths of the parts, in order.
      expected: what each must be.
      conditions: conditions of the study, in order: every image has one row for each.
      must_be_sealed: False accepts parts of an older version, which had no seal.

    Returns:
      The table.

    Raises:
      InputError: for a part that is damaged or not the expected one, by name; when an image is in two parts; when there
        is no row.
    """
    c = len(conditions)
    skipped, image_ids, labels, metadata, empty = [], [], [], [], None
    columns: dict[str, list[np.ndarray]] = {}
    for path, one in zip(paths, expected, strict=True):
        # A part at a time becomes arrays: rows with their texts take several times the memory.
        rows = _rows(path, open_part(path, one, must_be_sealed=must_be_sealed), one, conditions)
        metadata.append(metadata_of(rows.schema))
        skipped += [(name, reason) for name, reason in metadata[-1]["skipped"]]
        own = rows.schema.remove_metadata().empty_table()
        try:
            empty = own if empty is None else pa.concat_tables([empty, own])
        except pa.ArrowException as error:
            raise _checks.InputError(f"{paths[0].parent}: the parts have different columns ({error})") from error
        image_ids += rows["image_id"].to_pylist()[::c]
        labels.append(rows["label"].to_numpy()[::c])
        for name in rows.column_names:
            if name not in _ROW_COLUMNS:
                columns.setdefault(name, []).append(_array(rows[name], c))
    if not image_ids:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped[:3])
        raise _checks.InputError(f"none of the {len(skipped)} chosen images can be read ({reasons})")
    if len(set(image_ids)) < len(image_ids):
        twice = collections.Counter(image_ids).most_common(1)[0][0]
        raise _checks.InputError(f"{paths[0].parent}: the image {twice} is in two parts")
    joined = {name: np.concatenate(columns.pop(name), axis=1) for name in tuple(columns)}
    return ScoreTable(
        image_ids=tuple(image_ids),
        labels=np.concatenate(labels),
        conditions=tuple(conditions),
        columns={name: values for name, values in joined.items() if values.ndim == 2},
        vectors={name: values for name, values in joined.items() if values.ndim == 3},
        skipped=tuple(skipped),
        metadata=metadata[0],
    )


def _array(column: pa.ChunkedArray, num_conditions: int) -> np.ndarray:
    """A column of rows, image by image, as float32 [C, n], or as vectors [C, n, K] of their own type."""
    if pa.types.is_fixed_size_list(column.type):
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return np.ascontiguousarray(flat.reshape(-1, num_conditions, column.type.list_size).swapaxes(0, 1))
    values = column.to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(values.astype(np.float32).reshape(-1, num_conditions).T)
