"""Kernels between sample sets.

Each maps x [n, d] and y [m, d] to the cross-Gram matrix k(x_i, y_j) [n, m], in the dtype of its input. A Gram matrix
is the kernel of a set with itself.
"""

import dataclasses
import types
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from causal_iqa import _checks

# TF32 or bfloat16 products would leave three digits in a difference of squares.
_PRECISION = jax.lax.Precision.HIGHEST


def _check_pair(x: jax.Array, y: jax.Array) -> None:
    _checks.check_samples(x)
    _checks.check_samples(y, "y")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x, y: expected samples of one dimension, got {x.shape[1]} and {y.shape[1]}")


def _safe_sqrt(x: jax.Array) -> jax.Array:
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def squared_distances(x: jax.Array, y: jax.Array) -> jax.Array:
    """Squared Euclidean distances |x_i - y_j|^2 by one matrix product, about the mean of y.

    Taking the mean away first keeps a common offset from cancelling; what remains is an absolute error of a few
    rounding units of the squared spread. Results below zero are set to zero. Row i depends on x_i and y alone.

    Args:
      x: samples [n, d].
      y: samples [m, d].

    Returns:
      [n, m], not negative, with a finite gradient at coincident points.

    Raises:
      ValueError: when an argument is not [n, d] or the dimensions differ.

    References:
      [1] Golub, Van Loan, "Matrix Computations", 4th edition, section 2.7 on cancellation.
    """
    _check_pair(x, y)
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
    """
    _check_pair(x, y)
    return jnp.matmul(x, y.T, precision=_PRECISION)


def _unit_rows(x: jax.Array) -> jax.Array:
    # Dividing by the largest entry first keeps the squares inside the dtype's range.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=1, keepdims=True))
    x = x / jnp.where(largest > 0, largest, 1.0)
    norm = _safe_sqrt(jnp.sum(x * x, axis=1, keepdims=True))
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
    """
    _check_pair(x, y)
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

    References:
      [1] Song, Smola, Gretton, Bedo, Borgwardt, "Feature selection via dependence maximization", JMLR 2012, section 5.
    """
    for labels, name in ((labels_x, "labels_x"), (labels_y, "labels_y")):
        if jnp.ndim(labels) != 1:
            raise ValueError(f"{name}: expected labels of shape [n], got shape {jnp.shape(labels)}")
    return (jnp.asarray(labels_x)[:, None] == jnp.asarray(labels_y)[None, :]).astype(dtype)


def median_heuristic(x: jax.Array) -> jax.Array:
    """Median of the Euclidean distances over the n (n - 1) / 2 distinct pairs, exact, without subsampling.

    The bandwidth of `rbf`, which then falls to exp(-1/2) at the median distance. One call per variable: two variables
    share no bandwidth.

    Args:
      x: samples [n, d], n at least 2.

    Returns:
      Scalar in the unit of x; 0 when at least half of the pairs coincide, which no `rbf` accepts.

    Raises:
      ValueError: when x is not [n, d] or n is below 2.

    References:
      [1] Gretton et al., "A kernel two-sample test", JMLR 2012, section 8.
      [2] Garreau, Jitkrittum, Kanagawa, "Large sample analysis of the median heuristic", 2017, eq. 1; there the median
          of squared distances, halved.
    """
    _checks.check_samples(x)
    count = x.shape[0]
    if count < 2:
        raise ValueError(f"x: the median heuristic needs at least 2 samples, got {count}")
    rows, columns = np.triu_indices(count, k=1)
    return jnp.median(_safe_sqrt(squared_distances(x, x)[rows, columns]))


@dataclasses.dataclass(frozen=True)
class KernelSpec:
    """One kernel.

    Attributes:
      name: name in the table and in flags.
      fn: `fn(x, y, **parameters)`, cross-Gram matrix [n, m].
      inputs: "features" for samples [n, d], "labels" for [n].
      parameters: names of the keyword arguments it needs.
      range: smallest and largest possible value, None where unbounded.
      unit_diagonal: whether k(x, x) = 1 for every x, a zero vector apart.
      characteristic: whether HSIC with it is zero only under independence.
      reference: where the definition comes from.
    """

    name: str
    fn: Callable[..., jax.Array]
    inputs: str
    parameters: tuple[str, ...]
    range: tuple[float | None, float | None]
    unit_diagonal: bool
    characteristic: bool
    reference: str


_LEARNING_WITH_KERNELS = "Schoelkopf, Smola, Learning with Kernels, MIT Press 2002"

KERNELS = types.MappingProxyType(
    {
        "rbf": KernelSpec(
            name="rbf",
            fn=rbf,
            inputs="features",
            parameters=("bandwidth",),
            range=(0.0, 1.0),
            unit_diagonal=True,
            characteristic=True,
            reference=_LEARNING_WITH_KERNELS,
        ),
        "linear": KernelSpec(
            name="linear",
            fn=linear,
            inputs="features",
            parameters=(),
            range=(None, None),
            unit_diagonal=False,
            characteristic=False,
            reference=_LEARNING_WITH_KERNELS,
        ),
        "cosine": KernelSpec(
            name="cosine",
            fn=cosine,
            inputs="features",
            parameters=(),
            range=(-1.0, 1.0),
            unit_diagonal=True,
            characteristic=False,
            reference=_LEARNING_WITH_KERNELS,
        ),
        "delta": KernelSpec(
            name="delta",
            fn=delta,
            inputs="labels",
            parameters=(),
            range=(0.0, 1.0),
            unit_diagonal=True,
            characteristic=True,
            reference="Song et al., JMLR 13, 2012",
        ),
    }
)
