"""The Hilbert-Schmidt independence criterion between two variables, from their Gram matrices.

Every estimator is its own function; none clamps. Both matrices are symmetric and over the same n samples.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from causal_iqa import _checks

# Centred entries below so many rounding units of the largest entry are rounding, not variation.
ROUNDING_UNITS = 8


Kernel = Callable[[jax.Array, jax.Array], jax.Array]


def as_grams(K: jax.Array, L: jax.Array, smallest: int) -> tuple[jax.Array, jax.Array]:
    """Both matrices as floats; ValueError unless they are Gram matrices over the same, at least `smallest`, samples."""
    K, L = _checks.as_gram(K, "K"), _checks.as_gram(L, "L")
    _checks.check_same_shape(K, L, "K, L")
    if K.shape[0] < smallest:
        raise ValueError(f"K, L: this estimator needs at least {smallest} samples, got {K.shape[0]}")
    return K, L


def centre(K: jax.Array) -> jax.Array:
    """Double centring H K H, H = I - 1 1^T / n: the Gram matrix of the features minus their mean.

    Args:
      K: Gram matrix [n, n].

    Returns:
      [n, n]; rows and columns sum to zero, up to rounding.

    Raises:
      ValueError: when K is not square.

    References:
      [1] Gretton, Bousquet, Smola, Schoelkopf, "Measuring statistical dependence with Hilbert-Schmidt norms", ALT 2005,
          definition 2.

    Examples:
      >>> K = np.float32([[1, 0], [0, 1]])
      >>> dependence.centre(K).tolist()
      [[0.5, -0.5], [-0.5, 0.5]]
    """
    K = _checks.as_gram(K)
    # One entry taken off everywhere cancels in exact arithmetic, and leaves exact zeros of a constant kernel.
    K = K - jax.lax.stop_gradient(K[0, 0])
    rows = K - jnp.mean(K, axis=1, keepdims=True)
    return rows - jnp.mean(rows, axis=0, keepdims=True)


def centre_against(K_xa: jax.Array, K_aa: jax.Array) -> jax.Array:
    """Centres a cross-Gram matrix on the mean of the anchors, in x and in a.

    k~(x, a_j) = k(x, a_j) - mean_j' k(x, a_j') - mean_i k(a_i, a_j) + mean_ij k(a_i, a_j): the inner product of
    phi(x) - mu and phi(a_j) - mu. Row i depends only on x_i and the anchors.

    Args:
      K_xa: kernel of the judged samples with the anchors [n, m].
      K_aa: Gram matrix of the anchors [m, m].

    Returns:
      [n, m]; rows sum to zero, up to rounding. Equals `centre(K_aa)` when the samples are the anchors.

    Raises:
      ValueError: when K_aa is not square or the numbers of anchors differ.

    References:
      [1] Schoelkopf, Smola, Mueller, "Nonlinear component analysis as a kernel eigenvalue problem", Neural Computation
          1998, appendix A.

    Examples:
      >>> K_aa = np.eye(2, dtype=np.float32)
      >>> dependence.centre_against(K_aa, K_aa).tolist()
      [[0.5, -0.5], [-0.5, 0.5]]
    """
    K_xa, K_aa = _checks.as_floats(K_xa, "K_xa"), _checks.as_gram(K_aa, "K_aa")
    if jnp.ndim(K_xa) != 2 or K_xa.shape[1] != K_aa.shape[0]:
        raise ValueError(f"K_xa: expected shape [n, {K_aa.shape[0]}] to go with K_aa, got {jnp.shape(K_xa)}")
    anchors = jnp.mean(K_aa, axis=0, keepdims=True)
    columns = K_xa - anchors
    return columns - jnp.mean(columns, axis=1, keepdims=True)


def u_centre(K: jax.Array) -> jax.Array:
    """U-centring: the matrix whose inner products, divided by n (n - 3), are the unbiased estimates.

    Off the diagonal K_ij - r_i / (n - 2) - r_j / (n - 2) + t / ((n - 1)(n - 2)) with r the row sums and t the total of
    K with zeros on the diagonal.

    Args:
      K: Gram matrix [n, n], n at least 4.

    Returns:
      [n, n]; rows and columns sum to zero, up to rounding.

    Raises:
      ValueError: when K is not square or n is below 4.

    References:
      [1] Szekely, Rizzo, "Partial distance correlation with methods for dissimilarities", Annals of Statistics 2014,
          definition 2.

    Examples:
      >>> K = dependence.linear(*[np.arange(5, dtype=np.float32)[:, None]] * 2)
      >>> np.round(dependence.u_centre(K).sum(axis=1), 4).tolist()
      [0.0, 0.0, 0.0, 0.0, 0.0]
    """
    K = _checks.as_gram(K)
    n = K.shape[0]
    if n < 4:
        raise ValueError(f"K: U-centring needs at least 4 samples, got {n}")
    diagonal = jnp.eye(n, dtype=bool)
    # One entry taken off everywhere cancels in exact arithmetic, and leaves exact zeros of a constant kernel.
    K = jnp.where(diagonal, 0.0, K - jax.lax.stop_gradient(K[0, 1]))
    rows = jnp.sum(K, axis=1, keepdims=True) / (n - 2)
    columns = jnp.sum(K, axis=0, keepdims=True) / (n - 2)
    total = jnp.sum(K) / ((n - 1) * (n - 2))
    return jnp.where(diagonal, 0.0, K - rows - columns + total)


def hsic_biased(K: jax.Array, L: jax.Array) -> jax.Array:
    """Biased HSIC, tr(K H L H) / n^2, a V-statistic.

    Args:
      K: Gram matrix of the first variable [n, n].
      L: Gram matrix of the second variable [n, n].

    Returns:
      Scalar, not negative up to rounding; larger is more dependent. Its bias under independence falls as 1 / n.

    Raises:
      ValueError: when the matrices are not square or differ in shape.

    References:
      [1] Gretton et al., "A kernel statistical test of independence", NIPS 2007, eq. 4. The ALT 2005 paper divides by
          (n - 1)^2.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(y, y, bandwidth=0.5)
      >>> bool(dependence.hsic_biased(K, L) > 0)
      True
    """
    K, L = as_grams(K, L, 1)
    return jnp.mean(centre(K) * centre(L))


def hsic_unbiased(K: jax.Array, L: jax.Array) -> jax.Array:
    """Unbiased HSIC, a U-statistic, in its U-centred form.

    [tr(K~ L~) + 1'K~1 1'L~1 / ((n-1)(n-2)) - 2 1'K~L~1 / (n-2)] / (n (n-3)), K~ and L~ with zero diagonals.

    Args:
      K: Gram matrix of the first variable [n, n], symmetric, n at least 4.
      L: Gram matrix of the second variable [n, n], symmetric.

    Returns:
      Scalar whose expectation is zero under independence, where it is often negative; larger is more dependent.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 4.

    References:
      [1] Song, Smola, Gretton, Bedo, Borgwardt, "Feature selection via dependence maximization", JMLR 2012, eq. 5.
      [2] Szekely, Rizzo, "Partial distance correlation with methods for dissimilarities", Annals of Statistics 2014,
          proposition 1.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(y, y, bandwidth=0.5)
      >>> bool(dependence.hsic_unbiased(K, L) > 0)
      True
    """
    K, L = as_grams(K, L, 4)
    n = K.shape[0]
    return jnp.sum(u_centre(K) * u_centre(L)) / (n * (n - 3))


def correlation(K: jax.Array, A: jax.Array, L: jax.Array, B: jax.Array) -> jax.Array:
    """Cosine of two centred matrices, NaN when either is constant up to rounding.

    Args:
      K: the matrix before centring [n, n], for its scale.
      A: the matrix after centring [n, n].
      L: Gram matrix of the second variable, in the same form.
      B: the second matrix after centring.

    Returns:
      Scalar in [-1, 1], up to rounding; its gradient is zero where it is NaN.

    References:
      [1] Cortes, Mohri, Rostamizadeh, "Algorithms for learning kernels based on centered alignment", JMLR 2012,
          definition 4.
    """
    (a, varies_a), (b, varies_b) = unit_norm(K, A), unit_norm(L, B)
    return jnp.where(varies_a & varies_b, jnp.sum(a * b), jnp.nan)


def unit_norm(original: jax.Array, centred: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scales to Frobenius norm 1, and says whether there was more than rounding to scale."""
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(centred)))
    rounding = ROUNDING_UNITS * jnp.finfo(centred.dtype).eps * jnp.max(jnp.abs(original))
    varies = largest > rounding
    # Dividing by the largest entry first keeps the squares inside the dtype's range.
    scaled = jnp.where(varies, centred / jnp.where(varies, largest, 1.0), 1.0)
    return scaled / jnp.sqrt(jnp.sum(scaled * scaled)), varies


