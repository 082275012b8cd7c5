"""Gram matrices of what kernel ridge regression on a third variable leaves, R H K H R, R = ridge (H M H + ridge I)^-1.

Where a few dozen eigenvalues of H M H are above rounding, as with a smooth kernel of few dimensions or a linear or
polynomial one, by those: R = I - Q S (S + ridge I)^-1 Q', with an orthonormal basis Q of the range of H M H and
S = Q' H M H Q. Otherwise by a Cholesky factor, or by all eigenvalues where its rounding would be more than a small part
of the ridge. In every form directions within rounding of zero count as zero: with the large eigenvalues of a linear or
polynomial kernel, what rounding leaves there would be above the ridge.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg

from causal_iqa import _checks
from causal_iqa.dependence.hsic import as_grams, centre
from causal_iqa.dependence.permutation_moments import orthonormal, probes

_PRECISION = jax.lax.Precision.HIGHEST
# Sizes of the basis that are tried from so many samples on: one dimension needs some 25 directions, two about 100.
_RANKS = ((128, 32), (512, 128))
# Eigenvalues below so many rounding units of the largest are rounding, and the share of the ridge it may come to.
_ROUNDING_UNITS, _SHARE_ROUNDED = 8, 0.1
# What the basis may miss, Frobenius: a share of the ridge, and so many rounding units of the matrix. `residual_maker`
# loses some times more to rounding.
_SHARE_MISSED, _UNITS_MISSED = 1e-2, 16
_CHECKS = 8


def _product(*matrices: jax.Array) -> jax.Array:
    result = matrices[0]
    for matrix in matrices[1:]:
        result = jnp.matmul(result, matrix, precision=_PRECISION)
    return result


def residual_maker(K_z: jax.Array, *, ridge: jax.Array | float) -> jax.Array:
    """The matrix that takes kernel ridge predictions away: R = ridge (H K_z H + ridge I)^-1.

    By one Cholesky factor; for k(z, z) = 1 its rounding in float32 stays below one part in a hundred of the ridge
    10^-3 up to some thousand samples.

    Args:
      K_z: Gram matrix of the conditioning variable [n, n].
      ridge: positive, in the unit of the kernel; not multiplied by n.

    Returns:
      [n, n], symmetric, eigenvalues in (0, 1].

    Raises:
      ValueError: when K_z is not square.

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, UAI 2011, eq. 10.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)
      >>> K_x, K_y, K_z = (dependence.rbf(one, one, bandwidth=1.0) for one in (x, y, z))
      >>> dependence.residual_maker(K_z, ridge=1e-3).shape
      (60, 60)
    """
    K_z = _checks.as_gram(K_z, "K_z")
    identity = jnp.eye(K_z.shape[0], dtype=K_z.dtype)
    factor = jax.scipy.linalg.cholesky(centre(K_z) + ridge * identity, lower=True)
    inverse = jax.scipy.linalg.solve_triangular(factor, identity, lower=True)
    return ridge * _product(inverse.T, inverse)


def residual_gram(K: jax.Array, R: jax.Array) -> jax.Array:
    """Gram matrix of what kernel ridge regression on Z leaves: R H K H R.

    Args:
      K: Gram matrix [n, n].
      R: result of `residual_maker` [n, n].

    Returns:
      [n, n], symmetric.

    Raises:
      ValueError: when a matrix is not square or shapes differ.

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, UAI 2011, eq. 11.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> z = rng.normal(size=(60, 1)).astype(np.float32)
      >>> x, y = (z + rng.normal(size=(2, 60, 1))).astype(np.float32)
      >>> K_x, K_y, K_z = (dependence.rbf(one, one, bandwidth=1.0) for one in (x, y, z))
      >>> R = dependence.residual_maker(K_z, ridge=1e-3)
      >>> dependence.residual_gram(K_x, R).shape
      (60, 60)
    """
    K, R = as_grams(K, R, 1)
    return _product(R, centre(K), R)


class Residuals(NamedTuple):
    """Residual Gram matrices of X and Y, and H R^2 H, all [n, n]."""

    x: jax.Array
    y: jax.Array
    squared: jax.Array


def _dense(K_x: jax.Array, K_y: jax.Array, K_z: jax.Array, ridge: jax.Array) -> Residuals:
    R = residual_maker(K_z, ridge=ridge)
    # Less the mean, which the centring of the kernels takes like one more regressor.
    return Residuals(residual_gram(K_x, R), residual_gram(K_y, R), centre(_product(R, R)))


class _Range(NamedTuple):
    basis: jax.Array
    core: jax.Array
    missed: jax.Array
    norm: jax.Array


def _range(centred: jax.Array, rank: int) -> _Range:
    """An orthonormal basis of the range, the matrix on it, and estimates of the norms of what it misses and of all.

    References:
      [1] Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 2011, algorithms 4.4 and 4.3.
    """
    signs = probes(len(centred), rank + _CHECKS).astype(centred.dtype)
    # Small directions drown in rounding at first; their remainder grows again.
    basis = orthonormal(_product(centred, signs[:, :rank]), rounding_units=1.0)
    basis = orthonormal(_product(centred, basis), rounding_units=1.0)
    images = _product(centred, jnp.concatenate([basis, signs[:, rank:]], axis=1))
    # Directions that only rounding gives are none: the ridge would not be above it.
    strength = jnp.sqrt(jnp.sum(jnp.square(images[:, :rank]), axis=0))
    real = strength > _ROUNDING_UNITS * jnp.finfo(centred.dtype).eps * jnp.max(strength)
    basis = jnp.where(real[None, :], basis, 0.0)
    core = _product(basis.T, jnp.where(real[None, :], images[:, :rank], 0.0))
    left = images[:, rank:] - _product(basis, core, _product(basis.T, signs[:, rank:]))
    missed, norm = (jnp.sqrt(jnp.sum(v * v) / _CHECKS) for v in (left, images[:, rank:]))
    return _Range(basis, (core + core.T) / 2, missed, norm)


def _of_eigenvectors(
    K_x: jax.Array, K_y: jax.Array, eigenvalues: jax.Array, basis: jax.Array, ridge: jax.Array
) -> Residuals:
    """From eigenvalues [r] of the centred matrix of Z and their eigenvectors [n, r]."""
    varies = eigenvalues > _ROUNDING_UNITS * jnp.finfo(eigenvalues.dtype).eps * jnp.max(eigenvalues)
    taken = jnp.where(varies, eigenvalues / (jnp.where(varies, eigenvalues, 1.0) + ridge), 0.0)[None, :]

    def gram(K: jax.Array) -> jax.Array:
        centred = centre(K)
        image = _product(centred, basis)
        half = (image - 0.5 * _product(basis * taken, _product(basis.T, image))) * taken
        # (I - V T V') K (I - V T V'); a second product is faster than transposing the first.
        return centred - _product(half, basis.T) - _product(basis, half.T)

    squared = jnp.eye(len(K_x), dtype=K_x.dtype) - _product(basis * (2.0 * taken - taken * taken), basis.T)
    return Residuals(gram(K_x), gram(K_y), centre(squared))


def _of_low_rank(K_x: jax.Array, K_y: jax.Array, found: _Range, ridge: jax.Array) -> Residuals:
    basis, core = found.basis, found.core
    identity = jnp.eye(len(core), dtype=core.dtype)
    factor = jax.scipy.linalg.cho_factor(core + ridge * identity, lower=True)
    taken = jax.scipy.linalg.cho_solve(factor, core)
    taken = (taken + taken.T) / 2

    def gram(K: jax.Array) -> jax.Array:
        centred = centre(K)
        image = _product(centred, basis)
        half = _product(image - 0.5 * _product(basis, taken, _product(basis.T, image)), taken)
        # (I - Q T Q') K (I - Q T Q'); a second product is faster than transposing the first.
        return centred - _product(half, basis.T) - _product(basis, half.T)

    twice = _product(basis, 2.0 * taken - _product(taken, taken))
    squared = jnp.eye(len(K_x), dtype=K_x.dtype) - _product(twice, basis.T)
    return Residuals(gram(K_x), gram(K_y), centre(squared))


def _of_full_rank(
    K_x: jax.Array, K_y: jax.Array, K_z: jax.Array, centred: jax.Array, norm: jax.Array, ridge: jax.Array
) -> Residuals:
    rounding = _ROUNDING_UNITS * jnp.finfo(centred.dtype).eps * norm

    def of_eigenvectors() -> Residuals:
        eigenvalues, basis = jnp.linalg.eigh((centred + centred.T) / 2)
        return _of_eigenvectors(K_x, K_y, eigenvalues, basis, ridge)

    return jax.lax.cond(
        rounding > _SHARE_ROUNDED * ridge,
        of_eigenvectors,
        lambda: _dense(K_x, K_y, K_z, ridge),
    )


@jax.custom_batching.sequential_vmap
def _chosen(K_x: jax.Array, K_y: jax.Array, K_z: jax.Array, ridge: jax.Array) -> Residuals:
    # One sample set at a time: mapped, every form would be computed for each, and on two threads XLA never ends a batch
    # of eigendecompositions beside a batch of Cholesky factors.
    centred = centre(K_z)
    norm = jnp.sqrt(jnp.sum(centred * centred))

    def attempt(ranks: tuple[int, ...]) -> Residuals:
        if not ranks:
            return _of_full_rank(K_x, K_y, K_z, centred, norm, ridge)
        found = _range(centred, ranks[0])
        tolerance = _SHARE_MISSED * ridge + _UNITS_MISSED * jnp.finfo(centred.dtype).eps * found.norm
        return jax.lax.cond(
            found.missed <= tolerance,
            lambda: _of_low_rank(K_x, K_y, found, ridge),
            lambda: attempt(ranks[1:]),
        )

    return attempt(tuple(rank for least, rank in _RANKS if len(K_z) > least))


@jax.custom_jvp
def _residuals(K_x: jax.Array, K_y: jax.Array, K_z: jax.Array, ridge: jax.Array) -> Residuals:
    return Residuals(*_chosen(K_x, K_y, K_z, ridge))


@_residuals.defjvp
def _residuals_jvp(primals: tuple, tangents: tuple) -> tuple[Residuals, Residuals]:
    # A basis that is found says nothing of how it moves.
    return jax.jvp(_dense, primals, tangents)


def residuals(K_x: jax.Array, K_y: jax.Array, K_z: jax.Array, *, ridge: jax.Array | float) -> Residuals:
    """What ridge regression on Z leaves of X and Y, and how it correlates the residuals of different samples.

    Args:
      K_x: Gram matrix of X [n, n], n at least 4.
      K_y: Gram matrix of Y [n, n].
      K_z: Gram matrix of Z [n, n].
      ridge: positive, in the unit of the kernel; not multiplied by n.

    Returns:
      `Residuals`: R H K H R of X and Y, and H R^2 H. Above 128 samples in a time of O(n^2) where Z's matrix has at most
      32 eigenvalues above rounding and a hundredth of the ridge, above 512 samples at most 128.
      Derivatives are those of the Cholesky form. When it is mapped over many sets of samples, it processes them one
      after the other.

    Raises:
      ValueError: when the matrices are not square, differ in shape, or n is below 4.

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, UAI 2011, eq. 10 and 11.
      [2] Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 2011.
    """
    K_x, K_y = as_grams(K_x, K_y, 4)
    K_x, K_z = as_grams(K_x, K_z, 4)
    return _residuals(K_x, K_y, K_z, jnp.asarray(ridge, jnp.result_type(K_z)))
