"""A test given the condition that uses every row: images are permuted with all their conditions together.

Where the condition is set from outside and separates two columns, no cause beside it is common to them: then the scores
of an image under all conditions are independent of its performance under all conditions, and images are exchangeable
against each other. So the permutation of whole images is exact, and no row is thrown away.
"""

import math

import jax
import numpy as np
from scipy import special, stats

from causal_iqa.causal.graph_tests import LEAST_ROWS, IndependenceTest

# Images whose pairs are held at once.
_MOST_IMAGES = 2000
_MOST_LEVELS = 12
# Bytes of gathered pairs at once.
_BLOCK = 2**22


def clustered_test(
    key: jax.Array, x: np.ndarray, y: np.ndarray, *, num_permutations: int, x_is_label: bool = False, y_is_label=False
) -> IndependenceTest:
    """Tests X _||_ Y | C on a table of every image under every condition.

    The statistic is the squared norm of the cross-covariance of features within a condition, averaged over the
    conditions, |1/C sum_c cov_c(f(X), g(Y))|^2: an HSIC with finite features. Numbers are seen as the first three
    Hermite polynomials of their normal scores within the condition, labels and columns of at most 12 values as
    indicators. It sees dependence that does not cancel over the conditions.

    Args:
      key: random key of the permutations, and of the 2000 images that are kept of more.
      x: [C, N], or [N] where it is the same under all conditions; not finite where undefined.
      y: likewise.
      num_permutations: B.
      x_is_label: whether x holds labels.
      y_is_label: whether y holds labels.

    Returns:
      `IndependenceTest` with p-value (1 + #{null >= statistic}) / (1 + B), over the images that are defined under all
      conditions; num_rows counts images times conditions.

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] J. Hemerik, J. Goeman (2018), Exact testing with random permutations, TEST 27.
      [2] A. Gretton et al. (2007), A kernel statistical test of independence, NIPS.
    """
    x, y = np.atleast_2d(np.asarray(x, np.float64)), np.atleast_2d(np.asarray(y, np.float64))
    if x.shape[1] != y.shape[1] or (len(x) != len(y) and 1 not in (len(x), len(y))):
        raise ValueError(f"x, y: expected [C, N] or [N] of one table, got {x.shape} and {y.shape}")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32))
    images = np.flatnonzero(np.isfinite(x).all(axis=0) & np.isfinite(y).all(axis=0))
    if len(images) < LEAST_ROWS:
        return IndependenceTest(math.nan, "", 0, f"{len(images)} images with every value, fewer than {LEAST_ROWS}")
    images = np.sort(rng.permutation(images)[:_MOST_IMAGES])
    n, c = len(images), max(len(x), len(y))
    f, g = _features(x[:, images], x_is_label), _features(y[:, images], y_is_label)
    if not f or not g:
        return IndependenceTest(math.nan, "", n * c, "a variable never varies within a condition")
    order = np.stack([np.arange(n), *(rng.permutation(n) for _ in range(num_permutations))])
    statistic = np.zeros(len(order))
    step = max(1, _BLOCK // (8 * n))
    for one in f:
        for other in g:
            # What never changes over the conditions needs no sum over them.
            pairs = _sum_over(one, other)
            for first in range(0, len(order), step):
                block = order[first : first + step]
                statistic[first : first + step] += pairs[np.arange(n), block].sum(axis=1, dtype=np.float64) ** 2
    # float32 products: equal up to rounding counts as equal.
    at_least = statistic[1:] >= statistic[0] * (1 - 1e-6)
    p_value = (1 + at_least.sum()) / (1 + num_permutations)
    return IndependenceTest(float(p_value), "HSIC of features, images permuted", n * c, "")


def _sum_over(f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """sum_c f_c(i) g_c(j) for all pairs of images [N, N]."""
    if len(f) == 1 or len(g) == 1:
        return np.outer(f.sum(axis=0), g.sum(axis=0))
    return f.T @ g


def _features(values: np.ndarray, is_label: bool) -> list[np.ndarray]:
    """Features [C, N], each centred within every condition; those that vary."""
    levels = np.unique(values)
    if is_label or len(levels) <= _MOST_LEVELS:
        features = [(values == level).astype(np.float64) for level in levels]
    else:
        scores = stats.norm.ppf((stats.rankdata(values, axis=1) - 0.5) / values.shape[1])
        features = [special.eval_hermitenorm(k, scores) / math.sqrt(math.factorial(k)) for k in (1, 2, 3)]
    centred = [one - one.mean(axis=1, keepdims=True) for one in features]
    return [one.astype(np.float32) for one in centred if np.abs(one).max() > 1e-9]
