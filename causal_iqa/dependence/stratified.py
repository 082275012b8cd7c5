"""Conditional independence by permutation within strata: a categorical condition, or cells of a continuous one."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from causal_iqa import _checks

# Entries of permuted matrices held at once.
_PERMUTATION_ENTRIES = 2**22


class Strata(NamedTuple):
    """Samples gathered by stratum.

    Attributes:
      indices: [s, m] rows of the sample set, with the rows of the stratum first; arbitrary where `mask` is False.
      mask: [s, m], True where there is a sample.
      num_dropped: scalar int, samples that found no place: a label outside 0..s-1 or a stratum larger than m.
    """

    indices: jax.Array
    mask: jax.Array
    num_dropped: jax.Array


class StratifiedPermutationTest(NamedTuple):
    """Result of a permutation test within strata; every field a scalar."""

    statistic: jax.Array
    p_value: jax.Array
    null_mean: jax.Array
    null_std: jax.Array
    num_permutations: jax.Array


def stratify(labels: jax.Array, *, num_strata: int, largest: int) -> Strata:
    """Finds the samples of every stratum.

    Args:
      labels: stratum of each sample [n], integers from 0.
      num_strata: number s of strata, static int.
      largest: places m for each, static int; at least the size of the largest stratum.

    Returns:
      `Strata`.

    Raises:
      ValueError: when labels is not [n] or a number is below 1.

    Examples:
      >>> strata = dependence.stratify(np.array([0, 1, 0, 0]), num_strata=2, largest=3)
      >>> strata.mask.sum(axis=1).tolist()
      [3, 1]
    """
    labels = jnp.asarray(_checks.as_labels(labels))
    for value, name in ((num_strata, "num_strata"), (largest, "largest")):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    order = jnp.argsort(labels, stable=True)
    ordered = labels[order]
    start = jnp.searchsorted(ordered, jnp.arange(num_strata, dtype=labels.dtype), side="left")
    end = jnp.searchsorted(ordered, jnp.arange(num_strata, dtype=labels.dtype), side="right")
    place = start[:, None] + jnp.arange(largest)[None, :]
    mask = place < end[:, None]
    indices = order[jnp.where(mask, place, 0)]
    return Strata(indices, mask, labels.shape[0] - jnp.sum(mask))


def quantile_cells(z: jax.Array, *, cells: tuple[int, ...]) -> jax.Array:
    """Cuts samples into cells of nearly equal size: by rank in the first column, then within each cell in the next.

    Args:
      z: samples [n, d].
      cells: number of parts for each of the d columns, static ints.

    Returns:
      [n] int labels from 0 to the product of `cells` - 1; a cell has at most ceil(... ceil(n / c_1) ... / c_d) samples.
      Ties are split in the order of the samples.

    Raises:
      ValueError: when z is not [n, d], or `cells` has not d entries of at least 1.

    References:
      [1] Kim, Neykov, Balakrishnan, Wasserman, "Local permutation tests for conditional independence", Annals of
          Statistics 2022, section 4, on binning; cells of equal count in place of equal width.

    Examples:
      >>> dependence.quantile_cells(np.float32([[3], [1], [2], [9]]), cells=(2,)).tolist()
      [1, 0, 0, 1]
    """
    z = _checks.as_samples(z, "z")
    if len(cells) != z.shape[1] or min(cells) < 1:
        raise ValueError(f"cells: expected {z.shape[1]} numbers of at least 1, one a column of z, got {cells}")
    n = z.shape[0]
    labels = jnp.zeros(n, jnp.int32)
    for column, parts in enumerate(cells):
        order = jnp.lexsort((z[:, column], labels))
        ordered = labels[order]
        start = jnp.searchsorted(ordered, ordered, side="left")
        size = jnp.searchsorted(ordered, ordered, side="right") - start
        # Integers below 2^31 as long as n * parts is: floor of rank * parts / size, exactly.
        part = (jnp.arange(n) - start) * parts // size
        labels = labels.at[order].set((ordered * parts + part).astype(jnp.int32))
    return labels


def centre_within(K: jax.Array, mask: jax.Array) -> jax.Array:
    """Double centring of each stratum's Gram matrix over the samples it has.

    Args:
      K: [s, m, m].
      mask: [s, m], True where there is a sample.

    Returns:
      [s, m, m]; zero outside the mask.
    """
    K = _checks.as_floats(K, "K")
    pairs = mask[:, :, None] & mask[:, None, :]
    count = jnp.maximum(jnp.sum(mask, axis=1), 1).astype(K.dtype)[:, None, None]
    K = jnp.where(pairs, K - jax.lax.stop_gradient(K[:, :1, :1]), 0.0)
    K = jnp.where(pairs, K - jnp.sum(K, axis=2, keepdims=True) / count, 0.0)
    return jnp.where(pairs, K - jnp.sum(K, axis=1, keepdims=True) / count, 0.0)


def _check_stacked(K: jax.Array, L: jax.Array, mask: jax.Array, num_permutations: int) -> None:
    _checks.check_same_shape(K, L, "K, L")
    if jnp.ndim(K) != 3 or K.shape[1] != K.shape[2]:
        raise ValueError(f"K: expected one Gram matrix a stratum, shape [s, m, m], got shape {jnp.shape(K)}")
    if jnp.shape(mask) != K.shape[:2]:
        raise ValueError(f"mask: expected shape {K.shape[:2]} to go with K, got {jnp.shape(mask)}")
    if num_permutations < 1:
        raise ValueError(f"num_permutations: expected at least 1, got {num_permutations}")


def stratified_permutation_test(
    key: jax.Array, K: jax.Array, L: jax.Array, mask: jax.Array, *, num_permutations: int
) -> StratifiedPermutationTest:
    """Tests X _||_ Y | C for a categorical C, permuting Y against X within every stratum.

    The statistic is the mean of the strata's biased HSIC weighted by n_s^2, divided by n_s: sum_s n_s HSIC_b(s) / n.
    Exact at every size: given C, the pairs of a stratum are exchangeable under the hypothesis.

    Args:
      key: random key for the permutations.
      K: Gram matrices of X in each stratum [s, m, m].
      L: Gram matrices of Y in each stratum [s, m, m].
      mask: [s, m], True where there is a sample.
      num_permutations: number B of random permutations, static int, at least 1.

    Returns:
      `StratifiedPermutationTest`; p_value is (1 + #{null >= statistic}) / (1 + B), small against conditional
      independence. Values equal up to rounding count as ties.

    Raises:
      ValueError: when shapes do not agree or B is below 1.

    References:
      [1] Gretton et al., "A kernel statistical test of independence", NIPS 2007, the statistic.
      [2] Phipson, Smyth, "Permutation p-values should never be zero", SAGMB 2010, eq. 2.
      [3] Rosenbaum, "Conditional permutation tests and the propensity score in observational studies", JASA 1984.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> x = rng.normal(size=(2, 10, 1)).astype(np.float32)  # ten samples in each of two strata
      >>> K = jax.vmap(lambda one: dependence.rbf(one, one, bandwidth=1.0))(x)
      >>> mask = np.ones((2, 10), bool)
      >>> test = lambda key: dependence.stratified_permutation_test(key, K, K, mask, num_permutations=99)
      >>> jax.eval_shape(test, jax.random.key(0)).p_value.shape  # traced, not run
      ()
    """
    K, L = _checks.as_floats(K, "K"), _checks.as_floats(L, "L")
    _check_stacked(K, L, mask, num_permutations)
    s, m = mask.shape
    count = jnp.sum(mask, axis=1).astype(K.dtype)
    weight = (1.0 / (jnp.maximum(count, 1.0) * jnp.maximum(jnp.sum(count), 1.0)))[:, None, None]
    A, B = weight * centre_within(K, mask), centre_within(L, mask)

    def permuted(key: jax.Array) -> jax.Array:
        draws = jnp.where(mask, jax.random.uniform(key, (s, m)), 2.0)
        order = jnp.argsort(draws, axis=1)
        rows = jnp.take_along_axis(B, order[:, :, None], axis=1)
        return jnp.sum(A * jnp.take_along_axis(rows, order[:, None, :], axis=2))

    batch_size = max(1, min(num_permutations, _PERMUTATION_ENTRIES // (s * m * m)))
    null = jax.lax.map(permuted, jax.random.split(key, num_permutations), batch_size=batch_size)
    statistic = jnp.sum(A * B)
    rounding = 4 * jnp.finfo(A.dtype).eps * jnp.sqrt(jnp.sum(A * A) * jnp.sum(B * B))
    p_value = (1 + jnp.sum(null >= statistic - rounding)) / (1 + num_permutations)
    p_value = jnp.where(jnp.isnan(statistic), jnp.nan, p_value.astype(A.dtype))
    total = jnp.asarray(num_permutations, jnp.int32)
    return StratifiedPermutationTest(statistic, p_value, jnp.mean(null), jnp.std(null), total)


def conditional_permutation_test(
    key: jax.Array,
    K: jax.Array,
    L: jax.Array,
    labels: jax.Array,
    *,
    num_strata: int,
    largest: int,
    num_permutations: int,
) -> StratifiedPermutationTest:
    """`stratified_permutation_test` from Gram matrices over all samples and the stratum of each.

    With labels from `quantile_cells` it is the local permutation test for a continuous Z: valid as far as the laws of X
    and Y hardly move with Z inside a cell, so with small cells (of three or more: the HSIC of two samples is the same
    either way round). A dependence on Z that is steep inside cells, as in the tails of a heavy-tailed Z, is rejected as
    if it were one between X and Y.

    Args:
      key: random key for the permutations.
      K: Gram matrix of X [n, n].
      L: Gram matrix of Y [n, n].
      labels: stratum of each sample [n], integers from 0.
      num_strata: number of strata, static int.
      largest: an upper bound of the size of the strata, static int.
      num_permutations: number B of random permutations, static int, at least 1.

    Returns:
      `StratifiedPermutationTest`; p_value and statistic are NaN when a sample found no place.

    Raises:
      ValueError: when shapes do not agree or a number is below 1.

    References:
      [1] Kim, Neykov, Balakrishnan, Wasserman, "Local permutation tests for conditional independence", Annals of
          Statistics 2022, algorithm 1 and theorem 2.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(x**2, x**2, bandwidth=0.5)
      >>> cells = dependence.quantile_cells(x, cells=(4,))
      >>> options = {"num_strata": 4, "largest": 5, "num_permutations": 99}
      >>> test = lambda key: dependence.conditional_permutation_test(key, K, L, cells, **options)
      >>> jax.eval_shape(test, jax.random.key(0)).p_value.shape  # traced, not run
      ()
    """
    K, L = _checks.as_gram(K, "K"), _checks.as_gram(L, "L")
    _checks.check_same_shape(K, L, "K, L")
    if jnp.shape(labels) != K.shape[:1]:
        raise ValueError(f"labels: expected shape {K.shape[:1]} to go with K, got {jnp.shape(labels)}")
    strata = stratify(labels, num_strata=num_strata, largest=largest)
    blocks = (strata.indices[:, :, None], strata.indices[:, None, :])
    result = stratified_permutation_test(key, K[blocks], L[blocks], strata.mask, num_permutations=num_permutations)
    complete = strata.num_dropped == 0
    return result._replace(
        statistic=jnp.where(complete, result.statistic, jnp.nan), p_value=jnp.where(complete, result.p_value, jnp.nan)
    )
