"""Performance that a user measured elsewhere: a table of image, condition, network and number, joined with the scores.

Any task has such a table: correct or not, IoU, F1, reciprocal rank, an error. Nothing is guessed: rows that do not join
are counted, and the first of them is named.
"""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from causal_iqa import _checks, _reading
from causal_iqa.pipeline import measured, parts
from causal_iqa.pipeline.config import PERFORMANCE_TABLE, Condition, StudyConfig
from causal_iqa.pipeline.network_choice import NetworkChoice, check_network_names

COLUMNS = ("image_id", "condition", "network", "performance")
GROUP = "group"
SUFFIXES = (".csv", ".parquet")
_CLEAN = "clean"


class PerformanceTable(NamedTuple):
    """A user's table, row by row; R rows.

    Attributes:
      path: path of the file.
      image_ids: object [R], texts.
      conditions: object [R], as `Condition` writes them; "clean" where the image is as it came.
      networks: object [R].
      values: float64 [R], finite.
      groups: object [R], or None without such a column.
      num_empty: rows without a number, which are left out.
    """

    path: str
    image_ids: np.ndarray
    conditions: np.ndarray
    networks: np.ndarray
    values: np.ndarray
    groups: np.ndarray | None
    num_empty: int

    @property
    def network_names(self) -> tuple[str, ...]:
        """Returns the networks in the order in which they appear."""
        return tuple(dict.fromkeys(self.networks.tolist()))


class Joined(NamedTuple):
    """The performance of chosen images under a study's conditions.

    Attributes:
      values: network -> image id -> float64 [C], NaN where the table has no row.
      cluster: image id -> number of its cluster; empty without groups.
      remarks: lines that a user should read, about missing and surplus rows.
    """

    values: Mapping[str, Mapping[str, np.ndarray]]
    cluster: Mapping[str, int]
    remarks: tuple[str, ...]


def read_table(path: str | os.PathLike[str], *, bounds: Sequence[float] = ()) -> PerformanceTable:
    """Reads a table of performance.

    Args:
      path: CSV with a heading, or Parquet; columns COLUMNS and, where images belong together, GROUP.
      bounds: (lowest, highest) that a performance can be; empty: any.

    Returns:
      The table. A row without a number is left out and counted.

    Raises:
      InputError: in one line, for a file that cannot be read, a missing column, a number that is none or not finite or
        out of range, two rows for one image, condition and network, a network whose performance is constant, or an
        image in two groups; it names the first such row and says how many there are.

    Examples:
      >>> import tempfile
      >>> rows = "image_id,condition,network,performance\\na.png,clean,net,0.9\\na.png,fog/3,net,0.4\\n"
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     file = pathlib.Path(folder, "iou.csv")
      ...     _ = file.write_text(rows)
      ...     table = read_table(file)
      >>> table.network_names, table.values.tolist()
      (('net',), [0.9, 0.4])
    """
    path = pathlib.Path(path).expanduser()
    table = _read_file(path)
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise _checks.InputError(
            f"performance: {path} has no column {missing[0]!r} ({len(missing)} missing); expected "
            f"{', '.join(COLUMNS)} and, for clusters, {GROUP}; it has {', '.join(table.column_names)}"
        )
    if not table.num_rows:
        raise _checks.InputError(f"performance: {path} has no rows")
    texts = {name: _texts(table, name, path) for name in ("image_id", "condition", "network")}
    values, empty = _numbers(table, texts, path, bounds)
    kept = ~empty
    if not kept.any():
        raise _checks.InputError(f"performance: {path} has no number in any of its {table.num_rows} rows")
    groups = _texts(table, GROUP, path)[kept] if GROUP in table.column_names else None
    found = PerformanceTable(
        str(path),
        texts["image_id"][kept],
        np.array(_canonical(texts["condition"][kept]), object),
        texts["network"][kept],
        values[kept],
        groups,
        int(empty.sum()),
    )
    _check_rows(found)
    return found


def _read_file(path: pathlib.Path) -> pa.Table:
    if path.suffix not in SUFFIXES:
        raise _checks.InputError(f"performance: expected a file ending in {' or '.join(SUFFIXES)}, got {str(path)!r}")
    try:
        with _reading.open_regular(path) as file:
            if path.suffix == ".parquet":
                return pq.read_table(file)
            # Read as text: an id 007 is no number.
            kinds = dict.fromkeys((*COLUMNS, GROUP), pa.string())
            options = pyarrow.csv.ConvertOptions(column_types=kinds, strings_can_be_null=True, null_values=[""])
            return pyarrow.csv.read_csv(file, convert_options=options)
    except OSError as error:
        raise _checks.InputError(f"performance: {path} cannot be read: {_reading.reason_of(error)}") from error
    except (pa.ArrowException, ValueError) as error:
        raise _checks.InputError(f"performance: {path} cannot be read: {' '.join(str(error).split())[:160]}") from error


