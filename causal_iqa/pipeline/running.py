"""A prepared study scored, part by part, by one process or several."""

from collections.abc import Callable, Iterable

from causal_iqa.pipeline import parts, rows, store
from causal_iqa.pipeline import performance as tables
from causal_iqa.pipeline.execution import DEFAULT_EXECUTION, Execution
from causal_iqa.pipeline.study import Study


def run(
    study: Study,
    output: store.Store,
    execution: Execution = DEFAULT_EXECUTION,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> parts.ScoreTable:
    """Scores every image under every condition, part by part; parts already there are kept.

    Args:
      study: what to run.
      output: where the parts go.
      execution: how to run.
      progress: called with (images done, images in all), first with what an earlier run left.

    Returns:
      The whole score table.

    Raises:
      InputError: when no image can be read.

    Examples:
      >>> import tempfile
      >>> network = pipeline.NetworkChoice("net", "scene_cnn_a")
      >>> config = pipeline.StudyConfig(
      ...     num_images=2, networks=(network,), metrics=("mse",), degradations=("contrast",), severities=(3.0,)
      ... )
      >>> study = pipeline.prepare(config)
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     store = pipeline.Store(folder, config, study.provenance, study.details)
      ...     table = pipeline.run(study, store, pipeline.Execution(num_devices=1))
      >>> table.columns["mse"].shape  # [conditions, images]; the first condition is clean
      (2, 2)
    """
    with output.locked():
        num_parts = output.num_parts(len(study.indices))
        _score_missing(study, output, execution, range(num_parts), progress)
        return output.read(num_parts, study.config.conditions)


def run_share(
    study: Study,
    output: store.Store,
    execution: Execution = DEFAULT_EXECUTION,
    *,
    index: int,
    count: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Scores what one of several processes has to score: every `count`-th part from part `index` on.

    Args:
      study: what to run, prepared by every process from the same config.
      output: folder that all processes see, held by `locked` or `joined`.
      execution: how to run.
      index: which process this is, from 0.
      count: how many processes there are.
      progress: called with (images done, images of the share), first with what an earlier run left.

    Raises:
      ValueError: unless 0 <= index < count.

    Examples:
      >>> import pathlib, tempfile
      >>> network = pipeline.NetworkChoice("net", "scene_cnn_a")
      >>> config = pipeline.StudyConfig(
      ...     num_images=2, networks=(network,), metrics=("mse",), degradations=("contrast",), severities=(3.0,)
      ... )
      >>> study = pipeline.prepare(config)
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     store = pipeline.Store(folder, config, study.provenance, study.details)
      ...     with store.locked():  # The other processes use `joined`.
      ...         pipeline.run_share(study, store, pipeline.Execution(num_devices=1), index=0, count=2)
      ...     names = [path.name for path in pathlib.Path(folder, "scores").iterdir()]
      >>> names
      ['part-00000.parquet']
    """
    if not 0 <= index < count:
        raise ValueError(f"index: expected 0 to {count - 1} of {count} processes, got {index}")
    _score_missing(study, output, execution, range(index, output.num_parts(len(study.indices)), count), progress)


def _score_missing(
    study: Study,
    output: store.Store,
    execution: Execution,
    numbers: range,
    progress: Callable[[int, int], None] | None,
) -> None:
    size = output.images_per_part

    def images(numbers: Iterable[int]) -> int:
        return sum(min(size, len(study.indices) - number * size) for number in numbers)

    pending = [number for number in numbers if not output.has_part(number)]
    total = images(numbers)
    done = total - images(pending)
    if progress:
        progress(done, total)
    if not pending:
        return
    step, batch_size = rows.make_step(
        study, execution._replace(batch_size=min(execution.batch_size or rows.BATCH, size))
    )
    passports = {scorer.column.name: scorer.column.record() for scorer in study.scorers}
    for number in pending:
        first = number * size
        found = []
        for batch in rows.compute(study, study.indices[first : first + size], step, batch_size, execution.workers):
            found.append(batch)
            done += len(batch.ids) + len(batch.skipped)
            if progress:
                progress(done, total)
        part = rows.joined(found)
        columns = dict(part.columns)
        if study.performance is not None and part.ids:
            columns |= tables.columns_of(study.performance, part.ids)
        given = rows.outputs_of(study, [choice.name for choice in study.config.networks], columns)
        output.write_part(
            number, part.ids, part.labels, study.config.conditions, columns, part.skipped, passports, outputs=given
        )
