"""Trees of copies: begun, written by one process or several, and finished; what is done stays done."""

import os
import pathlib
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from causal_iqa import __version__, _checks, _files, _reading, degradations
from causal_iqa.copies import geometry, holding, manifest, names, processes, programs, records, sources
from causal_iqa.copies.jobs import Job


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
      InputError: when the disk is full or read-only, the tree was begun otherwise, another run works in it, or a
        process died.

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
    with holding.hold(output_dir):
        folder = begin(job, output_dir)
        found = {task.number: manifest.read_part(folder, task.number) for task in job.tasks}
        pending = [task for task in job.tasks if found[task.number] is None]
        if pending:
            holding.remove_leftovers(folder)
        done = job.num_copies - sum(len(task.indices) * len(task.conditions) for task in pending)
        tell = progress or (lambda done, total: None)
        tell(done, job.num_copies)
        for task, part in processes.all_done(job, folder, pending, num_processes):
            found[task.number] = part
            done += len(task.indices) * len(task.conditions)
            tell(done, job.num_copies)
        return _record(job, folder, [part for part in found.values() if part is not None])


def begin(job: Job, output_dir: str | os.PathLike[str]) -> pathlib.Path:
    """Opens the tree of a job, for whoever does its tasks elsewhere than in `write`, and holds it (`hold`).

    Args:
      job: what is to be written.
      output_dir: the tree; made when missing.

    Returns:
      The folder of the tree.

    Raises:
      InputError: when it cannot be written, was begun otherwise, or another run works in it.

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
      ['.lock', '.parts', 'degrade.json']
    """
    with holding.hold(output_dir) as folder:
        try:
            manifest.begin(folder, job.origin)
        except OSError as error:
            raise _checks.InputError(f"output_dir: {folder} cannot be written: {_reading.reason_of(error)}") from error
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
    with holding.hold(output_dir) as folder:
        found = [manifest.read_part(folder, task.number) for task in job.tasks]
        missing = sum(part is None for part in found)
        if missing:
            raise _checks.InputError(
                f"output_dir: {missing} of {len(found)} parts of {folder} are missing or damaged; the same command "
                "goes on"
            )
        return _record(job, folder, [part for part in found if part is not None])


def _record(job: Job, folder: pathlib.Path, parts: list[manifest.Part]) -> list[manifest.Part]:
    if job.config.format == "array_record":
        _describe_records(job, folder, parts)
    else:
        _link_side_files(job, folder)
    manifest.write(folder, job.origin, parts, _details(job))
    return parts


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
