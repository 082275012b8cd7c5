"""Cold and warm time of whole studies, phase by phase.

  python -m benchmarks.study --json=study.json
  python -m benchmarks.study --studies=photographs --photographs=DIR --network=NAME=ARCHITECTURE=PATH

Every study runs twice in fresh processes that share one compilation cache: cold, the cache is empty, and warm. The
second run has a folder of its own, so it computes everything again. A phase counts seconds of the clock and of the
processors; both matter, for on a machine that others use the clock says little.
"""

import json
import os
import pathlib
import platform
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import app, flags

from causal_iqa import _files

_STUDIES = flags.DEFINE_list("studies", ["default"], "Of default (rendered scenes) and photographs.")
_PHOTOGRAPHS = flags.DEFINE_string("photographs", None, "Class folders of photographs, for that study.")
_CLASSES = flags.DEFINE_string("classes", None, "Their class list, one class per line.")
_NETWORK = flags.DEFINE_multi_string("network", [], "Networks of the photographs' study, as align takes them.")
_BACKBONE = flags.DEFINE_multi_string("backbone", [], "Its backbones, likewise (default: the networks).")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 160, "Judged photographs.")
_EXTRA = flags.DEFINE_list("extra", [], "Further flags of align, comma separated, for every study.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Keeps the folders of the runs here; default: they are deleted.")
_JSON = flags.DEFINE_string("json", None, "File to write.")

