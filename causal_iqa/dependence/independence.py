"""Tests of independence by HSIC: permutations, a gamma distribution, and a weighted sum of chi squares.

All take the Gram matrices of two variables over the same n samples, and any kernel. They agree in the statistic, the
biased HSIC, and in the null hypothesis, that the samples of one variable are exchangeable against the other.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from causal_iqa.dependence import hsic, permutation_moments, permutations, weighted_chi_square

# Values closer than so many rounding units of the largest possible one are ties.
TIE_UNITS = 4
# Leading eigenvalues of each variable whose products are ranked, and vectors sought beyond, so that these are near.
_EIGENVALUES = 32
_OVERSAMPLING = 16


class Pair(NamedTuple):
    """Both variables' matrices without what no permutation moves, and how to get from their product to HSIC.

    HSIC is scale (product + shift).
    """

    M: permutation_moments.Traceless
    N: permutation_moments.Traceless
    product: jax.Array
    shift: jax.Array
    scale: jax.Array


def pair(K: jax.Array, L: jax.Array, smallest: int) -> Pair:
    """Centres two Gram matrices.

    Args:
      K: Gram matrix of the first variable [n, n], symmetric.
      L: Gram matrix of the second variable [n, n], symmetric.
      smallest: fewest samples, static int.

    Returns:
      `Pair`.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below `smallest`.
    """
    K, L = hsic.as_grams(K, L, smallest)
    n = K.shape[0]
    M, N = permutation_moments.traceless(K), permutation_moments.traceless(L)
    return Pair(M, N, M.product(N), M.trace * N.trace / (n - 1), M.unit * N.unit / n**2)


def settle(p_value: jax.Array, both: Pair) -> jax.Array:
    """The p-value, 1 where a variable is constant and NaN where a matrix holds NaN."""
    undefined = jnp.isnan(both.M.norm * both.N.norm * both.scale)
    p_value = jnp.where(both.M.varies & both.N.varies, p_value, 1.0)
    return jnp.where(undefined, jnp.nan, p_value).astype(both.product.dtype)


class HSICPermutationTest(NamedTuple):
    """Result of `hsic_permutation_test`; every field a scalar."""

    statistic: jax.Array
    p_value: jax.Array
    null_mean: jax.Array
    null_std: jax.Array
    num_permutations: jax.Array


def hsic_permutation_test(key: jax.Array, K: jax.Array, L: jax.Array, *, num_permutations: int) -> HSICPermutationTest:
    """Tests independence by permuting the samples of the second variable against the first.

    n permutations at a time, a random coset of a random cyclic subgroup, cost one Fourier transform of the matrices'
    diagonals (see `permutations`): 1000 permutations of 1000 samples take milliseconds, exactly.

    Args:
      key: random key for the permutations.
      K: Gram matrix of the first variable [n, n], symmetric, n at least 2.
      L: Gram matrix of the second variable [n, n], symmetric.
      num_permutations: number B of random permutations, static int, at least 1.

    Returns:
      `HSICPermutationTest` of scalars: statistic, the biased HSIC; p_value, (1 + #{null >= statistic}) / (1 + B), small
      against independence, valid at every n when samples are exchangeable; null_mean and null_std over the
      permutations. Values equal up to rounding count as ties.

    Raises:
      ValueError: when the matrices are not square, differ in shape, n is below 2 or B below 1.

    References:
      [1] Gretton et al., "A kernel statistical test of independence", NIPS 2007, section 4.
      [2] Phipson, Smyth, "Permutation p-values should never be zero", SAGMB 2010, eq. 2.
      [3] Hemerik, Goeman, "Exact testing with random permutations", TEST 2018, theorems 1 and 2.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(x**2, x**2, bandwidth=0.5)
      >>> bool(dependence.hsic_permutation_test(jax.random.key(0), K, L, num_permutations=199).p_value < 0.05)
      True
    """
    check_resamples(num_permutations, "num_permutations")
    both = pair(K, L, 2)
    observed, null = permutations.permuted_products(
        key, both.M.matrix()[None], both.N.matrix()[None], num_permutations=num_permutations
    )
    observed, null = observed[0, 0], null[:, 0, 0]
    slack = TIE_UNITS * jnp.finfo(null.dtype).eps * both.M.norm * both.N.norm
    return HSICPermutationTest(
        statistic=(both.product + both.shift) * both.scale,
        p_value=settle((1 + jnp.sum(null >= observed - slack)) / (1 + num_permutations), both),
        null_mean=(jnp.mean(null) + both.shift) * both.scale,
        null_std=jnp.std(null) * both.scale,
        num_permutations=jnp.int32(num_permutations),
    )


def check_resamples(count: int, name: str) -> None:
    """Raises ValueError unless a number of random draws is at least 1."""
    if count < 1:
        raise ValueError(f"{name}: expected at least 1, got {count}")


class HSICGammaTest(NamedTuple):
    """Result of `hsic_gamma_test`; every field a scalar."""

    statistic: jax.Array
    p_value: jax.Array
    null_mean: jax.Array
    null_std: jax.Array
    null_skewness: jax.Array


def hsic_gamma_test(K: jax.Array, L: jax.Array) -> HSICGammaTest:
    """Tests independence by a gamma distribution with the first three moments of the permutation distribution.

    The classical form takes two moments, estimated for many samples, and a gamma distribution that starts at zero; at
    50 to 300 heavy-tailed samples its level of .05 is in truth up to .057. Here the mean, variance and skewness are
    those over all n! permutations, and the gamma distribution is shifted to them (Pearson's type III).

    Args:
      K: Gram matrix of the first variable [n, n], symmetric, n at least 4.
      L: Gram matrix of the second variable [n, n], symmetric.

    Returns:
      `HSICGammaTest` of scalars: statistic, the biased HSIC; p_value, small against independence; the moments of the
      null distribution, exact over all permutations (the skewness so up to n = 512: see `permutation_moments`).

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 4.

    References:
      [1] Gretton et al., "A kernel statistical test of independence", NIPS 2007, section 3: the two-moment form.
      [2] Kazi-Aoual et al., "Refined approximations to permutation tests for multivariate inference", Computational
          Statistics and Data Analysis 1995: the three moments, and Pearson's type III.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(x**2, x**2, bandwidth=0.5)
      >>> bool(dependence.hsic_gamma_test(K, L).p_value < 0.05)
      True
    """
    both = pair(K, L, 4)
    std = permutation_moments.permutation_std(both.M, both.N)
    skewness = permutation_moments.permutation_skewness(both.M, both.N)
    varies = std > 0
    p_value = weighted_chi_square.pearson3_survival(
        both.product / jnp.where(varies, std, 1.0), jnp.where(varies, skewness, 0.0)
    )
    return HSICGammaTest(
        statistic=(both.product + both.shift) * both.scale,
        p_value=settle(jnp.where(varies, p_value, 1.0), both),
        null_mean=both.shift * both.scale,
        null_std=std * both.scale,
        null_skewness=skewness,
    )


class HSICSpectralTest(NamedTuple):
    """Result of `hsic_spectral_test`; every field a scalar."""

    statistic: jax.Array
    p_value: jax.Array
    null_mean: jax.Array
    null_std: jax.Array
    num_samples: jax.Array
    num_terms: jax.Array


def hsic_spectral_test(
    key: jax.Array, K: jax.Array, L: jax.Array, *, num_samples: int, num_terms: int = 128
) -> HSICSpectralTest:
    """Tests independence by the limit law of HSIC, a sum of chi squares weighted by products of eigenvalues.

    n HSIC_b tends to sum_ij lambda_i mu_j z_ij^2 with the eigenvalues of the centred matrices over n. The largest
    products, of 32 eigenvalues each, are drawn; the many small ones stand as one normal term of their variance; mean
    and deviation are set to those over all permutations, which the limit reaches only for many samples. No
    eigendecomposition of an [n, n] matrix, so O(n^2).

    Args:
      key: random key for the draws.
      K: Gram matrix of the first variable [n, n], symmetric, n at least 4.
      L: Gram matrix of the second variable [n, n], symmetric.
      num_samples: draws N of the limit law, static int, at least 1.
      num_terms: products drawn, static int, at least 1; there are no more than min(n, 32)^2.

    Returns:
      `HSICSpectralTest` of scalars: statistic, the biased HSIC; p_value, (1 + #{drawn >= statistic}) / (1 + N), small
      against independence; the null's mean and deviation, exact over all permutations; the settings.

    Raises:
      ValueError: when the matrices are not square, differ in shape, n is below 4, or a number is below 1.

    References:
      [1] Gretton, Fukumizu, Harchaoui, Sriperumbudur, "A fast, consistent kernel two-sample test", NIPS 2009, theorem
          1: the spectra of the empirical matrices in the limit law.
      [2] Zhang, Filippi, Gretton, Sejdinovic, "Large-scale kernel methods for independence testing", Statistics and
          Computing 2018, section 3.2.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(x**2, x**2, bandwidth=0.5)
      >>> test = lambda key: dependence.hsic_spectral_test(key, K, L, num_samples=200)
      >>> jax.eval_shape(test, jax.random.key(0)).p_value.shape  # traced, not run
      ()
    """
    check_resamples(num_samples, "num_samples")
    check_resamples(num_terms, "num_terms")
    both = pair(K, L, 4)
    n = K.shape[0]
    rank = min(n, _EIGENVALUES)

    def leading(matrix: permutation_moments.Traceless) -> jax.Array:
        basis, image = permutation_moments.leading_subspace(matrix.apply_with_trace, n, min(n, rank + _OVERSAMPLING))
        ritz = jnp.linalg.eigvalsh(jnp.matmul(basis.T, image, precision=jax.lax.Precision.HIGHEST))
        return ritz[jnp.argsort(-jnp.abs(ritz))[:rank]]

    # Both in one: two batched decompositions side by side can wait for each other's threads on a CPU of two cores.
    eigenvalues = jax.vmap(leading)(jax.tree.map(lambda *leaves: jnp.stack(leaves), both.M, both.N))
    products = (eigenvalues[0][:, None] * eigenvalues[1][None, :]).reshape(-1)
    num_terms = min(num_terms, rank * rank)
    weights = products[jnp.argsort(-jnp.abs(products))[:num_terms]]
    # The squares of a matrix's eigenvalues sum to that of its norm, and those of the products to the norms' product.
    total = jnp.prod(jnp.stack([m.norm**2 + m.trace**2 / (n - 1) for m in (both.M, both.N)]))
    total = jnp.where(total > 0, total, 1.0)
    rest = jnp.sqrt(jnp.maximum(1.0 - jnp.sum(weights**2) / total, 0.0))
    normal = jax.random.normal(key, (num_samples, num_terms + 1), weights.dtype)
    drawn = jnp.sum((normal[:, 1:] ** 2 - 1.0) * weights[None, :], axis=1) / jnp.sqrt(2.0 * total)
    std = permutation_moments.permutation_std(both.M, both.N)
    varies = std > 0
    exceeding = jnp.sum(drawn + rest * normal[:, 0] >= both.product / jnp.where(varies, std, 1.0))
    return HSICSpectralTest(
        statistic=(both.product + both.shift) * both.scale,
        p_value=settle(jnp.where(varies, (1 + exceeding) / (1 + num_samples), 1.0), both),
        null_mean=both.shift * both.scale,
        null_std=std * both.scale,
        num_samples=jnp.int32(num_samples),
        num_terms=jnp.int32(num_terms),
    )
