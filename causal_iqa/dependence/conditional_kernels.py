"""What the conditional tests see of the samples: their scale, their bandwidths and their Gram matrices."""

import jax
import jax.numpy as jnp
from jax.scipy import special

from causal_iqa import _checks
from causal_iqa.dependence import bandwidths, kernels

# Widths by sample size, of the authors' Matlab code: below 200, below 1200, and from there on.
_KCI_WIDTHS = (1.2, 0.7, 0.4)
_UNCONDITIONAL_WIDTHS = (0.8, 0.5, 0.3)
# Weight of Z beside X in the joint kernel, of the same code.
_Z_SHARE = 0.5
# Normal scores have a standard deviation of 1; only ties bring a median distance below this.
_LEAST_MEDIAN = 0.5


def standardise(x: jax.Array) -> jax.Array:
    """Columns to mean 0 and standard deviation 1 (divisor n - 1).

    Args:
      x: samples [n, d].

    Returns:
      [n, d]; a constant column becomes zeros.

    Raises:
      ValueError: when x is not [n, d].

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, UAI 2011, section 4.

    Examples:
      >>> dependence.standardise(np.float32([[1], [2], [3]])).tolist()
      [[-1.0], [0.0], [1.0]]
    """
    x = jnp.asarray(_checks.as_samples(x))
    centred = x - jnp.mean(x, axis=0, keepdims=True)
    # A constant column leaves rounding behind, which is no variation.
    rounding = 8 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(x), axis=0, keepdims=True)
    deviation = jnp.sqrt(jnp.sum(centred * centred, axis=0, keepdims=True) / max(1, x.shape[0] - 1))
    varies = deviation > rounding
    return jnp.where(varies, centred / jnp.where(varies, deviation, 1.0), 0.0)


def normal_scores(x: jax.Array) -> jax.Array:
    """Replaces every column by the normal quantiles of its mid-ranks, Phi^-1((r - 1/2) / n).

    One to one on distinct values, so it changes no (conditional) independence; it tames heavy tails, on which distances
    and standard deviations fail. It is not differentiable.

    Args:
      x: samples [n, d]; ties share their mid-rank.

    Returns:
      [n, d], about standard normal in every column; a constant column becomes zeros.

    Raises:
      ValueError: when x is not [n, d].

    References:
      [1] van der Waerden, "Order tests for the two-sample problem and their power", 1952.

    Examples:
      >>> np.round(dependence.normal_scores(np.float32([[1], [10], [1000]])), 2).tolist()
      [[-0.9699999690055847], [0.0], [0.9699999690055847]]
    """
    x = jnp.asarray(_checks.as_samples(x))

    def column(values: jax.Array) -> jax.Array:
        ordered = jnp.sort(values)
        below = jnp.searchsorted(ordered, values, side="left")
        up_to = jnp.searchsorted(ordered, values, side="right")
        return special.ndtri((below + up_to).astype(x.dtype) / (2 * x.shape[0]))

    return jax.vmap(column, in_axes=1, out_axes=1)(x)


def _by_size(widths: tuple[float, float, float], num_samples: int) -> float:
    return widths[0] if num_samples < 200 else widths[1] if num_samples < 1200 else widths[2]


def kci_bandwidth(num_samples: int, dimension: int) -> float:
    """The empirical `rbf` bandwidth of the conditional test, for standardised data.

    Args:
      num_samples: n, static int.
      dimension: dimension of Z, static int; the same width serves X, Y and Z.

    Returns:
      1.2, 0.7 or 0.4 (n below 200, below 1200, or more) times sqrt(dimension).

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, UAI 2011, section 4, and the authors' code; causal-learn's default.

    Examples:
      >>> round(dependence.kci_bandwidth(500, 1), 2)
      0.7
    """
    return _by_size(_KCI_WIDTHS, num_samples) * dimension**0.5


def kci_unconditional_bandwidth(num_samples: int, dimension: int) -> float:
    """The empirical `rbf` bandwidth of the unconditional test, for standardised data.

    Args:
      num_samples: n, static int.
      dimension: dimension of the variable the kernel is on, static int.

    Returns:
      0.8, 0.5 or 0.3 (n below 200, below 1200, or more) divided by sqrt(dimension).

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, UAI 2011, section 4, and the authors' code; causal-learn's default.

    Examples:
      >>> round(dependence.kci_unconditional_bandwidth(500, 1), 2)
      0.5
    """
    return _by_size(_UNCONDITIONAL_WIDTHS, num_samples) / dimension**0.5


