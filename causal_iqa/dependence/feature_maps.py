"""Finite feature maps of kernels, phi(x) with phi(x) . phi(x') equal or close to k(x, x').

A map is a `jax.tree_util.Partial`: a pytree whose leaves are its parameters, called as `map(x) [n, d] -> [n, D]`.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from causal_iqa import _checks
from causal_iqa.dependence import kernels

_PRECISION = jax.lax.Precision.HIGHEST
# sin(pi/2 v) on [-1, 1], an odd polynomial through the Chebyshev points; largest error 4e-9.
_NODES = np.cos(np.pi * (np.arange(10) + 0.5) / 10)[:5]
_SINE = np.linalg.solve(_NODES[:, None] ** np.arange(1, 10, 2)[None, :], np.sin(np.pi / 2 * _NODES))


def cosine_of_turns(t: jax.Array) -> jax.Array:
    """cos(2 pi t), by exact range reduction and a polynomial: several times faster than `jnp.cos` on a CPU.

    Args:
      t: angle in turns, any shape.

    Returns:
      Same shape; within two rounding units of 1 for float32, 4e-9 for float64.

    Examples:
      >>> np.round(dependence.cosine_of_turns(np.float32([0, 0.25, 0.5])), 3).tolist()
      [1.0, 0.0, -1.0]
    """
    # t less its nearest whole number is exact, and so is a quarter less that.
    v = 1.0 - 4.0 * jnp.abs(t - jnp.round(t))
    square = v * v
    value = jnp.full_like(v, _SINE[-1])
    for coefficient in _SINE[-2::-1]:
        value = value * square + coefficient.astype(np.float32)
    return value * v


def _of_dimension(x: jax.Array, dimension: int) -> jax.Array:
    x = _checks.as_samples(x)
    if x.shape[1] != dimension:
        raise ValueError(f"x: expected samples of dimension {dimension}, as the map has, got {x.shape[1]}")
    return x


def _fourier(frequencies: jax.Array, phases: jax.Array, centre: jax.Array, x: jax.Array) -> jax.Array:
    x = _of_dimension(x, frequencies.shape[0])
    turns = jnp.matmul(x - centre[None, :], frequencies, precision=_PRECISION) + phases[None, :]
    return math.sqrt(2.0 / frequencies.shape[1]) * cosine_of_turns(turns)


def fourier_map(
    key: jax.Array,
    dimension: int,
    *,
    num_frequencies: int,
    bandwidth: jax.Array | float,
    centre: jax.Array | None = None,
) -> Partial:
    """Random Fourier features of the RBF kernel exp(-|x - x'|^2 / (2 bandwidth^2)), a cosine and a sine a frequency.

    The expectation of phi(x) . phi(x') over the key is k(x, x') exactly, and |phi(x)| = 1.

    Args:
      key: random key of the frequencies; two variables need two keys.
      dimension: d of the samples, static int.
      num_frequencies: m, static int; there are 2 m features.
      bandwidth: length scale in the unit of x, positive.
      centre: point [d] taken away from the samples first, which changes no kernel value; one near the data keeps
        float32 digits of samples far from zero. Zero when None.

    Returns:
      Map from [n, d] to [n, 2 m], entries within sqrt(1 / m) of zero.

    Raises:
      ValueError: when a number is below 1 or the centre is not [d].

    References:
      [1] Rahimi, Recht, "Random features for large-scale kernel machines", NIPS 2007, algorithm 1.
      [2] Sutherland, Schneider, "On the error of random Fourier features", UAI 2015, on pairs against phases.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> features = dependence.fourier_map(jax.random.key(0), 1, num_frequencies=64, bandwidth=0.5)
      >>> features(x).shape
      (20, 128)
    """
    for value, name in ((dimension, "dimension"), (num_frequencies, "num_frequencies")):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    if centre is None:
        centre = jnp.zeros(dimension)
    elif (centre := _checks.as_floats(centre, "centre")).shape != (dimension,):
        raise ValueError(f"centre: expected shape ({dimension},), got {jnp.shape(centre)}")
    directions = jax.random.normal(key, (dimension, num_frequencies)) / (2.0 * jnp.pi * bandwidth)
    # A sine is a cosine a quarter of a turn later: one product and one polynomial for both.
    frequencies = jnp.concatenate([directions, directions], axis=1)
    phases = jnp.concatenate([jnp.zeros(num_frequencies), jnp.full(num_frequencies, -0.25)])
    return Partial(_fourier, frequencies, phases, centre)


def _nystrom(landmarks: jax.Array, whitening: jax.Array, bandwidth: jax.Array, x: jax.Array) -> jax.Array:
    x = _of_dimension(x, landmarks.shape[1])
    return jnp.matmul(kernels.rbf(x, landmarks, bandwidth=bandwidth), whitening, precision=_PRECISION)


def nystrom_map(landmarks: jax.Array, *, bandwidth: jax.Array | float, ridge: float) -> Partial:
    """Nystrom features of the RBF kernel, k(x, landmarks) (K_mm + ridge I)^(-1/2).

    The approximate Gram matrix is below the true one (the difference is positive semidefinite), and equal to it on the
    landmarks up to the ridge.

    Args:
      landmarks: m samples [m, d], for example a random part of the data.
      bandwidth: length scale in the unit of x, positive.
      ridge: keeps the root finite, positive; at least 1e-6 m in float32.

    Returns:
      Map from [n, d] to [n, m].

    Raises:
      ValueError: when the landmarks are not [m, d].

    References:
      [1] Williams, Seeger, "Using the Nystroem method to speed up kernel machines", NIPS 2000.

    Examples:
      >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
      >>> features = dependence.nystrom_map(x[::4], bandwidth=0.5, ridge=1e-5)
      >>> features(x).shape
      (20, 5)
    """
    landmarks = jnp.asarray(_checks.as_samples(landmarks, "landmarks"))
    bandwidth = jnp.asarray(bandwidth, landmarks.dtype)
    values, vectors = jnp.linalg.eigh(kernels.rbf(landmarks, landmarks, bandwidth=bandwidth))
    roots = 1.0 / jnp.sqrt(jnp.maximum(values, 0.0) + ridge)
    whitening = jnp.matmul(vectors * roots[None, :], vectors.T, precision=_PRECISION)
    return Partial(_nystrom, landmarks, whitening, bandwidth)


def _identity(x: jax.Array) -> jax.Array:
    return _checks.as_samples(x)


def linear_map() -> Partial:
    """The map of the linear kernel, the samples themselves.

    Returns:
      Map from [n, d] to [n, d].

    Examples:
      >>> dependence.linear_map()(np.float32([[1, 2]])).tolist()
      [[1.0, 2.0]]
    """
    return Partial(_identity)


def _one_hot(classes: jax.Array, labels: jax.Array) -> jax.Array:
    labels = _checks.as_labels(labels)
    return (labels[:, None] == classes[None, :]).astype(jnp.float32)


def delta_map(num_classes: int) -> Partial:
    """The map of the delta kernel, exact: one indicator a class.

    Args:
      num_classes: static int; labels are 0..num_classes - 1.

    Returns:
      Map from labels [n] to [n, num_classes].

    Raises:
      ValueError: when there is no class.

    Examples:
      >>> dependence.delta_map(3)(np.array([0, 2])).tolist()
      [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if num_classes < 1:
        raise ValueError(f"num_classes: expected at least 1, got {num_classes}")
    return Partial(_one_hot, jnp.arange(num_classes))
