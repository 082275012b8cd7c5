"""Tests of independence by HSIC: permutations, a gamma distribution, and a weighted sum of chi squares.

All take the Gram matrices of two variables over the same n samples, and any kernel. They agree in the statistic, the
biased HSIC, and in the null hypothesis, that the samples of one variable are exchangeable against the other.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaincc, ndtr

from causal_iqa.dependence import hsic, permutation_moments, permutations

# Below this skewness float32 loses digits of the incomplete gamma function, and the cube root is normal to 1e-4.
_LITTLE_SKEWNESS = 0.15
# Values closer than so many rounding units of the largest possible one are ties.
_TIE_UNITS = 4
# Leading eigenvalues of each variable whose products are ranked, and vectors sought beyond, so that these are near.
_EIGENVALUES = 32
_OVERSAMPLING = 16


class Centred(NamedTuple):
    """Two centred matrices of Frobenius norm 1, the factor to HSIC, and whether both variables vary."""

    A: jax.Array
    B: jax.Array
    scale: jax.Array
    varies: jax.Array


def centred_pair(K: jax.Array, L: jax.Array, smallest: int) -> Centred:
    """Centres two Gram matrices and brings them to one scale.

    Args:
      K: Gram matrix of the first variable [n, n].
      L: Gram matrix of the second variable [n, n].
      smallest: fewest samples, static int.

    Returns:
      `Centred`.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below `smallest`.
    """
    hsic.check_grams(K, L, smallest)
    centred, units, varies = [], [], []
    for gram in (K, L):
        centred.append(hsic.centre(gram))
        unit, several = hsic.unit_norm(gram, centred[-1])
        units.append(unit)
        varies.append(several | jnp.any(jnp.isnan(centred[-1])))
    norms = [jnp.sqrt(jnp.sum(c * c)) for c in centred]
    return Centred(*units, norms[0] * norms[1] / K.shape[0] ** 2, varies[0] & varies[1])


def settle(p_value: jax.Array, pair: Centred) -> jax.Array:
    """The p-value, 1 where a variable is constant and NaN where a matrix holds NaN."""
    undefined = jnp.isnan(jnp.sum(pair.A) + jnp.sum(pair.B) + pair.scale)
    return jnp.where(undefined, jnp.nan, jnp.where(pair.varies, p_value, 1.0)).astype(pair.A.dtype)


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
    """
    check_resamples(num_permutations, "num_permutations")
    pair = centred_pair(K, L, 2)
    observed, null = permutations.permuted_products(key, pair.A[None], pair.B[None], num_permutations=num_permutations)
    observed, null = observed[0, 0], null[:, 0, 0]
    exceeding = jnp.sum(null >= observed - _TIE_UNITS * jnp.finfo(null.dtype).eps)
    return HSICPermutationTest(
        statistic=hsic.hsic_biased(K, L),
        p_value=settle((1 + exceeding) / (1 + num_permutations), pair),
        null_mean=jnp.mean(null) * pair.scale,
        null_std=jnp.std(null) * pair.scale,
        num_permutations=jnp.int32(num_permutations),
    )


def check_resamples(count: int, name: str) -> None:
    """Raises ValueError unless a number of random draws is at least 1."""
    if count < 1:
        raise ValueError(f"{name}: expected at least 1, got {count}")


