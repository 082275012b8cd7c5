"""The bounds of docs/theory.md on the scores of a study, each beside the value that it bounds."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from causal_iqa import _files, alignment, pipeline
from causal_iqa.analysis import inference, predictions

_ALL = pipeline.ALL_NETWORKS
# `alignment.contradicted_pairs` needs as many.
_LEAST_CONDITIONS, _LEAST_IMAGES = 2, 8


class MeasuredBounds(NamedTuple):
    """What bounds the association of one score with the mean performance of all networks, and what it is.

    Attributes:
      family: family of the metric.
      between: Spearman correlation over conditions, at this number of images.
      expected: *between* that proposition 3 expects at this number of images: the corrected value, attenuated by the
        image noise of scores and performance; NaN without a corrected value.
      tau: Kendall's tau-a of the means over conditions.
      against: the conditions that the score provably orders against performance, and the bounds of proposition 4.
      parts: the parts of the pooled Pearson correlation by proposition 2.
      within_at_most: the largest `parts.within` that a function of this score can have, by proposition 1: the root of
        the mean of the squared correlation ratios of the conditions, weighted by their variances of performance.
      largest_error: largest error of the performance that the score predicts on degradations that were left out; NaN
        without a prediction.
      tau_at_least: the Kendall tau that this error guarantees by proposition 6.
    """

    family: str
    between: float
    expected: float
    tau: float
    against: alignment.ContradictedPairs
    parts: alignment.Decomposition
    within_at_most: float
    largest_error: float
    tau_at_least: float


def measure_bounds(
    families: Mapping[str, str],
    scores: Mapping[str, Mapping[str, np.ndarray]],
    performance: Mapping[str, np.ndarray],
    alignments: inference.Aligned,
    predicted: Mapping[str, Mapping[str, predictions.Predicted]],
    *,
    level: float = 0.95,
) -> dict[str, MeasuredBounds]:
    """Computes every bound of docs/theory.md that a table of scores allows, for the mean over the networks.

    Args:
      families: metric -> family.
      scores: metric -> network -> [C, N], higher is better.
      performance: network -> [C, N].
      alignments: metric -> network -> alignment.
      predicted: metric -> network -> predicted performance.
      level: confidence level of the statements about contradicted pairs.

    Returns:
      Metric -> bounds, for the metrics that are finite numbers of every image, not of whole conditions; nothing of one
      condition, of few images, or where a performance is not finite.
    """
    truth = performance[_ALL]
    if len(truth) < _LEAST_CONDITIONS or truth.shape[1] < _LEAST_IMAGES or not np.isfinite(truth).all():
        return {}
    found = {}
    for metric, by in scores.items():
        values, aligned = by[_ALL], alignments[metric][_ALL]
        if not (np.isfinite(values).all() and np.isfinite(aligned.within.value)):
            continue
        own = predicted.get(metric, {}).get(_ALL)
        found[metric] = _of_one(families[metric], values, truth, aligned, own, level)
    return found


def _of_one(family, values, truth, aligned, own, level) -> MeasuredBounds:
    means = truth.mean(axis=1)
    error = at_least = float("nan")
    if own is not None and np.isfinite(own.held_out.predicted.value).all():
        guess = own.held_out.predicted.value
        error, at_least = float(np.abs(guess - means).max()), alignment.ordered_by_error(guess, means)
    noise, corrected = aligned.reliability, aligned.corrected.value
    reliable = np.clip((noise.score, noise.performance), 0.0, 1.0)
    return MeasuredBounds(
        family,
        aligned.between.value,
        alignment.attenuated(corrected, *reliable) if np.isfinite([corrected, *reliable]).all() else float("nan"),
        _tau_a(values.mean(axis=1), means),
        alignment.contradicted_pairs(values, truth, level=level),
        alignment.decompose(values, truth),
        _over_conditions(alignment.correlation_ratio(values, truth), truth.var(axis=1)),
        error,
        at_least,
    )


def _over_conditions(ratios: np.ndarray, variances: np.ndarray) -> float:
    """No correlation of deviations from the means of the conditions exceeds this, by Cauchy and Schwarz."""
    varies = variances > 0
    return float(np.sqrt(np.average(ratios[varies] ** 2, weights=variances[varies]))) if varies.any() else float("nan")


def _tau_a(left: np.ndarray, right: np.ndarray) -> float:
    """Kendall's tau-a, over all pairs; scipy has tau-b, which leaves out ties."""
    upper = np.triu_indices(len(left), 1)
    signs = [np.sign(x[:, None] - x[None, :])[upper] for x in (left, right)]
    return float((signs[0] * signs[1]).mean())


class Line(NamedTuple):
    """A line of bounds.csv; NaN where a number is undefined."""

    metric: str
    family: str
    between: float
    between_expected: float
    tau: float
    tau_at_most: float
    between_at_most: float
    contradicted_pairs: int
    proven_pairs: int
    all_pairs: int
    share_q: float
    share_m: float
    between_pearson: float
    within_pearson: float
    pooled_pearson: float
    within_at_most: float
    largest_error: float
    tau_at_least: float


def as_csv(found: Mapping[str, MeasuredBounds]) -> str:
    """Returns a line for each metric, the least contradicted first; undefined cells are empty."""
    rows: list[tuple[str | float, ...]] = [Line._fields]
    for metric, one in sorted(found.items(), key=lambda item: (item[1].against.proven, item[0])):
        pairs, parts = one.against, one.parts
        numbers = (
            one.between,
            one.expected,
            one.tau,
            pairs.kendall_bound,
            pairs.spearman_bound,
            pairs.proven,
            pairs.pairs,
            pairs.possible,
            parts.share_q,
            parts.share_m,
            parts.between,
            parts.within,
            parts.pooled,
            one.within_at_most,
            one.largest_error,
            one.tau_at_least,
        )
        rows.append((metric, one.family, *(round(value, 4) for value in numbers)))
    return _files.csv_text(rows)
