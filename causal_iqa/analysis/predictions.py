"""Performance predicted on degradations that were left out, by every score and by the estimators, against the truth."""

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import numpy as np

from causal_iqa import _codec, _reads, alignment, pipeline
from causal_iqa.analysis import network_outputs
from causal_iqa.estimates import Estimate

# In JSON a predicted performance is called so.
PREDICTED = Annotated[Estimate, _codec.Keys(value="predicted")]


class Predicted(NamedTuple):
    """Predicted performance of the C degraded conditions by one score or estimator for one network.

    Attributes:
      reads: identifiers of its inputs in addition to the judged images.
    """

    held_out: alignment.HeldOut
    errors: alignment.Errors
    reads: tuple[str, ...]


def predict(
    scores: Mapping[str, Mapping[str, np.ndarray]],
    clean: Mapping[str, Mapping[str, np.ndarray]],
    performance: Mapping[str, np.ndarray],
    clean_performance: Mapping[str, np.ndarray],
    degradations: Sequence[str],
    folds: np.ndarray,
    own: network_outputs.EstimatorTables,
    reads: Mapping[str, Sequence[str]],
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float,
) -> dict[str, dict[str, Predicted]]:
    """Predicts the mean performance of every network under every degradation from the others.

    Args:
      scores: metric -> network -> [C, N], higher is better.
      clean: metric -> network -> [N] of the clean images; undefined ones are left out.
      performance: network -> [C, N].
      clean_performance: network -> [N].
      degradations: degradations of the C conditions.
      folds: int [N], fold of every image.
      own: the estimators, whose accuracies stand beside.
      reads: metric -> identifiers of its inputs.
      bounds: bounds of the performance.
      level: confidence level of the intervals.

    Returns:
      metric or estimator -> network -> Predicted; nothing with fewer than two degradations or folds.
    """
    names = [*degradations, None]
    if len(set(degradations)) < 2 or len(np.unique(folds)) < 2:
        return {}
    truth = {network: pipeline.mean_over_images(m) for network, m in performance.items()}
    found: dict[str, dict[str, Predicted]] = {}
    for metric, by_network in scores.items():
        found[metric] = {}
        for network, q in by_network.items():
            q = np.concatenate([q, clean[metric][network][None]])
            m = np.concatenate([performance[network], clean_performance[network][None]])
            if not (np.isfinite(q) & np.isfinite(m)).any():
                continue
            held = alignment.held_out_accuracy(q, m, names, folds, level=level, bounds=bounds)
            value, low, high = (values[:-1] for values in held.predicted)
            held = alignment.HeldOut(Estimate(value, low, high), held.truth[:-1])
            errors = alignment.accuracy_errors(value, held.truth, degradations, low=low, high=high, level=level)
            found[metric][network] = Predicted(held, errors, _reads.ordered((*reads[metric], "other_performance")))
    estimates = {
        estimator: (
            {network: pipeline.mean_over_images(rows[:-1]) for network, rows in by.items()},
            own.reads[estimator],
        )
        for estimator, by in own.accuracy.items()
    } | {
        estimator: (by, _reads.ordered((*own.reads[estimator], "other_performance")))
        for estimator, by in own.regressed.items()
    }
    for estimator, (by_network, read) in estimates.items():
        found[estimator] = {}
        for network, predicted in by_network.items():
            unknown = np.full(len(predicted), np.nan)
            errors = alignment.accuracy_errors(predicted, truth[network], degradations, level=level)
            held = alignment.HeldOut(Estimate(predicted, unknown, unknown), truth[network])
            found[estimator][network] = Predicted(held, errors, read)
    return found
