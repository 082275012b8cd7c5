"""Tests of dependence within conditions that use every row: images are permuted with all their conditions together.

Where the condition is set from outside and separates two columns, no other cause is common to them: then the scores
of an image under all conditions are independent of its performance under all conditions, and images are exchangeable
against each other. So the permutation of whole images is exact, and no row is thrown away.

Two statistics are made of the covariances within each condition. Their squares, summed, test independence: dependence
of opposite signs adds up. Their plain sum tests a common sign: it cancels where conditions disagree.
"""

import math
from typing import NamedTuple

import jax
import numpy as np
from scipy import special, stats

from causal_iqa.causal import permuted_images
from causal_iqa.causal.independence import LEAST_ROWS, IndependenceTest, hsic_gamma_p_value

# Polynomials of the ranks of a column of numbers.
_DEGREE = 3


class CommonSignTest(NamedTuple):
    """Result of testing that two columns rise together within the conditions, or that they do not.

    Attributes:
      p_value: two-sided, small against "the covariances within conditions sum to nothing"; NaN when it was not tested.
      z: the sum over its standard deviation under permutations of whole images; positive where the columns rise
        together.
      method: how the p-value was found.
      num_rows: rows that were used.
      reason: why it was not tested, else empty.
    """

    p_value: float
    z: float
    method: str
    num_rows: int
    reason: str


class _Pair(NamedTuple):
    """Features of two columns over the images where both are defined, or why there are none.

    f, g: [F, C, N] and [G, C, N], each centred within every condition; C is 1 where a column is one for all conditions.
    num_rows: images times conditions.
    reason: empty where there are features.
    """

    f: np.ndarray
    g: np.ndarray
    num_rows: int
    reason: str


def within_condition_independence_test(
    key: jax.Array,
    x: np.ndarray,
    y: np.ndarray,
    *,
    num_permutations: int,
    x_is_label: bool = False,
    y_is_label: bool = False,
) -> IndependenceTest:
    """Tests X _||_ Y | C on a table of every image under every condition.

    The statistic is sum_c |cov_c(f(X), g(Y))|^2. Numbers are seen as Legendre polynomials of their ranks within the
    condition, up to the third, labels as indicators. Polynomials of ranks are bounded: no image weighs much more than
    another, however rare its outcome.

    The null distribution is that of permuting whole images:

    - both columns change with the condition: a weighted sum of chi-squares whose weights are the exact covariances of
      the permuted sums, by a saddle-point approximation. Where fewer than 40 images have the rarer outcome, drawn
      permutations instead.
    - one column is the same under all conditions (a label): the statistic is an HSIC of kernels summed over the
      conditions, with the gamma law of its exact permutation moments.

    Args:
      key: random key of the permutations.
      x: [C, N], or [N] where it is the same under all conditions; not finite where undefined.
      y: the same for the second variable.
      num_permutations: most permutations that are drawn; drawing ends when 50 reach the statistic.
      x_is_label: whether x holds labels.
      y_is_label: whether y holds labels.

    Returns:
      `IndependenceTest` over the images that are defined under all conditions; num_rows counts images times conditions.
      No p-value of drawn permutations is below 1 / (1 + num_permutations).

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] H. Strasser, C. Weber (1999), On the asymptotic theory of permutation statistics.
      [2] J. Hemerik, J. Goeman (2018), Exact testing with random permutations, TEST 27.
      [3] J. Besag, P. Clifford (1991), Sequential Monte Carlo p-values, Biometrika 78.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease = rng.normal(size=60) - np.arange(4.0)[:, None]  # the first row is clean
      >>> q, m = ease + rng.normal(size=(2, 4, 60))
      >>> degradations, severities = ["fog"] * 3, [1.0, 3.0, 5.0]
      >>> bool(causal.clustered_test(jax.random.key(0), q, m, num_permutations=199).p_value < 0.05)
      True
    """
    pair = _pair(x, y, x_is_label, y_is_label)
    if pair.reason:
        return IndependenceTest(math.nan, "", pair.num_rows, pair.reason)
    f, g = pair.f, pair.g
    name = "squared covariances within conditions"
    if sides := _by_scarcity(f, g):
        p_value = permuted_images.drawn_p_value(key, *sides, num_permutations=num_permutations)
        return IndependenceTest(p_value, f"{name}, images permuted", pair.num_rows, "")
    if 1 in (f.shape[1], g.shape[1]):
        p_value = hsic_gamma_p_value(*(np.einsum("fcn,fcm->nm", one, one, optimize=True) for one in (f, g)))
        return IndependenceTest(p_value, f"{name}, gamma law", pair.num_rows, "")
    return IndependenceTest(permuted_images.saddle_point_p_value(f, g), f"{name}, saddle-point law", pair.num_rows, "")


