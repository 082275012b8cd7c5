"""Norms of cross-covariance operators that are whitened, or conditioned on a third variable.

`ridge` is the regularisation epsilon of an inverse covariance (C + epsilon I)^-1, in the unit of the kernel; no default
is good for every kernel and n, so it is always given.
"""

import jax
import jax.numpy as jnp

from causal_iqa import _checks
from causal_iqa.dependence import hsic


def _solve(A: jax.Array, ridge: jax.Array | float, right: jax.Array) -> jax.Array:
    """(A + n ridge I)^-1 right for a positive semi-definite A."""
    n = A.shape[0]
    factor = jax.scipy.linalg.cho_factor(A + n * jnp.asarray(ridge, A.dtype) * jnp.eye(n, dtype=A.dtype), lower=True)
    return jax.scipy.linalg.cho_solve(factor, right)


def _trace_of_product(P: jax.Array, Q: jax.Array) -> jax.Array:
    return jnp.sum(P * Q.T)


def _residual(M: jax.Array, ridge: jax.Array | float) -> jax.Array:
    """I - M~ (M~ + n ridge I)^-1 = n ridge (M~ + n ridge I)^-1, the residual of regression on the third variable."""
    n = M.shape[0]
    return n * ridge * _solve(hsic.centre(M), ridge, jnp.eye(n, dtype=M.dtype))


def _whitened(K: jax.Array, ridge: jax.Array | float) -> jax.Array:
    """(K~ + n ridge I)^-1 K~."""
    centred = hsic.centre(K)
    return _solve(centred, ridge, centred)


def nocco(K: jax.Array, L: jax.Array, *, ridge: jax.Array | float) -> jax.Array:
    """Squared Hilbert-Schmidt norm of the normalised cross-covariance operator, tr(R_K R_L).

    R = K~ (K~ + n ridge I)^-1. Unlike HSIC its limit does not depend on the kernels: the mean square contingency, the
    chi-square divergence of the joint distribution from the product of its margins.

    Args:
      K: Gram matrix of the first variable [n, n], positive semi-definite, n at least 2.
      L: Gram matrix of the second variable [n, n].
      ridge: epsilon, positive, may be traced.

    Returns:
      Scalar, not negative; larger is more dependent.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 2.

    References:
      [1] Fukumizu, Gretton, Sun, Schoelkopf, "Kernel measures of conditional dependence", NIPS 2007, eq. 9.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(y, y, bandwidth=0.5)
      >>> bool(dependence.nocco(K, L, ridge=1e-2) > 0)
      True
    """
    K, L = hsic.as_grams(K, L, 2)
    return _trace_of_product(_whitened(K, ridge), _whitened(L, ridge))


