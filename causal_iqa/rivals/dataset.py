"""Scores of a whole unlabelled set from the probabilities a network gives it: dispersion and optimal transport."""

from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse


class Transport(NamedTuple):
    """accuracy: predicted, in [0, 1]. probability: [N], what each image gives the labels it is assigned to."""

    accuracy: float
    probability: np.ndarray


def dense(top: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Probabilities of all classes from the largest few; the others are 0.

    Args:
      top: [N, T] probabilities.
      classes: int [N, T], their classes.
      num_classes: K.

    Returns:
      float64 [N, K].

    Raises:
      ValueError: when shapes differ or a class is not below K.
    """
    top, classes = np.asarray(top, np.float64), np.asarray(classes)
    if top.ndim != 2 or top.shape != classes.shape or classes.min() < 0 or classes.max() >= num_classes:
        raise ValueError(
            f"top, classes: expected [N, T] both and classes in 0..{num_classes - 1}, got {top.shape}, {classes.shape}"
        )
    out = np.zeros((len(top), num_classes))
    np.put_along_axis(out, classes.astype(np.int64), top, axis=1)
    return out


def nuclear_norm(probabilities: np.ndarray) -> float:
    """Sum of the singular values of the predictions over its largest possible value, sqrt(N min(N, K)).

    Large when predictions are confident and spread over the classes.

    Args:
      probabilities: [N, K], rows sum to 1 at most.

    Returns:
      In (0, 1], higher is better.

    Raises:
      ValueError: for another rank.

    References:
      [1] W. Deng et al. (2023), Confidence and dispersity speak: characterising prediction matrix for unsupervised
        accuracy estimation.
    """
    p = _probabilities(probabilities)
    # Singular values by the smaller Gram matrix: exact to 10^-8 of the largest, and several times as quick.
    gram = p @ p.T if len(p) < p.shape[1] else p.T @ p
    norm = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0.0)).sum()
    return float(norm / np.sqrt(len(p) * min(p.shape)))


def optimal_transport(probabilities: np.ndarray, marginal: np.ndarray) -> Transport:
    """COT: accuracy = 1 - least mean cost of moving the predictions onto labels with the given marginal.

    The cost of giving an image of predictions p the label y is |p - e_y|_inf = 1 - p_y. The linear program is solved
    exactly; probabilities of 0 need no variable, since an image left over costs 1 under any label.

    Args:
      probabilities: [N, K], rows sum to 1 at most.
      marginal: [K] shares of the labels in the clean data, sum 1.

    Returns:
      The predicted accuracy, and the probability of every image's assigned labels, whose mean it is.

    Raises:
      ValueError: when shapes do not fit or the marginal does not sum to 1.
      RuntimeError: when the solver finds no optimum.

    References:
      [1] Y. Lu et al. (2023), Characterizing out-of-distribution error via optimal transport.
    """
    p, marginal = _probabilities(probabilities), np.asarray(marginal, np.float64)
    if marginal.shape != p.shape[1:] or (marginal < 0).any() or not np.isclose(marginal.sum(), 1, atol=1e-6):
        raise ValueError(f"marginal: expected shares [{p.shape[1]}] that sum to 1, got {marginal.shape}")
    n = len(p)
    image, label = np.nonzero(p)
    gain = p[image, label]
    places = (np.concatenate([image, n + label]), np.tile(np.arange(gain.size), 2))
    limits = sparse.csr_array((np.ones(2 * gain.size), places), shape=(n + len(marginal), gain.size))
    # In units of images: an image is given once, a label as often as its share.
    found = optimize.linprog(-gain, A_ub=limits, b_ub=np.concatenate([np.ones(n), n * marginal]), method="highs")
    if not found.success:
        raise RuntimeError(f"optimal transport: {found.message}")
    own = np.bincount(image, gain * found.x, minlength=n)
    return Transport(float(own.mean()), own)


def _probabilities(probabilities: np.ndarray) -> np.ndarray:
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or p.size == 0:
        raise ValueError(f"probabilities: expected [N, K], got shape {p.shape}")
    if not np.isfinite(p).all() or (p < 0).any() or (p.sum(axis=1) > 1 + 1e-2).any():
        raise ValueError("probabilities: expected rows of non-negative numbers that sum to 1 at most")
    return p
