"""Two sets of images: whether their distributions differ, by how much quality and expected accuracy do."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from causal_iqa import dependence
from causal_iqa.analysis import attribution
from causal_iqa.analysis.datasets import maps
from causal_iqa.analysis.datasets.values import ReasonedEstimate, undefined

MOST_COMPARED = 500
_LEAST = 5
_PERMUTATIONS = 999


class TwoSamples(NamedTuple):
    """HSIC of images with the set they are in, which is the maximum mean discrepancy of the sets up to a factor.

    Attributes:
      of: what is compared: "features of BACKBONE" or a score.
      first: images of the first set.
      second: images of the second set.
      mmd_squared: unbiased; 0 is expected where the sets have one distribution.
      p_value: over 999 permutations of the set membership; it takes images to be independent of each other.
      reason: why there is none; "" where there is.
    """

    of: str
    first: int
    second: int
    mmd_squared: float
    p_value: float
    reason: str = ""


class Comparison(NamedTuple):
    """Two sets compared; differences are the second minus the first.

    Attributes:
      first: name.
      second: name.
      features: features of a backbone, None without.
      quality: the score of the headline.
      superiority: probability that an image of the second set scores higher than one of the first; ties count half.
      expected_accuracy: difference; undefined without a map.
      parts: parts of the difference of the mean expected correctness, by cause and group; None without a map or causes.
    """

    first: str
    second: str
    features: TwoSamples | None
    quality: TwoSamples
    superiority: ReasonedEstimate
    expected_accuracy: ReasonedEstimate
    parts: attribution.Attribution | None = None


def two_samples(key: jax.Array, of: str, first: np.ndarray, second: np.ndarray) -> TwoSamples:
    """Tests whether two samples have one distribution.

    Args:
      key: key of the choice of at most 500 images each, and of the permutations.
      of: names what is compared.
      first: [n, d], finite.
      second: [m, d], finite.

    Returns:
      The test, with a Gaussian kernel of the median distance; without a p-value where a sample has fewer than 5.

    References:
      [1] Gretton, Borgwardt, Rasch, Schoelkopf, Smola (2012), A kernel two-sample test, JMLR 13.
    """
    if min(len(first), len(second)) < _LEAST:
        few = f"a set has fewer than {_LEAST} images with a value"
        return TwoSamples(of, len(first), len(second), math.nan, math.nan, few)
    choose, permute = jax.random.split(key)
    keys = jax.random.split(choose)
    x, y = (_some(own, values) for own, values in zip(keys, (first, second), strict=True))
    both = np.concatenate([x, y]).astype(np.float64)
    # Far from zero, float32 would lose the differences.
    both = jnp.asarray(both - both.mean(axis=0), jnp.float32)
    bandwidth = dependence.median_heuristic(both)
    if not float(bandwidth) > 0:
        return TwoSamples(of, len(x), len(y), math.nan, math.nan, "most of its values are equal")
    gram = dependence.rbf(both, both, bandwidth=bandwidth)
    member = jnp.repeat(jnp.arange(2), jnp.asarray([len(x), len(y)]), total_repeat_length=len(x) + len(y))
    membership = (member[:, None] == member[None, :]).astype(jnp.float32)
    test = dependence.hsic_permutation_test(permute, gram, membership, num_permutations=_PERMUTATIONS)
    n = len(x)
    mmd = dependence.mmd_squared_unbiased(gram[:n, :n], gram[n:, n:], gram[:n, n:])
    return TwoSamples(of, len(x), len(y), float(mmd), float(test.p_value))


def _some(key: jax.Array, values: np.ndarray) -> np.ndarray:
    values = values.reshape(len(values), -1)
    if len(values) <= MOST_COMPARED:
        return values
    return values[np.asarray(jax.random.choice(key, len(values), (MOST_COMPARED,), replace=False))]


def superiority(first: np.ndarray, second: np.ndarray, *, level: float) -> ReasonedEstimate:
    """Probability that a value of the second sample is higher than one of the first; ties count half.

    Args:
      first: [n], finite.
      second: [m], finite.
      level: confidence level of the interval, DeLong's.

    References:
      [1] DeLong, DeLong, Clarke-Pearson (1988), Comparing the areas under two or more correlated ROC curves.
    """
    n, m = len(first), len(second)
    if min(n, m) < 2:
        return undefined("a set has fewer than two images with a score")
    ranks = stats.rankdata(np.concatenate([first, second]))
    of_first = 1 - (ranks[:n] - stats.rankdata(first)) / m
    of_second = (ranks[n:] - stats.rankdata(second)) / n
    value = float(of_second.mean())
    half = float(stats.norm.ppf((1 + level) / 2)) * math.sqrt(of_first.var(ddof=1) / n + of_second.var(ddof=1) / m)
    return ReasonedEstimate(value, max(0.0, value - half), min(1.0, value + half))


def compare(
    key: jax.Array,
    names: tuple[str, str],
    quality: tuple[np.ndarray, np.ndarray],
    features: tuple[str, np.ndarray, np.ndarray] | None,
    learned: maps.ScoreMap | None,
    *,
    metric: str,
    level: float,
) -> Comparison:
    """Compares two sets.

    Args:
      key: key of the tests.
      names: names of the sets.
      quality: [n] and [m] scores, NaN where undefined.
      features: (backbone, [k, d], [l, d]) of images of both; None without a backbone.
      learned: the map; None: no difference of expected accuracy.
      metric: the score.
      level: confidence level of the intervals.
    """
    of_features, of_quality = jax.random.split(key)
    first, second = (values[np.isfinite(values)] for values in quality)
    tested = None
    if features is not None:
        backbone, *samples = features
        samples = [values[np.isfinite(values).all(axis=1)] for values in samples]
        tested = two_samples(of_features, f"features of {backbone}", *samples)
    expected = undefined("no map was given")
    if learned is not None:
        expected = maps.difference(learned, *quality, level=level)
    return Comparison(
        *names,
        tested,
        two_samples(of_quality, metric, first, second),
        superiority(first, second, level=level),
        expected,
    )
