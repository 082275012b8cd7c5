"""The work itself: images under conditions, task by task, in one process or several; what is done stays done."""

import concurrent.futures
import dataclasses
import functools
import hashlib
import multiprocessing
import operator
import os
import pathlib
import queue
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import PIL
import PIL.features

from causal_iqa import __version__, _checks, _files, _reading, data, degradations
from causal_iqa.copies import geometry, manifest, names, programs, records, sources
from causal_iqa.copies.config import CopyConfig
from causal_iqa.copies.single import image_key
from causal_iqa.data import decoding
from causal_iqa.degradations import CLEAN, Condition

# Images of one task: what a kill can cost each process.
_TASK_IMAGES = 24
# Tasks that share a program go to one process, which compiles it, unless there would be fewer than so many bundles of
# them for each.
_LEAST_BUNDLES = 8
_POLL_SECONDS = 1.0
# Settings of JAX that processes take over from the process that starts them: where compiled programs are kept.
_SETTINGS = (
    "jax_enable_compilation_cache",
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
)


class Task(NamedTuple):
    """Some images under all severities of one structure."""

    number: int
    structure: Condition
    conditions: tuple[Condition, ...]
    indices: tuple[int, ...]
    canvas: tuple[int, int] | None
    shard: tuple[int, int]  # number of these images among so many parts of all


@dataclasses.dataclass(frozen=True)
class Job:
    """Copies with everything opened and checked, ready to be written.

    Attributes:
      config: what is asked for.
      source: source of the images.
      outputs: name of the copy of each image.
      tasks: the tasks, in the order in which they start.
      origin: everything the copies depend on, JSON values.
      remarks: lines that a user should read before the work begins.
    """

    config: CopyConfig
    source: data.Source
    outputs: tuple[str, ...]
    tasks: tuple[Task, ...]
    origin: dict[str, Any]
    remarks: tuple[str, ...]

    @property
    def num_copies(self) -> int:
        """Number of all copies, including those of unreadable images."""
        return sum(len(task.indices) * len(task.conditions) for task in self.tasks)


def prepare(config: CopyConfig, output_dir: str | os.PathLike[str]) -> Job:
    """Opens the images, checks what can be checked, and shares the work out.

    Args:
      config: what is asked for.
      output_dir: where the copies go.

    Returns:
      The job.

    Raises:
      InputError: for anything missing or contradictory, e.g. when the copies would lie among the images.

    Examples:
      >>> import tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     Image.new("RGB", (32, 32)).save(f"{folder}/a.png")
      ...     options = {"severities": (1.0, 3.0), "parameters": "cifar_c"}
      ...     job = copies.prepare(copies.CopyConfig(folder, degradations=("contrast",), **options), f"{folder}-copies")
      >>> job.num_copies
      2
    """
    source = sources.open_source(config)
    if isinstance(source, data.FolderSource) and not config.images.endswith(sources.LISTS):
        root, out = (pathlib.Path(path).resolve() for path in (source.root, output_dir))
        if out.is_relative_to(root):
            raise _checks.InputError(f"output_dir: {out} lies in the folder of the images, {root}; choose another")
    sizes = [size_of(source, i) for i in range(len(source))]
    canvases = programs.choose_canvases(size for size in sizes if min(size))
    groups: dict[tuple[int, int] | None, list[int]] = {}
    # Images of one size together: programs of their own are compiled one after the other.
    for i in sorted(range(len(source)), key=lambda i: (sizes[i], i)):
        groups.setdefault(canvases.get(sizes[i]), []).append(i)
    chunks = [
        (tuple(own[i : i + _TASK_IMAGES]), canvas)
        for canvas, own in groups.items()
        for i in range(0, len(own), _TASK_IMAGES)
    ]
    places: dict[Condition, list[Condition]] = {}
    for condition in config.conditions:
        places.setdefault(condition.structure, []).append(condition)
    for structure in places:
        degradations.do_graded(structure)  # Refuses missing texture files now.
    pairs = [
        (structure, tuple(own), *chunk, (shard, len(chunks)))
        for structure, own in places.items()
        for shard, chunk in enumerate(chunks)
    ]
    return Job(
        config=config,
        source=source,
        outputs=tuple(names.output_names(source, range(len(source)), config.format)),
        tasks=tuple(Task(number, *pair) for number, pair in enumerate(pairs)),
        origin=_origin(config, source),
        remarks=(*data.remarks(source), *filter(None, [geometry.remark(config.conditions)])),
    )