def pearson3_survival(z: jax.Array, skewness: jax.Array) -> jax.Array:
    """P(Z > z) for a shifted gamma distribution of mean 0, variance 1 and a given skewness: Pearson's type III.

    Args:
      z: standardised value.
      skewness: of either sign, or zero.

    Returns:
      In [0, 1], to 1e-4.

    References:
      [1] Wilson, Hilferty, "The distribution of chi-square", PNAS 1931: the cube root, used for little skewness.
    """
    # A negative skewness mirrors the distribution.
    sign = jnp.where(skewness < 0, -1.0, 1.0)
    z, skewness = sign * z, jnp.abs(skewness)
    little = skewness < _LITTLE_SKEWNESS
    safe = jnp.where(little, 1.0, skewness)
    shape = 4.0 / safe**2
    gamma = gammaincc(shape, jnp.maximum(shape + jnp.sqrt(shape) * z, 0.0))
    tiny = skewness < 1e-4
    safe = jnp.where(little & ~tiny, skewness, 1.0)
    root = jnp.expm1(jnp.log1p(jnp.maximum(safe * z / 2.0, -1.0 + 1e-6)) / 3.0)
    normal = ndtr(-jnp.where(tiny, z, 6.0 / safe * (root + safe**2 / 36.0)))
    above = jnp.where(little, normal, gamma)
    return jnp.where(sign < 0, 1.0 - above, above)


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
      null distribution, exact over all permutations (the skewness so up to n = 1024: see `permutation_moments`).

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 4.

    References:
      [1] Gretton et al., "A kernel statistical test of independence", NIPS 2007, section 3: the two-moment form.
      [2] Kazi-Aoual et al., "Refined approximations to permutation tests for multivariate inference", Computational
          Statistics and Data Analysis 1995: the three moments, and Pearson's type III.
    """
    pair = centred_pair(K, L, 4)
    moments = permutation_moments.permutation_moments(pair.A, pair.B)
    varies = moments.std > 0
    z = (jnp.sum(pair.A * pair.B) - moments.mean) / jnp.where(varies, moments.std, 1.0)
    p_value = jnp.where(varies, pearson3_survival(z, jnp.where(varies, moments.skewness, 0.0)), 1.0)
    return HSICGammaTest(
        statistic=hsic.hsic_biased(K, L),
        p_value=settle(p_value, pair),
        null_mean=moments.mean * pair.scale,
        null_std=moments.std * pair.scale,
        null_skewness=moments.skewness,
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
    """
    check_resamples(num_samples, "num_samples")
    check_resamples(num_terms, "num_terms")
    pair = centred_pair(K, L, 4)
    n = K.shape[0]
    rank = min(n, _EIGENVALUES)

    def leading(matrix: jax.Array) -> jax.Array:
        basis, image = permutation_moments.leading_subspace(matrix, min(n, rank + _OVERSAMPLING))
        ritz = jnp.linalg.eigvalsh(jnp.matmul(basis.T, image, precision=jax.lax.Precision.HIGHEST))
        return ritz[jnp.argsort(-jnp.abs(ritz))[:rank]]

    # Both in one: two batched decompositions side by side can wait for each other's threads on a CPU of two cores.
    eigenvalues = jax.vmap(leading)(jnp.stack([pair.A, pair.B]))
    products = (eigenvalues[0][:, None] * eigenvalues[1][None, :]).reshape(-1)
    num_terms = min(num_terms, rank * rank)
    weights = products[jnp.argsort(-jnp.abs(products))[:num_terms]]
    # The squares of all eigenvalues of a matrix of norm 1 sum to 1, and so do those of the products.
    rest = jnp.sqrt(jnp.maximum(1.0 - jnp.sum(weights**2), 0.0))
    normal = jax.random.normal(key, (num_samples, num_terms + 1), weights.dtype)
    drawn = jnp.sum((normal[:, 1:] ** 2 - 1.0) * weights[None, :], axis=1) / jnp.sqrt(2.0) + rest * normal[:, 0]
    moments = permutation_moments.mean_and_std(pair.A, pair.B)
    z = (jnp.sum(pair.A * pair.B) - moments[0]) / jnp.where(moments[1] > 0, moments[1], 1.0)
    p_value = jnp.where(moments[1] > 0, (1 + jnp.sum(drawn >= z)) / (1 + num_samples), 1.0)
    return HSICSpectralTest(
        statistic=hsic.hsic_biased(K, L),
        p_value=settle(p_value, pair),
        null_mean=moments[0] * pair.scale,
        null_std=moments[1] * pair.scale,
        num_samples=jnp.int32(num_samples),
        num_terms=jnp.int32(num_terms),
    )
