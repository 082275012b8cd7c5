"""Sets of images scored by the workers of a Beam pipeline, a part at a time."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from causal_iqa import _checks, _score, pipeline
from causal_iqa.beam import running


@dataclasses.dataclass(frozen=True)
class Job:
    """What a worker needs to score parts.

    Attributes:
      config: the config of the scoring.
      map: folder of a finished run whose way of scoring is taken; None: none.
      execution: how a worker runs.
      folder: the output folder.
      settings: what else the scores depend on, JSON text.
      provenance: what they depend on in all, JSON text; a worker where something differs is refused.
      surroundings: what a worker's process is made like.
    """

    config: pipeline.ScoringConfig
    map: str | None
    execution: pipeline.Execution
    folder: str
    settings: str
    provenance: str
    surroundings: running.Surroundings


class Worker:
    """Scores parts for a job; made once in a process."""

    def __init__(self, job: Job):
        """Opens everything as the process that began the scoring did.

        Raises:
          InputError: when something that the scores depend on is otherwise here.
        """
        job.surroundings.enter()
        run = None if job.map is None else pipeline.read_run(job.map)
        self.work = _score.prepare(job.config, run, job.execution)
        self.store = pipeline.ScoringStore(job.folder, self.work, json.loads(job.settings))
        _check_same(json.loads(job.provenance), self.store.provenance)
        self._execution = job.execution
        self._scorer: pipeline.PartScorer | None = None

    def do(self, part: pipeline.Part, stamp: str) -> pipeline.Totals:
        """Scores a part unless it is scored already; returns its totals.

        Raises:
          InputError: when the worker sees other images than the process that began the scoring.
        """
        if part.place >= len(self.work.sets) or part.last > len(self.work.sets[part.place].source):
            raise _checks.InputError("runner: a worker sees fewer images than there were when the command began")
        if pipeline.stamp_of(self.work.sets[part.place], part) != stamp:
            name = self.work.sets[part.place].source.id(part.first)
            raise _checks.InputError(
                f"runner: a worker sees other images from {name} on than the command did when it began: they changed, "
                "or times of change differ between the machines"
            )
        if self.store.has(part, stamp):
            table, skipped = self.store.read(part, stamp)
        else:
            if self._scorer is None:
                diagnose = _score.diagnosis(self._execution.num_devices)
                self._scorer = pipeline.PartScorer(self.work, self._execution, diagnose)
            ((table, skipped),) = self._scorer.score([part])
            self.store.write(part, stamp, table, skipped)
        return pipeline.part_totals(self.work, part, table, len(skipped))


def _check_same(there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    changed = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    if changed:
        words = [f"{name} ({there.get(name)} there, {here.get(name)} here)" for name in changed[:3]]
        raise _checks.InputError(f"runner: a worker would score otherwise than the command: {'; '.join(words)}")


_KEPT = running.OnePerProcess()


def score_part(element: tuple[pipeline.Part, str], job: Job) -> pipeline.Totals:
    """Scores one part, given with its stamp, in the worker of this process; one at a time, for it has all devices."""
    part, stamp = element
    with _KEPT.lock:
        return _KEPT.get(job, lambda: Worker(job)).do(part, stamp)


def score_sets(
    work: pipeline.Scoring,
    store: pipeline.ScoringStore,
    execution: pipeline.Execution,
    *,
    map: str | None,
    settings: Mapping[str, Any],
    runner: str,
    arguments: Sequence[str] = (),
    with_totals: bool = False,
) -> dict[pipeline.Part, str]:
    """Scores every part that is not there yet by a Beam pipeline, into a folder that all workers see.

    Args:
      work: result of `pipeline.prepare_scoring` or `prepare_like`, of a config that names its images.
      store: the output folder, held by `locked`.
      execution: how each worker runs.
      map: folder of the run that `prepare_like` was given; None: none.
      settings: those of `store`.
      runner: name of a Beam runner.
      arguments: Beam's own flags, "--name=value" each.
      with_totals: whether the workers also add up their parts; the folder then has totals.json.

    Returns:
      Part -> stamp of its images, as `pipeline.score_sets` gives it.

    Raises:
      InputError: where Beam is not installed, a worker sees other images or another library, or the runner gives up.

    Examples:
      >>> with store.locked():  # needs Beam  # doctest: +SKIP
      ...     options = {"map": None, "settings": {}, "runner": "DirectRunner"}
      ...     stamps = beam.score_sets(work, store, pipeline.Execution(), **options)
    """
    chosen = running.options(runner, arguments)
    beam = running.import_beam()
    job = Job(
        config=work.config,
        map=map,
        execution=execution,
        folder=str(store.folder),
        settings=json.dumps(dict(settings), sort_keys=True),
        provenance=json.dumps(store.provenance, sort_keys=True),
        surroundings=running.Surroundings.here(),
    )
    stamps = {part: pipeline.stamp_of(work.sets[part.place], part) for part in pipeline.parts_of(work.sets)}

    def build(steps: Any) -> None:
        found = (
            steps
            | "parts" >> beam.Create(list(stamps.items()))
            | "to any worker" >> beam.Reshuffle()
            | "score" >> beam.Map(score_part, job)
        )
        if with_totals:
            merged = found | "merge" >> beam.CombineGlobally(pipeline.merge_totals)
            _ = merged | "write totals" >> beam.Map(write_totals, job, tuple(stamps.values()))

    running.run(chosen, build)
    return stamps


def write_totals(merged: pipeline.Totals, job: Job, stamps: Sequence[str]) -> None:
    """Writes totals.json from the worker that merged last: runners return no values to who starts them."""
    with _KEPT.lock:
        job.surroundings.enter()
        merged.of_run(json.loads(job.provenance), stamps).write(job.folder)
