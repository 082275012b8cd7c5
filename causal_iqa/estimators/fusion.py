"""Accuracy from the agreement of a network with a reference that it and a second network make together."""

import numpy as np
from scipy import optimize

from causal_iqa.estimators import spec
from causal_iqa.estimators.temperature import KeptOutputs, log_normaliser

__all__ = ["alignment_temperature", "fused_reference"]

_COLDEST, _HOTTEST = 0.5, 8.0


def alignment_temperature(own: KeptOutputs, second: KeptOutputs) -> float:
    """The temperature of the second network at which its outputs diverge least from those of the first.

    The divergence is that of Jensen and Shannon, mean over images; what neither network keeps of an image counts as one
    class more.

    Args:
      own: outputs of the judged network for N images.
      second: outputs of the other network for the same images.

    Returns:
      A temperature from .5 to 8.

    Raises:
      ValueError: when the outputs are not of the same images and classes.

    References:
      [1] S. Li et al. (2026), Bridging domain expertise and generalization for performance estimation.

    Examples:
      >>> classes = np.tile(np.arange(3), (4, 1))
      >>> log_p = np.log(np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1]]))
      >>> own = estimators.KeptOutputs(log_p, classes, 3, None)
      >>> round(estimators.alignment_temperature(own, own), 1)  # a network agrees with itself without scaling
      1.0
    """
    p, log_q = _on_common_classes(own, second)
    of_own = _negative_entropy(p) / 2  # The same at every temperature.

    def divergence(log_t: float) -> float:
        scaled, q = _tempered(log_q, second, float(np.exp(log_t)))
        kept = np.einsum("nu,nu->n", q[:, :-1], np.where(q[:, :-1] > 0, scaled, 0.0))
        of_second = (kept + _negative_entropy(q[:, -1:])) / 2
        return float((of_own + of_second - _negative_entropy((p + q) / 2)).mean())

    found = optimize.minimize_scalar(divergence, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def fused_reference(own: KeptOutputs, second: KeptOutputs, temperature: float) -> np.ndarray:
    """Probability that a fused reference gives to the class the judged network predicts.

    The reference is c q + (1 - c) p with p the outputs of the judged network, q those of the second at the given
    temperature and c = max q / (max p + max q): each network counts in proportion to its confidence. The reference
    takes the place of the label, so that the mean over images is the expected accuracy. This follows the description of
    FRAP [1]: alignment by `alignment_temperature`, fusion weighted by confidence, agreement with the fused reference.

    Args:
      own: outputs of the judged network for N images.
      second: outputs of the other network for the same images.
      temperature: temperature of the second network's outputs.

    Returns:
      float64 [N] in [0, 1]; the mean over a condition is the predicted accuracy.

    Raises:
      ValueError: when the outputs are not of the same images and classes.

    References:
      [1] S. Li et al. (2026), Bridging domain expertise and generalization for performance estimation.

    Examples:
      >>> classes = np.array([[0, 1]])
      >>> own = estimators.KeptOutputs(np.log(np.array([[0.6, 0.4]])), classes, 2, None)
      >>> second = estimators.KeptOutputs(np.log(np.array([[0.1, 0.9]])), classes, 2, None)
      >>> np.round(estimators.fused_reference(own, second, 1.0), 2).tolist()
      [0.3]
    """
    p, log_q = _on_common_classes(own, second)
    q = _tempered(log_q, second, temperature)[1]
    size = own.log_probabilities.shape[1]
    prediction = p[:, :size].argmax(axis=1)
    sure, other = p[:, :-1].max(axis=1), q[:, :-1].max(axis=1)
    weight = other / (sure + other)
    rows = np.arange(len(p))
    return weight * q[rows, prediction] + (1 - weight) * p[rows, prediction]


def _negative_entropy(p: np.ndarray) -> np.ndarray:
    """Sum of p log p over the last axis; 0 log 0 is 0."""
    return np.einsum("nu,nu->n", p, np.log(np.maximum(p, np.finfo(np.float64).tiny)))


def _on_common_classes(own: KeptOutputs, second: KeptOutputs) -> tuple[np.ndarray, np.ndarray]:
    """Both networks' outputs on the classes that the judged one keeps, then on further ones of second.

    Returns:
      Probabilities [N, U + 1] of the judged network, the last of all other classes, and log probabilities [N, U] of
      second; -inf of a class that it does not keep.
    """
    if (
        own.log_probabilities.ndim != 2
        or own.num_classes != second.num_classes
        or len(own.log_probabilities) != len(second.log_probabilities)
    ):
        raise ValueError(
            "own, second: expected [N, T] of the same images and classes, got "
            f"{own.log_probabilities.shape} of {own.num_classes} and {second.log_probabilities.shape} of "
            f"{second.num_classes}"
        )
    p = np.exp(np.asarray(own.log_probabilities, np.float64))
    log_q = np.asarray(second.log_probabilities, np.float64)
    same = np.asarray(own.classes)[:, :, None] == np.asarray(second.classes)[:, None, :]
    place, there = same.argmax(axis=2), same.any(axis=2)
    rest = np.maximum(1 - p.sum(axis=1, keepdims=True), 0.0)
    shared = np.where(there, np.take_along_axis(log_q, place, axis=1), -np.inf)
    if there.all() and log_q.shape[1] == p.shape[1]:  # The second keeps no further class.
        return np.concatenate([p, rest], axis=1), shared
    further = log_q.copy()
    rows, columns = np.nonzero(there)
    further[rows, place[rows, columns]] = -np.inf
    return np.concatenate([p, np.zeros_like(further), rest], axis=1), np.concatenate([shared, further], axis=1)


def _tempered(log_q: np.ndarray, second: KeptOutputs, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Log probabilities [N, U] of second at a temperature, and probabilities [N, U + 1], the last of other classes."""
    scaled = log_q / temperature - log_normaliser(second, temperature)[:, None]
    q = np.empty((len(scaled), scaled.shape[1] + 1))
    np.exp(scaled, out=q[:, :-1])
    q[:, -1] = np.maximum(1 - q[:, :-1].sum(axis=1), 0.0)
    return scaled, q


SPECS = (
    spec.EstimatorSpec(
        "fused_reference",
        fused_reference,
        "dataset",
        ("own", "second", "temperature"),
        True,
        spec.WITH_SECOND,
        "probability of the predicted class under the outputs of two networks, aligned in temperature without labels "
        "and fused by confidence",
        "Li et al. 2026 (FRAP), from its description",
    ),
)
