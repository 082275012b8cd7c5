"""How stable the outputs for one image are under augmentation or dropout: A passes of one network, stacked."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from causal_iqa.estimators import spec

__all__ = ["neighbourhood_invariance", "prediction_agreement", "prediction_information", "ser_fiq"]


def prediction_agreement(logits: jax.Array) -> jax.Array:
    """Share of the pairs of passes that predict the same class.

    Args:
      logits: float [A, K] of A passes, A at least 2.

    Returns:
      Scalar in [0, 1], higher is better.

    Raises:
      ValueError: for another rank or fewer than two passes.

    References:
      [1] Y. Bahat, G. Shakhnarovich (2018), Confidence from invariance to image transformations.

    Examples:
      >>> logits = np.float32([[4, 1, 0], [3, 1, 0], [0, 2, 0]])  # three passes of one image
      >>> round(float(estimators.prediction_agreement(logits)), 3)
      0.333
    """
    passes, classes = _check_passes(logits, "logits")
    votes = jax.nn.one_hot(jnp.argmax(logits, axis=-1), classes).sum(axis=0)
    return ((votes * votes).sum() - passes) / (passes * (passes - 1))


def neighbourhood_invariance(logits: jax.Array) -> jax.Array:
    """Share of the passes that predict the most frequent class.

    Args:
      logits: float [A, K] of A passes over changed views, A at least 2.

    Returns:
      Scalar in [1 / min(A, K), 1], higher is better; its mean over images is the score of a set.

    Raises:
      ValueError: for another rank or fewer than two passes.

    References:
      [1] N. Ng et al. (2023), Predicting out-of-domain generalization with neighborhood invariance.

    Examples:
      >>> logits = np.float32([[4, 1, 0], [3, 1, 0], [0, 2, 0]])  # three passes of one image
      >>> round(float(estimators.neighbourhood_invariance(logits)), 3)
      0.667
    """
    passes, classes = _check_passes(logits, "logits")
    return jax.nn.one_hot(jnp.argmax(logits, axis=-1), classes).sum(axis=0).max() / passes


def prediction_information(logits: jax.Array) -> jax.Array:
    """Negative mutual information of prediction and pass: mean entropy of a pass less entropy of the mean prediction.

    Args:
      logits: float [A, K] of A passes, A at least 2.

    Returns:
      Scalar in nats, in [-log min(A, K), 0], higher is better: 0 when all passes predict the same probabilities.

    Raises:
      ValueError: for another rank or fewer than two passes.

    References:
      [1] N. Houlsby et al. (2011), Bayesian active learning for classification and preference learning.

    Examples:
      >>> same = np.float32([[4, 1, 0], [4, 1, 0]])  # two passes of one image
      >>> round(abs(float(estimators.prediction_information(same))), 3)
      0.0
    """
    _check_passes(logits, "logits")
    p = jax.nn.softmax(logits)
    return special.entr(p).sum(axis=-1).mean() - special.entr(p.mean(axis=0)).sum()


def ser_fiq(embeddings: jax.Array) -> jax.Array:
    """Stability of an embedding: 2 sigmoid(-(2 / A^2) sum_{i<j} |x_i - x_j|), x_i on the unit sphere.

    Args:
      embeddings: float [A, D] of A passes, A at least 2; scaled to unit length here.

    Returns:
      Scalar in (0, 1], higher is better; 1 when all passes agree. NaN when a pass is all zero: it has no direction.

    Raises:
      ValueError: for another rank or fewer than two passes.

    References:
      [1] P. Terhörst et al. (2020), SER-FIQ: unsupervised estimation of face image quality based on stochastic
        embedding robustness.

    Examples:
      >>> embeddings = np.float32([[1, 0], [1, 0], [0, 1]])
      >>> round(float(estimators.ser_fiq(embeddings)), 3)
      0.696
    """
    passes, _ = _check_passes(embeddings, "embeddings")
    unit = embeddings / jnp.linalg.norm(embeddings, axis=-1, keepdims=True)
    first, second = np.triu_indices(passes, 1)
    distance = jnp.sqrt(jnp.square(unit[first] - unit[second]).sum(axis=-1))
    return 2 * jax.nn.sigmoid(-2 / passes**2 * distance.sum())


def _check_passes(stacked: jax.Array, name: str) -> tuple[int, int]:
    shape = jnp.shape(stacked)
    if len(shape) != 2 or shape[0] < 2:
        raise ValueError(f"{name}: expected [A, K] with A >= 2 passes of one image, got shape {shape}")
    return shape


SPECS = (
    spec.per_image(
        "prediction_agreement",
        prediction_agreement,
        "passes",
        "share of pairs of augmented or dropped-out passes with one prediction",
        "Bahat, Shakhnarovich 2018",
    ),
    spec.per_image(
        "neighbourhood_invariance",
        neighbourhood_invariance,
        "passes",
        "share of augmented passes that predict the most frequent class",
        "Ng et al. 2023",
    ),
    spec.per_image(
        "prediction_information",
        prediction_information,
        "passes",
        "negative mutual information of prediction and pass",
        "Houlsby et al. 2011",
    ),
    spec.per_image("ser_fiq", ser_fiq, "embeddings", "stability of the embedding over passes", "Terhörst et al. 2020"),
)
