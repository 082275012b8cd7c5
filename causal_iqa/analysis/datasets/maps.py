"""From score to probability of correctness: the map that a finished `align` run teaches, and how certain it is.

The map is that of `alignment.fit_accuracy_map`: isotonic from score to probability, and isotonic from its mean over a
set to accuracy. Three things make a prediction uncertain, and the interval adds their variances:

1. transfer: the errors of the same map on degradations and images that it was not fitted on, each left out in turn;
2. the map: how the prediction moves when the run's degradations and images are drawn again;
3. the images: that so many of them are right is chance even where each one's probability is known.

None of the three knows how the scored images differ from everything the run contains.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from scipy import stats

from causal_iqa import _checks, _keys, alignment, pipeline
from causal_iqa.analysis.datasets.values import ReasonedEstimate, undefined

NUM_RESAMPLES = 100
# Shares of scores outside the range on which the map was learned: above the first the report warns, above the second
WARN_OUTSIDE, MOST_OUTSIDE = 0.01, 0.2
_POINTS = 2048
_LEAST_DEGRADATIONS = 3


class ScoreMap(NamedTuple):
    """A map learned on a run, for one network or the mean over several.

    Attributes:
      run: name of its folder.
      dataset: its judged images.
      metric: the score.
      network: whose correctness; "all": the mean over the networks.
      fitted: the map.
      resampled: the map on resamples of degradations and images.
      low: smallest score it was learned on.
      high: largest.
      errors: predicted less true accuracy of every condition, left out with its degradation and its images.
      num_images: number of images of the run.
      num_conditions: number of conditions of the run, the clean one included.
      clean_accuracy: accuracy on its clean images.
    """

    run: str
    dataset: str
    metric: str
    network: str
    fitted: alignment.AccuracyMap
    resampled: tuple[alignment.AccuracyMap, ...]
    low: float
    high: float
    errors: np.ndarray
    num_images: int
    num_conditions: int
    clean_accuracy: float

    def transfer_half(self, level: float) -> float:
        """Half the interval that the left-out errors give; NaN with fewer than three degradations."""
        errors = np.sort(np.abs(self.errors[np.isfinite(self.errors)]))
        if not errors.size:
            return math.nan
        return float(errors[min(errors.size, math.ceil((errors.size + 1) * level)) - 1])


def learn(
    run: pipeline.Run,
    metric: str,
    *,
    network: str = pipeline.ALL_NETWORKS,
    num_resamples: int = NUM_RESAMPLES,
    level: float = 0.95,
) -> ScoreMap:
    """Learns the map of a score on a finished run.

    Args:
      run: result of `pipeline.read_run`.
      metric: a score of the run.
      network: a judged network, or "all".
      num_resamples: number of resamples of degradations and images.
      level: confidence level of the intervals, for the left-out errors.

    Returns:
      The map.

    Raises:
      InputError: when the run has no such score, or it is nowhere defined.
    """
    q, m = _tables(run, metric, network)
    if not (np.isfinite(q) & np.isfinite(m)).any():
        raise _checks.InputError(f"map: {metric} is undefined throughout {run.folder}")
    groups = [condition.degradation if condition.severity > 0 else None for condition in run.table.conditions]
    clean = np.asarray([group is None for group in groups])
    clusters = pipeline.clusters(run.table.columns)
    errors = np.zeros(0)
    if len({group for group in groups if group is not None}) >= _LEAST_DEGRADATIONS and q.shape[1] > 1:
        folds = alignment.image_folds(q.shape[1], seed=run.config.seed, clusters=clusters)
        held = alignment.held_out_accuracy(q, m, groups, folds, level=level)
        errors = (np.asarray(held.predicted.value) - held.truth)[~clean]
    finite = q[np.isfinite(q)]
    return ScoreMap(
        run=run.folder.name,
        dataset=run.config.dataset,
        metric=metric,
        network=network,
        fitted=alignment.fit_accuracy_map(q, m),
        resampled=_resampled(_keys.named(run.config.seed, f"map of {metric}"), q, m, groups, num_resamples, clusters),
        low=float(finite.min()),
        high=float(finite.max()),
        errors=errors,
        num_images=q.shape[1],
        num_conditions=q.shape[0],
        clean_accuracy=float(np.nanmean(m[clean])) if np.isfinite(m[clean]).any() else math.nan,
    )


def _tables(run: pipeline.Run, metric: str, network: str) -> tuple[np.ndarray, np.ndarray]:
    """Scores, higher is better, and correctness, both [C, N]; scores at several resolutions are averaged."""
    own = [column for column in run.columns if column.metric == metric]
    if not own:
        names = {column.metric for column in run.columns if column.family in ("label_free", "no_reference")}
        raise _checks.InputError(f"map: {run.folder} has no score {metric!r}; {_checks.closest(metric, names)}")
    names = [choice.name for choice in run.config.networks]
    judged = names if network == pipeline.ALL_NETWORKS else [network]
    if not set(judged) <= set(names):
        raise _checks.InputError(f"map: {run.folder} judged no network {network!r}; {_checks.closest(network, names)}")
    by_network = {}
    for column in own:
        values = np.asarray(run.table.columns[column.name], np.float64)
        by_network |= dict.fromkeys(column.networks, values if column.higher_is_better else -values)
    measure = pipeline.measure_of(run.config)
    if not measure.is_share:
        raise _checks.InputError(f"map: the performance of {run.folder} is {measure.name}, which is no share of 1")
    correct = {
        name: np.asarray(rows, np.float64)
        for name, rows in pipeline.performance_rows(run.table, judged, measure).items()
    }
    m = correct[network] if network in correct else pipeline.mean_over_networks(correct)
    # The same mean for every network: one score stands for quality, whatever network is asked about.
    return np.mean([by_network[name] for name in names], axis=0), m


def _resampled(
    key: jax.Array,
    q: np.ndarray,
    m: np.ndarray,
    groups: Sequence[str | None],
    num: int,
    clusters: np.ndarray | None = None,
) -> tuple[alignment.AccuracyMap, ...]:
    """The map on degradations and images, clusters whole, drawn with replacement; the clean images stay in."""
    names = list(dict.fromkeys(group for group in groups if group is not None))
    members = {name: [i for i, group in enumerate(groups) if group == name] for name in names}
    clean = [i for i, group in enumerate(groups) if group is None]
    own = np.arange(q.shape[1]) if clusters is None else clusters
    units = [np.flatnonzero(own == one) for one in np.unique(own)]
    found = []
    for one in jax.random.split(key, num):
        of_degradations, of_images = jax.random.split(one)
        drawn = np.asarray(jax.random.randint(of_degradations, (len(names),), 0, max(1, len(names))))
        images = np.concatenate(
            [units[i] for i in np.asarray(jax.random.randint(of_images, (len(units),), 0, len(units)))]
        )
        rows = clean + [row for place in drawn for row in members[names[place]]]
        chosen = np.ix_(np.asarray(rows, int), images)
        own_q, own_m = q[chosen], m[chosen]
        if (np.isfinite(own_q) & np.isfinite(own_m)).any():
            found.append(alignment.fit_accuracy_map(own_q, own_m, num_bins=128))
    return tuple(found)


class Applied(NamedTuple):
    """A map applied to the images of one set.

    Attributes:
      accuracy: expected of the set.
      probability: [n] of every image, NaN where it has no score. Their mean is the set's expected accuracy.
      outside: share of the scores that lie outside what the map was learned on.
      refused: why nothing is predicted; "" where it is.
      shift: that makes the mean of the images' probabilities the set's expected accuracy, in logits.
      shifts: likewise of the resampled maps.
    """

    accuracy: ReasonedEstimate
    probability: np.ndarray
    outside: float
    refused: str = ""
    shift: float = 0.0
    shifts: tuple[float, ...] = ()


def apply(learned: ScoreMap, quality: np.ndarray, *, level: float) -> Applied:
    """Applies a map to the images of one set.

    Args:
      learned: the map.
      quality: [n] scores, higher is better, NaN where undefined.
      level: confidence level of the interval.

    Returns:
      The prediction; undefined, with the reason, where no image has a score or too many scores lie outside.
    """
    quality = np.asarray(quality, np.float64)
    defined = quality[np.isfinite(quality)]
    nothing = np.full(len(quality), np.nan)
    if not defined.size:
        reason = "no image has a score"
        return Applied(undefined(reason), nothing, math.nan, reason)
    slack = 1e-6 * (learned.high - learned.low)
    outside = float(((defined < learned.low - slack) | (defined > learned.high + slack)).mean())
    if outside > MOST_OUTSIDE:
        reason = (
            f"{100 * outside:.0f} % of the scores lie outside {learned.low:.4g} to {learned.high:.4g}, where the map "
            f"of {learned.run} was learned"
        )
        return Applied(undefined(reason), nothing, outside, reason)
    points, weights = compress(defined)
    value, shift = _one(learned.fitted, points, weights)
    each = [_one(one, points, weights) for one in learned.resampled]
    probability = np.where(
        np.isfinite(quality), shifted(learned.fitted, np.where(np.isfinite(quality), quality, 0.0), shift), np.nan
    )
    accuracy = _estimate(learned, value, [one[0] for one in each], probability[np.isfinite(quality)], level)
    return Applied(accuracy, probability, outside, "", shift, tuple(one[1] for one in each))


def of_group(learned: ScoreMap, quality: np.ndarray, *, level: float) -> ReasonedEstimate:
    """Expected accuracy of a group of images, taken as a set of its own.

    Args:
      learned: the map.
      quality: [n] scores, higher is better, NaN where undefined.
      level: confidence level of the interval.
    """
    defined = quality[np.isfinite(quality)]
    if not defined.size:
        return undefined("no image has a score")
    slack = 1e-6 * (learned.high - learned.low)
    outside = ((defined < learned.low - slack) | (defined > learned.high + slack)).mean()
    if outside > MOST_OUTSIDE:
        return undefined(f"{100 * outside:.0f} % of the scores lie outside the range on which the map was learned")
    points, weights = compress(defined)
    value, *each = (_accuracy(one, points, weights) for one in (learned.fitted, *learned.resampled))
    return _estimate(learned, value, each, np.full(len(defined), value), level)


def subset(
    learned: ScoreMap, applied: Applied, quality: np.ndarray, chosen: np.ndarray, *, level: float
) -> ReasonedEstimate:
    """Expected accuracy of some images of a set that were chosen by their score.

    Args:
      learned: the map.
      applied: result of the map for the whole set.
      quality: [n] scores of the set.
      chosen: bool [n].
      level: confidence level of the interval.

    Returns:
      The mean of the images' probabilities; what is not certain of it as for the set.
    """
    if applied.refused:
        return undefined(applied.refused)
    own = chosen & np.isfinite(quality)
    if not own.any():
        return undefined("no image with a score is left")
    points, weights = compress(quality[own])
    value = float(weights @ shifted(learned.fitted, points, applied.shift))
    each = [
        float(weights @ shifted(one, points, shift))
        for one, shift in zip(learned.resampled, applied.shifts, strict=True)
    ]
    return _estimate(learned, value, each, applied.probability[own], level)


def difference(learned: ScoreMap, first: np.ndarray, second: np.ndarray, *, level: float) -> ReasonedEstimate:
    """Expected accuracy of the second set minus that of the first, by one map.

    The map's own uncertainty is that of the difference; the transfer errors of the two are taken as independent, which
    is wide where both sets differ from the run in the same way.

    Args:
      learned: the map.
      first: [n] scores.
      second: [m] scores.
      level: confidence level of the interval.
    """
    sides = [apply(learned, values, level=level) for values in (first, second)]
    for one in sides:
        if one.refused:
            return undefined(one.refused)
    compressed = [compress(values[np.isfinite(values)]) for values in (first, second)]
    each = [_accuracy(one, *compressed[1]) - _accuracy(one, *compressed[0]) for one in learned.resampled]
    value = sides[1].accuracy.value - sides[0].accuracy.value
    z = float(stats.norm.ppf((1 + level) / 2))
    noise = sum(_chance(one.probability[np.isfinite(one.probability)]) ** 2 for one in sides)
    half = math.sqrt(2 * learned.transfer_half(level) ** 2 + (z * float(np.std(each))) ** 2 + z**2 * noise)
    if not math.isfinite(half):
        return ReasonedEstimate(value, math.nan, math.nan, "the run has too few degradations for an interval")
    return ReasonedEstimate(value, max(-1.0, value - half), min(1.0, value + half))


def compress(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns at most 2048 points and their weights, which sum to 1, in the place of many finite values."""
    if len(values) <= _POINTS:
        return values, np.full(len(values), 1 / len(values))
    groups = np.array_split(np.sort(values), _POINTS)
    return np.asarray([one.mean() for one in groups]), np.asarray([len(one) for one in groups]) / len(values)


