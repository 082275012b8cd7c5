"""The statistics behind information-theoretic metrics: local regression and Gaussian scale mixtures."""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from causal_iqa._arrays import total
from causal_iqa._xla import settle

# Of the original codes: a variance below it counts as zero.
_ZERO_VARIANCE = 1e-15


class ScaleMixture(NamedTuple):
    """A Gaussian scale mixture fitted to vectors of one band.

    Attributes:
      field: [...], the squared multiplier of each vector, v' C^-1 v / d.
      eigenvalues: [d] of the covariance C, ascending, not below zero.
      defined: whether C has an inverse; false when a component is flat, and then the others mean nothing (but are
        finite, so that a gradient stays finite).
    """

    field: jax.Array
    eigenvalues: jax.Array
    defined: jax.Array


def regress(
    mean_x: jax.Array, mean_d: jax.Array, xx: jax.Array, xd: jax.Array, dd: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Local model y = g x + v of a distorted signal, from windowed means of x and d = y - x and their products.

    Regressing the difference gives the same residual, without cancellation where y is close to x.

    Args:
      mean_x: windowed mean of x.
      mean_d: windowed mean of d.
      xx: windowed mean of x^2.
      xd: windowed mean of x d.
      dd: windowed mean of d^2.

    Returns:
      (gain, variance of the residual), without constraints on the gain's sign; where x or y is flat the gain is 0, and
      the residual all of y's variance.
    """
    # The barriers keep XLA from fusing windows, regression and logarithms, which takes it minutes in a gradient.
    mean_x, mean_d, xx, xd, dd = settle((mean_x, mean_d, xx, xd, dd))
    var_x = jnp.maximum(xx - mean_x * mean_x, 0.0)
    var_d = jnp.maximum(dd - mean_d * mean_d, 0.0)
    cov = xd - mean_x * mean_d
    flat_x = var_x < _ZERO_VARIANCE
    slope = cov / jnp.where(flat_x, 1.0, var_x)
    var_y = jnp.maximum(var_x + 2.0 * cov + var_d, 0.0)
    flat_y = var_y < _ZERO_VARIANCE
    residual = jnp.maximum(var_d - slope * cov, 0.0)
    gain = jnp.where(flat_x | flat_y, 0.0, 1.0 + slope)
    residual = jnp.where(flat_y, 0.0, jnp.where(flat_x, var_y, residual))
    return settle((gain, residual))


def scale_mixture(samples: Sequence[jax.Array], vectors: Sequence[jax.Array], *, centred: bool) -> ScaleMixture:
    """Fits the covariance to `samples` and gives the multiplier of each of `vectors`, constants for differentiation.

    It describes a reference: gradients are taken with respect to the image.

    Args:
      samples: d arrays [H, W], the components of the vectors the covariance is estimated from.
      vectors: d arrays [h, w], the components of the vectors to measure.
      centred: whether the mean of the samples is subtracted, static.

    Returns:
      A ScaleMixture.

    References:
      [1] Wainwright, Simoncelli, "Scale mixtures of Gaussians and the statistics of natural images", NIPS 1999.
    """
    size = len(samples)
    samples, vectors = jax.lax.stop_gradient((samples, vectors))
    flat = jnp.stack(samples).reshape(size, -1)
    if centred:
        flat = flat - jnp.mean(flat, axis=1, keepdims=True)
    cov = jnp.einsum("in,jn->ij", flat, flat, precision="highest") / flat.shape[1]
    defined = jnp.all(jnp.diagonal(cov) > _ZERO_VARIANCE)
    cov = jnp.where(defined, cov, jnp.eye(size, dtype=cov.dtype))
    deviation = jnp.sqrt(jnp.diagonal(cov))
    # Scaled to a correlation matrix first, the factor keeps the digits of components of small variance.
    factor = jnp.linalg.cholesky(cov / jnp.outer(deviation, deviation))
    whitener = jax.scipy.linalg.solve_triangular(factor, jnp.diag(1.0 / deviation), lower=True)
    # Elementwise: as a product of a small matrix with a long one this would take fifty times longer.
    components = (total(whitener[i, j] * vectors[j] for j in range(i + 1)) for i in range(size))
    field = total(component * component for component in components)
    eigenvalues = jnp.maximum(jnp.linalg.eigvalsh(cov), 0.0)
    return settle(ScaleMixture(field / size, eigenvalues, defined))


def sum_of_logs(terms: Callable[[jax.Array], jax.Array], eigenvalues: jax.Array) -> jax.Array:
    """Sum over eigenvalues of log2(1 + terms(eigenvalue)), as logarithms of products of three.

    Args:
      terms: maps one eigenvalue to an array of values in [0, 1e12), whose products of three fit float32.
      eigenvalues: [d].

    Returns:
      An array of the terms' shape, in bits.
    """

    def product(start: int) -> jax.Array:
        factors = (1.0 + terms(eigenvalues[k]) for k in range(start, min(start + 3, eigenvalues.shape[0])))
        return functools.reduce(operator.mul, factors)

    return total(jnp.log2(product(start)) for start in range(0, eigenvalues.shape[0], 3))