def _texts(table: pa.Table, name: str, path: pathlib.Path) -> np.ndarray:
    try:
        column = pc.cast(table[name], pa.string())
    except pa.ArrowException as error:
        raise _checks.InputError(f"performance: column {name} of {path} is {table[name].type}, no text") from error
    found = np.array(column.to_pylist(), object)
    lacking = np.flatnonzero([not value for value in found])
    if lacking.size:
        raise _checks.InputError(
            f"performance: row {lacking[0] + 1} of {path} has no {name} ({lacking.size} such rows)"
        )
    return found


def _numbers(table, texts, path, bounds) -> tuple[np.ndarray, np.ndarray]:
    """Performance [R], and where a row has none."""
    given = table["performance"]
    if pa.types.is_string(given.type) or pa.types.is_large_string(given.type):
        raw = given.to_pylist()
        empty = np.array([value is None or not value.strip() for value in raw])
        values = np.full(len(raw), np.nan)
        bad = []
        for place in np.flatnonzero(~empty):
            try:
                values[place] = float(raw[place])
            except ValueError:
                bad.append(place)
    else:
        raw = given.to_pylist()
        empty = np.array([value is None for value in raw])
        is_number = np.array([isinstance(value, int | float) for value in raw])
        bad = np.flatnonzero(~empty & ~is_number)
        values = np.array([float(v) if ok else np.nan for v, ok in zip(raw, is_number, strict=True)])

    def refuse(places: Sequence[int] | np.ndarray, what: str) -> None:
        if len(places):
            first = int(places[0])
            row = ", ".join(str(texts[name][first]) for name in texts)
            raise _checks.InputError(f"performance: {raw[first]!r} of {row} in {path} {what} ({len(places)} such rows)")

    refuse(bad, "is no number")
    refuse(np.flatnonzero(~empty & ~np.isfinite(values)), "is not finite")
    if bounds:
        with np.errstate(invalid="ignore"):
            outside = ~empty & ((values < bounds[0]) | (values > bounds[1]))
        refuse(np.flatnonzero(outside), f"is outside {bounds[0]:g} to {bounds[1]:g}")
    return values, empty


def _canonical(conditions: Iterable[str]) -> list[str]:
    """Conditions as `Condition` writes them; a text that is no condition is unchanged and joins nothing."""
    names: dict[str, str] = {}
    for text in conditions:
        if text not in names:
            try:
                names[text] = Condition.parse(text).name if text != _CLEAN else Condition(_CLEAN, 0.0).name
            except ValueError:
                names[text] = text
    return [names[text] for text in conditions]


def _check_rows(table: PerformanceTable) -> None:
    rows = collections.Counter(zip(table.image_ids, table.conditions, table.networks, strict=True))
    twice = [row for row, count in rows.items() if count > 1]
    if twice:
        raise _checks.InputError(
            f"performance: {table.path} has {rows[twice[0]]} rows for {', '.join(twice[0])}; expected one "
            f"({len(twice)} such)"
        )
    check_network_names("performance", [NetworkChoice(name, PERFORMANCE_TABLE) for name in table.network_names])
    constant = [name for name in table.network_names if np.ptp(table.values[table.networks == name]) == 0]
    if constant:
        value = table.values[table.networks == constant[0]][0]
        raise _checks.InputError(
            f"performance: that of network {constant[0]} in {table.path} is {value:g} in every row, so nothing can "
            f"predict it ({len(constant)} such networks)"
        )
    if table.groups is None:
        return
    own: dict[str, str] = {}
    torn = {
        image: (own[image], group)
        for image, group in zip(table.image_ids, table.groups, strict=True)
        if own.setdefault(image, group) != group
    }
    if torn:
        image, both = next(iter(torn.items()))
        raise _checks.InputError(
            f"performance: image {image} of {table.path} is in two groups, {both[0]} and {both[1]} ({len(torn)} such)"
        )


