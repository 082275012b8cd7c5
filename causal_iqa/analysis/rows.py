"""A finished score table image by image: scores, turned so that higher is better, and performance."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from causal_iqa import alignment, pipeline
from causal_iqa.analysis import network_outputs, parts, sets

_ALL = pipeline.ALL_NETWORKS
# Parts that `image_rows` may leave out.
OUTPUTS_PART, SHARES_PART = "estimates from the networks' own outputs", "shares of sets"


class ImageRows(NamedTuple):
    """The scores of every image under C degraded conditions and clean, higher is better; N images.

    Attributes:
      conditions: the degraded ones.
      families: metric or estimator -> family.
      reads: metric or estimator -> identifiers of what it reads in addition to the judged images.
      scores: metric or estimator -> network -> [C, N].
      clean: metric or estimator -> network -> [N] of the clean images; NaN where undefined.
      performance: network -> [C, N].
      clean_performance: network -> [N].
      own: the estimators.
      of_sets: the estimators among the scores that stand for one number per condition.
      folds: int [N], fold of every image.
      formulas: metric or estimator -> what is computed, without the backbones that it reads.
      measure: the definition of performance.
      clusters: int [N] of images that are resampled together, None where each stands alone.
    """

    conditions: tuple[pipeline.Condition, ...]
    families: Mapping[str, str]
    reads: Mapping[str, tuple[str, ...]]
    scores: Mapping[str, Mapping[str, np.ndarray]]
    clean: Mapping[str, Mapping[str, np.ndarray]]
    performance: Mapping[str, np.ndarray]
    clean_performance: Mapping[str, np.ndarray]
    own: network_outputs.EstimatorTables
    of_sets: tuple[str, ...]
    folds: np.ndarray
    formulas: Mapping[str, str]
    measure: pipeline.Measure = pipeline.ACCURACY
    clusters: np.ndarray | None = None


def image_rows(
    config: pipeline.StudyConfig,
    columns: Sequence[pipeline.Column],
    table: pipeline.ScoreTable,
    *,
    whole: bool = True,
    doing: parts.Parts | None = None,
) -> ImageRows:
    """Arranges a score table image by image.

    Args:
      config: configuration of the study.
      columns: its score columns.
      table: its finished table.
      whole: False leaves out the scores that stand for one number per condition, some of which take minutes, and the
        scores of fewer anchors.
      doing: keeps what fails, where the rest shall stand without it; None: a failure is raised.

    Returns:
      The rows.
    """
    networks = [choice.name for choice in config.networks]
    if not whole:
        columns = [column for column in columns if column.anchors is None]
    measure = pipeline.measure_of(config)
    scores, performance = pipeline.quality_and_performance(columns, table, networks, measure)
    clean = _clean_scores(columns, table, networks)
    clusters = pipeline.clusters(table.columns)
    folds = alignment.image_folds(len(table.image_ids), seed=config.seed, clusters=clusters)
    own, shares, clean_shares, of_shares = _gather(config, table, folds, tuple(performance), whole, doing)
    # One number per condition, though made of rows that resample: within and pooled would not be theirs.
    of_sets = {name: rows for name, rows in own.accuracy.items() if name in own.ranked}
    of_sets = of_sets if whole else {}
    for name, by_network in {**own.rows, **of_sets}.items():
        scores[name] = {network: rows[:-1] for network, rows in by_network.items()}
        clean[name] = {network: rows[-1] for network, rows in by_network.items()}
    reads = {column.metric: column.reads_beside for column in columns}
    row = table.conditions.index(pipeline.Condition(pipeline.CLEAN, 0.0))
    of_clean = {name: values[row] for name, values in pipeline.performance_rows(table, networks, measure).items()}
    return ImageRows(
        conditions=tuple(condition for condition in table.conditions if condition.severity > 0),
        families={column.metric: column.family for column in columns}
        | dict(own.families)
        | {name: one.family for name, one in of_shares.items()},
        reads=reads | dict(own.reads) | {name: one.reads for name, one in of_shares.items()},
        scores=scores | shares,
        clean=clean | {metric: dict.fromkeys(performance, values) for metric, values in clean_shares.items()},
        performance=performance,
        clean_performance={**of_clean, _ALL: pipeline.mean_over_networks(of_clean)},
        own=own,
        of_sets=tuple(of_sets),
        folds=folds,
        formulas={column.metric: column.formula for column in columns}
        | dict(own.formulas)
        | {name: one.formula for name, one in of_shares.items()},
        measure=measure,
        clusters=clusters,
    )


def _gather(config, table, folds, networks, whole, doing):
    """The estimators, and the scores from kept features; failures are left out where `doing` keeps them."""
    if doing is None:
        return network_outputs.gather(config, table, folds, whole=whole), *sets.image_shares(table, networks)
    own = doing.attempt(
        OUTPUTS_PART,
        lambda: network_outputs.gather(config, table, folds, whole=whole, progress=doing.progress_of(OUTPUTS_PART)),
        network_outputs.EstimatorTables({}, {}, {}, np.zeros((0, len(table.image_ids) // 2), int), {}, {}, (), {}, {}),
    )
    return own, *doing.attempt(SHARES_PART, lambda: sets.image_shares(table, networks), ({}, {}, {}))


def _clean_scores(
    columns: Sequence[pipeline.Column], table: pipeline.ScoreTable, networks: Sequence[str]
) -> dict[str, dict[str, np.ndarray]]:
    """Scores of the clean images, metric -> network -> [N], higher is better; "all" is the mean over resolutions."""
    clean = next(i for i, condition in enumerate(table.conditions) if condition.severity == 0)
    found: dict[str, dict[str, np.ndarray]] = {}
    for column in columns:
        sign = 1.0 if column.higher_is_better else -1.0
        values = sign * table.columns[column.name][clean]
        of_metric = found.setdefault(column.metric, {})
        for network in column.networks:
            of_metric[network] = values
    for by_network in found.values():
        by_network[_ALL] = np.mean([by_network[name] for name in networks], axis=0)
    return found
