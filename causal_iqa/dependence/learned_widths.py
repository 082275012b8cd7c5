"""The width of Z and the ridge of a conditional test, learned from the samples by leave-one-out error.

A test on residuals holds its level only where the regression on Z follows X and Y. `conditional_kernels` takes one
width by rule; this module takes the regression of a grid that predicts best, because steep curves need other widths.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from causal_iqa import _checks
from causal_iqa.dependence import kernels
from causal_iqa.dependence.hsic import as_grams, centre

# Widths as factors of the rule's, and ridges in the unit of the kernel. The rule is among them.
WIDTH_FACTORS = (2.0, 1.0, 0.5, 0.25, 0.125)
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
# The regression that predicts best leaves a bias as large as its noise, which a test takes for dependence. A test takes
# half of that width, and no more ridge than this (chosen on sin(3z) and cos(3z) at n = 150; docs/calibration.md).
_UNDERSMOOTHING, _MOST_RIDGE = 0.5, 0.1
_PRECISION = jax.lax.Precision.HIGHEST


class LearnedRegression(NamedTuple):
    """What `learn_regression` found; every field a scalar.

    Attributes:
      bandwidth: length scale of the kernel on Z that a test should take, half of the best.
      ridge: that a test should take.
      error: geometric mean of the leave-one-out errors of X and of Y at the best pair, as shares of their
        variances.
      error_of_rule: the error at the given width and the smallest ridge, that is, without learning.
    """

    bandwidth: jax.Array
    ridge: jax.Array
    error: jax.Array
    error_of_rule: jax.Array


def _product(*matrices: jax.Array) -> jax.Array:
    result = matrices[0]
    for matrix in matrices[1:]:
        result = jnp.matmul(result, matrix, precision=_PRECISION)
    return result


def leave_one_out_errors(K: jax.Array, K_z: jax.Array, ridges: jax.Array) -> jax.Array:
    """Leave-one-out errors of kernel ridge regression of a variable, given by its Gram matrix, on Z.

    The sum over samples of |phi(x_i) - prediction without i|^2, in closed form: with R = ridge (H K_z H + ridge I)^-1
    the residual of sample i is (R H phi)_i / (R_ii - 1/n), where 1/n stands for the intercept.

    Args:
      K: Gram matrix of the variable [n, n].
      K_z: Gram matrix of Z [n, n].
      ridges: [r], positive, in the unit of the kernel of Z.

    Returns:
      [r], as shares of the variance of the variable (tr H K H); NaN where it does not vary.

    Raises:
      ValueError: when the matrices are not square or differ in shape.

    References:
      [1] Allen, "The relationship between variable selection and data augmentation and a method for prediction",
          Technometrics 16, 1974.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)  # independent given z
      >>> K, K_z = (dependence.rbf(one, one, bandwidth=1.0) for one in (x, z))
      >>> errors = dependence.leave_one_out_errors(K, K_z, np.float32([1.0, 1e4]))
      >>> bool(errors[0] < errors[1])  # so much ridge leaves nothing of the regression
      True
    """
    K, K_z = as_grams(K, K_z, 4)
    centred = centre(K)
    eigenvalues, vectors = jnp.linalg.eigh(centre(K_z))
    eigenvalues = jnp.maximum(eigenvalues, 0.0)
    rotated = _product(vectors.T, centred, vectors)
    squares = jnp.square(vectors)

    def error(ridge: jax.Array) -> jax.Array:
        left = ridge / (eigenvalues + ridge)
        scaled = vectors * left[None, :]
        own = jnp.sum(_product(scaled, rotated) * scaled, axis=1)
        # The constant is an eigenvector of eigenvalue 0: the regression has an intercept, which leaves none of it.
        leverage_left = squares @ left - 1.0 / K.shape[0]
        return jnp.sum(own / jnp.square(jnp.maximum(leverage_left, jnp.finfo(K.dtype).eps)))

    total = jnp.trace(centred)
    return jax.lax.map(error, ridges) / jnp.where(total > 0, total, jnp.nan)


def learn_regression(
    K_x: jax.Array, K_y: jax.Array, z: jax.Array, *, bandwidth: jax.Array | float
) -> LearnedRegression:
    """Width of the kernel on Z and ridge whose regression predicts X and Y best.

    Among `WIDTH_FACTORS` times the bandwidth given and `RIDGES`, the pair with the least product of the leave-one-out
    errors of X and Y; then half of that width and a ridge of at most 0.1, since what predicts best leaves a bias of the
    order of its noise. One regression serves both, as the null law of `kci_test` asks.

    Args:
      K_x: Gram matrix of X without Z [n, n].
      K_y: Gram matrix of Y [n, n].
      z: samples of Z [n, d], scaled as the kernel will see them.
      bandwidth: the width by rule, positive.

    Returns:
      `LearnedRegression`.

    Raises:
      ValueError: when shapes do not agree.

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, UAI 2011, section 3.4, who learn width and noise by Gaussian processes.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)  # independent given z
      >>> K_x, K_y = (dependence.rbf(one, one, bandwidth=1.0) for one in (x, y))
      >>> learned = dependence.learn_regression(K_x, K_y, z, bandwidth=1.0)
      >>> bool(learned.ridge <= 0.1)
      True
    """
    z = jnp.asarray(_checks.as_samples(z, "z"))
    ridges = jnp.asarray(RIDGES, z.dtype)

    def errors(factor: jax.Array) -> jax.Array:
        K_z = kernels.rbf(z, z, bandwidth=factor * bandwidth)
        of_x, of_y = (leave_one_out_errors(K, K_z, ridges) for K in (K_x, K_y))
        return jnp.sqrt(of_x * of_y)

    factors = jnp.asarray(WIDTH_FACTORS, z.dtype)
    found = jax.lax.map(errors, factors)
    best = jnp.argmin(jnp.where(jnp.isnan(found), jnp.inf, found))
    width, ridge = jnp.unravel_index(best, found.shape)
    rule = found[WIDTH_FACTORS.index(1.0), RIDGES.index(1e-3)]
    used = jnp.minimum(ridges[ridge], _MOST_RIDGE)
    return LearnedRegression(_UNDERSMOOTHING * factors[width] * bandwidth, used, found[width, ridge], rule)
