"""Null distribution of within and pooled alignment: scores that belong to other images of the same conditions.

One permutation of the images serves all conditions. Rows of an image share its scene, in the score and in performance
alike; permuting every condition by itself would break that bond, the null would be too narrow and p-values too small.
Whole images are exchangeable when score and performance are independent given the condition, so this test is exact.
Images of one cluster (video, patient, place) are exchangeable only together: clusters of one size are then permuted
whole, the images of each in their order.
"""

import math
from typing import NamedTuple

import jax
import numpy as np

from causal_iqa.alignment import correlation

_BLOCK = 256
# Sizes that clusters are cut to, so that several have the same: at most a third of the images is left out.
_SIZES = np.unique([size << shift for size in (2, 3) for shift in range(30)] + [1])
# With fewer arrangements of the clusters no p-value could be below .05.
_LEAST_ARRANGEMENTS = 20


class Null(NamedTuple):
    """One-sided p-values (1 + #{permuted >= observed}) / (1 + permutations), and the permuted means of each number.

    NaN where the number is undefined. The mean permuted within is about 0; the mean permuted pooled is the contribution
    of the conditions without any link between score and performance of an image.
    """

    p_within: float
    p_pooled: float
    mean_within: float
    mean_pooled: float


def permutation_null(
    key: jax.Array,
    q: np.ndarray,
    m: np.ndarray,
    *,
    num_permutations: int = 999,
    clusters: np.ndarray | None = None,
) -> Null:
    """Tests within and pooled alignment against scores of other images under the same condition.

    The statistic is the covariance of ranks: per condition, each divided by its norms, for within; over all rows for
    pooled. With undefined entries ranks are taken among each table's own defined ones and undefined entries count 0, so
    it may differ slightly from the correlations of `within` and `pooled`; the test is exact for it all the same.

    Args:
      key: typed PRNG key of the permutations.
      q: scores [C, N], higher is better; NaN or infinite where undefined.
      m: performance [C, N]; NaN where undefined.
      num_permutations: B, of the N images.
      clusters: int [N] of images that stay together; None treats each image as its own cluster. Clusters are cut to the
        next size of 1, 2, 3, 4, 6, 8, 12, ... images, at random, and those of one size are permuted whole.

    Returns:
      The p-values: small when the score orders images inside conditions better than chance. NaN with fewer than 20
      arrangements of the clusters.

    Raises:
      ValueError: when the tables do not fit or num_permutations is not positive.

    References:
      [1] B. Phipson, G. Smyth (2010), Permutation p-values should never be zero.
      [2] P. Good (2005), Permutation, parametric and bootstrap tests of hypotheses, 3rd edition (exchangeable units).
      [3] A. Winkler et al. (2015), Multi-level block permutation, NeuroImage 123 (blocks of one size).

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
    if clusters is not None:
        blocks = _blocks(rng, np.asarray(clusters))
        kept = np.concatenate([one.reshape(-1) for one in blocks])
        q, m = q[:, kept], m[:, kept]
        if math.prod(math.factorial(min(len(one), 20)) for one in blocks) < _LEAST_ARRANGEMENTS:
            return Null(*[math.nan] * 4)
        permuted = _permuted_blocks(rng, [one.shape for one in blocks], num_permutations)
    else:
        num_images = q.shape[1]
        # Row 0 leaves everything in place.
        permuted = np.stack([np.arange(num_images), *(rng.permutation(num_images) for _ in range(num_permutations))])
    within = _test(_ranks(q), _ranks(m), permuted)
    pooled_q, pooled_m = (_ranks(x.reshape(1, -1)).reshape(x.shape) for x in (q, m))
    pooled = _test(pooled_q, pooled_m, permuted)
    conditions = max(int((_ranks(q).any(axis=1) & _ranks(m).any(axis=1)).sum()), 1)
    return Null(within[0], pooled[0], within[1] / conditions, pooled[1])


def _blocks(rng: np.random.Generator, clusters: np.ndarray) -> list[np.ndarray]:
    """Images of the clusters of each size that clusters are cut to, [clusters, size]; every cluster in one of them."""
    members: dict[int, list[np.ndarray]] = {}
    for cluster in np.unique(clusters):
        own = np.flatnonzero(clusters == cluster)
        size = int(_SIZES[np.searchsorted(_SIZES, len(own), "right") - 1])
        members.setdefault(size, []).append(np.sort(rng.permutation(own)[:size]))
    return [np.stack(own) for _, own in sorted(members.items())]


def _permuted_blocks(rng: np.random.Generator, shapes: list[tuple[int, ...]], num_permutations: int) -> np.ndarray:
    """Orders [1 + B, images] that leave the images of a cluster together, the first in place."""
    found = [[] for _ in range(1 + num_permutations)]
    start = 0
    for count, size in shapes:
        place = start + np.arange(count * size).reshape(count, size)
        for number, rows in enumerate(found):
            rows.append(place[rng.permutation(count) if number else slice(None)].reshape(-1))
        start += count * size
    return np.stack([np.concatenate(rows) for rows in found])


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
