"""Maximum mean discrepancy: how far apart two samples' distributions are in a kernel's space.

Here the samples are not paired: [n, d] from one distribution and [m, d] from another. All give the squared distance.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from causal_iqa import _checks


def _as_three(
    K_xx: jax.Array, K_yy: jax.Array, K_xy: jax.Array, smallest: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    K_xx, K_yy, K_xy = _checks.as_gram(K_xx, "K_xx"), _checks.as_gram(K_yy, "K_yy"), _checks.as_floats(K_xy, "K_xy")
    n, m = K_xx.shape[0], K_yy.shape[0]
    if jnp.shape(K_xy) != (n, m):
        raise ValueError(f"K_xy: expected shape ({n}, {m}) to go with K_xx and K_yy, got {jnp.shape(K_xy)}")
    if min(n, m) < smallest:
        raise ValueError(f"K_xx, K_yy: this estimator needs at least {smallest} samples, got {min(n, m)}")
    return K_xx, K_yy, K_xy


def mmd_squared_biased(K_xx: jax.Array, K_yy: jax.Array, K_xy: jax.Array) -> jax.Array:
    """Biased squared MMD: mean k(x, x') + mean k(y, y') - 2 mean k(x, y), a V-statistic.

    Args:
      K_xx: Gram matrix of the first sample [n, n].
      K_yy: Gram matrix of the second sample [m, m].
      K_xy: kernel between the samples [n, m].

    Returns:
      Scalar, not negative up to rounding; larger is further apart.

    Raises:
      ValueError: when the shapes do not go together.

    References:
      [1] Gretton et al., "A kernel two-sample test", JMLR 2012, eq. 5.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> k = lambda a, b: dependence.rbf(a, b, bandwidth=0.5)
      >>> bool(dependence.mmd_squared_biased(k(x, x), k(y, y), k(x, y)) > 0)
      True
    """
    K_xx, K_yy, K_xy = _as_three(K_xx, K_yy, K_xy, 1)
    # One value taken off everywhere cancels in exact arithmetic, and saves digits of kernels near a constant.
    offset = jax.lax.stop_gradient(K_xy[0, 0])
    return jnp.mean(K_xx - offset) + jnp.mean(K_yy - offset) - 2.0 * jnp.mean(K_xy - offset)


def mmd_squared_unbiased(K_xx: jax.Array, K_yy: jax.Array, K_xy: jax.Array) -> jax.Array:
    """Unbiased squared MMD: as the biased one, without the diagonals of a sample with itself.

    Args:
      K_xx: Gram matrix of the first sample [n, n], n at least 2.
      K_yy: Gram matrix of the second sample [m, m], m at least 2.
      K_xy: kernel between the samples [n, m].

    Returns:
      Scalar whose expectation is zero for equal distributions, where it is often negative; larger is further apart.

    Raises:
      ValueError: when the shapes do not go together or a sample has fewer than 2.

    References:
      [1] Gretton et al., "A kernel two-sample test", JMLR 2012, eq. 3.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> k = lambda a, b: dependence.rbf(a, b, bandwidth=0.5)
      >>> bool(dependence.mmd_squared_unbiased(k(x, x), k(y, y), k(x, y)) > 0)
      True
    """
    K_xx, K_yy, K_xy = _as_three(K_xx, K_yy, K_xy, 2)
    n, m = K_xy.shape
    offset = jax.lax.stop_gradient(K_xy[0, 0])

    def within(K: jax.Array, count: int) -> jax.Array:
        return jnp.sum(jnp.where(jnp.eye(count, dtype=bool), 0.0, K - offset)) / (count * (count - 1))

    return within(K_xx, n) + within(K_yy, m) - 2.0 * jnp.mean(K_xy - offset)


Kernel = Callable[[jax.Array, jax.Array], jax.Array]


class LinearTimeMMD(NamedTuple):
    """Result of `mmd_squared_linear`; both fields scalars."""

    estimate: jax.Array
    variance: jax.Array


def mmd_squared_linear(
    kernel: Callable[[jax.Array, jax.Array], jax.Array], x: jax.Array, y: jax.Array
) -> LinearTimeMMD:
    """Squared MMD in linear time: the mean over pairs of neighbours of k(x,x') + k(y,y') - k(x,y') - k(x',y).

    Args:
      kernel: `kernel(a, b)` of samples [1, d] each, [1, 1]; e.g. `rbf` with its bandwidth bound. Static.
      x: samples [n, d] in random order, n at least 4; of an odd number the last is left out.
      y: samples [n, d], paired with x by nothing but their number.

    Returns:
      `LinearTimeMMD`: estimate, of expectation zero for equal distributions; variance of the estimate, which is
      asymptotically normal in every case.

    Raises:
      ValueError: when an argument is not [n, d], the shapes differ, or n is below 4.

    References:
      [1] Gretton et al., "A kernel two-sample test", JMLR 2012, lemma 14 and corollary 16.

    Examples:
      >>> x, y = jax.random.normal(jax.random.key(0), (2, 40, 1)) + np.float32([[[0]], [[3]]])
      >>> bool(dependence.mmd_squared_linear(dependence.linear, x, y).estimate > 1)
      True
    """
    x, y = jnp.asarray(_checks.as_samples(x)), jnp.asarray(_checks.as_samples(y, "y"))
    _checks.check_same_shape(x, y, "x, y")
    if x.shape[0] < 4:
        raise ValueError(f"x, y: the linear-time estimate needs at least 4 samples, got {x.shape[0]}")
    pairs = x.shape[0] // 2

    def h(pair_x: jax.Array, pair_y: jax.Array) -> jax.Array:
        (a, b), (c, d) = ((p[:1], p[1:]) for p in (pair_x, pair_y))
        return (kernel(a, b) + kernel(c, d) - kernel(a, d) - kernel(b, c))[0, 0]

    values = jax.vmap(h)(*(z[: 2 * pairs].reshape(pairs, 2, -1) for z in (x, y)))
    return LinearTimeMMD(jnp.mean(values), jnp.var(values, ddof=1) / pairs)