def _as_three(K: jax.Array, L: jax.Array, M: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    K, L = hsic.as_grams(K, L, 2)
    M = _checks.as_gram(M, "M")
    _checks.check_same_shape(K, M, "K, M")
    return K, L, M


def conditional_nocco(K: jax.Array, L: jax.Array, M: jax.Array, *, ridge: jax.Array | float) -> jax.Array:
    """Squared norm of the normalised conditional cross-covariance operator.

    tr(R_K R_L - 2 R_K R_L R_M + R_K R_M R_L R_M), R as in `nocco`.

    Args:
      K: Gram matrix of the first variable taken jointly with the third, e.g. `product` of both, [n, n].
      L: Gram matrix of the second variable taken jointly with the third [n, n].
      M: Gram matrix of the third variable [n, n].
      ridge: epsilon, positive, may be traced.

    Returns:
      Scalar, not negative; zero in the limit only for conditional independence, when the kernels are characteristic.

    Raises:
      ValueError: when the matrices are not square or differ in shape, or n is below 2.

    References:
      [1] Fukumizu, Gretton, Sun, Schoelkopf, "Kernel measures of conditional dependence", NIPS 2007, eq. 9.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)
      >>> K_x, K_y, K_z = (dependence.rbf(one, one, bandwidth=1.0) for one in (x, y, z))
      >>> bool(dependence.conditional_nocco(K_x, K_y, K_z, ridge=1e-2) >= 0)
      True
    """
    K, L, M = _as_three(K, L, M)
    left, right, given = (_whitened(gram, ridge) for gram in (K, L, M))
    rest = jnp.eye(K.shape[0], dtype=K.dtype) - given
    # R_K (I - R_M) R_L (I - R_M), the same trace without its cancellation.
    return _trace_of_product(_multiply(left, rest), _multiply(right, rest))


def _multiply(P: jax.Array, Q: jax.Array) -> jax.Array:
    return jnp.matmul(P, Q, precision=jax.lax.Precision.HIGHEST)


def conditional_covariance_norm(K: jax.Array, L: jax.Array, M: jax.Array, *, ridge: jax.Array | float) -> jax.Array:
    """Squared Hilbert-Schmidt norm of the conditional cross-covariance operator C_yx - C_yz (C_zz + ridge)^-1 C_zx.

    tr(W K~ W L~) / n^2 with W = n ridge (M~ + n ridge I)^-1, the residual of ridge regression on the third variable.
    For a large ridge it is biased HSIC.

    Args:
      K: Gram matrix of the first variable [n, n]; for a measure of conditional independence, jointly with the third
        (`product`): otherwise only what holds on average over the third is seen.
      L: Gram matrix of the second variable [n, n].
      M: Gram matrix of the third variable [n, n], positive semi-definite.
      ridge: epsilon, positive, may be traced; towards 0 with n, e.g. n^-1/2 or slower for bounded kernels.

    Returns:
      Scalar, not negative up to rounding; larger is more dependent given the third variable.

    Raises:
      ValueError: when the matrices are not square or differ in shape, or n is below 2.

    References:
      [1] Fukumizu, Gretton, Sun, Schoelkopf, "Kernel measures of conditional dependence", NIPS 2007, section 2.2.
      [2] Zhang, Peters, Janzing, Schoelkopf, "Kernel-based conditional independence test and application in causal
          discovery", UAI 2011, proposition 5: the test's statistic, which takes the residual on both sides.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)
      >>> K_x, K_y, K_z = (dependence.rbf(one, one, bandwidth=1.0) for one in (x, y, z))
      >>> bool(dependence.conditional_covariance_norm(K_x, K_y, K_z, ridge=1e-3) >= 0)
      True
    """
    K, L, M = _as_three(K, L, M)
    rest = _residual(M, ridge)
    left, right = _multiply(rest, hsic.centre(K)), _multiply(rest, hsic.centre(L))
    return _trace_of_product(left, right) / K.shape[0] ** 2


def conditional_mean_dependence(
    K: jax.Array, L: jax.Array, M: jax.Array, M_zn: jax.Array, *, ridge: jax.Array | float
) -> jax.Array:
    """HSCIC: the squared Hilbert-Schmidt norm of the cross-covariance given each value of a third variable.

    With weights w(z) = (M + n ridge I)^-1 M(., z): w'(K o L)w - 2 w'((K w) o (L w)) + (w'Kw)(w'Lw).

    Args:
      K: Gram matrix of the first variable [n, n].
      L: Gram matrix of the second variable [n, n].
      M: Gram matrix of the third variable [n, n], positive semi-definite.
      M_zn: kernel of the values asked about with the samples [m, n], M itself for the samples' own.
      ridge: positive, may be traced.

    Returns:
      [m], not negative up to rounding; larger is more dependent at that value. Zero everywhere, in the limit, only for
      conditional independence, when K and L are characteristic.

    Raises:
      ValueError: when the shapes do not go together, or n is below 2.

    References:
      [1] Park, Muandet, "A measure-theoretic approach to kernel conditional mean embeddings", NeurIPS 2020,
          section 5.3.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)  # independent given z
      >>> K, L, M = (dependence.rbf(one, one, bandwidth=1.0) for one in (x, y, z))
      >>> dependence.conditional_mean_dependence(K, L, M, M[:5], ridge=1e-2).shape  # at the first five values of z
      (5,)
    """
    K, L, M = _as_three(K, L, M)
    n = K.shape[0]
    M_zn = _checks.as_floats(M_zn, "M_zn")
    if M_zn.ndim != 2 or M_zn.shape[1] != n:
        raise ValueError(f"M_zn: expected shape [m, {n}] to go with M, got {jnp.shape(M_zn)}")
    weights = _solve(M, ridge, M_zn.T)
    left, right = _multiply(K, weights), _multiply(L, weights)
    joint = jnp.sum(weights * _multiply(K * L, weights), axis=0)
    crossed = jnp.sum(weights * left * right, axis=0)
    return joint - 2.0 * crossed + jnp.sum(weights * left, axis=0) * jnp.sum(weights * right, axis=0)
