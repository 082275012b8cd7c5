"""A test given the condition that uses every row: images are permuted with all their conditions together.

Where the condition is set from outside and separates two columns, no cause beside it is common to them: then the scores
of an image under all conditions are independent of its performance under all conditions, and images are exchangeable
against each other. So the permutation of whole images is exact, and no row is thrown away.
"""

import math

import jax
import numpy as np
from scipy import special, stats

from causal_iqa.causal.independence import LEAST_ROWS, IndependenceTest

_MOST_LEVELS = 12
# From here on the normal law of the permuted sums stands in for the permutations.
_LEAST_NORMAL_IMAGES = 100
# More features than images over this have no covariance worth inverting: their squares are summed instead.
_IMAGES_PER_FEATURE = 10
_RANK = 1e-9
# Bytes of gathered pairs at once.
_BLOCK = 2**22


def clustered_test(
    key: jax.Array, x: np.ndarray, y: np.ndarray, *, num_permutations: int, x_is_label: bool = False, y_is_label=False
) -> IndependenceTest:
    """Tests X _||_ Y | C on a table of every image under every condition.

    T is the cross-covariance of features within a condition, summed over the conditions, sum_c cov_c(f(X), g(Y)); the
    statistic is T' S^-1 T with S its exact covariance under permutations of whole images (with more features than a
    tenth of the images: |T|^2). Numbers are seen as the first three Hermite polynomials of their normal scores within
    the condition, labels and columns of at most 12 values as indicators. It sees dependence that does not cancel over
    the conditions. T' S^-1 T is referred to its chi-square law from 100 images on, otherwise to drawn permutations.

    Args:
      key: random key of the permutations.
      x: [C, N], or [N] where it is the same under all conditions; not finite where undefined.
      y: likewise.
      num_permutations: B, where they are drawn.
      x_is_label: whether x holds labels.
      y_is_label: whether y holds labels.

    Returns:
      `IndependenceTest` over the images that are defined under all conditions; num_rows counts images times conditions.
      The p-value of drawn permutations is (1 + #{null >= statistic}) / (1 + B).

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] H. Strasser, C. Weber (1999), On the asymptotic theory of permutation statistics: S and the law.
      [2] J. Hemerik, J. Goeman (2018), Exact testing with random permutations, TEST 27.
    """
    x, y = np.atleast_2d(np.asarray(x, np.float64)), np.atleast_2d(np.asarray(y, np.float64))
    if x.shape[1] != y.shape[1] or (len(x) != len(y) and 1 not in (len(x), len(y))):
        raise ValueError(f"x, y: expected [C, N] or [N] of one table, got {x.shape} and {y.shape}")
    images = np.flatnonzero(np.isfinite(x).all(axis=0) & np.isfinite(y).all(axis=0))
    n, rows = len(images), len(images) * max(len(x), len(y))
    if n < LEAST_ROWS:
        return IndependenceTest(math.nan, "", 0, f"{n} images with every value, fewer than {LEAST_ROWS}")
    f, g = _features(x[:, images], x_is_label), _features(y[:, images], y_is_label)
    if not len(f) or not len(g):
        return IndependenceTest(math.nan, "", rows, "a variable never varies within a condition")
    if f.shape[1] != g.shape[1]:
        # What never changes over the conditions needs no sum over them.
        f, g = f.sum(axis=1, keepdims=True), g.sum(axis=1, keepdims=True)
    whitener = _whitener(f, g) if len(f) * len(g) * _IMAGES_PER_FEATURE <= n else np.eye(len(f) * len(g))
    if len(f) * len(g) * _IMAGES_PER_FEATURE <= n and n >= _LEAST_NORMAL_IMAGES:
        sums = np.einsum("fcn,gcn->fg", f, g).ravel() @ whitener
        p_value = stats.chi2.sf(sums @ sums, len(sums))
        return IndependenceTest(float(p_value), "covariance of features, law of permuted images", rows, "")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32))
    order = np.stack([np.arange(n), *(rng.permutation(n) for _ in range(num_permutations))])
    statistic = _permuted(f, g, order, whitener)
    # Equal up to rounding counts as equal.
    at_least = statistic[1:] >= statistic[0] * (1 - 1e-6)
    p_value = (1 + at_least.sum()) / (1 + num_permutations)
    return IndependenceTest(float(p_value), "covariance of features, images permuted", rows, "")


def _whitener(f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """W [F G, rank] with S^-1 = W W', S the covariance of T under permutations of the images.

    Features sum to 0 over the images of a condition, so S = sum_{c, d} (f_c . f'_d) (g_c . g'_d) / (N - 1).
    """
    own = [np.einsum("fcn,hdn->fhcd", values, values, optimize=True) for values in (f, g)]
    covariance = np.einsum("fhcd,gkcd->fghk", *own, optimize=True) / (f.shape[2] - 1)
    size = len(f) * len(g)
    values, basis = np.linalg.eigh(covariance.reshape(size, size))
    some = values > _RANK * values[-1]
    return basis[:, some] / np.sqrt(values[some])


def _permuted(f: np.ndarray, g: np.ndarray, order: np.ndarray, whitener: np.ndarray) -> np.ndarray:
    """The statistic for every order of the images of g [B, N]."""
    n = f.shape[2]
    sums = np.empty((len(order), len(f) * len(g)))
    step = max(1, _BLOCK // (8 * n))
    for place, (one, other) in enumerate((one, other) for one in f for other in g):
        pairs = one.T @ other
        for first in range(0, len(order), step):
            block = slice(first, first + step)
            sums[block, place] = pairs[np.arange(n), order[block]].sum(axis=1)
    return ((sums @ whitener) ** 2).sum(axis=1)


def _features(values: np.ndarray, is_label: bool) -> np.ndarray:
    """Features [F, C, N], each centred within every condition; those that vary."""
    levels = np.unique(values)
    if is_label or len(levels) <= _MOST_LEVELS:
        features = [(values == level).astype(np.float64) for level in levels]
    else:
        scores = stats.norm.ppf((stats.rankdata(values, axis=1) - 0.5) / values.shape[1])
        features = [special.eval_hermitenorm(k, scores) / math.sqrt(math.factorial(k)) for k in (1, 2, 3)]
    centred = [one - one.mean(axis=1, keepdims=True) for one in features]
    return np.array([one for one in centred if np.abs(one).max() > 1e-9])
