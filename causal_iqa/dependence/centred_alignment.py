"""Centred kernel alignment: how alike the geometry of two representations of the same samples is."""

import jax
import jax.numpy as jnp

from causal_iqa import _checks
from causal_iqa.dependence import hsic


def cka(K: jax.Array, L: jax.Array) -> jax.Array:
    """Centred kernel alignment from biased HSIC; the same number as `hsic_normalised`.

    With fewer samples than feature dimensions it is near 1 even for unrelated features: see `cka_debiased`.

    Args:
      K: Gram matrix of the first representation [n, n], n at least 2.
      L: Gram matrix of the second representation [n, n].

    Returns:
      Scalar in [0, 1]; larger is more alike. NaN, with gradient zero, when a representation is constant.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 2.

    References:
      [1] Kornblith, Norouzi, Lee, Hinton, "Similarity of neural network representations revisited", ICML 2019, eq. 4.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(y, y, bandwidth=0.5)
      >>> round(float(dependence.cka(K, K)), 3), round(float(dependence.cka(K, L)), 1)
      (1.0, 0.4)
    """
    return hsic.hsic_normalised(K, L)


def cka_debiased(K: jax.Array, L: jax.Array) -> jax.Array:
    """Centred kernel alignment from unbiased HSIC.

    Args:
      K: Gram matrix of the first representation [n, n], symmetric, n at least 4.
      L: Gram matrix of the second representation [n, n], symmetric.

    Returns:
      Scalar in [-1, 1], near 0 for unrelated representations for which it is often negative; larger is more alike. NaN,
      with gradient zero, when a representation is constant.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 4.

    References:
      [1] Nguyen, Raghu, Kornblith, "Do wide and deep networks learn the same things?", ICLR 2021, eq. 3.
      [2] Song et al., "Feature selection via dependence maximization", JMLR 2012, eq. 5.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> K, L = dependence.rbf(x, x, bandwidth=0.5), dependence.rbf(y, y, bandwidth=0.5)
      >>> round(float(dependence.cka_debiased(K, K)), 3), round(float(dependence.cka_debiased(K, L)), 1)
      (1.0, 0.3)
    """
    K, L = hsic.as_grams(K, L, 4)
    return hsic.correlation(K, hsic.u_centre(K), L, hsic.u_centre(L))


def _centre_features(x: jax.Array) -> jax.Array:
    # The first row taken off cancels in exact arithmetic, and leaves exact zeros of constant features.
    x = x - jax.lax.stop_gradient(x[:1])
    return x - jnp.mean(x, axis=0, keepdims=True)


def cka_linear(x: jax.Array, y: jax.Array) -> jax.Array:
    """`cka` of linear kernels in feature space, |Y'X|^2 / (|X'X| |Y'Y|) for centred X and Y, Frobenius norms.

    Costs n (d + e)^2 operations and (d + e)^2 numbers, no [n, n] matrix: the form for many samples.

    Args:
      x: first representation [n, d], n at least 2.
      y: second representation [n, e].

    Returns:
      Scalar in [0, 1]; larger is more alike. NaN, with gradient zero, when a representation is constant.

    Raises:
      ValueError: when an argument is not [n, d], the numbers of samples differ, or n is below 2.

    References:
      [1] Kornblith, Norouzi, Lee, Hinton, "Similarity of neural network representations revisited", ICML 2019, sec. 3.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> y = x**2
      >>> round(float(dependence.cka_linear(x, 2 * x + 1)), 3)
      1.0
    """
    x, y = _checks.as_samples(x), _checks.as_samples(y, "y")
    if x.shape[0] != y.shape[0]:
        raise ValueError(f"x, y: expected the same samples, got {x.shape[0]} and {y.shape[0]}")
    if x.shape[0] < 2:
        raise ValueError(f"x, y: CKA needs at least 2 samples, got {x.shape[0]}")
    a, varies_x = hsic.unit_norm(x, _centre_features(x))
    b, varies_y = hsic.unit_norm(y, _centre_features(y))

    def squared_norm(p: jax.Array, q: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(jnp.matmul(p.T, q, precision=jax.lax.Precision.HIGHEST)))

    alignment = squared_norm(a, b) / jnp.sqrt(squared_norm(a, a) * squared_norm(b, b))
    return jnp.where(varies_x & varies_y, alignment, jnp.nan)
