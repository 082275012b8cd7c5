"""The tasks of a job shared among processes, each with a worker of its own."""

import concurrent.futures
import functools
import multiprocessing
import os
import pathlib
import queue
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax

from causal_iqa import _checks
from causal_iqa.copies import manifest, sources
from causal_iqa.copies.config import CopyConfig
from causal_iqa.copies.jobs import Job, Task
from causal_iqa.copies.worker import Worker

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


def all_done(
    job: Job, folder: pathlib.Path, pending: Sequence[Task], num_processes: int
) -> Iterator[tuple[Task, manifest.Part]]:
    """Does tasks, here or in processes that work side by side.

    Args:
      job: what the tasks are of.
      folder: the tree, opened by `writing.begin`.
      pending: the tasks.
      num_processes: that work side by side; 1 does the tasks in this process.

    Yields:
      Each task with its record, as it is done.

    Raises:
      InputError: when a file cannot be written or a process died.
    """
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
