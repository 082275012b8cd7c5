"""The findings of a run, kept in its folder, so that what reads the run again need not compute them again."""

import functools
import hashlib
import json
import pathlib

import numpy as np

import causal_iqa
from causal_iqa import InputError, _files, pipeline
from causal_iqa.analysis.findings import Findings
from causal_iqa.analysis.rows import ImageRows

FILE = "findings.json"
_ALL = pipeline.ALL_NETWORKS
# What says nothing of a finding.
_READERS = ("cli", "report")


def write(folder: pathlib.Path, config: pipeline.StudyConfig, table: pipeline.ScoreTable, found: Findings) -> None:
    """Writes findings.json into the folder of a run: all but the scores of single images, which the table holds.

    Args:
      folder: folder of the run.
      config: configuration of the study.
      table: its finished table.
      found: result of `findings.analyse` for it.
    """
    values = {"made_of": made_of(config, table), "findings": found.without_images().to_json()}
    _files.write_json(folder / FILE, values, root=folder, sealed=True)


def read(folder: pathlib.Path, config: pipeline.StudyConfig, table: pipeline.ScoreTable) -> Findings | None:
    """Reads the findings of a run, without the scores of single images.

    Args:
      folder: folder of the run.
      config: configuration of the study.
      table: its finished table.

    Returns:
      The findings; None where there are none, or those there were made of another table, with other settings or by
      other code.

    Raises:
      InputError: for a file that is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        values = _files.read_json(path)
    except InputError as error:  # It names the file.
        raise InputError(f"run: {error}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"run: {path} cannot be read ({type(error).__name__}: {error})") from error
    try:
        if values["made_of"] != made_of(config, table):
            return None
        return Findings.from_json(values["findings"])
    except InputError as error:
        raise InputError(f"run: {path}: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"run: {path} cannot be read ({type(error).__name__}: {error})") from error


def of_images(found: Findings, rows: ImageRows) -> Findings | None:
    """Returns what `findings.analyse_images` finds, from findings that are available.

    Args:
      found: findings of the whole study, result of `read`.
      rows: rows of the same table.

    Returns:
      The findings of the metrics in the rows, for the mean over the networks; None where one of them is missing.
    """
    wanted = {*rows.scores}
    if not (wanted <= found.alignments.keys() and wanted <= found.effects.keys() and wanted <= found.desiderata.keys()):
        return None
    names = [name for name in found.effects if name in wanted or name not in found.alignments]
    return Findings(
        rows.conditions,
        rows.families,
        {metric: {_ALL: by[_ALL]} for metric, by in rows.scores.items()},
        rows.clean,
        {_ALL: rows.performance[_ALL]},
        {metric: {_ALL: found.alignments[metric][_ALL]} for metric in rows.scores},
        {metric: found.desiderata[metric] for metric in rows.scores},
        {name: found.doses[name] for name in names},
        {name: found.effects[name] for name in names},
        measure=rows.measure,
    )


def made_of(config: pipeline.StudyConfig, table: pipeline.ScoreTable) -> str:
    """Returns a digest of all inputs of findings: settings, score table and code.

    Args:
      config: configuration of the study.
      table: its finished table.
    """
    whole = hashlib.sha256()
    labels = np.asarray(table.labels).tolist()
    about = [config.to_json(), table.image_ids, labels, [str(condition) for condition in table.conditions], _code()]
    whole.update(json.dumps(about, sort_keys=True, default=str).encode())
    for kind in (table.columns, table.vectors):
        for name in sorted(kind):
            values = np.ascontiguousarray(kind[name])
            whole.update(f"{name} {values.dtype} {values.shape}".encode())
            whole.update(values.tobytes())
    return whole.hexdigest()


@functools.cache
def _code() -> str:
    root = pathlib.Path(causal_iqa.__file__).parent
    whole = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        if file.relative_to(root).parts[0] not in _READERS:
            whole.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return f"{causal_iqa.__version__} {whole.hexdigest()}"
