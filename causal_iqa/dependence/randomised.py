"""Conditional independence in time linear in the samples: RCIT and RCoT, by random Fourier features."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg

from causal_iqa import _checks
from causal_iqa.dependence import feature_maps, weighted_chi_square

_PRECISION = jax.lax.Precision.HIGHEST


class RandomisedTest(NamedTuple):
    """Result of a test on random features; every field a scalar.

    Attributes:
      statistic: n |C_xy.z|^2, squared norm of the sum of products of residual features, over n.
      p_value: small against conditional independence.
      null_mean: mean of the null law used.
      null_std: its standard deviation.
      ridge: ridge of the regression on the features of Z.
      degrees_of_freedom: the regression uses up, below n.
    """

    statistic: jax.Array
    p_value: jax.Array
    null_mean: jax.Array
    null_std: jax.Array
    ridge: jax.Array
    degrees_of_freedom: jax.Array


class _Regression(NamedTuple):
    basis: jax.Array  # U [n, m]: predictions are U U^T v
    gram: jax.Array  # U^T U [m, m]


def _regression(f_z: jax.Array, ridge: jax.Array | float) -> _Regression:
    # A triangular factor of the features over the root of the ridge: half the digits lost of the normal equations.
    width = f_z.shape[1]
    root = jnp.sqrt(jnp.asarray(ridge, f_z.dtype)) * jnp.eye(width, dtype=f_z.dtype)
    factor = jnp.linalg.qr(jnp.concatenate([f_z, root]), mode="r")
    basis = jax.scipy.linalg.solve_triangular(factor, f_z.T, trans="T").T
    return _Regression(basis, jnp.matmul(basis.T, basis, precision=_PRECISION))


def _excess(regression: _Regression) -> jax.Array:
    """(P^2)_tt / P_tt^2 of P = H R^2 H, R = I - U U^T the residual maker, without forming it."""
    U, G = regression
    identity = jnp.eye(len(G), dtype=U.dtype)
    # The columns of U sum to zero, so P = H - U C U^T with C = 2 I - G, and P^2 = H - U (2 C - C G C) U^T.
    C = 2.0 * identity - G
    D = 2.0 * C - jnp.matmul(jnp.matmul(C, G, precision=_PRECISION), C, precision=_PRECISION)
    second, fourth = (1.0 - 1.0 / len(U) - jnp.sum(jnp.matmul(U, M, precision=_PRECISION) * U, axis=1) for M in (C, D))
    rounding = 8 * jnp.finfo(U.dtype).eps
    return jnp.where(second > rounding, fourth / jnp.square(jnp.maximum(second, rounding)), 1.0)


def _off_diagonal_cumulants(u: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Trace of u u^T, and sums over distinct pairs and triples of samples: 2 sum M_st^2, 8 sum M_st M_tr M_rs.

    Only over distinct samples do powers of M = u u^T estimate those of the covariance it averages to.
    """
    squares = jnp.sum(u * u, axis=1)
    A = jnp.matmul(u.T, u, precision=_PRECISION)
    forms = jnp.sum(jnp.matmul(u, A, precision=_PRECISION) * u, axis=1)
    pairs = jnp.sum(A * A) - jnp.sum(squares**2)
    cubes = jnp.sum(jnp.matmul(A, A, precision=_PRECISION) * A)
    triples = cubes - 3.0 * jnp.sum(squares * forms) + 2.0 * jnp.sum(squares**3)
    return jnp.sum(squares), 2.0 * pairs, 8.0 * triples


def randomised_test(f_x: jax.Array, f_y: jax.Array, f_z: jax.Array, *, ridge: jax.Array | float) -> RandomisedTest:
    """Tests X _||_ Y | Z on features of each.

    Features of X and Y are regressed on those of Z by ridge regression; the statistic is the squared norm of the
    residuals' cross-covariance, times n. Its null law, a weighted sum of chi-squares, is taken as a shifted gamma law
    with a mean that knows the regression and higher cumulants over distinct samples, as in `kci_test`.

    Args:
      f_x: features of X, or of (X, Z) [n, p].
      f_y: features of Y [n, q].
      f_z: features of Z [n, m].
      ridge: positive, in the unit of f_z . f_z; not multiplied by n.

    Returns:
      `RandomisedTest`. Memory and time grow as n (m + p q).

    Raises:
      ValueError: when an argument is not [n, d] or the numbers of samples differ.

    References:
      [1] Strobl, Zhang, Visweswaran, "Approximate kernel-based conditional independence tests for fast non-parametric
          causal discovery", Journal of Causal Inference 2019, sections 4 and 5.
      [2] Cattaneo, Jansson, Newey, "Inference in linear regression models with many covariates and
          heteroscedasticity", JASA 2018, on the excess.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)  # independent given z
      >>> f_x, f_y, f_z = (np.concatenate([one, one**2], axis=1) for one in (x, y, z))
      >>> bool(dependence.randomised_test(f_x, f_y, f_z, ridge=1e-3).p_value > 0.05)
      True
    """
    f_x, f_y, f_z = (_checks.as_samples(f, name) for f, name in ((f_x, "f_x"), (f_y, "f_y"), (f_z, "f_z")))
    n = f_x.shape[0]
    if not n == f_y.shape[0] == f_z.shape[0]:
        raise ValueError(f"f_x, f_y, f_z: expected the same samples, got {n}, {f_y.shape[0]} and {f_z.shape[0]}")
    f_x, f_y, f_z = (f - jnp.mean(f, axis=0, keepdims=True) for f in (f_x, f_y, f_z))
    regression = _regression(f_z, ridge)

    def residuals(features: jax.Array) -> jax.Array:
        coefficients = jnp.matmul(regression.basis.T, features, precision=_PRECISION)
        return features - jnp.matmul(regression.basis, coefficients, precision=_PRECISION)

    e_x, e_y = residuals(f_x), residuals(f_y)
    statistic = jnp.sum(jnp.square(jnp.matmul(e_x.T, e_y, precision=_PRECISION))) / n
    excess = _excess(regression)
    products = (jnp.sqrt(excess / n)[:, None, None] * e_x[:, :, None] * e_y[:, None, :]).reshape(n, -1)
    mean, variance, third = _off_diagonal_cumulants(products)
    p_value = weighted_chi_square.shifted_gamma(statistic, mean, variance, third)
    used = jnp.trace(regression.gram)
    deviation = jnp.sqrt(jnp.maximum(variance, 0.0))
    return RandomisedTest(statistic, p_value, mean, deviation, jnp.asarray(ridge, statistic.dtype), used)


