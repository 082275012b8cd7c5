"""What there is to write: images under conditions, opened, checked and shared out in tasks."""

import dataclasses
import hashlib
import os
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np
import PIL
import PIL.features

from causal_iqa import __version__, _checks, _reading, data, degradations
from causal_iqa.copies import geometry, names, programs, sources
from causal_iqa.copies.config import CopyConfig
from causal_iqa.data import decoding
from causal_iqa.degradations import Condition

IMAGES_PER_TASK = 24


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
      config: config of the copies.
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


def prepare(config: CopyConfig, output_dir: str | os.PathLike[str], *, images_per_task: int = IMAGES_PER_TASK) -> Job:
    """Opens the images, checks what can be checked, and shares the work out.

    Args:
      config: config of the copies.
      output_dir: where the copies go.
      images_per_task: images of one task, at most: what a kill can cost each process, and what one shard of records
        holds. A tree that has begun keeps its number.

    Returns:
      The job.

    Raises:
      ValueError: for a number of images below 1.
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
    if images_per_task < 1:
        raise ValueError(f"images_per_task: expected 1 or more, got {images_per_task}")
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
        (tuple(own[i : i + images_per_task]), canvas)
        for canvas, own in groups.items()
        for i in range(0, len(own), images_per_task)
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
        origin=_origin(config, source, images_per_task),
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


def _origin(config: CopyConfig, source: data.Source, images_per_task: int) -> dict[str, Any]:
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
        # Trees of the usual number do not say it.
        **({} if images_per_task == IMAGES_PER_TASK else {"images_per_task": images_per_task}),
    }


def _stamp(source: data.Source, index: int) -> str:
    if not isinstance(source, data.FolderSource):
        return ""
    try:
        status = _reading.stat_of(source.file(index))
    except OSError:
        return "unreadable"
    return f"{status.st_size} {status.st_mtime_ns}"
