"""Distance covariance and correlation: HSIC with the kernels that distances induce.

For the kernel `distance_induced` of exponent a and both variables, 4 HSIC is the squared distance covariance of
exponent a, in the biased form as in the unbiased. Centring removes every term of the kernel other than -distance^a / 2.
"""

import jax
import jax.numpy as jnp

from causal_iqa import _checks
from causal_iqa._roots import safe_sqrt
from causal_iqa.dependence import hsic, radial_kernels


def _grams(x: jax.Array, y: jax.Array, exponent: float, smallest: int) -> tuple[jax.Array, jax.Array]:
    x, y = _checks.as_samples(x), _checks.as_samples(y, "y")
    if x.shape[0] != y.shape[0]:
        raise ValueError(f"x, y: expected the same samples, got {x.shape[0]} and {y.shape[0]}")
    if x.shape[0] < smallest:
        raise ValueError(f"x, y: this estimator needs at least {smallest} samples, got {x.shape[0]}")
    if not 0.0 < exponent < 2.0:
        raise ValueError(f"exponent: expected a number in (0, 2), got {exponent}")

    def gram(z: jax.Array) -> jax.Array:
        distance = radial_kernels.distances(z, z)
        if exponent != 1.0:
            distance = radial_kernels.positive_power(distance, exponent)
        return -distance

    return gram(x), gram(y)


def distance_covariance_squared(x: jax.Array, y: jax.Array, *, exponent: float = 1.0) -> jax.Array:
    """Squared distance covariance, biased: mean_ij A_ij B_ij of the double-centred distance matrices.

    Args:
      x: samples [n, d].
      y: samples [n, e].
      exponent: exponent of the distances, static float in (0, 2).

    Returns:
      Scalar, not negative up to rounding; larger is more dependent.

    Raises:
      ValueError: when an argument is not [n, d], the numbers of samples differ, or the exponent is out of range.

    References:
      [1] Szekely, Rizzo, Bakirov, "Measuring and testing dependence by correlation of distances", Annals of Statistics
          2007, definition 4.
      [2] Sejdinovic et al., "Equivalence of distance-based and RKHS-based statistics in hypothesis testing", Annals of
          Statistics 2013, theorem 24: 4 HSIC.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> bool(dependence.distance_covariance_squared(x, y) > 0)
      True
    """
    return hsic.hsic_biased(*_grams(x, y, exponent, 1))


def distance_covariance_squared_unbiased(x: jax.Array, y: jax.Array, *, exponent: float = 1.0) -> jax.Array:
    """Squared distance covariance, unbiased: the inner product of the U-centred distance matrices.

    Args:
      x: samples [n, d], n at least 4.
      y: samples [n, e].
      exponent: exponent of the distances, static float in (0, 2).

    Returns:
      Scalar whose expectation is zero under independence, where it is often negative; larger is more dependent.

    Raises:
      ValueError: when an argument is not [n, d], the numbers of samples differ, n is below 4, or the exponent is out of
        range.

    References:
      [1] Szekely, Rizzo, "Partial distance correlation with methods for dissimilarities", Annals of Statistics 2014,
          eq. 2.5 and proposition 1.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> bool(dependence.distance_covariance_squared_unbiased(x, y) > 0)
      True
    """
    return hsic.hsic_unbiased(*_grams(x, y, exponent, 4))


def distance_correlation(x: jax.Array, y: jax.Array, *, exponent: float = 1.0) -> jax.Array:
    """Distance correlation, biased: the root of the squared covariance over the root of the product of variances.

    Args:
      x: samples [n, d], n at least 2.
      y: samples [n, e].
      exponent: exponent of the distances, static float in (0, 2).

    Returns:
      Scalar in [0, 1]; larger is more dependent. NaN, with gradient zero, when a variable is constant.

    Raises:
      ValueError: when an argument is not [n, d], the numbers of samples differ, n is below 2, or the exponent is out of
        range.

    References:
      [1] Szekely, Rizzo, Bakirov, "Measuring and testing dependence by correlation of distances", Annals of Statistics
          2007, definition 5.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> round(float(dependence.distance_correlation(x, y)), 1)
      0.5
    """
    K, L = _grams(x, y, exponent, 2)
    squared = hsic.correlation(K, hsic.centre(K), L, hsic.centre(L))
    return jnp.where(jnp.isnan(squared), jnp.nan, safe_sqrt(jnp.where(jnp.isnan(squared), 0.0, squared)))


def distance_correlation_squared_unbiased(x: jax.Array, y: jax.Array, *, exponent: float = 1.0) -> jax.Array:
    """Bias-corrected squared distance correlation: the cosine of the U-centred distance matrices.

    Args:
      x: samples [n, d], n at least 4.
      y: samples [n, e].
      exponent: exponent of the distances, static float in (0, 2).

    Returns:
      Scalar in [-1, 1], near 0 for independent variables, for which it is often negative; larger is more dependent.
      NaN, with gradient zero, when a variable is constant.

    Raises:
      ValueError: when an argument is not [n, d], the numbers of samples differ, n is below 4, or the exponent is out of
        range.

    References:
      [1] Szekely, Rizzo, "The distance correlation t-test of independence in high dimension", Journal of Multivariate
          Analysis 2013, eq. 2.10; in the form of the 2014 paper.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> round(float(dependence.distance_correlation_squared_unbiased(x, x)), 3)
      1.0
    """
    K, L = _grams(x, y, exponent, 4)
    return hsic.correlation(K, hsic.u_centre(K), L, hsic.u_centre(L))
