"""Scores of a whole unlabelled set from the outputs of a network: nuclear norm, optimal transport.

Leading axes run over sets of images of one size, which are scored together.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize

from causal_iqa.estimators import spec

__all__ = ["Transport", "dense", "nuclear_norm", "optimal_transport"]

# Smoothing of the largest gain in the dual of optimal transport, one after the other.
_SMOOTHINGS = (0.1, 0.02, 0.004, 0.001)


class Transport(NamedTuple):
    """accuracy: predicted, in [0, 1]. rows: [N], what each image adds; accuracy is their mean.

    A row is the image's probability of the label it is given, minus that label's price, plus the mean price: how the
    accuracy changes with the weight of the image, as a resample needs it.
    """

    accuracy: float
    rows: np.ndarray


def dense(top: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Probabilities of all classes from the largest few; the others are 0.

    Args:
      top: [..., N, T] probabilities.
      classes: int [..., N, T], their classes.
      num_classes: K.

    Returns:
      float64 [..., N, K].

    Raises:
      ValueError: when shapes differ or a class is not below K.

    Examples:
      >>> estimators.dense(np.array([[0.7, 0.2]]), np.array([[2, 0]]), 4).tolist()
      [[0.2, 0.0, 0.7, 0.0]]
    """
    top, classes = np.asarray(top, np.float64), np.asarray(classes)
    if top.ndim < 2 or top.shape != classes.shape or classes.min() < 0 or classes.max() >= num_classes:
        raise ValueError(
            f"top, classes: expected [..., N, T] both and classes in 0..{num_classes - 1}, got {top.shape}, "
            f"{classes.shape}"
        )
    out = np.zeros((*top.shape[:-1], num_classes))
    np.put_along_axis(out, classes.astype(np.int64), top, axis=-1)
    return out


def nuclear_norm(probabilities: np.ndarray) -> float | np.ndarray:
    """Sum of the singular values of the predictions over its largest possible value, sqrt(N min(N, K)).

    Large when predictions are confident and spread over the classes.

    Args:
      probabilities: [..., N, K], rows sum to 1 at most.

    Returns:
      [...] in (0, 1], higher is better.

    Raises:
      ValueError: for another rank.

    References:
      [1] W. Deng et al. (2023), Confidence and dispersity speak: characterising prediction matrix for unsupervised
        accuracy estimation.

    Examples:
      >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
      >>> round(float(estimators.nuclear_norm(np.eye(2))), 2)
      1.0
      >>> round(float(estimators.nuclear_norm(probabilities)), 2)
      0.79
    """
    p = as_probabilities(probabilities)
    n, k = p.shape[-2:]
    # Singular values by the smaller Gram matrix: exact to 10^-8 of the largest, and several times as quick.
    gram = p @ p.swapaxes(-1, -2) if n < k else p.swapaxes(-1, -2) @ p
    norm = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0)).sum(axis=-1)
    return shaped(norm / np.sqrt(n * min(n, k)))


def optimal_transport(probabilities: np.ndarray, marginal: np.ndarray) -> Transport:
    """COT: accuracy = 1 - least mean cost of moving the predictions onto labels with the given marginal.

    The cost of giving an image of predictions p the label y is |p - e_y|_inf = 1 - p_y. The dual problem has one price
    v_y per label: the accuracy is the least value of sum_y marginal_y v_y + mean_i max_y (p_iy - v_y). It is solved by
    quasi-Newton steps with a smoothed maximum and ever less smoothing. The result is the value without smoothing, which
    exceeds the least value by some 10^-6 at most.

    Args:
      probabilities: [N, K], rows sum to 1 at most.
      marginal: [K] shares of the labels in the clean data, sum 1.

    Returns:
      The predicted accuracy, and the contribution of every image to it.

    Raises:
      ValueError: when shapes do not fit or the marginal does not sum to 1.

    References:
      [1] Y. Lu et al. (2023), Characterizing out-of-distribution error via optimal transport.
      [2] G. Peyré, M. Cuturi (2019), Computational optimal transport, section 5.3.

    Examples:
      >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
      >>> round(float(estimators.optimal_transport(probabilities, np.array([0.6, 0.4])).accuracy), 2)
      0.75
    """
    p, marginal = as_probabilities(probabilities, most=2), np.asarray(marginal, np.float64)
    if marginal.shape != p.shape[1:] or (marginal < 0).any() or not np.isclose(marginal.sum(), 1, atol=1e-6):
        raise ValueError(f"marginal: expected shares [{p.shape[1]}] that sum to 1, got {marginal.shape}")
    prices = np.zeros(len(marginal))
    # By label first: sums over the labels then go through whole rows of images.
    by_label = np.ascontiguousarray(p.T)
    for smoothing in _SMOOTHINGS:

        def dual(v: np.ndarray, smoothing: float = smoothing) -> tuple[float, np.ndarray]:
            z = by_label - v[:, None]
            z /= smoothing
            top = z.max(axis=0)
            z -= top
            weight = np.exp(z, out=z)
            total = weight.sum(axis=0)
            value = float(marginal @ v) + smoothing * float((top + np.log(total)).mean())
            return value, marginal - weight @ (1 / total) / len(p)

        # Gains lie in [0, 1], and so do the prices of some optimum.
        found = optimize.minimize(dual, prices, jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * len(prices))
        prices = found.x
    rows = marginal @ prices + (p - prices).max(axis=1)
    return Transport(float(rows.mean()), rows)


def shaped(values: np.ndarray) -> float | np.ndarray:
    """Returns a float of one set, an array of several."""
    return values if np.ndim(values) else float(values)


def as_probabilities(probabilities: np.ndarray, most: int | None = None) -> np.ndarray:
    """Returns [..., N, K] in float64; ValueError for another rank, above `most`, or rows that are no probabilities."""
    p = np.asarray(probabilities, np.float64)
    if p.ndim < 2 or p.ndim > (most or p.ndim) or p.size == 0:
        raise ValueError(f"probabilities: expected [{'' if most else '..., '}N, K], got shape {p.shape}")
    if not np.isfinite(p).all() or (p < 0).any() or (p.sum(axis=-1) > 1 + 1e-2).any():
        raise ValueError("probabilities: expected rows of non-negative numbers that sum to 1 at most")
    return p


SPECS = (
    *spec.both(
        "cot",
        optimal_transport,
        ("probabilities", "marginal"),
        ("own_outputs", "class_shares"),
        "one less the transport cost from the predictions to the class shares of the clean images",
        "Lu et al. 2023",
    ),
    spec.EstimatorSpec(
        "nuclear_norm",
        nuclear_norm,
        "dataset",
        ("probabilities",),
        False,
        spec.OWN,
        "nuclear norm of the predictions over sqrt(N min(N, K))",
        "Deng et al. 2023",
    ),
)
