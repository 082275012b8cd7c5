"""Where each metric is blind: its agreement with performance degradation by degradation."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

from causal_iqa import _files, alignment, pipeline

# Fewer severities, or degradations at one severity, cannot be ranked.
_LEAST_RANKED = 3


class ByDegradation(NamedTuple):
    """What K metrics say of D degradations, for the mean performance of all networks.

    Attributes:
      metrics: names [K].
      degradations: names [D].
      severities: [S], of the conditions.
      along: [K, D], Spearman correlation of mean score and mean performance over the severities of one degradation.
      across: [K, S], the same over the degradations at one severity.
      bias: [K, D], mean over severities of predicted less true performance, where the map from score to performance was
        learned on the other degradations: above 0 the metric misses harm that the networks feel, below 0 it is alarmed
        by what they do not mind. In the unit of performance.
    """

    metrics: tuple[str, ...]
    degradations: tuple[str, ...]
    severities: tuple[float, ...]
    along: np.ndarray
    across: np.ndarray
    bias: np.ndarray


def by_degradation(
    scores: Mapping[str, np.ndarray],
    performance: np.ndarray,
    predicted: Mapping[str, np.ndarray],
    conditions: Sequence[pipeline.Condition],
) -> ByDegradation:
    """Splits the agreement of metrics with performance by degradation.

    Args:
      scores: metric -> [C, N], higher is better; images without a score are left out.
      performance: [C, N].
      predicted: metric -> performance predicted for each condition from the other degradations [C]; a metric without
        one has no bias.
      conditions: the C degraded conditions.

    Returns:
      `ByDegradation`; NaN where fewer than three conditions can be ranked, nothing varies, or nothing was predicted.

    Raises:
      ValueError: when an array has another number of conditions.
    """
    kinds = tuple(dict.fromkeys(condition.degradation for condition in conditions))
    severities = tuple(sorted({float(condition.severity) for condition in conditions}))
    kind = np.asarray([kinds.index(condition.degradation) for condition in conditions])
    severity = np.asarray([severities.index(float(condition.severity)) for condition in conditions])
    for name, values in (*scores.items(), ("performance", performance), *predicted.items()):
        if len(values) != len(conditions):
            raise ValueError(f"{name}: expected {len(conditions)} conditions, got {len(values)}")
    truth = pipeline.mean_over_images(performance)
    along = np.full((len(scores), len(kinds)), np.nan)
    across = np.full((len(scores), len(severities)), np.nan)
    bias = np.full((len(scores), len(kinds)), np.nan)
    for k, (metric, values) in enumerate(scores.items()):
        mean = pipeline.mean_over_images(values)
        for table, place in ((along, kind), (across, severity)):
            for at in range(table.shape[1]):
                table[k, at] = _spearman(mean[place == at], truth[place == at])
        if metric in predicted:
            errors = predicted[metric] - truth
            for at in range(len(kinds)):
                own = errors[kind == at]
                bias[k, at] = own[np.isfinite(own)].mean() if np.isfinite(own).any() else np.nan
    return ByDegradation(tuple(scores), kinds, severities, along, across, bias)


def _spearman(left: np.ndarray, right: np.ndarray) -> float:
    defined = np.isfinite(left) & np.isfinite(right)
    left, right = left[defined], right[defined]
    if len(left) < _LEAST_RANKED or np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(scipy.stats.spearmanr(left, right).statistic)  # pyright: ignore[reportAttributeAccessIssue]


class Line(NamedTuple):
    """A line of by_degradation.csv: of one degradation, or of one severity; what is not of either is empty or NaN."""

    metric: str
    degradation: str
    spearman_over_severities: float
    predicted_less_true: float
    severity: float
    spearman_over_degradations: float


def as_csv(found: ByDegradation) -> str:
    """Returns the split as lines; undefined cells are empty.

    Args:
      found: result of `by_degradation`.

    Returns:
      A line for each metric and degradation with the correlation over its severities and the bias, then a line for each
      metric and severity with the correlation over degradations.
    """
    rows: list[tuple[str | float, ...]] = [Line._fields]
    for k, metric in enumerate(found.metrics):
        for d, degradation in enumerate(found.degradations):
            cells = (round(float(value), 4) for value in (found.along[k, d], found.bias[k, d]))
            rows.append((metric, degradation, *cells, "", ""))
        for s, severity in enumerate(found.severities):
            rows.append((metric, "", "", "", severity, round(float(found.across[k, s]), 4)))
    return _files.csv_text(rows)


def of_findings(
    scores: Mapping[str, Mapping[str, np.ndarray]],
    performance: Mapping[str, np.ndarray],
    predicted: Mapping[str, Mapping[str, "alignment.HeldOut"]],
    conditions: Sequence[pipeline.Condition],
) -> ByDegradation:
    """`by_degradation` of the mean over networks, from what an analysis found.

    Args:
      scores: metric -> network -> [C, N], with the network "all".
      performance: network -> [C, N], with "all".
      predicted: metric -> network -> held-out prediction; only "all" is used.
      conditions: the C degraded conditions.
    """
    everyone = pipeline.ALL_NETWORKS
    return by_degradation(
        {metric: by[everyone] for metric, by in scores.items() if everyone in by},
        performance[everyone],
        {
            metric: by[everyone].predicted.value
            for metric, by in predicted.items()
            if everyone in by and metric in scores
        },
        conditions,
    )
