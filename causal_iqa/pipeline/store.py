"""The output folder of a study: one process at a time, parts written atomically, and nothing believed that is damaged.

A killed run loses at most the part in work. What a run depends on is fixed when it begins: `config.json` holds it as
digests, `images.parquet` lists the images that every part must hold.
"""

import contextlib
import json
import math
import os
import pathlib
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from causal_iqa import _checks, _files, _locks, _reading
from causal_iqa.pipeline import locking, parts, provenance
from causal_iqa.pipeline.columns import Output
from causal_iqa.pipeline.config import Condition, StudyConfig
from causal_iqa.pipeline.parts import ScoreTable

# Images per part unless a store says another number: what a kill can cost, and the most that are scored in one step.
PART_IMAGES = 64
CONFIG_FILE, IMAGES_FILE = "config.json", "images.parquet"


class Store:
    """One output folder: the config that made it, and its parts. Nothing is touched before `locked`."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        config: StudyConfig,
        origin: provenance.Provenance | str,
        details: Mapping[str, Any],
        *,
        images_per_part: int | None = None,
    ):
        """Keeps what the folder must hold.

        Args:
          folder: made when missing.
          config: configuration of the study.
          origin: what its numbers depend on; a text names a table that no study made.
          details: written with the config, JSON values.
          images_per_part: what a kill can cost, PART_IMAGES by default; a run that has begun keeps its own number.

        Raises:
          ValueError: for fewer than one image per part.
        """
        self.folder = pathlib.Path(folder)
        self.config = config
        self.provenance = provenance.Provenance.named(origin) if isinstance(origin, str) else origin
        self.details = dict(details)
        self.images_per_part = PART_IMAGES if images_per_part is None else images_per_part
        if self.images_per_part < 1:
            raise ValueError(f"images_per_part: expected 1 or more, got {images_per_part}")
        self._degradations = {k: v for k, v in details.get("degradations", {}).items() if k != "passports"}
        self._is_locked = False

    @property
    def fingerprint(self) -> str:
        """Names the study exactly."""
        return self.provenance.fingerprint

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process, and only then looks at it: begins the run, or continues it.

        Within itself it does nothing. What ends the work early, a signal or a full disk, leaves with a note of what is
        kept.

        Raises:
          InputError: when the folder cannot be written, another run works in it, or it holds another study.
        """
        if self._is_locked:
            yield
            return
        with _locks.lock(self.folder, make=True) as descriptor:
            locking.check_subfolders(self.folder, descriptor)
            locking.remove_leftovers(self.folder)
            self._begin()
            with self._held():
                yield

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Works in a folder that another process of the same run holds by `locked`, and has begun.

        Raises:
          InputError: when the folder holds no run yet, or another study.
        """
        found = _look(self.folder / CONFIG_FILE)
        if not isinstance(found, dict):
            raise _checks.InputError(
                f"output_dir: {self.folder} holds no run that the first process has begun; every process needs the "
                "same folder, on a file system that all of them see"
            )
        self._check_same(found)
        with self._held():
            yield

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        self._is_locked = True
        try:
            yield
        except KeyboardInterrupt as error:
            error.add_note(self._kept())
            raise
        except _files.OutputError as error:
            raise _files.OutputError(f"{error}; {self._kept()}") from error
        finally:
            self._is_locked = False

    def _kept(self) -> str:
        written = len(list((self.folder / "scores").glob("part-*.parquet")))
        return f"parts of the scores kept in {self.folder}: {written}; the same command continues from there"

    def _begin(self) -> None:
        """Checks that the folder holds this study, or writes down what it will hold."""
        found = _look(self.folder / CONFIG_FILE)
        if isinstance(found, dict):
            self._check_same(found)
            if not self._lists_the_images():
                self._write_images()
            return
        # A config that cannot be read may belong to another study, unless the parts beside it are of this one.
        states = [self._whose(path) for path in sorted((self.folder / "scores").glob("*.parquet"))]
        is_own = "own" in states or (self.provenance.records_images and self._lists_the_images())
        if "another's" in states or (not is_own and (found is not None or states)):
            raise _checks.InputError(
                f"output_dir: {self.folder} holds "
                + (f"scores without a {CONFIG_FILE}" if found is None else f"a {CONFIG_FILE} that {found}")
                + "; choose another folder"
            )
        # The config comes last: with it the run has begun.
        self._write_images()
        config = {
            "config": self.config.to_json(),
            "fingerprint": self.fingerprint,
            "provenance": dict(self.provenance.parts),
            "images_per_part": self.images_per_part,
            **self.details,
        }
        _files.write_json(self.folder / CONFIG_FILE, config, root=self.folder, sealed=True)

    def _whose(self, path: pathlib.Path) -> str:
        number = re.fullmatch(r"part-(\d{5,})\.parquet", path.name)
        if number is not None and self.has_part(int(number[1])):
            return "own"
        try:
            parts.read_whole(path)
        except _checks.InputError:
            return "unreadable"
        return "another's"

    def _check_same(self, found: Mapping[str, Any]) -> None:
        try:
            if found["fingerprint"] == self.fingerprint:
                self.images_per_part = int(found.get("images_per_part", self.images_per_part))
                return
            if "provenance" not in found:
                raise _checks.InputError(
                    f"output_dir: {self.folder} holds a run of an older version, which did not record what its numbers "
                    "depend on, so it cannot be continued; start a new --output_dir"
                )
            there = provenance.Provenance(found["fingerprint"], found["provenance"], *read_listings(self.folder))
            changed = provenance.differences(there, found["config"], self.provenance, self.config.to_json())
        except (KeyError, TypeError, AttributeError) as error:
            raise _checks.InputError(
                f"output_dir: {self.folder / CONFIG_FILE} is not of a run; choose another folder"
            ) from error
        raise _checks.InputError(
            f"output_dir: {self.folder} holds another run: {'; '.join(changed[:4])}; start a new --output_dir "
            "or restore it"
        )

    def _lists_the_images(self) -> bool:
        return read_listings(self.folder) == (self.provenance.images, self.provenance.anchors)

    def _write_images(self) -> None:
        if self.provenance.images.ids:
            write_listings(self.folder, self.provenance.images, self.provenance.anchors)

    def part(self, number: int) -> pathlib.Path:
        """Returns the path of a part."""
        return part_path(self.folder, number)

    def _expected(self, number: int) -> parts.Expected:
        return expected_part(self.fingerprint, self.provenance.images, number, self.images_per_part)

    def has_part(self, number: int) -> bool:
        """Whether a whole part of this study exists in its place."""
        try:
            parts.open_part(self.part(number), self._expected(number))
        except _checks.InputError:
            return False
        return True

    def write_part(
        self,
        number: int,
        image_ids: Sequence[str],
        labels: np.ndarray,
        conditions: Sequence[Condition],
        columns: Mapping[str, np.ndarray],
        skipped: Sequence[tuple[str, str]],
        passports: Mapping[str, Any],
        *,
        outputs: Mapping[str, Output] = types.MappingProxyType({}),
    ) -> None:
        """Writes the rows of one part, image by image, condition by condition.

        Args:
          number: number of the part.
          image_ids: N of them.
          labels: int32 [N].
          conditions: C of them.
          columns: name -> [C, N]; numbers that are not finite become null, with the reason in `undefined`; or vectors,
            name -> [C, N, K].
          skipped: (id, reason) of unreadable images of this part.
          passports: the definition of each column, JSON values.
          outputs: the definition of columns that are no scores.
        """
        content = parts.encode(
            self._expected(number),
            image_ids,
            labels,
            conditions,
            columns,
            skipped,
            passports,
            self._degradations,
            outputs=outputs,
        )
        with self.locked():
            _files.write_atomically(self.part(number), content, root=self.folder)

    def num_parts(self, num_images: int) -> int:
        """Returns the number of parts of so many images; within `locked` or `joined`, of the run that has begun."""
        return math.ceil(num_images / self.images_per_part)

    def read(self, num_parts: int, conditions: Sequence[Condition]) -> ScoreTable:
        """Reads the finished table.

        Args:
          num_parts: number of parts of the study.
          conditions: conditions of the study, in order.

        Returns:
          The table.

        Raises:
          InputError: when no image could be read at all.
        """
        numbers = range(num_parts)
        return parts.read_parts([self.part(i) for i in numbers], [self._expected(i) for i in numbers], conditions)


def _look(path: pathlib.Path) -> dict[str, Any] | str | None:
    """The content of a config.json; what is wrong with it; None where there is none."""
    try:
        with _reading.open_regular(path) as file:
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be read ({_reading.reason_of(error)})"
    if _files.is_sealed(content) and not _files.is_whole(content):
        return "is damaged"
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return "is no JSON"
    if not isinstance(found, dict) or ("provenance" in found and not _files.is_sealed(content)):
        return "is damaged or not of a run"
    return found


def write_listings(folder: pathlib.Path, images: provenance.Listing, anchors: provenance.Listing) -> None:
    """Writes down which images a run judges and which are its anchors, as the sealed images.parquet.

    Args:
      folder: folder of the run.
      images: the judged images, in order.
      anchors: the anchor images.
    """
    roles = ["judged"] * len(images.ids) + ["anchor"] * len(anchors.ids)
    table = {
        "role": pa.array(roles, pa.string()),
        "image_id": pa.array(images.ids + anchors.ids, pa.string()),
        "label": pa.array(images.labels + anchors.labels, pa.int32()),
        "content": pa.array(images.stamps + anchors.stamps, pa.string()),
    }
    content = parts.sealed_parquet(pa.table(table), {})
    _files.write_atomically(folder / IMAGES_FILE, content, root=folder)


def read_listings(folder: pathlib.Path) -> tuple[provenance.Listing, provenance.Listing]:
    """Reads what `write_listings` wrote.

    Args:
      folder: folder of the run.

    Returns:
      The judged images and the anchors; empty where there is no whole images.parquet.
    """
    try:
        content = parts.read_whole(folder / IMAGES_FILE)
        table = pq.read_table(pa.BufferReader(content))
        rows = [table[name].to_pylist() for name in ("role", "image_id", "label", "content")]
    except (_checks.InputError, *parts.UNREADABLE):
        return provenance.Listing(), provenance.Listing()
    found = {}
    for wanted in ("judged", "anchor"):
        own = [row for row in zip(*rows, strict=True) if row[0] == wanted]
        found[wanted] = provenance.Listing(*(tuple(row[i] for row in own) for i in (1, 2, 3)))
    return found["judged"], found["anchor"]


def expected_part(fingerprint: str, images: provenance.Listing, number: int, images_per_part: int) -> parts.Expected:
    """Describes what a part must be; its images are left open where they were not recorded."""
    first = number * images_per_part
    own = images.ids[first : first + images_per_part] if images.ids else None
    return parts.Expected(fingerprint, number, own)


def part_path(folder: pathlib.Path, number: int) -> pathlib.Path:
    """Returns the path of a part."""
    return folder / "scores" / f"part-{number:05d}.parquet"