def size_of(source: data.Source, index: int) -> tuple[int, int]:
    """Height and width of an image as its file says it, (0, 0) where that cannot be read."""
    if not isinstance(source, data.FolderSource):
        return source.image_shape or (0, 0)
    try:
        with _reading.open_regular(source.file(index)) as file:
            return decoding.upright_size(file, source.id(index)) or (0, 0)
    except OSError:
        return (0, 0)


def _origin(config: CopyConfig, source: data.Source) -> dict[str, Any]:
    listing = hashlib.sha256()
    for i in range(len(source)):
        listing.update(f"{source.id(i)}\0{_stamp(source, i)}\n".encode())
    return {
        "config": config.to_json(),
        "images": {"name": source.name, "number": len(source), "sha256_of_listing": listing.hexdigest()},
        "software": {
            "causal_iqa": __version__,
            "jax": f"{jax.__version__} on {jax.default_backend()}",
            "numpy": np.__version__,
            "pillow": f"{PIL.__version__}, libjpeg {PIL.features.version('jpg')}, zlib {PIL.features.version('zlib')}",
        },
    }


def _stamp(source: data.Source, index: int) -> str:
    if not isinstance(source, data.FolderSource):
        return ""
    try:
        status = _reading.stat_of(source.file(index))
    except OSError:
        return "unreadable"
    return f"{status.st_size} {status.st_mtime_ns}"


