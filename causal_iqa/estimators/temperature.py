"""Temperature scaling of outputs of which the most probable classes are kept."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special
from scipy import interpolate, optimize
from scipy.special import xlogy

# Temperatures at which sums over all classes are kept, where the largest probabilities do not hold every class: a
# cubic spline over their logarithm is within .002 of the sum's logarithm from .5 to 8.
TEMPERATURES: tuple[float, ...] = tuple(float(t) for t in 2.0 ** (np.arange(-6, 15) / 4))
# Where temperatures are searched.
_COLDEST, _HOTTEST = 0.5, 8.0
_SMALLEST_LOG = float(np.log(np.finfo(np.float32).tiny))


class KeptOutputs(NamedTuple):
    """What is kept of a network's outputs for images [...].

    Attributes:
      log_probabilities: float [..., T] of the T most probable classes.
      classes: int [..., T].
      num_classes: K.
      power_sums: `log_power_sums` [..., G], needed where T is below K; else None.
    """

    log_probabilities: np.ndarray
    classes: np.ndarray
    num_classes: int
    power_sums: np.ndarray | None = None


def log_power_sums(log_probabilities: jax.Array) -> jax.Array:
    """Logarithm of sum_k p_k^(1/T) at every one of TEMPERATURES: what normalises probabilities at temperature T.

    Args:
      log_probabilities: float [..., K] of all classes.

    Returns:
      [..., G] for the G temperatures; 0 at temperature 1.

    Examples:
      >>> logits = np.float32([[4, 1, 0], [1, 1, 1]])
      >>> log_probabilities = jax.nn.log_softmax(logits)
      >>> estimators.log_power_sums(log_probabilities).shape[0]
      2
    """
    return jnp.stack([special.logsumexp(log_probabilities / t, axis=-1) for t in TEMPERATURES], axis=-1)


def tempered(outputs: KeptOutputs, temperature: float) -> np.ndarray:
    """Log probabilities of the kept classes when the logits are divided by a temperature.

    Args:
      outputs: outputs of images [...].
      temperature: above 0; above 1 makes them less certain. Between .5 and 8 where classes are missing.

    Returns:
      float64 [..., T].

    Raises:
      ValueError: for another temperature, or when classes are missing and no power sums are given.

    References:
      [1] C. Guo et al. (2017), On calibration of modern neural networks.

    Examples:
      >>> outputs = estimators.KeptOutputs(np.log(np.array([[0.8, 0.2]])), np.array([[0, 1]]), 2, None)
      >>> np.round(np.exp(estimators.tempered(outputs, 2.0)), 3).tolist()
      [[0.667, 0.333]]
    """
    normaliser = log_normaliser(outputs, temperature)[..., None]
    return np.asarray(outputs.log_probabilities, np.float64) / temperature - normaliser


def tempered_negative_entropy(outputs: KeptOutputs, temperature: float) -> np.ndarray:
    """Negative entropy over all classes when the logits are divided by a temperature.

    Args:
      outputs: outputs of images [...].
      temperature: see `tempered`.

    Returns:
      float64 [...] in nats, at most 0, higher is better.

    Raises:
      ValueError: where `tempered` raises it.

    Examples:
      >>> outputs = estimators.KeptOutputs(np.log(np.array([[0.8, 0.2]])), np.array([[0, 1]]), 2, None)
      >>> np.round(estimators.tempered_negative_entropy(outputs, 1.0), 3).tolist()
      [-0.5]
    """
    if outputs.log_probabilities.shape[-1] == outputs.num_classes:
        p = np.exp(tempered(outputs, temperature))
        return xlogy(p, p).sum(axis=-1)
    # With S(b) = log sum_k p_k^b, the mean of b log p under the tempered distribution is the slope of S over log b.
    slope = np.asarray(outputs.power_sums, np.float64) @ _spline_weights(temperature, 1)
    return slope - log_normaliser(outputs, temperature)


def fit_temperature(outputs: KeptOutputs, label_probability: np.ndarray) -> float:
    """The temperature of least negative log likelihood of the labels.

    Args:
      outputs: outputs of V labelled images.
      label_probability: [V], the network's probability of each image's label at temperature 1.

    Returns:
      A temperature from .5 to 8.

    Raises:
      ValueError: when shapes do not fit, or where `tempered` raises it.

    References:
      [1] C. Guo et al. (2017), On calibration of modern neural networks.

    Examples:
      >>> classes = np.tile(np.arange(2), (4, 1))
      >>> p = np.array([[0.99, 0.01], [0.99, 0.01], [0.99, 0.01], [0.99, 0.01]])
      >>> outputs = estimators.KeptOutputs(np.log(p), classes, 2, None)
      >>> right = np.array([0.99, 0.99, 0.99, 0.01])  # sure of all four, and wrong in one
      >>> estimators.fit_temperature(outputs, right) > 1
      True
    """
    p = np.asarray(label_probability, np.float64)
    if p.ndim != 1 or not p.size or p.shape != outputs.log_probabilities.shape[:-1]:
        raise ValueError(
            f"label_probability: expected [V] as in log_probabilities {outputs.log_probabilities.shape}, got {p.shape}"
        )
    own = np.maximum(np.log(np.maximum(p, np.finfo(np.float64).tiny)), _SMALLEST_LOG)

    def loss(log_t: float) -> float:
        t = float(np.exp(log_t))
        return float((log_normaliser(outputs, t) - own / t).mean())

    found = optimize.minimize_scalar(loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def log_normaliser(outputs: KeptOutputs, temperature: float) -> np.ndarray:
    """Logarithm of the sum over all classes of the probabilities to the power 1 / temperature, [...]."""
    if not temperature > 0:
        raise ValueError(f"temperature: expected a number above 0, got {temperature!r}")
    log_p = np.asarray(outputs.log_probabilities, np.float64)
    if log_p.shape[-1] == outputs.num_classes:
        return _log_sum_exp(log_p / temperature)
    if outputs.power_sums is None:
        raise ValueError(f"power_sums: needed, {log_p.shape[-1]} of {outputs.num_classes} classes are kept; got None")
    return np.asarray(outputs.power_sums, np.float64) @ _spline_weights(temperature)


def _log_sum_exp(x: np.ndarray) -> np.ndarray:
    """Over the last axis; SciPy's takes three times as long, and searches for temperatures take thousands."""
    largest = x.max(axis=-1, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x - largest).sum(axis=-1)) + largest[..., 0]


def _spline_weights(temperature: float, derivative: int = 0) -> np.ndarray:
    """Weights [G] of the kept sums in a cubic spline over log(1 / T), or in its derivative."""
    inside = _COLDEST * (1 - 1e-9) <= temperature <= _HOTTEST * (1 + 1e-9)
    if not inside:
        raise ValueError(f"temperature: expected .5 to 8 where classes are missing, got {temperature!r}")
    knots = -np.log(TEMPERATURES)[::-1]
    return interpolate.CubicSpline(knots, np.eye(len(knots))[::-1])(-np.log(temperature), derivative)
