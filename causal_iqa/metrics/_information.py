"""The statistics behind information-theoretic metrics: local regression and Gaussian scale mixtures."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

# Of the original codes: a variance below it counts as zero.
_ZERO_VARIANCE = 1e-15


class ScaleMixture(NamedTuple):
    """A Gaussian scale mixture fitted to vectors of one band.

    Attributes:
      field: [...], the squared multiplier of each vector, v' C^-1 v / d; NaN when C is singular.
      eigenvalues: [d] of the covariance C, ascending, not below zero.
    """

    field: jax.Array
    eigenvalues: jax.Array


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
    var_x = jnp.maximum(xx - mean_x * mean_x, 0.0)
    var_d = jnp.maximum(dd - mean_d * mean_d, 0.0)
    cov = xd - mean_x * mean_d
    flat_x = var_x < _ZERO_VARIANCE
    slope = cov / jnp.where(flat_x, 1.0, var_x)
    var_y = jnp.maximum(var_x + 2.0 * cov + var_d, 0.0)
    flat_y = var_y < _ZERO_VARIANCE
    residual = jnp.maximum(var_d - slope * cov, 0.0)
    gain = jnp.where(flat_x | flat_y, 0.0, 1.0 + slope)
    return gain, jnp.where(flat_y, 0.0, jnp.where(flat_x, var_y, residual))


def scale_mixture(samples: jax.Array, vectors: jax.Array, *, centred: bool) -> ScaleMixture:
    """Fits the covariance to `samples` and gives the multiplier of each of `vectors`.

    Args:
      samples: float32 [d, H, W], the vectors the covariance is estimated from.
      vectors: float32 [d, h, w].
      centred: whether the mean of the samples is subtracted, static.

    Returns:
      A ScaleMixture; everything is NaN when a component of the samples is flat.

    References:
      [1] Wainwright, Simoncelli, "Scale mixtures of Gaussians and the statistics of natural images", NIPS 1999.
    """
    size = samples.shape[0]
    if centred:
        samples = samples - jnp.mean(samples, axis=(1, 2), keepdims=True)
    # Row by row, then over rows: two short sums lose less than one long one.
    cov = jnp.sum(jnp.einsum("iyx,jyx->yij", samples, samples, precision="highest"), axis=0)
    cov = cov / (samples.shape[1] * samples.shape[2])
    defined = jnp.all(jnp.diagonal(cov) > _ZERO_VARIANCE)
    cov = jnp.where(defined, cov, jnp.eye(size, dtype=cov.dtype))
    deviation = jnp.sqrt(jnp.diagonal(cov))
    # Scaled to a correlation matrix first, the factor keeps the digits of components of small variance.
    factor = jnp.linalg.cholesky(cov / jnp.outer(deviation, deviation))
    whitener = jax.scipy.linalg.solve_triangular(factor, jnp.diag(1.0 / deviation), lower=True)
    whitened = jnp.einsum("ij,jyx->iyx", whitener, vectors, precision="highest")
    field = jnp.mean(jnp.square(whitened), axis=0)
    eigenvalues = jnp.maximum(jnp.linalg.eigvalsh(cov), 0.0)
    return ScaleMixture(jnp.where(defined, field, jnp.nan), jnp.where(defined, eigenvalues, jnp.nan))
