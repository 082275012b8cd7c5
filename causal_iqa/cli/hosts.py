"""Several processes, on one machine or many, that share a run: `jax.distributed` numbers them and notices a dead one.

No array crosses from one process to another. They meet in the output folder, which all of them must see, and at
barriers of the coordination service that the first process runs.
"""

import atexit
import contextlib
import os
import sys
import threading
from typing import NamedTuple

import jax

from causal_iqa import InputError

AUTOMATIC = "auto"
# A process that sends no sign of life for so long is dead, and ends the others; compilations hold no sign up.
_HEARTBEAT_SECONDS = 60
# How long a process that has failed waits for the others before it ends.
_SHUTDOWN_SECONDS = 10
_CONNECT_SECONDS = 300
# Of a barrier: others may score for days.
_PATIENCE_SECONDS = 30 * 24 * 3600
_POLL_SECONDS = 0.5


class Team(NamedTuple):
    """The processes of a run: which of them this one is, from 0, and how many there are."""

    index: int = 0
    count: int = 1

    def wait(self, place: str) -> None:
        """Waits until all processes have come to a place; a signal ends the wait.

        Args:
          place: name of the place, each passed once.

        Raises:
          InputError: when a process ended instead.
        """
        if self.count == 1:
            return
        # Its import takes a second, which single processes need not spend.
        from orbax.checkpoint import multihost

        barrier = multihost.get_barrier_sync_fn()
        failures: list[BaseException] = []

        def meet() -> None:
            try:
                barrier(key=f"causal_iqa {place}", timeout_ms=_PATIENCE_SECONDS * 1000)
            except Exception as error:
                failures.append(error)

        # A thread of its own: a call into the coordination service lets no signal through.
        waiting = threading.Thread(target=meet, daemon=True)
        waiting.start()
        while waiting.is_alive():
            waiting.join(_POLL_SECONDS)
        if failures:
            atexit.register(_leave)
            raise InputError(
                f"process_id: another of the {self.count} processes ended early; the written parts are kept, and the "
                "same commands continue from there"
            ) from failures[0]


def _leave() -> None:
    """Ends this process at once: that of JAX would wait for the dead process and then abort with a stack trace."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(1)


def join(coordinator: str | None, num_processes: int | None, process_id: int | None) -> Team:
    """Joins the other processes of a run; to be called before JAX is first used.

    Args:
      coordinator: HOST:PORT of the first process, or AUTOMATIC where Slurm, Open MPI, Kubernetes or a TPU pod says it;
        None: this process works alone.
      num_processes: how many there are; None with AUTOMATIC.
      process_id: which one this is, from 0; None with AUTOMATIC.

    Returns:
      The team.

    Raises:
      InputError: when the three do not fit, or the processes do not find each other.
    """
    given = {"num_processes": num_processes, "process_id": process_id}
    if coordinator is None:
        for name, value in given.items():
            if value is not None:
                raise InputError(f"{name}: only with --coordinator=HOST:PORT, the address of the first process")
        return Team()
    automatic = coordinator == AUTOMATIC
    if automatic and any(value is not None for value in given.values()):
        raise InputError(f"coordinator: {AUTOMATIC} finds out --num_processes and --process_id; give neither")
    if not automatic:
        _check_given(coordinator, num_processes, process_id)
    # It would take SIGTERM from the command, which ends with one line on it.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            None if automatic else coordinator,
            num_processes,
            process_id,
            cluster_detection_method=None if automatic else "deactivate",
            initialization_timeout=_CONNECT_SECONDS,
            heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=_SHUTDOWN_SECONDS,
        )
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"coordinator: the processes do not find each other ({str(error).splitlines()[0]}); each needs the same "
            "--coordinator and --num_processes and its own --process_id"
        ) from error
    return Team(jax.process_index(), jax.process_count())


def _check_given(coordinator: str, num_processes: int | None, process_id: int | None) -> None:
    host, colon, port = coordinator.rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal() and 0 < int(port) < 2**16):
        raise InputError(f"coordinator: expected HOST:PORT or {AUTOMATIC}, got {coordinator!r}")
    for name, value in (("num_processes", num_processes), ("process_id", process_id)):
        if value is None:
            raise InputError(f"{name}: needed with --coordinator={coordinator}")
    assert num_processes is not None and process_id is not None
    if not 0 <= process_id < num_processes:
        raise InputError(
            f"process_id: expected 0 to {num_processes - 1} of {num_processes} processes, got {process_id}"
        )