def _random_features(key: jax.Array, x: jax.Array, number: int, bandwidth: jax.Array | float) -> jax.Array:
    centre = jnp.mean(x, axis=0)
    return feature_maps.fourier_map(key, x.shape[1], num_frequencies=number, bandwidth=bandwidth, centre=centre)(x)


def rcot_test(
    key: jax.Array,
    x: jax.Array,
    y: jax.Array,
    z: jax.Array,
    *,
    bandwidth_x: jax.Array | float,
    bandwidth_y: jax.Array | float,
    bandwidth_z: jax.Array | float,
    num_frequencies: int,
    num_frequencies_z: int,
    ridge: jax.Array | float,
) -> RandomisedTest:
    """RCoT: `randomised_test` on Fourier features of X, of Y and of Z.

    Sees a dependence of X and Y whose average over Z does not vanish; `rcit_test` sees all.

    Args:
      key: random key of the frequencies; another key gives another test.
      x: samples [n, d_x].
      y: samples [n, d_y].
      z: samples [n, d_z].
      bandwidth_x: length scale of the kernel on x, positive.
      bandwidth_y: length scale of the kernel on y, positive.
      bandwidth_z: length scale of the kernel on z, positive.
      num_frequencies: number of frequencies of X and of Y, static int; two features each, so about 3.
      num_frequencies_z: number of frequencies of Z, static int, about 50.
      ridge: ridge of the regression on Z, positive, in the unit of the kernel, about 1e-3.

    Returns:
      `RandomisedTest`.

    Raises:
      ValueError: when an argument is not [n, d], the numbers of samples differ, or a number is below 1.

    References:
      [1] Strobl, Zhang, Visweswaran, Journal of Causal Inference 2019, section 5.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)  # independent given z
      >>> widths = {"bandwidth_x": 1.0, "bandwidth_y": 1.0, "bandwidth_z": 1.0}
      >>> numbers = {"num_frequencies": 3, "num_frequencies_z": 20, "ridge": 1e-3}
      >>> test = lambda key: dependence.rcot_test(key, x, y, z, **widths, **numbers)
      >>> jax.eval_shape(test, jax.random.key(0)).p_value.shape  # traced, not run
      ()
    """
    x, y, z = (_checks.as_samples(samples, name) for samples, name in ((x, "x"), (y, "y"), (z, "z")))
    key_x, key_y, key_z = jax.random.split(key, 3)
    f_x = _random_features(key_x, x, num_frequencies, bandwidth_x)
    f_y = _random_features(key_y, y, num_frequencies, bandwidth_y)
    f_z = _random_features(key_z, z, num_frequencies_z, bandwidth_z)
    return randomised_test(f_x, f_y, f_z, ridge=ridge)


def rcit_test(
    key: jax.Array,
    x: jax.Array,
    y: jax.Array,
    z: jax.Array,
    *,
    bandwidth_x: jax.Array | float,
    bandwidth_y: jax.Array | float,
    bandwidth_z: jax.Array | float,
    num_frequencies: int,
    num_frequencies_z: int,
    ridge: jax.Array | float,
) -> RandomisedTest:
    """RCIT: `randomised_test` on Fourier features of X, of the pair (Y, Z) and of Z.

    Arguments, results and errors are those of `rcot_test`, except that `bandwidth_y` belongs to the kernel on (y, z)
    [n, d_y + d_z].

    References:
      [1] Strobl, Zhang, Visweswaran, Journal of Causal Inference 2019, section 4.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)  # independent given z
      >>> widths = {"bandwidth_x": 1.0, "bandwidth_y": 1.5, "bandwidth_z": 1.0}
      >>> numbers = {"num_frequencies": 3, "num_frequencies_z": 20, "ridge": 1e-3}
      >>> test = lambda key: dependence.rcit_test(key, x, y, z, **widths, **numbers)
      >>> jax.eval_shape(test, jax.random.key(0)).p_value.shape  # traced, not run
      ()
    """
    y, z = _checks.as_samples(y, "y"), _checks.as_samples(z, "z")
    if y.shape[0] != z.shape[0]:
        raise ValueError(f"y, z: expected [n, d] of the same samples, got shapes {y.shape} and {z.shape}")
    return rcot_test(
        key,
        x,
        jnp.concatenate([y, z], axis=1),
        z,
        bandwidth_x=bandwidth_x,
        bandwidth_y=bandwidth_y,
        bandwidth_z=bandwidth_z,
        num_frequencies=num_frequencies,
        num_frequencies_z=num_frequencies_z,
        ridge=ridge,
    )
