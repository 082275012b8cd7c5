"""Kernels between sample sets: inner products, the Gaussian, labels, and products of kernels.

Each maps x [n, d] and y [m, d] to the cross-Gram matrix k(x_i, y_j) [n, m], in the dtype of its input. A Gram matrix
is the kernel of a set with itself. Kernels of the distance are in `radial_kernels`.
"""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from causal_iqa import _checks
from causal_iqa._roots import safe_sqrt

# TF32 or bfloat16 products would leave three digits in a difference of squares.
_PRECISION = jax.lax.Precision.HIGHEST
# Up to so many dimensions the differences themselves are taken, which is as fast and cancels nothing.
_DIRECT_DIMENSIONS = 8


def as_pair(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both sample sets as floats; ValueError unless x is [n, d] and y [m, d], TypeError unless they are real."""
    x, y = _checks.as_samples(x), _checks.as_samples(y, "y")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x, y: expected samples of one dimension, got {x.shape[1]} and {y.shape[1]}")
    return x, y


def is_direct(x: jax.Array) -> bool:
    """Whether `squared_distances` of samples [n, d] come from their differences."""
    return x.shape[1] <= _DIRECT_DIMENSIONS


def squared_distances(x: jax.Array, y: jax.Array) -> jax.Array:
    """Squared Euclidean distances |x_i - y_j|^2.

    Up to 8 dimensions it sums the squared differences, exact to rounding. Above, it uses one matrix product about the
    mean of y: subtracting the mean first keeps a common offset from cancelling. An absolute error of a few rounding
    units of the squared spread remains, and results below zero are set to zero. Row i depends only on x_i and y.

    Args:
      x: samples [n, d].
      y: samples [m, d].

    Returns:
      [n, m], not negative, with a finite gradient at coincident points.

    Raises:
      ValueError: when an argument is not [n, d] or the dimensions differ.

    References:
      [1] Golub, Van Loan, "Matrix Computations", 4th edition, section 2.7 on cancellation.

    Examples:
      >>> x, y = np.float32([[0, 0], [3, 4]]), np.float32([[0, 0]])
      >>> dependence.squared_distances(x, y).tolist()
      [[0.0], [25.0]]
    """
    x, y = as_pair(x, y)
    if is_direct(x):
        total = jnp.zeros((x.shape[0], y.shape[0]), jnp.result_type(x, y))
        for i in range(x.shape[1]):
            total = total + jnp.square(x[:, i : i + 1] - y[:, i][None, :])
        return total
    centre = jnp.mean(y, axis=0, keepdims=True)
    x, y = x - centre, y - centre
    products = jnp.matmul(x, y.T, precision=_PRECISION)
    squares = jnp.sum(x * x, axis=1)[:, None] + jnp.sum(y * y, axis=1)[None, :]
    return jnp.maximum(squares - 2.0 * products, 0.0)


def rbf(x: jax.Array, y: jax.Array, *, bandwidth: jax.Array | float) -> jax.Array:
    """Gaussian kernel exp(-|x - y|^2 / (2 bandwidth^2)).

    Args:
      x: samples [n, d].
      y: samples [m, d].
      bandwidth: length scale in the unit of x, positive, may be traced; see `median_heuristic`.

    Returns:
      [n, m] in [0, 1]; NaN where the bandwidth is not positive.

    Raises:
      ValueError: when an argument is not [n, d] or the dimensions differ.

    References:
      [1] Schoelkopf, Smola, "Learning with Kernels", MIT Press 2002, section 2.3.

    Examples:
      >>> x, y = np.float32([[0, 0], [3, 4]]), np.float32([[0, 0]])
      >>> np.round(dependence.rbf(x, y, bandwidth=5.0), 3).tolist()
      [[1.0], [0.6070000529289246]]
    """
    distances = squared_distances(x, y)
    bandwidth = jnp.asarray(bandwidth, distances.dtype)
    positive = bandwidth > 0
    bandwidth = jnp.where(positive, bandwidth, 1.0)
    # Scaled twice, not by the square, which would underflow for a tiny bandwidth.
    return jnp.where(positive, jnp.exp(-0.5 * (distances / bandwidth) / bandwidth), jnp.nan)


def linear(x: jax.Array, y: jax.Array) -> jax.Array:
    """Inner product <x, y>.

    Args:
      x: samples [n, d].
      y: samples [m, d].

    Returns:
      [n, m].

    Raises:
      ValueError: when an argument is not [n, d] or the dimensions differ.

    References:
      [1] Schoelkopf, Smola, "Learning with Kernels", MIT Press 2002, section 2.1.

    Examples:
      >>> x, y = np.float32([[0, 0], [3, 4]]), np.float32([[0, 0]])
      >>> dependence.linear(x, x).tolist()
      [[0.0, 0.0], [0.0, 25.0]]
    """
    x, y = as_pair(x, y)
    return jnp.matmul(x, y.T, precision=_PRECISION)


def _unit_rows(x: jax.Array) -> jax.Array:
    # Dividing by the largest entry first keeps the squares inside the dtype's range.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=1, keepdims=True))
    x = x / jnp.where(largest > 0, largest, 1.0)
    norm = safe_sqrt(jnp.sum(x * x, axis=1, keepdims=True))
    return x / jnp.where(norm > 0, norm, 1.0)


def cosine(x: jax.Array, y: jax.Array) -> jax.Array:
    """Cosine of the angle, <x, y> / (|x| |y|); 0 where a vector is zero.

    Args:
      x: samples [n, d].
      y: samples [m, d].

    Returns:
      [n, m] in [-1, 1], up to rounding.

    Raises:
      ValueError: when an argument is not [n, d] or the dimensions differ.

    References:
      [1] Schoelkopf, Smola, "Learning with Kernels", MIT Press 2002, section 2.3, the normalised linear kernel.

    Examples:
      >>> x, y = np.float32([[1, 0], [3, 4]]), np.float32([[2, 0]])
      >>> np.round(dependence.cosine(x, y), 1).tolist()
      [[1.0], [0.6000000238418579]]
    """
    x, y = as_pair(x, y)
    return jnp.matmul(_unit_rows(x), _unit_rows(y).T, precision=_PRECISION)


def delta(labels_x: jax.Array, labels_y: jax.Array, *, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """Kernel of equality on labels: 1 where labels agree, else 0.

    Args:
      labels_x: labels [n], integers.
      labels_y: labels [m], integers.
      dtype: dtype of the result, static.

    Returns:
      [n, m] of zeros and ones.

    Raises:
      ValueError: when an argument is not [n].
      TypeError: when labels are neither integers nor booleans.

    References:
      [1] Song, Smola, Gretton, Bedo, Borgwardt, "Feature selection via dependence maximization", JMLR 2012, section 5.

    Examples:
      >>> dependence.delta(np.array([0, 1]), np.array([1, 1, 2])).tolist()
      [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    """
    labels_x, labels_y = _checks.as_labels(labels_x, "labels_x"), _checks.as_labels(labels_y, "labels_y")
    return (jnp.asarray(labels_x)[:, None] == jnp.asarray(labels_y)[None, :]).astype(dtype)


def polynomial(
    x: jax.Array, y: jax.Array, *, degree: int, offset: jax.Array | float, bandwidth: jax.Array | float
) -> jax.Array:
    """Polynomial kernel (<x, y> / bandwidth^2 + offset)^degree.

    Args:
      x: samples [n, d].
      y: samples [m, d].
      degree: static int, at least 1.
      offset: not negative, no unit, may be traced; 0 keeps only the terms of full degree.
      bandwidth: length in the unit of x, positive, may be traced.

    Returns:
      [n, m].

    Raises:
      ValueError: when an argument is not [n, d], the dimensions differ, or the degree is below 1.

    References:
      [1] Schoelkopf, Smola, "Learning with Kernels", MIT Press 2002, section 2.1, eq. 2.15.

    Examples:
      >>> x, y = np.float32([[0, 0], [3, 4]]), np.float32([[0, 0]])
      >>> dependence.polynomial(x, x, degree=2, offset=1.0, bandwidth=1.0).tolist()
      [[1.0, 1.0], [1.0, 676.0]]
    """
    x, y = as_pair(x, y)
    if degree < 1 or degree != int(degree):
        raise ValueError(f"degree: expected an integer of at least 1, got {degree}")
    products = jnp.matmul(x / bandwidth, (y / bandwidth).T, precision=_PRECISION)
    return (products + offset) ** int(degree)


def product(*grams: jax.Array) -> jax.Array:
    """Product of kernels, prod_v k_v(x^v_i, y^v_j): the kernel of variables taken jointly.

    Args:
      *grams: kernels of each variable [n, m], at least one, over the same samples.

    Returns:
      [n, m]; a kernel, and characteristic on the joint space when each is the translation-invariant kernel of its own.

    Raises:
      ValueError: when none is given or the shapes differ.

    References:
      [1] Szabo, Sriperumbudur, "Characteristic and universal tensor product kernels", JMLR 2018, eq. 1.

    Examples:
      >>> K = np.float32([[1, 0.5], [0.5, 1]])
      >>> dependence.product(K, K).tolist()
      [[1.0, 0.25], [0.25, 1.0]]
    """
    if not grams:
        raise ValueError("grams: expected at least one kernel matrix, got none")
    result = _checks.as_floats(grams[0], "grams")
    for gram in grams[1:]:
        _checks.check_same_shape(result, gram, "grams")
        result = result * _checks.as_floats(gram, "grams")
    return result