def hsic_normalised(K: jax.Array, L: jax.Array) -> jax.Array:
    """Biased HSIC divided by its value for each variable with itself.

    HSIC_b(K, L) / sqrt(HSIC_b(K, K) HSIC_b(L, L)), the same number as `cka`. This is not the NOCCO of Fukumizu et al.
    (2008), which whitens.

    Args:
      K: Gram matrix of the first variable [n, n], n at least 2.
      L: Gram matrix of the second variable [n, n].

    Returns:
      Scalar in [0, 1]; larger is more dependent. NaN, with gradient zero, when a variable is constant.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 2.

    References:
      [1] Cortes, Mohri, Rostamizadeh, "Algorithms for learning kernels based on centered alignment", JMLR 2012,
          definition 4.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(y, y, bandwidth=0.5)
      >>> round(float(dependence.hsic_normalised(K, K)), 3)
      1.0
    """
    K, L = as_grams(K, L, 2)
    return correlation(K, centre(K), L, centre(L))


class BlockHSIC(NamedTuple):
    """Result of `hsic_block`; both fields scalars."""

    estimate: jax.Array
    variance: jax.Array


def hsic_block(kernel_x: Kernel, kernel_y: Kernel, x: jax.Array, y: jax.Array, *, block_size: int) -> BlockHSIC:
    """Unbiased HSIC averaged over blocks of samples: O(n block_size) operations, O(block_size^2) memory.

    Args:
      kernel_x: `kernel_x(a, a)` of [block_size, d], its Gram matrix; e.g. `rbf` with its bandwidth bound. Static.
      kernel_y: the same for the second variable.
      x: samples [n, d] in random order.
      y: samples [n, e], or labels [n] where the kernel takes them.
      block_size: static int, 4 to n / 2; samples beyond whole blocks are left out.

    Returns:
      `BlockHSIC`: estimate, of expectation zero under independence; variance of the estimate, from that between blocks.
      For many blocks the estimate is normal, under independence too; for few it is skewed, and a test by
      `hsic_gamma_test` of the samples that fit is both exact and stronger.

    Raises:
      ValueError: when the numbers of samples differ or the block size is out of range.

    References:
      [1] Zhang, Filippi, Gretton, Sejdinovic, "Large-scale kernel methods for independence testing", Statistics and
          Computing 2018, section 3.1.

    Examples:
      >>> x = jax.random.normal(jax.random.key(0), (40, 1))
      >>> kernel = dependence.linear
      >>> bool(dependence.hsic_block(kernel, kernel, x, 2 * x, block_size=10).estimate > 0)
      True
    """
    n = jnp.shape(x)[0]
    if n != jnp.shape(y)[0]:
        raise ValueError(f"x, y: expected the same samples, got {n} and {jnp.shape(y)[0]}")
    if not 4 <= block_size <= n // 2:
        raise ValueError(f"block_size: expected 4 to n / 2 = {n // 2}, got {block_size}")
    blocks = n // block_size
    grouped = [a[: blocks * block_size].reshape(blocks, block_size, *a.shape[1:]) for a in (x, y)]
    values = jax.lax.map(lambda pair: hsic_unbiased(kernel_x(pair[0], pair[0]), kernel_y(pair[1], pair[1])), grouped)
    return BlockHSIC(jnp.mean(values), jnp.var(values, ddof=1) / blocks)