def common_sign_test(key: jax.Array, x: np.ndarray, y: np.ndarray, *, num_permutations: int) -> CommonSignTest:
    """Tests whether X and Y rise, or fall, together within the conditions on the whole.

    The statistic is sum_c cov_c(rank X, rank Y). It is blind to dependence that cancels over the conditions, and to
    dependence that neither rises nor falls: `within_condition_independence_test` sees both. Whole images are permuted:
    by the normal law with the exact variance, or by drawn permutations where fewer than 40 images have the rarer
    outcome.

    Args:
      key: random key of the permutations.
      x: numbers [C, N], or [N] where they are the same under all conditions; not finite where undefined.
      y: the same for the second variable.
      num_permutations: most permutations that are drawn.

    Returns:
      `CommonSignTest` over the images that are defined under all conditions.

    Raises:
      ValueError: when shapes do not fit.

    References:
      [1] H. Strasser, C. Weber (1999), On the asymptotic theory of permutation statistics.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease = rng.normal(size=60) - np.arange(4.0)[:, None]  # the first row is clean
      >>> q, m = ease + rng.normal(size=(2, 4, 60))
      >>> degradations, severities = ["fog"] * 3, [1.0, 3.0, 5.0]
      >>> bool(causal.common_sign_test(jax.random.key(0), q, m, num_permutations=199).p_value < 0.05)
      True
    """
    pair = _pair(x, y, False, False, degree=1)
    if pair.reason:
        return CommonSignTest(math.nan, math.nan, "", pair.num_rows, pair.reason)
    f, g = pair.f, pair.g
    if f.shape[1] != g.shape[1]:
        # What never changes over the conditions needs no sum over them.
        f, g = f.sum(axis=1, keepdims=True), g.sum(axis=1, keepdims=True)
    z = float((f * g).sum() / math.sqrt(permuted_images.variance_of_sum(f, g)))
    if sides := _by_scarcity(f, g):
        p_value = permuted_images.drawn_p_value(key, *sides, num_permutations=num_permutations, signed=True)
        return CommonSignTest(p_value, z, "sum of covariances, images permuted", pair.num_rows, "")
    return CommonSignTest(float(2 * stats.norm.sf(abs(z))), z, "sum of covariances, normal law", pair.num_rows, "")


def _pair(x: np.ndarray, y: np.ndarray, x_is_label: bool, y_is_label: bool, *, degree: int = _DEGREE) -> _Pair:
    x, y = np.atleast_2d(np.asarray(x, np.float64)), np.atleast_2d(np.asarray(y, np.float64))
    if x.shape[1] != y.shape[1] or (len(x) != len(y) and 1 not in (len(x), len(y))):
        raise ValueError(f"x, y: expected [C, N] or [N] of one table, got {x.shape} and {y.shape}")
    images = np.flatnonzero(np.isfinite(x).all(axis=0) & np.isfinite(y).all(axis=0))
    rows, nothing = len(images) * max(len(x), len(y)), np.empty((0, 0, 0))
    if len(images) < LEAST_ROWS:
        reason = f"{len(images)} images with every value, fewer than {LEAST_ROWS}"
        return _Pair(nothing, nothing, 0, reason)
    f, g = _features(x[:, images], x_is_label, degree), _features(y[:, images], y_is_label, degree)
    if not len(f) or not len(g):
        return _Pair(nothing, nothing, rows, "a variable never varies within a condition")
    return _Pair(f, g, rows, "")


def _features(values: np.ndarray, is_label: bool, degree: int) -> np.ndarray:
    """Features [F, C, N], each centred within every condition; those that vary."""
    if is_label:
        features = [(values == level).astype(np.float64) for level in np.unique(values)]
    else:
        # In (-1, 1), ties in the middle of their ranks; a column of k values has k - 1 polynomials.
        places = (2 * stats.rankdata(values, axis=1) - 1) / values.shape[1] - 1
        count = min(degree, len(np.unique(values)) - 1)
        features = [math.sqrt(2 * k + 1) * special.eval_legendre(k, places) for k in range(1, count + 1)]
    centred = [one - one.mean(axis=1, keepdims=True) for one in features]
    return np.array([one for one in centred if np.abs(one).max() > 1e-9])


def _by_scarcity(f: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The two with the scarcer one last where an outcome is scarce, else nothing."""
    counts = [permuted_images.effective_count(one) for one in (f, g)]
    if min(counts) >= permuted_images.LEAST_OF_RARER:
        return None
    return (f, g) if counts[1] <= counts[0] else (g, f)
