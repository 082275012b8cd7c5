"""Degraded copies written by the workers of a Beam pipeline, a task at a time."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from causal_iqa import _checks, copies
from causal_iqa.beam import running


@dataclasses.dataclass(frozen=True)
class Job:
    """What a worker needs to write copies.

    Attributes:
      config: config of the copies.
      folder: the tree.
      surroundings: what a worker's process is made like.
    """

    config: copies.CopyConfig
    folder: str
    surroundings: running.Surroundings


_KEPT = running.OnePerProcess()


def _worker(job: Job) -> copies.Worker:
    job.surroundings.enter()
    return copies.Worker.opening(job.config, job.folder)


def do_task(element: tuple[copies.Task, Sequence[str]], job: Job) -> int:
    """Does a task in the worker of this process unless it is done.

    Args:
      element: some images under some conditions, and the ids of these images as the process that began the tree saw
        them.
      job: what all tasks have in common.

    Returns:
      The number of the task.

    Raises:
      InputError: when the worker sees other images.
    """
    task, ids = element
    with _KEPT.lock:
        worker = _KEPT.get(job, lambda: _worker(job))
        if worker.ids(task) != list(ids):
            raise _checks.InputError(
                f"runner: a worker sees other images than the command did when it began, from {ids[0]} on"
            )
        if not worker.has_done(task):
            worker.do(task)
    return task.number


def write_copies(
    job: copies.Job, output_dir: str | os.PathLike[str], *, runner: str, arguments: Sequence[str] = ()
) -> list[copies.Part]:
    """Writes what of a job is not there yet by a Beam pipeline, into a tree that all workers see, and its manifest.

    Args:
      job: result of `copies.prepare`.
      output_dir: the tree; made when missing.
      runner: name of a Beam runner.
      arguments: Beam's own flags, "--name=value" each.

    Returns:
      The parts of the record, as `copies.write` gives them.

    Raises:
      InputError: where Beam is not installed, a worker sees other images, or the runner gives up.

    Examples:
      >>> parts = beam.write_copies(job, "photos_c", runner="DirectRunner")  # needs Beam  # doctest: +SKIP
    """
    chosen = running.options(runner, arguments)
    beam = running.import_beam()
    with copies.hold(output_dir):
        return _written(job, output_dir, beam, chosen)


def _written(job: copies.Job, output_dir: str | os.PathLike[str], beam: Any, chosen: Any) -> list[copies.Part]:
    folder = copies.begin(job, output_dir)
    common = Job(job.config, str(folder), running.Surroundings.here())
    tasks = [(task, [job.source.id(index) for index in task.indices]) for task in job.tasks]

    def build(steps: Any) -> None:
        _ = (
            steps
            | "tasks" >> beam.Create(tasks)
            | "to any worker" >> beam.Reshuffle()
            | "degrade" >> beam.Map(do_task, common)
        )

    running.run(chosen, build)
    return copies.finish(job, folder)
