"""What the pipelines share: Beam's options, one worker for each process, and a user's mistake in one line."""

import contextlib
import dataclasses
import io
import logging
import os
import pathlib
import re
import shlex
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax

from causal_iqa import _checks

# The runner of this machine. Since Beam 2.66 the name also stands for Prism, a binary that Beam would download.
DIRECT = "DirectRunner"
_EXTRA = "pip install 'causal-iqa[beam]', in an environment of its own"
# Of JAX, that the workers have from the process that starts them.
_SETTINGS = (
    "jax_enable_compilation_cache",
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
)
# An InputError within what Beam reports of a worker.
_TOLD = re.compile(r"(?:InputError|OutputError|UnknownName): (?P<words>.+?)(?: \[while running .*)?$", re.MULTILINE)
# How often a pipeline is run on this machine while its worker processes die.
_ATTEMPTS = 4
_POLL_SECONDS = 0.2
_STOP_SECONDS = 5
_Made = TypeVar("_Made")


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What a worker's process has from the one that starts the pipeline.

    Attributes:
      working_directory: to which relative paths refer.
      cpu_devices: devices that a CPU is; with another number XLA compiles another program, and numbers round otherwise.
      settings: settings of JAX.
    """

    working_directory: str
    cpu_devices: int
    settings: Mapping[str, Any]

    @classmethod
    def here(cls) -> "Surroundings":
        """Describes this process."""
        cpus = len(jax.local_devices(backend="cpu"))
        return cls(os.getcwd(), cpus, {name: getattr(jax.config, name) for name in _SETTINGS})

    def enter(self) -> None:
        """Makes this process like the one described; InputError where it does not see the working directory."""
        try:
            os.chdir(self.working_directory)
        except OSError as error:
            raise _checks.InputError(
                f"runner: a worker does not see {self.working_directory} ({error.strerror}); images and results must "
                "lie under the same paths on all machines"
            ) from error
        for name, value in self.settings.items():
            jax.config.update(name, value)
        with contextlib.suppress(RuntimeError):  # JAX runs already: the worker is a thread of the process described.
            jax.config.update("jax_num_cpu_devices", self.cpu_devices)


class OnePerProcess:
    """Keeps what was made last in this process, for all threads of it."""

    def __init__(self) -> None:
        """Starts with nothing."""
        self.lock = threading.RLock()
        self._job: Any = None
        self._made: Any = None

    def get(self, job: Any, make: Callable[[], _Made]) -> _Made:
        """Returns what belongs to a job, made now where another was kept; to be called with `lock` held."""
        if self._made is None or self._job != job:
            self._made, self._job = make(), job
        return self._made


def options(runner: str, arguments: Sequence[str]) -> Any:
    """Makes Beam's options.

    Args:
      runner: name of a Beam runner.
      arguments: Beam's own flags, "--name=value" each.

    Returns:
      `apache_beam.options.pipeline_options.PipelineOptions`.

    Raises:
      InputError: where Beam is not installed, or refuses a flag.

    Examples:
      >>> beam.options("DirectRunner", ["--direct_num_workers=2"])  # needs Beam  # doctest: +SKIP
    """
    beam = import_beam()
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found = beam.options.pipeline_options.PipelineOptions([f"--runner={runner}", *arguments])
            known = found.get_all_options()
    except SystemExit as error:
        words = said.getvalue().strip().splitlines() or ["no reason given"]
        raise _checks.InputError(f"runner: Beam refuses its flags: {words[-1].partition('error: ')[2]}") from error
    if runner == DIRECT:
        # Flags of other runners may be known to these alone.
        names = [word.partition("=")[0].removeprefix("--") for word in arguments if word.startswith("--")]
        strange = [name for name in names if name not in known and name.removeprefix("no_") not in known]
        if strange:
            near = _checks.closest(strange[0], known)
            raise _checks.InputError(f"runner: {DIRECT} has no flag --{strange[0]}: {near}")
    return found


def import_beam() -> Any:
    """Imports Apache Beam; InputError with what to install where it is missing."""
    try:
        with _without_logs(logging.WARNING):  # It warns of clients of Google's services that are not installed.
            import apache_beam  # pyright: ignore[reportMissingImports]
            import apache_beam.options.pipeline_options  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise _checks.InputError(f"runner: Apache Beam is not installed ({_EXTRA})") from error
    return apache_beam


@contextlib.contextmanager
def _without_logs(level: int) -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(level)
    try:
        yield
    finally:
        logging.disable(before)


def run(chosen: Any, build: Callable[[Any], None]) -> None:
    """Builds a pipeline and runs it to its end.

    On this machine a pipeline whose worker process dies is started again, for Beam's DirectRunner itself would wait
    for the dead process for ever. Engines elsewhere start dead workers again themselves.

    Args:
      chosen: result of `options`.
      build: adds the steps to a pipeline; what they did is not to be done again by a second run.

    Raises:
      InputError: what a worker raised as one, or when the runner gives up.
    """
    name = chosen.get_all_options()["runner"]
    if name != DIRECT:
        _run_once(name, None, chosen, build)
        return
    for attempt in range(_ATTEMPTS):
        try:
            with _without_logs(logging.ERROR):  # What goes wrong is raised; Beam tells of it in a hundred lines.
                _run_here(chosen, build)
            return
        except WorkerDied as error:
            if attempt == _ATTEMPTS - 1:
                raise _checks.InputError(
                    f"runner: {_ATTEMPTS} worker processes ended without a word ({error}), most often for want of "
                    "memory; what is written stays, and the same command goes on (with fewer workers)"
                ) from error


class WorkerDied(Exception):
    """A worker process of this machine ended without a word."""


def _run_here(chosen: Any, build: Callable[[Any], None]) -> None:
    """Runs a pipeline by the runner of this machine; WorkerDied when one of its processes ends."""
    from apache_beam.options.pipeline_options import DirectOptions  # pyright: ignore[reportMissingImports]
    from apache_beam.runners.portability import fn_api_runner  # pyright: ignore[reportMissingImports]
    from apache_beam.transforms import environments  # pyright: ignore[reportMissingImports]

    direct = chosen.view_as(DirectOptions)
    if direct.direct_running_mode != "multi_processing":
        _run_once(DIRECT, fn_api_runner.FnApiRunner(), chosen, build)
        return
    ended: list[BaseException] = []
    died = threading.Event()

    def noted(found: threading.ExceptHookArgs) -> None:
        # Beam waits for each worker process in a thread, and raises there when it ends otherwise than it should.
        if isinstance(found.exc_value, RuntimeError) and "Worker subprocess exited" in str(found.exc_value):
            ended.append(found.exc_value)
            died.set()

    with tempfile.TemporaryDirectory(prefix="causal-iqa-") as folder:
        stop = pathlib.Path(folder, "stop")
        command = f"exec {shlex.quote(sys.executable)} -m causal_iqa.beam.worker {shlex.quote(str(stop))}"
        runner = fn_api_runner.FnApiRunner(
            default_environment=environments.SubprocessSDKEnvironment.from_command_string(command)
        )
        # The mode would put Beam's own command in the place of ours.
        direct.direct_running_mode = "in_memory"
        failed: list[BaseException] = []

        def work() -> None:
            try:
                _run_once(DIRECT, runner, chosen, build)
            except BaseException as error:
                failed.append(error)

        before = threading.excepthook
        threading.excepthook = noted
        working = threading.Thread(target=work, daemon=True)
        working.start()
        try:
            while working.is_alive() and not died.is_set():
                working.join(_POLL_SECONDS)
            if died.is_set() and working.is_alive():
                raise WorkerDied(str(ended[0]))
        finally:
            direct.direct_running_mode = "multi_processing"
            stop.touch()
            if died.is_set() or working.is_alive():
                working.join(_STOP_SECONDS)  # The workers see the file, and their threads here end with them.
            threading.excepthook = before
        if failed:
            raise failed[0]


def _run_once(name: str, runner: Any, chosen: Any, build: Callable[[Any], None]) -> None:
    beam = import_beam()
    pipeline = beam.Pipeline(runner=runner or name, options=chosen)
    build(pipeline)
    try:
        state = pipeline.run().wait_until_finish()
    except Exception as error:
        told = _TOLD.findall(f"{type(error).__name__}: {error}")
        if told:
            raise _checks.InputError(told[-1]) from error
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise _checks.InputError(
            f"runner: {name} gave up ({type(error).__name__}: {words[-1]}); what is written stays, and the same "
            "command goes on"
        ) from error
    if state != beam.runners.runner.PipelineState.DONE:
        raise _checks.InputError(
            f"runner: {name} ended as {state}; what is written stays, and the same command goes on"
        )
