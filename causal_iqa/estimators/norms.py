"""MaNo: accuracy from the norm of a matrix of normalised logits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from causal_iqa._arrays import Array
from causal_iqa.estimators import spec

__all__ = ["MatrixNormTerms", "matrix_norm", "matrix_norm_terms"]

# The norm's order and the criterion above which the softmax is trusted, as published.
_ORDER, _CERTAIN = 4, 5.0


class MatrixNormTerms(NamedTuple):
    """What one image adds to MaNo; arrays [...].

    Attributes:
      softmax_power: sum over classes of the softmax to the fourth power.
      taylor_power: the same of the logits under the second-order Taylor normalisation.
      divergence: mean over classes of the negative log softmax, the cross-entropy from the uniform distribution, nats.
    """

    softmax_power: Array
    taylor_power: Array
    divergence: Array


def matrix_norm_terms(logits: jax.Array) -> MatrixNormTerms:
    """What every image adds to `matrix_norm`.

    Args:
      logits: float [..., K].

    Returns:
      The terms, [...] each.

    References:
      [1] R. Xie et al. (2024), MaNo: exploiting matrix norm for unsupervised accuracy estimation under distribution
        shifts, equations 5 and 6.

    Examples:
      >>> logits = np.float32([[4, 1, 0], [1, 1, 1]])
      >>> len(estimators.matrix_norm_terms(logits)[0])
      2
    """
    log_p = jax.nn.log_softmax(logits)
    series = 1 + logits + jnp.square(logits) / 2
    series = series - series.min(axis=-1, keepdims=True)
    total = series.sum(axis=-1, keepdims=True)
    shares = jnp.where(total > 0, series / jnp.where(total > 0, total, 1.0), 0.0)
    return MatrixNormTerms(
        jnp.exp(special.logsumexp(_ORDER * log_p, axis=-1)), (shares**_ORDER).sum(axis=-1), -log_p.mean(axis=-1)
    )


def matrix_norm(terms: MatrixNormTerms, num_classes: int) -> float | np.ndarray:
    """MaNo of a set of images: (mean over images and classes of the normalised logits to the fourth power)^(1/4).

    Logits are normalised by the softmax where the set's mean cross-entropy from the uniform distribution is above 5,
    else by (1 + z + z^2 / 2) minus its smallest, divided by the sum.

    Args:
      terms: terms of N images, [..., N] each; leading axes run over sets.
      num_classes: K.

    Returns:
      [...] in [0, 1], higher is better.

    Raises:
      ValueError: when the terms are not of one shape.

    References:
      [1] R. Xie et al. (2024), MaNo: exploiting matrix norm for unsupervised accuracy estimation under distribution
        shifts.

    Examples:
      >>> logits = np.float32([[4, 1, 0], [1, 1, 1]])
      >>> bool(estimators.matrix_norm(estimators.matrix_norm_terms(logits), 3) > 0)
      True
    """
    softmax, taylor, divergence = (np.asarray(term, np.float64) for term in terms)
    if softmax.ndim < 1 or not softmax.size or taylor.shape != softmax.shape or divergence.shape != softmax.shape:
        raise ValueError(f"terms: expected [..., N] each, got {softmax.shape}, {taylor.shape} and {divergence.shape}")
    power = np.where(divergence.mean(axis=-1) > _CERTAIN, softmax.mean(axis=-1), taylor.mean(axis=-1))
    found = (power / num_classes) ** (1 / _ORDER)
    return found if found.ndim else float(found)


SPECS = (
    spec.EstimatorSpec(
        "mano",
        matrix_norm,
        "dataset",
        ("terms", "num_classes"),
        False,
        spec.OWN,
        "mean fourth power of the normalised logits, to the power 1/4",
        "Xie et al. 2024 (MaNo)",
    ),
)
