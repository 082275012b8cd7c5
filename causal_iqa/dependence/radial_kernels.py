"""Kernels of a distance between samples: Laplace, rational quadratic, Matern, and those induced by a distance.

Each maps x [n, d] and y [m, d] to the cross-Gram matrix k(x_i, y_j) [n, m]. `kernels.rbf` is the Gaussian one.
"""

import jax
import jax.numpy as jnp

from causal_iqa._arrays import pair
from causal_iqa._roots import safe_sqrt
from causal_iqa.dependence import kernels

# Squared distances below so many rounding units of the squared norms are rounding, not distance.
_ROUNDING_UNITS = 8
# Dimensions whose absolute differences are added in one pass over the matrix.
_PASS = 8


def distances(x: jax.Array, y: jax.Array) -> jax.Array:
    """Euclidean distances |x_i - y_j|, exactly zero where nothing but rounding tells two samples apart.

    The root of a rounding error is not a rounding error; distances that the matrix form of `squared_distances` cannot
    resolve are therefore set to zero.

    Args:
      x: samples [n, d].
      y: samples [m, d].

    Returns:
      [n, m], not negative, with gradient zero at coincident points.

    Raises:
      ValueError: when an argument is not [n, d] or the dimensions differ.

    References:
      [1] Golub, Van Loan, "Matrix Computations", 4th edition, section 2.7 on cancellation.

    Examples:
      >>> x, y = np.float32([[0, 0], [3, 4]]), np.float32([[0, 0]])
      >>> dependence.distances(x, y).tolist()
      [[0.0], [5.0]]
    """
    x, y = kernels.as_pair(x, y)
    # A power of two takes samples of any unit into the range of squares, and rounds nothing.
    largest = jax.lax.stop_gradient(jnp.maximum(jnp.max(jnp.abs(x)), jnp.max(jnp.abs(y))))
    scale = jnp.where(largest > 0, jnp.exp2(jnp.floor(jnp.log2(jnp.where(largest > 0, largest, 1.0)))), 1.0)
    x, y = x / scale, y / scale
    squares = kernels.squared_distances(x, y)
    mean = jnp.mean(y, axis=0, keepdims=True)
    norms = jnp.sum(jnp.square(x - mean), axis=1)[:, None] + jnp.sum(jnp.square(y - mean), axis=1)[None, :]
    # Differences taken directly are exact, however small.
    resolved = kernels.is_direct(x) | (squares > _ROUNDING_UNITS * jnp.finfo(squares.dtype).eps * norms)
    return scale * safe_sqrt(jnp.where(resolved, squares, 0.0))


def positive_power(distance: jax.Array, exponent: jax.Array | float) -> jax.Array:
    """A power of what is not negative, with value and gradient 0 at 0."""
    return jnp.where(distance > 0, jnp.maximum(distance, jnp.finfo(distance.dtype).tiny) ** exponent, 0.0)


def _scaled(distance: jax.Array, bandwidth: jax.Array | float) -> tuple[jax.Array, jax.Array]:
    """Distance over bandwidth, and whether the bandwidth is usable."""
    bandwidth = jnp.asarray(bandwidth, distance.dtype)
    positive = bandwidth > 0
    return distance / jnp.where(positive, bandwidth, 1.0), positive


