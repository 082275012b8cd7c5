"""Tasks done: images decoded, degraded and stored, and the record of each task."""

import functools
import hashlib
import operator
import os
import pathlib
import secrets
from collections.abc import Callable, Sequence

import numpy as np

from causal_iqa import _checks, _files, _reading, data
from causal_iqa.copies import manifest, names, programs, records, sources
from causal_iqa.copies.config import CopyConfig
from causal_iqa.copies.jobs import Task
from causal_iqa.copies.single import image_key
from causal_iqa.degradations import CLEAN, Condition


class Worker:
    """Does tasks: decodes, degrades, stores. Keeps its compiled programs from one to the next."""

    def __init__(self, config: CopyConfig, source: data.Source, outputs: Sequence[str], folder: pathlib.Path):
        """Keeps the values that all tasks share."""
        self._config, self._source, self._outputs, self._folder = config, source, outputs, folder
        self._programs = programs.Programs()
        self._made: set[str] = set()

    @classmethod
    def opening(cls, config: CopyConfig, output_dir: str | os.PathLike[str]) -> "Worker":
        """Makes a worker that opens the images itself; for the arguments see `prepare`."""
        source = sources.open_source(config)
        outputs = names.output_names(source, range(len(source)), config.format)
        return cls(config, source, tuple(outputs), pathlib.Path(output_dir))

    def ids(self, task: Task) -> list[str] | None:
        """Returns the ids of a task's images here; None where there are fewer images."""
        if max(task.indices) >= len(self._source):
            return None
        return [self._source.id(index) for index in task.indices]

    def has_done(self, task: Task) -> bool:
        """Returns whether a task is recorded as done and its files exist."""
        return manifest.read_part(self._folder, task.number) is not None

    def do(self, task: Task, stopped: Callable[[], bool] = lambda: False) -> manifest.Part:
        """Writes the copies of a task and records them.

        Args:
          task: what to do.
          stopped: asked before every image; the task is given up when it says so.

        Returns:
          The record.

        Raises:
          InputError: when a file cannot be written.
        """
        if self._config.format != "array_record":
            part = self._written(task, self._store_file, stopped)
        else:
            shards = records.Shards(self._folder, task.conditions, task.shard, self._source.class_names)
            try:
                part = self._written(task, functools.partial(self._store_record, shards), stopped)
                part = part._replace(shards=shards.close())
            finally:
                shards.discard()
        manifest.write_part(self._folder, task.number, part)
        return part

    def _written(self, task: Task, store: Callable[..., manifest.Copy], stopped: Callable[[], bool]) -> manifest.Part:
        copies, unreadable = [], []
        for index in task.indices:
            if stopped():
                raise _checks.InputError("stopped")
            try:
                example = self._source[index]
            except data.UnreadableImage as error:
                unreadable.append((error.id, error.reason))
                continue
            for condition, pixels in zip(task.conditions, self._degraded(task, example), strict=True):
                copies.append(store(condition, self._outputs[index], example, pixels))
        return manifest.Part(tuple(copies), tuple(unreadable))

    def _degraded(self, task: Task, example: data.Example) -> np.ndarray:
        if not task.structure.steps:
            return example.image[None]
        severities = np.asarray([condition.severities for condition in task.conditions], np.float32)
        key = image_key(self._config.seed, example.id)
        # A header may lie about the size.
        fits = task.canvas is not None and all(map(operator.le, example.image.shape[:2], task.canvas))
        return self._programs.run(task.structure, key, example.image, severities, task.canvas if fits else None)

    def _store_file(self, condition: Condition, name: str, example: data.Example, pixels: np.ndarray) -> manifest.Copy:
        path = f"{names.folder_of(condition)}/{name}"
        content = names.encode(pixels, self._config.image_format, self._config.stored_quality)
        self._write(self._folder / path, content)
        return _row(path, condition, example, pixels, content)

    def _store_record(
        self, shards: records.Shards, condition: Condition, name: str, example: data.Example, pixels: np.ndarray
    ) -> manifest.Copy:
        content = names.encode(pixels, self._config.image_format, self._config.stored_quality)
        path, place = shards.add(condition, content, example.id, example.label)
        return _row(path, condition, example, pixels, content)._replace(record=place)

    def _write(self, path: pathlib.Path, content: bytes) -> None:
        """Whole or not at all, without waiting for the disk: a part that is recorded but was lost is done again."""
        temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
        try:
            if str(path.parent) not in self._made:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(str(path.parent))
            temporary.write_bytes(content)
            os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _files.OutputError(
                f"output_dir: {path} cannot be written ({_reading.reason_of(error)}); written files are kept, and the "
                "same command continues"
            ) from error


def _row(path: str, condition: Condition, example: data.Example, pixels: np.ndarray, content: bytes) -> manifest.Copy:
    height, width, _ = pixels.shape
    return manifest.Copy(
        _files.readable(path),
        str(condition),
        condition.degradation if condition.steps else CLEAN,
        condition.severity,
        example.id,
        height,
        width,
        len(content),
        hashlib.sha256(content).hexdigest(),
    )
