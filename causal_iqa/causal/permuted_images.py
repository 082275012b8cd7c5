"""Sums over conditions of covariances between features, and their law when whole images are permuted.

Features are [F, C, N] and [G, C, N], F and G of them under C conditions for N images, each summing to 0 over the images
of a condition. T_c = sum_n f_cn g_cn' is the covariance [F, G] of condition c times N.
"""

from collections.abc import Callable

import jax
import numpy as np

from causal_iqa._arrays import Array
from causal_iqa.causal import quadratic_forms

# Drawing ends when so many permutations reach the statistic: their share is then known to 14 %.
_ENOUGH = 50
_FIRST_DRAWS, _MOST_DRAWS = 250, 2000
# With fewer images of the rarer outcome no law of large numbers helps: images are permuted.
LEAST_OF_RARER = 40
# Numbers gathered at once.
_BLOCK = 2**20
# Equal up to rounding counts as equal.
_ROUNDING = 1e-9


def effective_count(f: np.ndarray) -> float:
    """Returns the number of images for which a column has its rarer value: the smaller of two counts.

    With weights w_n = sum_c |f_cn|^2, one count is (sum w)^2 / sum w^2 over the images; the other the mean of the same
    within each condition, weighted by the condition's variance. An outcome that m of many images have, always the same
    ones or always others, counts m.

    Args:
      f: features [F, C, N].

    Returns:
      From 1 to N.

    References:
      [1] L. Kish (1965), Survey sampling: the effective number of observations.
    """
    weights = (f**2).sum(axis=0)
    of_images, of_conditions = weights.sum(axis=0), weights.sum(axis=1)
    whole = of_images.sum() ** 2 / (of_images**2).sum()
    # sum_c v_c (v_c^2 / sum_n w_cn^2) / sum_c v_c, conditions without variance left out.
    some = of_conditions > 0
    own = of_conditions[some] ** 2 / (weights[some] ** 2).sum(axis=1)
    return float(min(whole, np.average(own, weights=of_conditions[some])))


def variance_of_sum(f: np.ndarray, g: np.ndarray) -> float:
    """Variance of sum_c T_c for one feature each, exact under permutations of whole images.

    Args:
      f: [1, C, N].
      g: [1, C, N].

    References:
      [1] H. Strasser, C. Weber (1999), On the asymptotic theory of permutation statistics.
    """
    return float(((f[0] @ f[0].T) * (g[0] @ g[0].T)).sum() / (f.shape[2] - 1))


def saddle_point_p_value(f: np.ndarray, g: np.ndarray) -> float:
    """P(sum_c |T_c|^2 >= observed) when the T_c are jointly normal with their exact covariance under permutations.

    That covariance is S[(c, f, g), (d, h, k)] = (f_c . h_d) (g_c . k_d) / (N - 1); the statistic is then a sum of
    chi-squares weighted by its eigenvalues.

    Args:
      f: [F, C, N].
      g: [G, C, N].

    References:
      [1] H. Strasser, C. Weber (1999), On the asymptotic theory of permutation statistics.
    """
    size = len(f) * len(g) * f.shape[1]
    own = [np.einsum("fcn,hdn->fchd", one, one, optimize=True) for one in (f, g)]
    covariance = np.einsum("fchd,gckd->fgchkd", *own).reshape(size, size) / (f.shape[2] - 1)
    weights = np.maximum(np.linalg.eigvalsh(covariance), 0.0)
    observed = (np.einsum("fcn,gcn->fgc", f, g, optimize=True) ** 2).sum()
    return quadratic_forms.survival(weights, float(observed))


def drawn_p_value(
    key: jax.Array, f: np.ndarray, g: np.ndarray, *, num_permutations: int, signed: bool = False
) -> float:
    """P(statistic >= observed) over drawn permutations of whole images.

    Args:
      key: random key.
      f: [F, C, N], or C of 1 where it is the same under all conditions.
      g: [G, C, N], or C of 1 where it is the same under all conditions; quick where it has one value for most images.
      num_permutations: B, the most that are drawn.
      signed: the statistic is |sum_c T_c| (of one feature each) instead of sum_c |T_c|^2.

    Returns:
      As `sequential_p_value`.
    """
    conditions = max(f.shape[1], g.shape[1])
    f, g = (np.broadcast_to(one, (len(one), conditions, one.shape[2])) for one in (f, g))
    rows = _sparse(g)
    return sequential_p_value(
        key, lambda orders: _statistics(f, rows, orders, signed), f.shape[2], num_permutations=num_permutations
    )


