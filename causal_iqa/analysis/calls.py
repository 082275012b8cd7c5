"""The two commands as library calls: `causal_iqa.align` and `causal_iqa.audit`, for notebooks and programs."""

import contextlib
import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from causal_iqa import InputError, causal, pipeline
from causal_iqa.analysis import audit as auditing
from causal_iqa.analysis import findings, kept, transfer
from causal_iqa.analysis.rows import image_rows

Folder = str | os.PathLike[str]
Progress = Callable[[str, int, int], None]
# Of the embedded study.
_NETWORKS, _BACKBONES = ("scene_cnn_a", "scene_cnn_b", "scene_cnn_c"), ("scene_features",)


def align(
    config: pipeline.StudyConfig | None = None,
    *,
    output_dir: Folder | None = None,
    execution: pipeline.Execution | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> findings.Findings:
    """Measures how well every quality metric predicts the accuracy of networks under imaging conditions.

    The same for every source: scenes, TFDS datasets and class folders.

    Args:
      config: the study; by default the embedded one, on rendered scenes with three small networks.
      output_dir: folder of the scores and findings, which `audit` reads; an interrupted run continues in it. By default
        nothing is kept.
      execution: how it runs; by default on all local devices, with a quarter of the memory.
      progress: called with the name of the part in work, its steps done and all of them.
      **settings: fields of `pipeline.StudyConfig` that are to be otherwise; networks and backbones also as the texts
        that the flags take, such as "cifar_resnet32=resnet32.th".

    Returns:
      The findings; parts that failed are missing, and `failures` gives the reasons.

    Raises:
      InputError: for anything missing, unreadable or contradictory, by its name.

    Examples:
      >>> found = causal_iqa.align(num_images=64, degradations=("fog",))  # needs a minute  # doctest: +SKIP
      >>> found.alignments["ssim"]["all"].within  # needs the line above  # doctest: +SKIP
    """
    wanted = _config(config, settings)
    how = pipeline.Execution() if execution is None else execution
    study = pipeline.prepare(wanted, how, progress=progress)
    with _folder(output_dir) as folder:
        output = pipeline.Store(folder, study.config, study.provenance, study.details)
        tell = None if progress is None else lambda done, total: progress("scores", done, total)
        with output.locked():
            table = pipeline.run(study, output, how, progress=tell)
            columns = [scorer.column for scorer in study.scorers]
            found = findings.analyse(study.config, columns, table, progress=progress)
            if output_dir is not None:
                kept.write(folder, study.config, table, found)
    return found


def audit(
    run: pipeline.Run | Folder,
    *,
    graphs: Sequence[str] | Mapping[str, causal.Graph] = (),
    transfer_from: Sequence[pipeline.Run | Folder] = (),
    progress: Progress | None = None,
) -> auditing.Audit:
    """Judges the metrics of a finished run by causal graphs and by what the imaging conditions did to them.

    Computes no score again, nor intervals that are among the findings of the run.

    Args:
      run: a finished run, or its folder (`align`).
      graphs: further graphs to test, as those of the metric families are: texts such as "gate=C -> ssim -> Q, S -> M",
        or graphs by name.
      transfer_from: other finished runs, whose maps from score to accuracy predict the accuracy of this one.
      progress: called with the name of the part in work, its steps done and all of them.

    Returns:
      The audit.

    Raises:
      InputError: for a run or a graph that cannot be read.

    Examples:
      >>> audited = causal_iqa.audit("results/scenes")  # needs a run  # doctest: +SKIP
      >>> audited.desiderata["ssim"].sensitive.verdict.answer  # needs the line above  # doctest: +SKIP
      'yes'
    """
    return judge(run, graphs=graphs, transfer_from=transfer_from, progress=progress)[0]


def judge(
    run: pipeline.Run | Folder,
    *,
    graphs: Sequence[str] | Mapping[str, causal.Graph] = (),
    transfer_from: Sequence[pipeline.Run | Folder] = (),
    progress: Progress | None = None,
) -> tuple[auditing.Audit, findings.Findings]:
    """Returns the audit of a run, and the findings that it stands on; for the arguments see `audit`."""
    named = graphs if isinstance(graphs, Mapping) else auditing.read_graphs(list(graphs))
    whole = _opened(run)
    some, images_of_run = auditing.at_most(whole), len(whole.table.image_ids)
    del run, whole  # Of a large run some images are enough, and the rest would stay in memory.
    others = [auditing.at_most(_opened(one)) for one in transfer_from]
    tell = progress or (lambda part, done, total: None)
    tell("rows", 0, 1)
    rows = image_rows(some.config, some.columns, some.table, whole=False)
    at_hand = kept.read(some.folder, some.config, some.table)
    found = None if at_hand is None else kept.of_images(at_hand, rows)
    if found is None:
        found = findings.analyse_images(some.config, rows, progress=lambda done, all_: tell("intervals", done, all_))
    audited = auditing.audit(some, found, graphs=named, progress=progress, images_of_run=images_of_run)
    transfers = []
    for done, other in enumerate(others):
        tell("transfer", done, len(others))
        source = image_rows(other.config, other.columns, other.table, whole=False)
        sides = transfer.Side(other.folder.name, source), transfer.Side(some.folder.name, rows)
        transfers.append(transfer.transfer(*sides, level=some.config.level))
    return dataclasses.replace(audited, transfer=tuple(transfers)), found


def _opened(run: pipeline.Run | Folder) -> pipeline.Run:
    return run if isinstance(run, pipeline.Run) else pipeline.read_run(run)


def _config(config: pipeline.StudyConfig | None, settings: Mapping[str, Any]) -> pipeline.StudyConfig:
    known = {field.name for field in dataclasses.fields(pipeline.StudyConfig)}
    if unknown := sorted(set(settings) - known):
        raise InputError(f"settings: unknown {', '.join(unknown)}; a study has {', '.join(sorted(known))}")
    read: dict[str, Any] = {
        name: tuple(pipeline.NetworkChoice.parse(one) if isinstance(one, str) else one for one in value)
        if name in ("networks", "backbones")
        else _as_config(value)
        for name, value in settings.items()
    }
    if config is not None:
        return dataclasses.replace(config, **read)
    if read.get("dataset", "scenes") == "scenes":
        own = {"networks": () if read.get("performance") else _NETWORKS, "backbones": _BACKBONES}
        read = {name: tuple(map(pipeline.NetworkChoice.parse, names)) for name, names in own.items()} | read
    return pipeline.StudyConfig(**read)


def _as_config(value: Any) -> Any:
    """A list as the tuple that a config keeps."""
    return tuple(value) if isinstance(value, list) else value


@contextlib.contextmanager
def _folder(output_dir: Folder | None) -> Iterator[pathlib.Path]:
    if output_dir is not None:
        yield pathlib.Path(output_dir)
        return
    with tempfile.TemporaryDirectory(prefix="causal_iqa-") as folder:
        yield pathlib.Path(folder)