def join(
    table: PerformanceTable, chosen: Sequence[str], known: Iterable[str], conditions: Sequence[Condition]
) -> Joined:
    """Joins a table with the images and conditions of a study.

    Args:
      table: the user's.
      chosen: ids of the images that are judged.
      known: ids of all images that the study could judge.
      conditions: C of the study.

    Returns:
      The performance; NaN where a row is missing.

    Raises:
      InputError: when a network has no row that joins.

    Examples:
      >>> import pathlib, tempfile
      >>> rows = "image_id,condition,network,performance\\na,clean,net,0.9\\na,fog/3,net,0.4\\n"
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     file = pathlib.Path(folder, "iou.csv")
      ...     _ = file.write_text(rows)
      ...     table = pipeline.read_table(file)
      >>> conditions = list(map(degradations.Condition.parse, ("clean", "fog/3")))
      >>> pipeline.join(table, ["a"], ["a"], conditions).values["net"]["a"].tolist()
      [0.9, 0.4]
    """
    place = {condition.name: i for i, condition in enumerate(conditions)}
    chosen, known = list(chosen), set(known)
    own = set(chosen)
    values = {name: {image: np.full(len(place), np.nan) for image in chosen} for name in table.network_names}
    surplus: dict[str, list[str]] = {"images that are not in the dataset": [], "conditions that are not studied": []}
    for image, condition, network, value in zip(*table[1:5], strict=True):
        if image not in known:
            surplus["images that are not in the dataset"].append(image)
        elif condition not in place:
            surplus["conditions that are not studied"].append(condition)
        elif image in own:
            values[network][image][place[condition]] = value
    for name, by_image in values.items():
        if not any(np.isfinite(row).any() for row in by_image.values()):
            first = table.networks.tolist().index(name)
            raise _checks.InputError(
                f"performance: no row of network {name} in {table.path} joins an image and a condition of this study; "
                f"its first row is of image {table.image_ids[first]}, condition {table.conditions[first]}; the first "
                f"image here is {chosen[0] if chosen else '-'}, the conditions {conditions[0].name}, "
                f"{conditions[-1].name}"
            )
    remarks = [
        f"performance: {len(names)} rows of {table.path} are of {what} and left out, first {names[0]}"
        for what, names in surplus.items()
        if names
    ]
    lacking = [
        (image, condition.name, name)
        for name, by_image in values.items()
        for image, row in by_image.items()
        for condition, value in zip(conditions, row, strict=True)
        if not np.isfinite(value)
    ]
    if lacking:
        total = len(chosen) * len(place) * len(values)
        remarks.append(
            f"performance: {len(lacking)} of {total} rows are missing in {table.path}, first {', '.join(lacking[0])}"
        )
    cluster: dict[str, int] = {}
    if table.groups is not None:
        of_image = dict(zip(table.image_ids, table.groups, strict=True))
        numbers: dict[str, int] = {}
        cluster = {image: numbers.setdefault(of_image[image], len(numbers)) for image in chosen if image in of_image}
        remarks.append(f"performance: {len(chosen)} images in {len(numbers)} groups, which are resampled whole")
    return Joined(values, cluster, tuple(remarks))


def attach(
    config: StudyConfig, table: parts.ScoreTable, performance: PerformanceTable
) -> tuple[StudyConfig, parts.ScoreTable]:
    """Puts another performance next to the scores of a finished study, of the images that have any.

    Args:
      config: configuration of the study; its `performance_*` fields define the numbers.
      table: its score table; scores of networks that were judged are left out.
      performance: performance of the same images and conditions.

    Returns:
      The config and the score table that a study with this performance would have.

    Raises:
      InputError: when a network has no row that joins.

    Examples:
      >>> import pathlib, tempfile
      >>> network = pipeline.NetworkChoice("net", "scene_cnn_a")
      >>> config = pipeline.StudyConfig(
      ...     num_images=2, networks=(network,), metrics=("mse",), degradations=("contrast",), severities=(3.0,)
      ... )
      >>> study = pipeline.prepare(config)
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     store = pipeline.Store(folder, config, study.provenance, study.details)
      ...     table = pipeline.run(study, store, pipeline.Execution(num_devices=1))
      ...     rows = ["image_id,condition,network,performance"]
      ...     rows += [f"{name},{c.name},mine,{c.severity}" for name in table.image_ids for c in table.conditions]
      ...     file = pathlib.Path(folder, "iou.csv")
      ...     _ = file.write_text("\\n".join(rows))
      ...     config, table = pipeline.attach(config, table, pipeline.read_table(file))
      >>> table.columns["mine/performance"].tolist()
      [[0.0, 0.0], [3.0, 3.0]]
    """
    listed = set(performance.image_ids)
    kept = np.array([name in listed for name in table.image_ids])
    image_ids = tuple(name for name in table.image_ids if name in listed)
    joined = join(performance, image_ids, table.image_ids, table.conditions)
    columns = {name: values[:, kept] for name, values in table.columns.items() if name in table.metadata["columns"]}
    networks = tuple(NetworkChoice(name, PERFORMANCE_TABLE) for name in performance.network_names)
    passports = {
        name: {**record, "networks": [one.name for one in networks]}
        for name, record in table.metadata["columns"].items()
    }
    config = dataclasses.replace(config, networks=networks, performance=performance.path)
    return config, table._replace(
        image_ids=image_ids,
        labels=table.labels[kept],
        columns=columns | columns_of(joined, image_ids),
        vectors={name: v[:, kept] for name, v in table.vectors.items() if name.endswith("/features")},
        metadata={**table.metadata, "columns": passports},
    )


def columns_of(joined: Joined, image_ids: Sequence[str]) -> dict[str, np.ndarray]:
    """The columns of a part of the score table.

    Args:
      joined: joined rows of the study.
      image_ids: N of the part.

    Returns:
      column -> float32 [C, N].
    """
    found = {
        f"{name}{measured.PERFORMANCE}": np.stack([by_image[image] for image in image_ids], axis=1).astype(np.float32)
        for name, by_image in joined.values.items()
    }
    if joined.cluster:
        numbers = np.array([joined.cluster[image] for image in image_ids], np.float32)
        size = len(next(iter(found.values())))
        found[measured.CLUSTER] = np.broadcast_to(numbers, (size, len(image_ids))).copy()
    return found