def kci_median_bandwidth(x: jax.Array) -> jax.Array:
    """sqrt(2) times the median of the positive distances: the other rule of causal-learn.

    Args:
      x: samples [n, d]; give it those the kernel will see; causal-learn's unconditional test gives unscaled ones.

    Returns:
      Scalar in the unit of x; NaN when all samples coincide.

    Raises:
      ValueError: when x is not [n, d].

    References:
      [1] causal-learn 0.1.3.8 to 0.1.4.8, kernel width "median"; above 1000 samples it draws 1000.
    """
    x = jnp.asarray(_checks.as_samples(x))
    # By their differences, whatever the dimension: coincident samples are exactly 0 apart, and no others.
    columns = x.T

    def add(total: jax.Array, column: jax.Array) -> tuple[jax.Array, None]:
        return total + jnp.square(column[:, None] - column[None, :]), None

    squares, _ = jax.lax.scan(add, jnp.zeros((len(x), len(x)), x.dtype), columns)
    return jnp.sqrt(2.0 * jnp.nanmedian(jnp.where(squares > 0, squares, jnp.nan)))


def conditional_bandwidths(x: jax.Array, y: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The rule of the calibration study, for normal scores.

    Medians for X and Y, and for Z half of it times the root of its dimension: narrow enough to follow the curves that
    a test on residuals must not leave behind, with ridge 1e-3.

    Args:
      x: normal scores [n, d_x].
      y: normal scores [n, d_y].
      z: normal scores [n, d_z].

    Returns:
      Three bandwidths, of X, Y and Z; a median below 0.5, as ties can make it, counts as 0.5.

    Raises:
      ValueError: when an argument is not [n, d] or n is below 2.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)  # independent given z
      >>> widths = dependence.conditional_bandwidths(x, y, z)
      >>> bool(widths[2] < widths[0])
      True
    """
    of_x, of_y, of_z = (jnp.maximum(bandwidths.median_heuristic(v), _LEAST_MEDIAN) for v in (x, y, z))
    return of_x, of_y, 0.5 * z.shape[1] ** 0.5 * of_z


def kci_grams(
    x: jax.Array,
    y: jax.Array,
    z: jax.Array,
    *,
    bandwidth_x: jax.Array | float,
    bandwidth_y: jax.Array | float,
    bandwidth_z: jax.Array | float,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """RBF Gram matrices of (X, Z / 2), Y and Z.

    Args:
      x: samples [n, d_x]; standardise them, or take their normal scores, first.
      y: samples [n, d_y].
      z: samples [n, d_z].
      bandwidth_x: length scale of the kernel on (x, z / 2), positive.
      bandwidth_y: length scale of the kernel on y, positive.
      bandwidth_z: length scale of the kernel on z, positive.

    Returns:
      Three matrices [n, n], in the order the tests take them.

    Raises:
      ValueError: when an argument is not [n, d] or the numbers of samples differ.

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, UAI 2011, section 3.3; the half is in the authors' code.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)
      >>> [K.shape for K in dependence.kci_grams(x, y, z, bandwidth_x=1.0, bandwidth_y=1.0, bandwidth_z=1.0)]
      [(60, 60), (60, 60), (60, 60)]
    """
    x, y, z = (_checks.as_samples(samples, name) for samples, name in ((x, "x"), (y, "y"), (z, "z")))
    if not x.shape[0] == y.shape[0] == z.shape[0]:
        raise ValueError(f"x, y, z: expected the same samples, got {x.shape[0]}, {y.shape[0]} and {z.shape[0]}")
    joint = jnp.concatenate([x, _Z_SHARE * z], axis=1)
    return (
        kernels.rbf(joint, joint, bandwidth=bandwidth_x),
        kernels.rbf(y, y, bandwidth=bandwidth_y),
        kernels.rbf(z, z, bandwidth=bandwidth_z),
    )