def laplace(x: jax.Array, y: jax.Array, *, bandwidth: jax.Array | float) -> jax.Array:
    """Laplace kernel exp(-|x - y|_1 / bandwidth), the sum of absolute differences.

    With the Euclidean distance instead it is `matern12`.

    Args:
      x: samples [n, d].
      y: samples [m, d].
      bandwidth: length scale in the unit of x, positive, may be traced.

    Returns:
      [n, m] in [0, 1]; NaN where the bandwidth is not positive.

    Raises:
      ValueError: when an argument is not [n, d] or the dimensions differ.

    References:
      [1] Sriperumbudur, Gretton, Fukumizu, Schoelkopf, Lanckriet, "Hilbert space embeddings and metrics on probability
          measures", JMLR 2010, table 2.

    Examples:
      >>> x, y = np.float32([[0, 0], [3, 4]]), np.float32([[0, 0]])
      >>> np.round(dependence.laplace(x, y, bandwidth=7.0), 3).tolist()
      [[1.0], [0.3680000305175781]]
    """
    x, y = kernels.as_pair(x, y)
    n, d = x.shape
    padding = ((0, 0), (0, -d % _PASS))
    groups = pair(jnp.pad(a, padding).T.reshape(-1, _PASS, len(a)) for a in (x, y))

    def add(total: jax.Array, group: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        for a, b in zip(*group, strict=True):
            total = total + jnp.abs(a[:, None] - b[None, :])
        return total, None

    distance, _ = jax.lax.scan(add, jnp.zeros((n, len(y)), jnp.result_type(x, y)), groups)
    scaled, positive = _scaled(distance, bandwidth)
    return jnp.where(positive, jnp.exp(-scaled), jnp.nan)


def rational_quadratic(
    x: jax.Array, y: jax.Array, *, bandwidth: jax.Array | float, shape: jax.Array | float
) -> jax.Array:
    """Rational quadratic kernel (1 + |x - y|^2 / (2 shape bandwidth^2))^-shape, a mixture of Gaussians of all widths.

    Args:
      x: samples [n, d].
      y: samples [m, d].
      bandwidth: length scale in the unit of x, positive, may be traced.
      shape: positive, no unit, may be traced; towards infinity it is `rbf`.

    Returns:
      [n, m] in [0, 1]; NaN where the bandwidth is not positive.

    Raises:
      ValueError: when an argument is not [n, d] or the dimensions differ.

    References:
      [1] Rasmussen, Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, eq. 4.19.

    Examples:
      >>> x, y = np.float32([[0, 0], [3, 4]]), np.float32([[0, 0]])
      >>> np.round(dependence.rational_quadratic(x, y, bandwidth=5.0, shape=1.0), 3).tolist()
      [[1.0], [0.6670000553131104]]
    """
    squares = kernels.squared_distances(x, y)
    scaled, positive = _scaled(squares, bandwidth)
    scaled, _ = _scaled(scaled, bandwidth)
    return jnp.where(positive, jnp.exp(-shape * jnp.log1p(scaled / (2.0 * shape))), jnp.nan)


def matern12(x: jax.Array, y: jax.Array, *, bandwidth: jax.Array | float) -> jax.Array:
    """Matern kernel of smoothness 1/2, exp(-r) with r = |x - y| / bandwidth, Euclidean.

    Args:
      x: samples [n, d].
      y: samples [m, d].
      bandwidth: length scale in the unit of x, positive, may be traced.

    Returns:
      [n, m] in [0, 1]; NaN where the bandwidth is not positive.

    Raises:
      ValueError: when an argument is not [n, d] or the dimensions differ.

    References:
      [1] Rasmussen, Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, eq. 4.16.

    Examples:
      >>> x, y = np.float32([[0, 0], [3, 4]]), np.float32([[0, 0]])
      >>> np.round(dependence.matern12(x, y, bandwidth=5.0), 3).tolist()
      [[1.0], [0.3680000305175781]]
    """
    scaled, positive = _scaled(distances(x, y), bandwidth)
    return jnp.where(positive, jnp.exp(-scaled), jnp.nan)


def matern32(x: jax.Array, y: jax.Array, *, bandwidth: jax.Array | float) -> jax.Array:
    """Matern kernel of smoothness 3/2, (1 + r) exp(-r) with r = sqrt(3) |x - y| / bandwidth.

    Args:
      x: samples [n, d].
      y: samples [m, d].
      bandwidth: length scale in the unit of x, positive, may be traced.

    Returns:
      [n, m] in [0, 1]; NaN where the bandwidth is not positive.

    Raises:
      ValueError: when an argument is not [n, d] or the dimensions differ.

    References:
      [1] Rasmussen, Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, eq. 4.17.

    Examples:
      >>> x, y = np.float32([[0, 0], [3, 4]]), np.float32([[0, 0]])
      >>> np.round(dependence.matern32(x, y, bandwidth=5.0), 3).tolist()
      [[1.0], [0.4830000102519989]]
    """
    scaled, positive = _scaled(distances(x, y), bandwidth)
    r = 3.0**0.5 * scaled
    return jnp.where(positive, (1.0 + r) * jnp.exp(-r), jnp.nan)


def matern52(x: jax.Array, y: jax.Array, *, bandwidth: jax.Array | float) -> jax.Array:
    """Matern kernel of smoothness 5/2, (1 + r + r^2 / 3) exp(-r) with r = sqrt(5) |x - y| / bandwidth.

    Args:
      x: samples [n, d].
      y: samples [m, d].
      bandwidth: length scale in the unit of x, positive, may be traced.

    Returns:
      [n, m] in [0, 1]; NaN where the bandwidth is not positive.

    Raises:
      ValueError: when an argument is not [n, d] or the dimensions differ.

    References:
      [1] Rasmussen, Williams, "Gaussian Processes for Machine Learning", MIT Press 2006, eq. 4.17.

    Examples:
      >>> x, y = np.float32([[0, 0], [3, 4]]), np.float32([[0, 0]])
      >>> np.round(dependence.matern52(x, y, bandwidth=5.0), 3).tolist()
      [[1.0], [0.5240000486373901]]
    """
    scaled, positive = _scaled(distances(x, y), bandwidth)
    r = 5.0**0.5 * scaled
    return jnp.where(positive, (1.0 + r * (1.0 + r / 3.0)) * jnp.exp(-r), jnp.nan)


def distance_induced(
    x: jax.Array, y: jax.Array, *, exponent: jax.Array | float, origin: jax.Array | None = None
) -> jax.Array:
    """Kernel induced by a power of the distance, (|x - o|^a + |y - o|^a - |x - y|^a) / 2.

    HSIC with it, times 4, is the squared distance covariance, whatever the origin; an origin far from the samples only
    costs digits.

    Args:
      x: samples [n, d].
      y: samples [m, d].
      exponent: a, in (0, 2), may be traced; 1 is the distance covariance of Szekely et al., 2 is the linear kernel.
      origin: o, [d], None for zero.

    Returns:
      [n, m].

    Raises:
      ValueError: when an argument is not [n, d], the dimensions differ, or the origin is not [d].

    References:
      [1] Sejdinovic, Sriperumbudur, Gretton, Fukumizu, "Equivalence of distance-based and RKHS-based statistics in
          hypothesis testing", Annals of Statistics 2013, eq. 4.3 and theorem 24.

    Examples:
      >>> x, y = np.float32([[1, 0], [3, 4]]), np.float32([[0, 2]])
      >>> np.allclose(dependence.distance_induced(x, y, exponent=2.0), dependence.linear(x, y))
      True
    """
    x, y = kernels.as_pair(x, y)
    origin = jnp.zeros(x.shape[1], x.dtype) if origin is None else jnp.asarray(origin, x.dtype)
    if origin.shape != x.shape[1:]:
        raise ValueError(f"origin: expected shape {x.shape[1:]}, got {origin.shape}")

    to_x, to_y = (positive_power(safe_sqrt(jnp.sum(jnp.square(a - origin[None, :]), axis=1)), exponent) for a in (x, y))
    return 0.5 * (to_x[:, None] + to_y[None, :] - positive_power(distances(x, y), exponent))
