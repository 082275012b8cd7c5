"""HSIC tests over many bandwidths at once, at one level for all."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from causal_iqa.dependence import hsic, independence, permutation_moments, permutations
from causal_iqa.estimates import check_level


class HSICAggregatedTest(NamedTuple):
    """Result of `hsic_aggregated_test`; scalars, and matrices over the kernels [u, v] of both variables."""

    statistic: jax.Array
    p_value: jax.Array
    null_mean: jax.Array
    null_std: jax.Array
    kernel_statistics: jax.Array
    kernel_p_values: jax.Array
    corrected_level: jax.Array
    kernel_rejected: jax.Array
    level: jax.Array
    num_permutations: jax.Array


def bandwidth_collection(bandwidth: jax.Array | float, *, num_each_side: int) -> jax.Array:
    """Bandwidths 2^j bandwidth, j = -num_each_side .. num_each_side.

    Args:
      bandwidth: bandwidth from `median_heuristic`, positive, may be traced.
      num_each_side: static int, not negative.

    Returns:
      [2 num_each_side + 1].

    Raises:
      ValueError: when the number is negative.

    References:
      [1] Albert, Laurent, Marrel, Meynaoui, "Adaptive test of independence based on HSIC measures", Annals of
          Statistics 2022, section 4.1: dyadic collections.

    Examples:
      >>> bandwidth_collection(1.0, num_each_side=1).tolist()
      [0.5, 1.0, 2.0]
    """
    if num_each_side < 0:
        raise ValueError(f"num_each_side: expected 0 or more, got {num_each_side}")
    return bandwidth * 2.0 ** jnp.arange(-num_each_side, num_each_side + 1)


def _ranks(values: jax.Array) -> jax.Array:
    """Share of values [B, u, v] not below each, along the first axis, equal up to rounding counting as equal."""
    lowered = jnp.sort(values, axis=0)
    slack = independence.TIE_UNITS * jnp.finfo(values.dtype).eps

    def share(ordered: jax.Array, column: jax.Array) -> jax.Array:
        return 1.0 - jnp.searchsorted(ordered, column - slack, side="left") / len(ordered)

    flat = (values.shape[0], -1)
    shares = jax.vmap(share, in_axes=1, out_axes=1)(lowered.reshape(flat), values.reshape(flat))
    return shares.reshape(values.shape)


def hsic_aggregated_test(
    key: jax.Array, Ks: Sequence[jax.Array], Ls: Sequence[jax.Array], *, num_permutations: int, level: float
) -> HSICAggregatedTest:
    """Tests independence with every pair of kernels, and corrects the level for the number of pairs.

    HSICAgg: with the quantile q_k(1 - u) of each pair's statistic over the permutations, it rejects when any statistic
    exceeds its q_k(1 - u / number of pairs), at the largest u that keeps the level over the permutations; far above the
    Bonferroni level alpha when the pairs agree. Instead of searching u by halving, and instead of second permutations
    to judge it, every permutation is ranked among all like the data: the smallest p-value over the pairs, and its rank
    (Westfall and Young), is the same rule with u exact, and its level holds at every n.

    Args:
      key: random key for the permutations.
      Ks: Gram matrices of the first variable, u of [n, n], symmetric, n at least 2, e.g. over `bandwidth_collection`.
      Ls: Gram matrices of the second variable, v of [n, n].
      num_permutations: number B, static int, at least 1; as every pair's p-value is a multiple of 1 / (1 + B), some
        500 or more.
      level: alpha of the rejections per pair, static float in (0, 1); the p-value does not depend on it.

    Returns:
      `HSICAggregatedTest`: statistic, the smallest p-value over the pairs; p_value, (1 + #{as small}) / (1 + B), small
      against independence; the null's mean and deviation of the statistic; kernel_statistics, of norm 1 matrices, and
      kernel_p_values [u, v], not corrected; corrected_level, the largest u that keeps `level`, 0 where none does;
      kernel_rejected [u, v], which pairs reject at it; the settings.

    Raises:
      ValueError: when a list is empty, matrices are not square or differ in shape, n is below 2, B below 1, or the
        level is not in (0, 1).

    References:
      [1] Schrab, Kim, Guedj, Gretton, "Efficient aggregated kernel tests using incomplete U-statistics", NeurIPS 2022,
          section 5 and eq. 17.
      [2] Westfall, Young, "Resampling-based multiple testing", Wiley 1993, section 2.6: the smallest p-value.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> Ks = [dependence.rbf(x, x, bandwidth=width) for width in (0.25, 0.5)]
      >>> Ls = [dependence.rbf(x**2, x**2, bandwidth=0.5)]
      >>> test = lambda key: dependence.hsic_aggregated_test(key, Ks, Ls, num_permutations=199, level=0.05)
      >>> jax.eval_shape(test, jax.random.key(0)).kernel_rejected.shape  # traced, not run: one of each pair of kernels
      (2, 1)
    """
    independence.check_resamples(num_permutations, "num_permutations")
    if not Ks or not Ls:
        raise ValueError(f"Ks, Ls: expected at least one Gram matrix of each, got {len(Ks)} and {len(Ls)}")
    check_level(level)
    Ks, Ls = ([hsic.as_grams(Ks[0], K, 2)[1] for K in grams] for grams in (Ks, Ls))
    sides = [[permutation_moments.traceless(K) for K in grams] for grams in (Ks, Ls)]
    A, B = (jnp.stack([m.matrix() / jnp.where(m.norm > 0, m.norm, 1.0) for m in side]) for side in sides)
    observed, null = permutations.permuted_products(key, A, B, num_permutations=num_permutations)
    p_values = _ranks(jnp.concatenate([observed[None], null]))
    smallest = jnp.min(p_values, axis=(1, 2))
    half = 0.5 / (1 + num_permutations)
    as_small = smallest <= smallest[0] + half
    # The largest threshold that at most a share `level` of all permutations pass.
    ordered = jnp.sort(smallest)
    passing = jnp.searchsorted(ordered, ordered + half, side="right") / (1 + num_permutations)
    corrected = jnp.max(jnp.where(passing <= level + 1e-6, ordered, 0.0))
    p_value = jnp.where(jnp.all(jnp.stack([m.varies for side in sides for m in side])), jnp.mean(as_small), 1.0)
    undefined = jnp.isnan(sum(m.norm for side in sides for m in side))
    return HSICAggregatedTest(
        statistic=smallest[0],
        p_value=jnp.where(undefined, jnp.nan, p_value).astype(A.dtype),
        null_mean=jnp.mean(smallest[1:]),
        null_std=jnp.std(smallest[1:]),
        kernel_statistics=observed,
        kernel_p_values=p_values[0],
        corrected_level=corrected,
        kernel_rejected=p_values[0] <= corrected + half,
        level=jnp.asarray(level, A.dtype),
        num_permutations=jnp.int32(num_permutations),
    )
