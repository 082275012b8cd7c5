"""Null distribution of within and pooled alignment: scores that belong to other images of the same conditions.

One permutation of the images serves all conditions. Rows of an image share its scene, in the score and in performance
alike; permuting every condition by itself would break that bond, the null would be too narrow and p-values too small.
Whole images are exchangeable when score and performance are independent given the condition, so this test is exact.
"""

import math
from typing import NamedTuple

import jax
import numpy as np

from causal_iqa.alignment import correlation

_BLOCK = 256


class Null(NamedTuple):
    """One-sided p-values (1 + #{permuted >= observed}) / (1 + permutations), and the permuted means of each number.

    NaN where the number is undefined. The mean permuted within is about 0; that of pooled is what the conditions alone
    give, without any link between image and image.
    """

    p_within: float
    p_pooled: float
    mean_within: float
    mean_pooled: float


def permutation_null(key: jax.Array, q: np.ndarray, m: np.ndarray, *, num_permutations: int = 999) -> Null:
    """Tests within and pooled alignment against scores of other images under the same condition.

    The statistic is the covariance of ranks: per condition, each divided by its norms, for within; over all rows for
    pooled. With undefined entries ranks are taken among each table's own defined ones and undefined entries count 0, so
    it may differ slightly from the correlations of `within` and `pooled`; the test is exact for it all the same.

    Args:
      key: typed PRNG key of the permutations.
      q: scores [C, N], higher is better; NaN or infinite where undefined.
      m: performance [C, N]; NaN where undefined.
      num_permutations: B, of the N images.

    Returns:
      The p-values: small when the score orders images inside conditions better than chance.

    Raises:
      ValueError: when the tables do not fit or num_permutations is not positive.

    References:
      [1] B. Phipson, G. Smyth (2010), Permutation p-values should never be zero.
      [2] P. Good (2005), Permutation, parametric and bootstrap tests of hypotheses, 3rd edition (exchangeable units).

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> ease, scene = -np.arange(8.0)[:, None] / 2, rng.normal(size=(1, 60))
      >>> m = (ease + 2 + scene + rng.normal(size=(8, 60)) > 0).astype(float)  # correctness, [conditions, images]
      >>> q = ease + scene + rng.normal(size=m.shape)  # a score
      >>> bool(alignment.permutation_null(jax.random.key(0), q, m, num_permutations=99).p_within <= 0.01)
      True
    """
    q, m = correlation.check_tables(q, m)
    if num_permutations < 1:
        raise ValueError(f"num_permutations: expected at least 1, got {num_permutations}")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32).tolist())
    num_images = q.shape[1]
    # Row 0 leaves everything in place.
    permuted = np.stack([np.arange(num_images), *(rng.permutation(num_images) for _ in range(num_permutations))])
    within = _test(_ranks(q), _ranks(m), permuted)
    pooled = _test(*(_ranks(x.reshape(1, -1)).reshape(x.shape) for x in (q, m)), permuted)
    conditions = max(int((_ranks(q).any(axis=1) & _ranks(m).any(axis=1)).sum()), 1)
    return Null(within[0], pooled[0], within[1] / conditions, pooled[1])


def _ranks(x: np.ndarray) -> np.ndarray:
    """Centred ranks of every row divided by their norm; 0 where undefined, or where a row is constant."""
    ranks = correlation.masked_ranks(x, np.isfinite(x))
    norm = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.divide(ranks, norm, out=np.zeros_like(ranks), where=norm > 0)


def _test(q: np.ndarray, m: np.ndarray, permuted: np.ndarray) -> tuple[float, float]:
    """p-value and mean permuted sum over conditions and images of q[c, permuted[i]] m[c, i]."""
    if not q.any() or not m.any():
        return math.nan, math.nan
    sums = np.zeros(len(permuted))
    for start in range(0, q.shape[1], _BLOCK):
        # All images against a block of them: what each would add where it stood in the other's place.
        products = q.T @ m[:, start : start + _BLOCK]
        sums += products[permuted[:, start : start + _BLOCK], np.arange(products.shape[1])].sum(axis=1)
    null = sums[1:]
    # Equal sums in another order of summation count as equal.
    reached = null >= sums[0] - 1e-9 * max(1.0, abs(sums[0]))
    return float((1 + reached.sum()) / (1 + null.size)), float(null.mean())
