"""Kernel tests of conditional independence, X _||_ Y | Z, from Gram matrices (KCI).

The kernel of X is one on the pair (X, Z), as the definition asks; `conditional_kernels.kci_grams` builds all three.
Everything runs in the dtype of the matrices. Functions are for one sample set and may be vmapped.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from causal_iqa.dependence import permutation_moments, weighted_chi_square
from causal_iqa.dependence.hsic import as_grams, centre
from causal_iqa.dependence.residuals import Residuals, residuals


class KCITest(NamedTuple):
    """Result of a KCI test; every field a scalar.

    Attributes:
      statistic: sum of the products of the residual Gram matrices.
      p_value: small against (conditional) independence.
      null_mean: mean of the null law used.
      null_std: its standard deviation.
      ridge: ridge of the regression on Z; 0 when there is none.
    """

    statistic: jax.Array
    p_value: jax.Array
    null_mean: jax.Array
    null_std: jax.Array
    ridge: jax.Array


def _result(
    statistic: jax.Array, p: jax.Array, mean: jax.Array, variance: jax.Array, ridge: jax.Array | float
) -> KCITest:
    return KCITest(statistic, p, mean, jnp.sqrt(jnp.maximum(variance, 0.0)), jnp.asarray(ridge, statistic.dtype))


def kci_gamma_test(K_x: jax.Array, K_y: jax.Array, K_z: jax.Array, *, ridge: jax.Array | float) -> KCITest:
    """KCI as published, with its gamma approximation: causal-learn's test.

    Statistic tr(K~x K~y) of the residual Gram matrices; null mean sum_t K~x_tt K~y_tt and variance
    2 sum_st (K~x_st K~y_st)^2, the trace and squared norm of their elementwise product. It rejects true hypotheses too
    often where the regression uses up many degrees of freedom; `kci_test` mends that.

    Args:
      K_x: Gram matrix of (X, Z) [n, n], n at least 4.
      K_y: Gram matrix of Y [n, n].
      K_z: Gram matrix of Z [n, n].
      ridge: ridge of the regression on Z, positive, in the unit of the kernel; the authors' 1e-3.

    Returns:
      `KCITest`.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 4.

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, "Kernel-based conditional independence test and application in causal
          discovery", UAI 2011, theorem 4, propositions 5 and 6.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)
      >>> K_x, K_y, K_z = (dependence.rbf(one, one, bandwidth=1.0) for one in (x, y, z))
      >>> bool(dependence.kci_gamma_test(K_x, K_y, K_z, ridge=1e-3).p_value > 0.05)  # independent given z
      True
    """
    x, y, _ = residuals(K_x, K_y, K_z, ridge=ridge)
    product = x * y
    statistic, mean = jnp.sum(product), jnp.trace(product)
    variance = 2.0 * jnp.sum(product * product)
    return _result(statistic, weighted_chi_square.satterthwaite_welch(statistic, mean, variance), mean, variance, ridge)


def kci_spectral_test(
    key: jax.Array, K_x: jax.Array, K_y: jax.Array, K_z: jax.Array, *, ridge: jax.Array | float, num_simulations: int
) -> KCITest:
    """KCI as published, its null law simulated from the eigenvalues of the product of the residual matrices.

    Args:
      key: random key for the simulation.
      K_x: Gram matrix of (X, Z) [n, n], n at least 4.
      K_y: Gram matrix of Y [n, n].
      K_z: Gram matrix of Z [n, n].
      ridge: ridge of the regression on Z, positive, in the unit of the kernel.
      num_simulations: number B of draws from the null law, static int, at least 1.

    Returns:
      `KCITest`; p_value is (1 + #{null >= statistic}) / (1 + B).

    Raises:
      ValueError: when the matrices are not square, differ in shape, n is below 4 or B below 1.

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, UAI 2011, proposition 5.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)
      >>> K_x, K_y, K_z = (dependence.rbf(one, one, bandwidth=1.0) for one in (x, y, z))
      >>> test = dependence.kci_spectral_test(jax.random.key(0), K_x, K_y, K_z, ridge=1e-3, num_simulations=500)
      >>> bool(test.p_value > 0.05)
      True
    """
    x, y, _ = residuals(K_x, K_y, K_z, ridge=ridge)
    product = x * y
    weights = jnp.maximum(jnp.linalg.eigvalsh((product + product.T) / 2), 0.0)
    return _simulated_result(key, jnp.sum(product), weights, ridge, num_simulations)


def _simulated_result(
    key: jax.Array, statistic: jax.Array, weights: jax.Array, ridge: jax.Array | float, num_simulations: int
) -> KCITest:
    null = weighted_chi_square.simulated(key, weights, num_simulations=num_simulations)
    p_value = (1 + jnp.sum(null >= statistic)).astype(statistic.dtype) / (1 + num_simulations)
    # A comparison with NaN is false, and a constant variable has weights zero: neither is evidence.
    p_value = jnp.where(jnp.isnan(statistic) | (jnp.max(weights) <= 0), jnp.nan, p_value)
    return _result(statistic, p_value, jnp.sum(weights), 2.0 * jnp.sum(weights * weights), ridge)


def _corrected_moments(left: Residuals) -> tuple[jax.Array, jax.Array, jax.Array]:
    """First three cumulants of the null law of `kci_test`."""
    x, y, squared = left
    own = jnp.diag(squared)
    excess = jnp.sum(squared * squared, axis=1) / jnp.square(own)

    def without_leakage(gram: jax.Array) -> jax.Array:
        scale = jnp.sqrt(jnp.maximum(jnp.diag(gram), 0.0) / own)
        return gram - squared * scale[:, None] * scale[None, :]

    mean = jnp.sum(excess * jnp.diag(x) * jnp.diag(y))
    root = jnp.sqrt(excess)
    product = without_leakage(x) * without_leakage(y) * root[:, None] * root[None, :]
    product = jnp.where(jnp.eye(len(x), dtype=bool), 0.0, product)
    return mean, 2.0 * jnp.sum(product * product), 8.0 * permutation_moments.trace_of_cube(product)


def kci_test(K_x: jax.Array, K_y: jax.Array, K_z: jax.Array, *, ridge: jax.Array | float) -> KCITest:
    """KCI with a null law that knows the regression: calibrated down to n = 50.

    The statistic of `kci_gamma_test`; with P = H R^2 H, these changes to its null law:
    - Mean sum_t g_t K~x_tt K~y_tt with g_t = (P^2)_tt / P_tt^2 >= 1. Residuals of different samples are correlated
      through the regression, so under independent errors the expectation is a sum of P_st^2 over all pairs, of which
      the published mean keeps s = t.
    - Variance 2 sum_{s != t} g_s g_t (K^x_st K^y_st)^2, K^_st = K~_st - P_st (K~_ss K~_tt / (P_ss P_tt))^(1/2): without
      the part that those correlations add, and without s = t, where a fourth power would replace a squared covariance.
    - Third cumulant in the same way over triples (above 512 samples by `permutation_moments.trace_of_cube`), at least
      that of the gamma law, and a shifted gamma law of all three.

    Still assumed: the regression fits E[f(X, Z) | Z] and E[f(Y) | Z] to within the noise. Where its bandwidth and ridge
    cannot follow them every test on residuals rejects too often; half of the median distance times the root of the
    dimension of Z, with ridge 1e-3, on `normal_scores`, serves the calibration study.

    Args:
      K_x: Gram matrix of (X, Z) [n, n], n at least 4.
      K_y: Gram matrix of Y [n, n].
      K_z: Gram matrix of Z [n, n].
      ridge: ridge of the regression on Z, positive, in the unit of the kernel.

    Returns:
      `KCITest`.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 4.

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, UAI 2011, the statistic.
      [2] Cattaneo, Jansson, Newey, "Inference in linear regression models with many covariates and
          heteroscedasticity", JASA 2018, on the squared entries of the residual maker.
      [3] Buckley, Eagleson, "An approximation to the distribution of quadratic forms in normal random variables",
          Australian Journal of Statistics 1988, the law.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)  # independent given z
      >>> K_x, K_y, K_z = dependence.kci_grams(x, y, z, bandwidth_x=1.0, bandwidth_y=1.0, bandwidth_z=0.5)
      >>> bool(dependence.kci_test(K_x, K_y, K_z, ridge=1e-3).p_value > 0.05)
      True
    """
    left = residuals(K_x, K_y, K_z, ridge=ridge)
    statistic = jnp.sum(left.x * left.y)
    mean, variance, third = _corrected_moments(left)
    p_value = weighted_chi_square.shifted_gamma(statistic, mean, variance, third)
    return _result(statistic, p_value, mean, variance, ridge)


def kci_unconditional_gamma_test(K_x: jax.Array, K_y: jax.Array) -> KCITest:
    """The unconditional KCI test with its gamma approximation: causal-learn's test of independence.

    Statistic tr(K~x K~y) of the centred matrices, null mean tr K~x tr K~y / n, variance 2 |K~x|^2 |K~y|^2 / n^2. Few
    samples of many dimensions it rejects too seldom: `hsic_gamma_test` has the exact moments.

    Args:
      K_x: Gram matrix of X [n, n], n at least 4.
      K_y: Gram matrix of Y [n, n].

    Returns:
      `KCITest`, ridge 0.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 4.

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, UAI 2011, theorem 3 and proposition 6.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)
      >>> K_x, K_y, K_z = (dependence.rbf(one, one, bandwidth=1.0) for one in (x, y, z))
      >>> bool(dependence.kci_unconditional_gamma_test(K_x, K_y).p_value < 0.05)  # z drives both
      True
    """
    K_x, K_y = as_grams(K_x, K_y, 4)
    x, y = centre(K_x), centre(K_y)
    n = x.shape[0]
    statistic, mean = jnp.sum(x * y), jnp.trace(x) * (jnp.trace(y) / n)
    variance = 2.0 * (jnp.sum(x * x) / n) * (jnp.sum(y * y) / n)
    p_value = weighted_chi_square.satterthwaite_welch(statistic, mean, variance)
    return _result(statistic, p_value, mean, variance, 0.0)


def kci_unconditional_spectral_test(
    key: jax.Array, K_x: jax.Array, K_y: jax.Array, *, num_eigenvalues: int, num_simulations: int
) -> KCITest:
    """The unconditional KCI test, its null law simulated from products of eigenvalues.

    Args:
      key: random key for the simulation.
      K_x: Gram matrix of X [n, n], n at least 4.
      K_y: Gram matrix of Y [n, n].
      num_eigenvalues: how many of the largest of each matrix are multiplied, static int; what the others leave out of
        the mean is added as a constant.
      num_simulations: number B of draws from the null law, static int, at least 1.

    Returns:
      `KCITest`, ridge 0; p_value is (1 + #{null >= statistic}) / (1 + B).

    Raises:
      ValueError: when the matrices are not square, differ in shape, n is below 4, or a number below 1.

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, UAI 2011, theorem 3.
      [2] Gretton, Fukumizu, Harchaoui, Sriperumbudur, "A fast, consistent kernel two-sample test", NIPS 2009.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)
      >>> K_x, K_y, K_z = (dependence.rbf(one, one, bandwidth=1.0) for one in (x, y, z))
      >>> test = dependence.kci_unconditional_spectral_test(
      ...     jax.random.key(0), K_x, K_y, num_eigenvalues=20, num_simulations=500
      ... )
      >>> bool(test.p_value < 0.05)
      True
    """
    K_x, K_y = as_grams(K_x, K_y, 4)
    if num_eigenvalues < 1:
        raise ValueError(f"num_eigenvalues: expected at least 1, got {num_eigenvalues}")
    x, y = centre(K_x), centre(K_y)
    n = x.shape[0]
    kept = min(num_eigenvalues, n)
    eigenvalues = [jnp.maximum(jnp.linalg.eigvalsh(gram)[n - kept :], 0.0) for gram in (x, y)]
    weights = jnp.outer(eigenvalues[0], eigenvalues[1] / n).reshape(-1)
    rest = jnp.maximum(jnp.trace(x) * (jnp.trace(y) / n) - jnp.sum(weights), 0.0)
    statistic = jnp.sum(x * y)
    result = _simulated_result(key, statistic - rest, weights, 0.0, num_simulations)
    return result._replace(statistic=statistic, null_mean=result.null_mean + rest)
