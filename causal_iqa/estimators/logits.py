"""Per-image scores that a task network gives of its own outputs: it must be run, and its label is never read.

Written for one image, logits [K]; leading axes are kept, so the functions take whole tables [C, N, K], too.
"""

import jax
import jax.numpy as jnp
from jax.scipy import special

from causal_iqa import _checks
from causal_iqa._arrays import Array
from causal_iqa.estimators import spec

__all__ = ["agreement", "confidence", "energy", "margin", "negative_entropy"]


def confidence(logits: jax.Array) -> jax.Array:
    """Largest softmax probability.

    Args:
      logits: float [..., K].

    Returns:
      [...] in [1 / K, 1], higher is better.

    References:
      [1] D. Hendrycks, K. Gimpel (2017), A baseline for detecting misclassified and out-of-distribution examples.

    Examples:
      >>> logits = np.float32([[4, 1, 0], [1, 1, 1]])
      >>> np.round(estimators.confidence(logits), 3).tolist()
      [0.9360000491142273, 0.3330000042915344]
    """
    return jax.nn.softmax(_logits(logits)).max(axis=-1)


def negative_entropy(logits: jax.Array) -> jax.Array:
    """Negative entropy of the softmax, sum_k p_k log p_k.

    Args:
      logits: float [..., K].

    Returns:
      [...] in nats, in [-log K, 0], higher is better.

    References:
      [1] C. Shannon (1948), A mathematical theory of communication, section 6.

    Examples:
      >>> logits = np.float32([[4, 1, 0], [1, 1, 1]])
      >>> np.round(estimators.negative_entropy(logits), 3).tolist()
      [-0.27400001883506775, -1.099000096321106]
    """
    log_p = jax.nn.log_softmax(_logits(logits))
    return -special.entr(jnp.exp(log_p)).sum(axis=-1)


def margin(logits: jax.Array) -> jax.Array:
    """Largest softmax probability minus the second largest.

    Args:
      logits: float [..., K], K at least 2.

    Returns:
      [...] in [0, 1], higher is better.

    Raises:
      ValueError: with fewer than two classes.

    References:
      [1] T. Scheffer, C. Decomain, S. Wrobel (2001), Active hidden Markov models for information extraction.

    Examples:
      >>> logits = np.float32([[4, 1, 0], [1, 1, 1]])
      >>> np.round(estimators.margin(logits), 3).tolist()
      [0.89000004529953, 0.0]
    """
    top, _ = jax.lax.top_k(jax.nn.softmax(_logits(logits)), 2)
    return top[..., 0] - top[..., 1]


def energy(logits: jax.Array) -> jax.Array:
    """Log of the sum of exponentials of the logits: the negative free energy at temperature 1.

    Args:
      logits: float [..., K].

    Returns:
      [...] unbounded, higher is better.

    References:
      [1] W. Liu et al. (2020), Energy-based out-of-distribution detection.

    Examples:
      >>> logits = np.float32([[4, 1, 0], [1, 1, 1]])
      >>> np.round(estimators.energy(logits), 3).tolist()
      [4.065999984741211, 2.0990002155303955]
    """
    return special.logsumexp(_logits(logits), axis=-1)


def agreement(prediction: Array, other: Array) -> jax.Array:
    """Whether two networks predict the same class.

    Args:
      prediction: class indices [...] of one network.
      other: predictions of another network, the same shape.

    Returns:
      float32 [...], 1 where they agree and 0 elsewhere; its mean over images is the accuracy that generalisation
      disagreement equality expects.

    Raises:
      ValueError: when the shapes differ.

    References:
      [1] Y. Jiang et al. (2022), Assessing generalization of SGD via disagreement.

    Examples:
      >>> estimators.agreement(np.array([1, 2, 0]), np.array([1, 0, 0])).tolist()
      [1.0, 0.0, 1.0]
    """
    _checks.check_same_shape(prediction, other, "prediction, other")
    return (jnp.asarray(prediction) == jnp.asarray(other)).astype(jnp.float32)


def _logits(logits: jax.Array) -> jax.Array:
    shape, dtype = jnp.shape(logits), jnp.result_type(logits)
    if not shape or shape[-1] < 2:
        raise ValueError(f"logits: expected [..., K] with two classes or more, got shape {shape}")
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"logits: expected a floating dtype, got {dtype}")
    return jnp.asarray(logits)


SPECS = (
    spec.per_image("confidence", confidence, "logits", "largest softmax probability", "Hendrycks, Gimpel 2017"),
    spec.per_image(
        "negative_entropy",
        negative_entropy,
        "logits",
        "of the softmax, nats",
        "Shannon 1948",
        column="entropy",
        sign=-1.0,
    ),
    spec.per_image(
        "margin", margin, "logits", "largest less second largest softmax probability", "Scheffer et al. 2001"
    ),
    spec.per_image("energy", energy, "logits", "log sum of exponentials of the logits", "Liu et al. 2020"),
    spec.EstimatorSpec(
        "agreement",
        agreement,
        "image",
        ("prediction", "other"),
        False,
        spec.WITH_SECOND,
        "1 where two networks predict one class",
        "Jiang et al. 2022",
    ),
    spec.EstimatorSpec(
        "gde",
        agreement,
        "dataset",
        ("prediction", "other"),
        True,
        spec.WITH_SECOND,
        "generalisation disagreement equality: share of images for which two networks predict one class",
        "Jiang et al. 2022",
    ),
)
