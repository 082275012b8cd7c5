"""A finished run, read back from its folder only; what is damaged, missing or another's is refused by name."""

import json
import os
import pathlib
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

from causal_iqa import _checks, _files, _reading
from causal_iqa.pipeline import parts, provenance, store
from causal_iqa.pipeline.columns import Column
from causal_iqa.pipeline.config import StudyConfig


class Run(NamedTuple):
    """A finished run, read back from its folder."""

    folder: pathlib.Path
    config: StudyConfig
    columns: tuple[Column, ...]  # score columns
    table: parts.ScoreTable
    warnings: tuple[str, ...] = ()  # lines that a reader of its numbers should see
    details: Mapping[str, Any] = types.MappingProxyType({})  # what its folder records beside the config, JSON values
    anchors: provenance.Listing = provenance.Listing()  # its anchor images


def read_run(folder: str | os.PathLike[str]) -> Run:
    """Reads a finished run from its folder only; computes no score.

    Args:
      folder: what a study wrote: config.json, images.parquet and scores/*.parquet.

    Returns:
      The config, the score columns and the score table.

    Raises:
      InputError: when the folder holds no run or an unfinished one, one of a version that stored less, or a file that
        is damaged, of another run or of other images, by its name.

    Examples:
      >>> import tempfile
      >>> network = pipeline.NetworkChoice("net", "scene_cnn_a")
      >>> config = pipeline.StudyConfig(
      ...     num_images=2, networks=(network,), metrics=("mse",), degradations=("contrast",), severities=(3.0,)
      ... )
      >>> study = pipeline.prepare(config)
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     store = pipeline.Store(folder, config, study.provenance, study.details)
      ...     table = pipeline.run(study, store, pipeline.Execution(num_devices=1))
      ...     run = pipeline.read_run(folder)
      >>> run.table.columns["mse"].shape
      (2, 2)
    """
    folder = pathlib.Path(folder)
    path = folder / store.CONFIG_FILE
    try:
        with _reading.open_regular(path) as file:
            content = file.read()
        if _files.is_sealed(content) and not _files.is_whole(content):
            raise _checks.InputError("it is damaged or was changed: its content is not what was written")
        found = json.loads(content)
        if "provenance" in found and not _files.is_sealed(content):
            raise _checks.InputError("it is damaged: its seal is gone")
        config = StudyConfig.from_json(found["config"])
        size = found["dataset"]["size"]
        images_per_part = found.get("images_per_part", store.PART_IMAGES)
        for name, count in (("a dataset", size), ("parts", images_per_part)):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise _checks.InputError(f"{name} of {count!r} images")
        origin = provenance.Provenance(
            str(found["fingerprint"]), dict(found.get("provenance", {})), *store.read_listings(folder)
        )
    except FileNotFoundError as error:
        raise _checks.InputError(f"run: no {path}; expected the output folder of causal-iqa align") from error
    except _checks.InputError as error:
        raise _checks.InputError(f"run: {path} cannot be used: {error}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _checks.InputError(f"run: {path} cannot be read: {type(error).__name__} {error}") from error
    if not origin.is_consistent:
        raise _checks.InputError(
            f"run: {folder / store.IMAGES_FILE} is missing, damaged or of another run; give causal-iqa align the same "
            "flags again to restore it"
        )
    is_sealed = "provenance" in found
    num_images = len(origin.images.ids) if origin.records_images else config.num_images or size
    table = _table(origin, config, folder, is_sealed, num_images, images_per_part)
    try:
        columns = tuple(Column.from_record(name, record) for name, record in table.metadata["columns"].items())
    except (KeyError, TypeError, AttributeError) as error:
        raise _checks.InputError(
            f"run: {folder} was written by an older version, without {error}; run it again"
        ) from error
    old = f"{folder} was written by an older version: whether its scores are damaged or of changed data is not known"
    details = {name: value for name, value in found.items() if name not in ("config", "provenance")}
    return Run(folder, config, columns, table, () if is_sealed else (old,), details, origin.anchors)


def _table(
    origin: provenance.Provenance,
    config: StudyConfig,
    folder: pathlib.Path,
    is_sealed: bool,
    num_images: int,
    images_per_part: int,
) -> parts.ScoreTable:
    images = origin.images if origin.records_images else provenance.Listing()
    num_parts = -(-num_images // images_per_part)
    # At most one more than the parts that exist, so that a damaged number cannot ask for more work.
    written = sum(1 for _ in (folder / "scores").glob("part-*.parquet"))
    paths = [store.part_path(folder, number) for number in range(min(num_parts, written + 1))]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        there = len(paths) - len(missing)
        raise _checks.InputError(
            f"run: {folder} is not finished: {num_parts - there} of {num_parts} parts missing, first {missing[0]}; "
            "give causal-iqa align the same flags again to finish it"
        )
    expected = [store.expected_part(origin.fingerprint, images, number, images_per_part) for number in range(num_parts)]
    try:
        return parts.read_parts(paths, expected, config.conditions, must_be_sealed=is_sealed)
    except _checks.InputError as error:
        mend = "give causal-iqa align the same flags again to score it anew" if is_sealed else "run it again"
        raise _checks.InputError(f"run: {folder}: {error}; {mend}") from error