def shifted(fitted: alignment.AccuracyMap, quality: np.ndarray, shift: float) -> np.ndarray:
    """Probability of correctness at finite scores, moved by a number of logits."""
    probability = np.clip(np.interp(quality, fitted.score, fitted.probability), 1e-6, 1 - 1e-6)
    return 1 / (1 + np.exp(-(np.log(probability / (1 - probability)) + shift)))


def _accuracy(fitted: alignment.AccuracyMap, points: np.ndarray, weights: np.ndarray) -> float:
    mean = float(weights @ np.interp(points, fitted.score, fitted.probability))
    return float(np.interp(mean, fitted.mean, fitted.accuracy))


def _one(fitted: alignment.AccuracyMap, points: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Expected accuracy of a set, and the shift in logits that makes the mean probability of its images the same."""
    accuracy = _accuracy(fitted, points, weights)
    low, high = -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        if float(weights @ shifted(fitted, points, middle)) < accuracy:
            low = middle
        else:
            high = middle
    return accuracy, (low + high) / 2


def _chance(probability: np.ndarray) -> float:
    """Standard deviation of the share that is right, given each one's probability."""
    return math.sqrt(float((probability * (1 - probability)).sum())) / max(1, len(probability))


def _estimate(
    learned: ScoreMap, value: float, each: Sequence[float], probability: np.ndarray, level: float
) -> ReasonedEstimate:
    z = float(stats.norm.ppf((1 + level) / 2))
    of_map = float(np.std(each)) if each else 0.0
    half = math.sqrt(learned.transfer_half(level) ** 2 + (z * of_map) ** 2 + (z * _chance(probability)) ** 2)
    if not math.isfinite(half):
        return ReasonedEstimate(value, math.nan, math.nan, "the run has too few degradations for an interval")
    return ReasonedEstimate(value, max(0.0, value - half), min(1.0, value + half))