def drawn_kernel_p_value(key: jax.Array, K: Array, labels: np.ndarray, *, num_permutations: int) -> float:
    """P(HSIC >= observed) over drawn permutations, of a kernel with labels most of which are the same.

    Args:
      key: random key.
      K: Gram matrix [n, n].
      labels: [n].
      num_permutations: B, the most that are drawn.

    Returns:
      As `sequential_p_value`.

    References:
      [1] A. Gretton et al. (2007), A kernel statistical test of independence, NIPS.
    """
    K = np.asarray(K, np.float64)
    K = K - K.mean(axis=0) - K.mean(axis=1, keepdims=True) + K.mean()
    levels, place = np.unique(labels, return_inverse=True)
    commonest = np.bincount(place).argmax()
    rare = np.flatnonzero(place != commonest)
    # The rows of K sum to 0, so that the block of the commonest label is that of all others together.
    member = np.column_stack([place[rare] == level for level in range(len(levels)) if level != commonest])
    weights = member.astype(np.float64) @ member.T + 1.0

    def statistics(orders: np.ndarray) -> np.ndarray:
        total = np.empty(len(orders))
        step = max(1, _BLOCK // len(rare) ** 2)
        for first in range(0, len(orders), step):
            at = orders[first : first + step, rare]
            total[first : first + step] = np.tensordot(K[at[:, :, None], at[:, None, :]], weights)
        return total

    return sequential_p_value(key, statistics, len(K), num_permutations=num_permutations)


def sequential_p_value(
    key: jax.Array, statistics: Callable[[np.ndarray], np.ndarray], num_images: int, *, num_permutations: int
) -> float:
    """P-value of drawn permutations that ends once it is known.

    Args:
      key: random key.
      statistics: orders of the images [b, N] -> statistic [b].
      num_images: N.
      num_permutations: B, the most that are drawn.

    Returns:
      50 / l where the 50th permutation that reaches the observed statistic is the l-th, else (1 + their number) over
      (1 + B): exact either way.

    References:
      [1] J. Besag, P. Clifford (1991), Sequential Monte Carlo p-values, Biometrika 78.
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32))
    observed = statistics(np.arange(num_images)[None])[0]
    least = observed - _ROUNDING * abs(observed)
    reached, drawn, round_size = 0, 0, _FIRST_DRAWS
    while drawn < num_permutations:
        count = min(round_size, num_permutations - drawn)
        orders = rng.permuted(np.broadcast_to(np.arange(num_images), (count, num_images)), axis=1)
        hits = np.flatnonzero(statistics(orders) >= least)
        if reached + len(hits) >= _ENOUGH:
            return float(_ENOUGH / (drawn + hits[_ENOUGH - reached - 1] + 1))
        reached, drawn, round_size = reached + len(hits), drawn + count, min(2 * round_size, _MOST_DRAWS)
    return (1 + reached) / (1 + num_permutations)


def _sparse(g: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Yields for every condition the images [r] where g is not at its commonest value, and its distance [G, r] from it.

    As f sums to 0, a constant taken off g changes no covariance.
    """
    found = []
    for values in g.transpose(1, 0, 2):
        _, place, count = np.unique(values.round(12), axis=1, return_inverse=True, return_counts=True)
        commonest = place.ravel() == count.argmax()
        at = np.flatnonzero(~commonest)
        found.append((at, values[:, at] - values[:, commonest][:, :1]))
    return found


def _statistics(
    f: np.ndarray, rows: list[tuple[np.ndarray, np.ndarray]], orders: np.ndarray, signed: bool
) -> np.ndarray:
    """The statistic [B] for orders of the images [B, N]."""
    total = np.zeros(len(orders))
    for c, (at, values) in enumerate(rows):
        step = max(1, _BLOCK // max(1, len(f) * len(at)))
        for first in range(0, len(orders), step):
            block = slice(first, first + step)
            sums = f[:, c][:, orders[block][:, at]] @ values.T
            total[block] += sums[0, :, 0] if signed else (sums**2).sum(axis=(0, 2))
    return np.abs(total) if signed else total
