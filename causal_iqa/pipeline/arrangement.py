"""A score table arranged as quality and performance, as `alignment` takes them."""

import collections
from collections.abc import Sequence

import numpy as np

from causal_iqa.pipeline import measured, parts
from causal_iqa.pipeline.columns import Column
from causal_iqa.pipeline.means import mean_over_networks


def quality_and_performance(
    study_columns: Sequence[Column],
    table: parts.ScoreTable,
    networks: Sequence[str],
    measure: measured.Measure = measured.ACCURACY,
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Arranges a score table for `alignment.align`: degraded conditions only, higher always better.

    The clean condition is left out: there a full-reference metric compares an image with itself.

    Args:
      study_columns: the score columns.
      table: the finished table.
      networks: names of the judged networks.
      measure: the definition of performance.

    Returns:
      (metric -> network -> [C, N], network -> [C, N]); networks include "all": mean performance, and where a metric
      was scored at several resolutions, its mean over the networks.

    Examples:
      >>> conditions = tuple(map(degradations.Condition.parse, ("clean", "fog/3")))
      >>> correct = np.array([[1.0, 1.0], [0.0, 1.0]], np.float32)
      >>> columns = {"net/correct": correct, "entropy": np.array([[5.0, 6.0], [3.0, 4.0]], np.float32)}
      >>> table = pipeline.ScoreTable(("a", "b"), np.array([0, 1], np.int32), conditions, columns, {}, (), {})
      >>> quality, performance = pipeline.quality_and_performance((), table, ["net"])  # no score columns
      >>> performance["net"].tolist()  # degraded conditions only
      [[0.0, 1.0]]
    """
    degraded = table._replace(vectors={}).degraded
    own = dict(measured.performance_rows(degraded, networks, measure))
    performance = {**own, "all": mean_over_networks(own)}
    scores: dict[str, dict[str, np.ndarray]] = {}
    for column in study_columns:
        values = degraded.columns[column.name]
        values = values if column.higher_is_better else -values
        scores.setdefault(column.metric, {}).update(dict.fromkeys(column.networks, values))
    resolutions = collections.Counter(column.metric for column in study_columns)
    for metric, by_network in scores.items():
        if resolutions[metric] == 1:
            by_network["all"] = next(iter(by_network.values()))
        else:
            by_network["all"] = np.mean([by_network[name] for name in networks], axis=0)
    return scores, performance
