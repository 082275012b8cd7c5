"""Scores of one image from a fitted witness: its evidence at every class, and one number read from it."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from causal_iqa._arrays import total
from causal_iqa.quality.witness import ClassVectorWitness, FittedWitness, ImageWitness, StageFeatures, Witness

# Shares below this count as this: the logarithm of a share stays finite.
_SMALLEST_SHARE = 1e-4


def evidence(witness: FittedWitness, features: jax.Array | StageFeatures) -> jax.Array:
    """Value of the witness at every class.

    Args:
      witness: a Witness or ClassVectorWitness.
      features: features of one image, float32 [d].

    Returns:
      float32 [C], larger where the anchors find more of that class; -inf for a class without anchors.

    Examples:
      >>> vectors = quality.ClassVectors(np.float32([[2, 0], [0, 2]]), np.float32([0, 0]))
      >>> witness = quality.fit_class_vectors(vectors)
      >>> quality.evidence(witness, np.float32([1, 0.5])).tolist()
      [2.0, 1.0]
    """
    return witness.evidence(features)


def shares(witness: ImageWitness | ClassVectorWitness, features: jax.Array | StageFeatures) -> jax.Array:
    """Evidence as a distribution over classes.

    Class vectors: softmax. Images: the evidence, at least 1e-4, divided by its sum; meant for the regularised witness,
    whose evidence estimates probabilities.

    Args:
      witness: a Witness or ClassVectorWitness.
      features: features of one image, float32 [d].

    Returns:
      float32 [C], not negative, summing to 1.

    Examples:
      >>> vectors = quality.ClassVectors(np.float32([[2, 0], [0, 2]]), np.float32([0, 0]))
      >>> witness = quality.fit_class_vectors(vectors)
      >>> np.round(quality.shares(witness, np.float32([0, 1])), 2).tolist()
      [0.11999999731779099, 0.8799999952316284]
    """
    values = evidence(witness, features)
    if isinstance(witness, ClassVectorWitness):
        return jax.nn.softmax(values)
    values = jnp.where(witness.present, jnp.maximum(values, _SMALLEST_SHARE), 0.0)
    return values / values.sum()


def margin(witness: Witness | ClassVectorWitness, features: jax.Array, label: jax.Array) -> jax.Array:
    """Evidence of the true class minus that of the best other class. Higher is better.

    Args:
      witness: a Witness or ClassVectorWitness.
      features: features of one image, float32 [d].
      label: int scalar.

    Returns:
      Scalar; NaN when the label's class has no anchors.

    Examples:
      >>> vectors = quality.ClassVectors(np.float32([[2, 0], [0, 2]]), np.float32([0, 0]))
      >>> witness = quality.fit_class_vectors(vectors)
      >>> float(quality.margin(witness, np.float32([1, 0.5]), 1))
      -1.0
    """
    values = evidence(witness, features)
    own = values[label]
    others = jnp.where(jnp.arange(values.shape[0]) == label, -jnp.inf, values)
    return jnp.where(jnp.isfinite(own), own - others.max(), jnp.nan)


def peak(witness: Witness | ClassVectorWitness, features: jax.Array) -> jax.Array:
    """Evidence of the best class. Higher is better; needs no label.

    Args:
      witness: a Witness or ClassVectorWitness.
      features: features of one image, float32 [d].

    Returns:
      Scalar.

    Examples:
      >>> vectors = quality.ClassVectors(np.float32([[2, 0], [0, 2]]), np.float32([0, 0]))
      >>> witness = quality.fit_class_vectors(vectors)
      >>> float(quality.peak(witness, np.float32([1, 0.5])))
      2.0
    """
    return evidence(witness, features).max()


def spread(witness: Witness | ClassVectorWitness, features: jax.Array) -> jax.Array:
    """Evidence of the best class minus that of the second. Higher is better; needs no label.

    Args:
      witness: a Witness or ClassVectorWitness.
      features: features of one image, float32 [d].

    Returns:
      Scalar, not negative.

    Examples:
      >>> vectors = quality.ClassVectors(np.float32([[2, 0], [0, 2]]), np.float32([0, 0]))
      >>> witness = quality.fit_class_vectors(vectors)
      >>> float(quality.spread(witness, np.float32([1, 0.5])))
      1.0
    """
    values = evidence(witness, features)
    best = jnp.argmax(values)
    return values[best] - jnp.where(jnp.arange(values.shape[0]) == best, -jnp.inf, values).max()


def share_of_label(witness: Witness | ClassVectorWitness, features: jax.Array, label: jax.Array) -> jax.Array:
    """Share of the true class. Higher is better.

    Args:
      witness: a Witness or ClassVectorWitness.
      features: features of one image, float32 [d].
      label: int scalar.

    Returns:
      Scalar in [0, 1]; NaN when the label's class has no anchors.

    Examples:
      >>> vectors = quality.ClassVectors(np.float32([[2, 0], [0, 2]]), np.float32([0, 0]))
      >>> witness = quality.fit_class_vectors(vectors)
      >>> round(float(quality.share_of_label(witness, np.float32([1, 0]), 0)), 2)
      0.88
    """
    share = shares(witness, features)[label]
    if isinstance(witness, ClassVectorWitness):
        return share
    return jnp.where(witness.present[label], share, jnp.nan)


def _mean_shares(witness: ClassVectorWitness, glances: Sequence[jax.Array]) -> jax.Array:
    return total(shares(witness, features) for features in glances) / len(glances)


def largest_mean_share(witness: ClassVectorWitness, glances: Sequence[jax.Array]) -> jax.Array:
    """Largest share of a class, shares averaged over glances. Higher is better; needs no label.

    Args:
      witness: witness of class vectors.
      glances: features [d] of one image seen at several sides.

    Returns:
      Scalar in [1 / C, 1].

    Examples:
      >>> vectors = quality.ClassVectors(np.float32([[2, 0], [0, 2]]), np.float32([0, 0]))
      >>> witness = quality.fit_class_vectors(vectors)
      >>> round(float(quality.largest_mean_share(witness, [np.float32([1, 0]), np.float32([2, 0])])), 2)
      0.93
    """
    return _mean_shares(witness, glances).max()


def mean_share_of_label(witness: ClassVectorWitness, glances: Sequence[jax.Array], label: jax.Array) -> jax.Array:
    """Share of the true class, averaged over glances. Higher is better.

    Args:
      witness: witness of class vectors.
      glances: features [d] of one image seen at several sides.
      label: int scalar.

    Returns:
      Scalar in [0, 1].

    Examples:
      >>> vectors = quality.ClassVectors(np.float32([[2, 0], [0, 2]]), np.float32([0, 0]))
      >>> witness = quality.fit_class_vectors(vectors)
      >>> round(float(quality.mean_share_of_label(witness, [np.float32([1, 0]), np.float32([2, 0])], 1)), 2)
      0.07
    """
    return _mean_shares(witness, glances)[label]


def negative_entropy(witness: Witness | ClassVectorWitness, features: jax.Array) -> jax.Array:
    """Sum of p log p over the shares p, in nats. Higher is better; needs no label.

    Args:
      witness: a Witness or ClassVectorWitness.
      features: features of one image, float32 [d].

    Returns:
      Scalar in [-log C, 0].

    Examples:
      >>> vectors = quality.ClassVectors(np.float32([[2, 0], [0, 2]]), np.float32([0, 0]))
      >>> witness = quality.fit_class_vectors(vectors)
      >>> round(float(quality.negative_entropy(witness, np.float32([1, 0]))), 2)
      -0.37
    """
    return -jax.scipy.special.entr(shares(witness, features)).sum()