def write(
    job: Job,
    output_dir: str | os.PathLike[str],
    *,
    num_processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[manifest.Part]:
    """Writes the copies of a job that are still missing, and its manifest.

    Args:
      job: what to write.
      output_dir: the tree; made when missing.
      num_processes: that work side by side.
      progress: called with (copies done, copies in all), first with what an earlier run left.

    Returns:
      The parts of the record, one for each task.

    Raises:
      InputError: when the disk is full or read-only, the tree was begun otherwise, or a process died.

    Examples:
      >>> import pathlib, tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     pathlib.Path(folder, "photos").mkdir()
      ...     Image.new("RGB", (32, 32)).save(f"{folder}/photos/a.png")
      ...     options = {"severities": (3.0,), "parameters": "cifar_c"}
      ...     config = copies.CopyConfig(f"{folder}/photos", degradations=("contrast",), **options)
      ...     parts = copies.write(copies.prepare(config, f"{folder}/copies"), f"{folder}/copies")
      ...     written = sorted(path.name for path in pathlib.Path(folder, "copies").rglob("*.png"))
      >>> written
      ['a.png']
    """
    folder = begin(job, output_dir)
    found = {task.number: manifest.read_part(folder, task.number) for task in job.tasks}
    pending = [task for task in job.tasks if found[task.number] is None]
    done = job.num_copies - sum(len(task.indices) * len(task.conditions) for task in pending)
    tell = progress or (lambda done, total: None)
    tell(done, job.num_copies)
    for task, part in _all_done(job, folder, pending, num_processes):
        found[task.number] = part
        done += len(task.indices) * len(task.conditions)
        tell(done, job.num_copies)
    return _record(job, folder, [part for part in found.values() if part is not None])


def begin(job: Job, output_dir: str | os.PathLike[str]) -> pathlib.Path:
    """Opens the tree of a job, for whoever does its tasks elsewhere than in `write`.

    Args:
      job: what is to be written.
      output_dir: the tree; made when missing.

    Returns:
      The folder of the tree.

    Raises:
      InputError: when it cannot be written, or was begun otherwise.

    Examples:
      >>> import pathlib, tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     pathlib.Path(folder, "photos").mkdir()
      ...     Image.new("RGB", (32, 32)).save(f"{folder}/photos/a.png")
      ...     options = {"severities": (3.0,), "parameters": "cifar_c"}
      ...     config = copies.CopyConfig(f"{folder}/photos", degradations=("contrast",), **options)
      ...     job = copies.prepare(config, f"{folder}/copies")
      ...     names = [path.name for path in copies.begin(job, f"{folder}/copies").iterdir()]
      >>> sorted(names)
      ['.parts', 'degrade.json']
    """
    folder = pathlib.Path(output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        manifest.begin(folder, job.origin)
    except OSError as error:
        raise _checks.InputError(
            f"output_dir: {folder} cannot be made or written: {_reading.reason_of(error)}"
        ) from error
    return folder


def finish(job: Job, output_dir: str | os.PathLike[str]) -> list[manifest.Part]:
    """Writes the manifest of a tree whose tasks are all done.

    Args:
      job: what was to be written.
      output_dir: the tree, opened by `begin`.

    Returns:
      The parts of the record, one for each task.

    Raises:
      InputError: when a task is not done.

    Examples:
      >>> import pathlib, tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     pathlib.Path(folder, "photos").mkdir()
      ...     Image.new("RGB", (32, 32)).save(f"{folder}/photos/a.png")
      ...     options = {"severities": (3.0,), "parameters": "cifar_c"}
      ...     config = copies.CopyConfig(f"{folder}/photos", degradations=("contrast",), **options)
      ...     job = copies.prepare(config, f"{folder}/copies")
      ...     worker = copies.Worker.opening(config, copies.begin(job, f"{folder}/copies"))
      ...     done = [worker.do(task) for task in job.tasks]
      ...     copies.finish(job, f"{folder}/copies") == done
      True
    """
    folder = pathlib.Path(output_dir)
    found = [manifest.read_part(folder, task.number) for task in job.tasks]
    missing = sum(part is None for part in found)
    if missing:
        raise _checks.InputError(
            f"output_dir: {missing} of {len(found)} parts of {folder} are missing or damaged; the same command goes on"
        )
    return _record(job, folder, [part for part in found if part is not None])


def _record(job: Job, folder: pathlib.Path, parts: list[manifest.Part]) -> list[manifest.Part]:
    if job.config.format == "array_record":
        _describe_records(job, folder, parts)
    else:
        _link_side_files(job, folder)
    manifest.write(folder, job.origin, parts, _details(job))
    return parts


def _all_done(
    job: Job, folder: pathlib.Path, pending: Sequence[Task], num_processes: int
) -> Iterator[tuple[Task, manifest.Part]]:
    if num_processes <= 1 or len(pending) <= 1:
        worker = Worker(job.config, job.source, job.outputs, folder)
        for task in pending:
            yield task, worker.do(task)
        return
    context = multiprocessing.get_context("spawn")
    stop, told = context.Event(), context.Queue()
    tasks, left = {task.number: task for task in pending}, len(pending)
    pool = concurrent.futures.ProcessPoolExecutor(
        num_processes,
        mp_context=context,
        initializer=_start,
        initargs=(job.config, job.outputs, folder, stop, told, {name: getattr(jax.config, name) for name in _SETTINGS}),
    )
    try:
        futures = [pool.submit(_do, bundle) for bundle in _bundles(pending, num_processes)]
        while left:
            finished = [future for future in futures if future.done()]
            for future in finished:
                future.result()  # Raises what ended it.
            try:
                number, part = told.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            left -= 1
            yield tasks[number], part
    except concurrent.futures.process.BrokenProcessPool as error:
        raise _checks.InputError(
            "num_processes: a process ended without a message, most often for lack of memory; written files stay, and "
            "the same command continues (with fewer processes)"
        ) from error
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _bundles(pending: Sequence[Task], num_processes: int) -> list[list[Task]]:
    """Tasks that share a program, together; in parts where there would be too few bundles to share out."""
    groups: dict[Any, list[Task]] = {}
    for task in pending:
        groups.setdefault((task.structure, task.canvas), []).append(task)
    most = max(1, len(pending) // (num_processes * _LEAST_BUNDLES))
    return [group[i : i + most] for group in groups.values() for i in range(0, len(group), most)]


def _details(job: Job) -> dict[str, Any]:
    used = {step.name for condition in job.config.conditions for step in condition.steps}
    return {
        "conditions": {
            names.folder_of(condition): {
                "name": str(condition),
                "boxes_and_masks": geometry.of_annotations(condition),
                **condition.to_json(),
            }
            for condition in job.config.conditions
        },
        "passports": {
            name: degradations.TABLE[name].passport() | {"moves_what_is_shown": name in geometry.GEOMETRIC}
            for name in sorted(used)
        },
        "keys": "fold_in(key(seed), crc32(image_id)) for an image, fold_in(that, crc32(degradation)) for a step",
        "programs": {str(task.structure): programs.layout_of(task.structure) for task in job.tasks},
        "remarks": list(job.remarks),
    }


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
        """Whether a task is recorded as done, and its files are there."""
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


def _describe_records(job: Job, folder: pathlib.Path, parts: Sequence[manifest.Part]) -> None:
    """Writes the description of every condition's dataset, after all its shards."""
    by_path = {shard.path: shard for part in parts for shard in part.shards}
    num_shards = job.tasks[0].shard[1]
    own = {
        condition: [by_path[_files.readable(records.shard_path(condition, i, num_shards))] for i in range(num_shards)]
        for condition in job.config.conditions
    }
    descriptions = {condition: f"{job.source.name} under {condition}, by causal_iqa {__version__}" for condition in own}
    records.describe(folder, own, job.source.class_names, job.config.image_format, descriptions)


def _link_side_files(job: Job, folder: pathlib.Path) -> None:
    if job.config.side_files != "link":
        return
    for relative, target in sources.side_files(job.source):
        for condition in job.config.conditions:
            link = folder / names.folder_of(condition) / relative
            try:
                link.parent.mkdir(parents=True, exist_ok=True)
                if link.is_symlink() and os.readlink(link) == target:
                    continue
                temporary = link.parent / f".{secrets.token_hex(8)}.tmp"
                os.symlink(target, temporary)
                os.replace(temporary, link)
            except OSError as error:
                raise _files.OutputError(
                    f"output_dir: {link} cannot be linked ({_reading.reason_of(error)}); --side_files=none leaves "
                    "such files out"
                ) from error


# One process of several: what `_start` leaves for `_do`.
_worker: Worker | None = None
_stop: Any = None
_told: Any = None


def _start(
    config: CopyConfig,
    outputs: Sequence[str],
    folder: pathlib.Path,
    stop: Any,
    told: Any,
    settings: Mapping[str, Any],
) -> None:
    global _worker, _stop, _told
    for name, value in settings.items():
        jax.config.update(name, value)
    # The parent alone answers signals, and ends the others through the event.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=functools.partial(_end_with, os.getppid()), daemon=True).start()
    _worker, _stop, _told = Worker(config, sources.open_source(config), outputs, folder), stop, told


def _end_with(parent: int) -> None:
    """Ends this process when its parent is gone, even by SIGKILL."""
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


def _do(tasks: Sequence[Task]) -> None:
    assert _worker is not None, "a process begins with _start"
    for task in tasks:
        _told.put((task.number, _worker.do(task, _stop.is_set)))