_ROOT = pathlib.Path(__file__).parents[1]
_CHILD = "--measure"
_FIRST_BATCH = 16
# Programs named that took longest to compile.
_LONGEST = 20
# Of JAX, which would take the place of the command's own.
_CACHE_SETTINGS = ("JAX_COMPILATION_CACHE", "JAX_PERSISTENT_CACHE")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class _Clock:
    """Seconds of the clock and of this process's processors, and what was compiled, by phase."""

    def __init__(self) -> None:
        self.begun = self.now()
        self.phases: dict[str, dict[str, Any]] = {}
        self.first_batch: float | None = None
        self.compiled = {"programs": 0, "from_cache": 0, "compile_seconds": 0.0}
        self.longest: list[tuple[float, str]] = []

    def now(self) -> tuple[float, float]:
        """Returns (clock, processors)."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return time.perf_counter(), used.ru_utime + used.ru_stime

    def since(self, start: tuple[float, float]) -> dict[str, float]:
        """Returns what passed since `start`."""
        now = self.now()
        return {"seconds": round(now[0] - start[0], 3), "cpu_seconds": round(now[1] - start[1], 3)}

    def listen(self) -> None:
        """Counts compilations from here on."""
        from jax import monitoring

        def hear(event: str, seconds: float, **about: Any) -> None:
            if event == "/jax/core/compile/backend_compile_duration":
                self.compiled["programs"] += 1
                self.compiled["compile_seconds"] += seconds
                self.longest = sorted([*self.longest, (seconds, str(about.get("fun_name", "")))])[-_LONGEST:]

        def count(event: str, **_: Any) -> None:
            self.compiled["from_cache"] += event == "/jax/compilation_cache/cache_hits"

        monitoring.register_event_duration_secs_listener(hear)
        monitoring.register_event_listener(count)

    def wrap(self, module: Any, name: str, phase: str) -> None:
        """Has a function of a module counted as a phase, with the steps that it tells of."""
        function = getattr(module, name)

        def wrapped(*args: Any, progress: Any = None, **kwargs: Any) -> Any:
            start, before, steps = self.now(), dict(self.compiled), _Steps(self)

            def tell(what: Any, *rest: Any) -> None:
                if isinstance(what, str):
                    steps.begin(what)
                elif what and self.first_batch is None:
                    self.first_batch = round(time.perf_counter() - self.begun[0], 3)
                    self.phases[f"{phase}, until the first batch"] = self.since(start)
                if progress is not None:
                    progress(what, *rest)

            result = function(*args, **kwargs, **({} if progress is None else {"progress": tell}))
            steps.begin(None)
            self.phases[phase] = {
                **self.since(start),
                **{key: round(value - before[key], 3) for key, value in self.compiled.items()},
                **({"steps": steps.done} if steps.done else {}),
            }
            return result

        setattr(module, name, wrapped)


class _Steps:
    """What the steps of one phase take."""

    def __init__(self, clock: _Clock) -> None:
        self.done: dict[str, dict[str, float]] = {}
        self._clock, self._current, self._start = clock, None, clock.now()

    def begin(self, step: str | None) -> None:
        """Ends the step in work and begins another."""
        if step != self._current:
            if self._current is not None:
                self.done[self._current] = self._clock.since(self._start)
            self._current, self._start = step, self._clock.now()


def _measure(into: str, arguments: list[str]) -> None:
    """Runs `align` in this process and writes what each phase took."""
    clock = _Clock()
    from causal_iqa import pipeline
    from causal_iqa.analysis import findings
    from causal_iqa.cli import align, running
    from causal_iqa.report import study as study_report

    running.collect_less()
    clock.phases["imports"] = clock.since(clock.begun)
    clock.listen()
    for module, name, phase in (
        (pipeline, "prepare", "prepare"),
        (pipeline, "first_look", "first look"),
        (pipeline, "run", "score"),
        (findings, "analyse", "analyse"),
        (study_report, "write", "report"),
    ):
        clock.wrap(module, name, phase)
    align.FLAGS.values(["align", *arguments])
    running.reporting_user_errors(align.main)(["align"])
    found = {
        **clock.since(clock.begun),
        **clock.compiled,
        "first_batch_seconds": clock.first_batch,
        "longest_compilations": {f"{i} {name}": round(s, 2) for i, (s, name) in enumerate(reversed(clock.longest), 1)},
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "phases": clock.phases,
    }
    _files.write_text(into, json.dumps(found))


def _arguments(study: str) -> list[str]:
    if study == "default":
        return []
    if _PHOTOGRAPHS.value is None or not _NETWORK.value:
        raise app.UsageError("the photographs' study needs --photographs and --network")
    return [
        f"--dataset=folder:{_PHOTOGRAPHS.value}",
        f"--num_images={_NUM_IMAGES.value}",
        *([f"--classes={_CLASSES.value}"] if _CLASSES.value else []),
        *(f"--network={text}" for text in _NETWORK.value),
        *(f"--backbone={text}" for text in _BACKBONE.value or _NETWORK.value),
    ]


def _run(arguments: list[str], cache: str, output: pathlib.Path) -> dict[str, Any]:
    """Runs a study in a process of its own; returns what `_measure` wrote, and its size."""
    into = output.with_suffix(".json")
    own = (f"--output_dir={output}", f"--compilation_cache={cache}")
    command = [sys.executable, "-m", "benchmarks.study", _CHILD, str(into), *arguments, *own]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_CACHE_SETTINGS)}
    subprocess.run(command, cwd=_ROOT, check=True, env=environment)
    found = json.loads(into.read_text())
    config = json.loads((output / "config.json").read_text())["config"]
    conditions = 1 + len(config["degradations"]) * len(config["severities"]) + len(config["extra_conditions"])
    found["image_conditions"] = config["num_images"] * conditions
    later = found["phases"]["score"]["seconds"] - found["phases"]["score, until the first batch"]["seconds"]
    found["image_conditions_per_second_after_the_first_batch"] = (
        (config["num_images"] - _FIRST_BATCH) * conditions / later if later > 0 else None
    )
    return found


def main(_: list[str]) -> None:
    """Runs the studies and writes the times."""
    rows: dict[str, Any] = {"machine": platform.platform(), "cores": os.cpu_count(), "studies": {}}
    with tempfile.TemporaryDirectory() as temporary:
        kept = pathlib.Path(_OUTPUT_DIR.value or temporary).resolve()
        kept.mkdir(parents=True, exist_ok=True)
        for study in _STUDIES.value:
            arguments = [*_arguments(study), *_EXTRA.value]
            runs = rows["studies"][study] = {"arguments": arguments}
            for temperature in ("cold", "warm"):
                runs[temperature] = _run(arguments, f"{temporary}/{study}", kept / f"{study}-{temperature}")
                took = runs[temperature]
                print(
                    f"{study} {temperature}: {took['seconds']:.1f} s, {took['cpu_seconds']:.1f} s of the processors",
                    file=sys.stderr,
                )
                if _JSON.value:  # What is known so far, should the rest not end.
                    _files.write_text(_JSON.value, json.dumps(rows, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == [_CHILD]:
        _measure(sys.argv[2], sys.argv[3:])
    else:
        app.run(main)
