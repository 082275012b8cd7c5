"""The witness: how much label information the anchors' geometry still finds in an image.

For anchors (a_j, y_j), j = 1..m, with feature kernel k~ and label kernel l~ both centred on the anchors, the witness
function of their dependence is h(x, y) = (1/m) sum_j k~(phi(x), phi(a_j)) l~(y, y_j). Its mean over a labelled set is
the cross-HSIC of that set with the anchors. Both forms here are linear in the kernel row of x:
evidence(x) = k(x, anchors) @ coefficients + offset. `readings` turns that into scores of an image.

References:
  [1] Gretton, Bousquet, Smola, Schoelkopf. Measuring statistical dependence with Hilbert-Schmidt norms. ALT 2005.
  [2] Song, Huang, Smola, Fukumizu. Hilbert space embeddings of conditional distributions. ICML 2009.
  [3] Rasmussen, Williams. Gaussian processes for machine learning. 2006, section 5.4.2 (leave-one-out in closed form).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, dependence
from causal_iqa._arrays import Array
from causal_iqa.quality import _compiled, low_rank

# Grid of the regularised witness: multiples of the median distance, and ridges relative to the number of anchors.
BANDWIDTHS = (0.25, 0.5, 1.0, 2.0)
RIDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


class Anchors(NamedTuple):
    """Clean labelled images as features, on which a witness is fitted. They are never the images that it judges."""

    features: Array  # float32 [m, d]
    labels: np.ndarray  # int [m], in [0, num_classes)
    num_classes: int


class ClassVectors(NamedTuple):
    """One vector per class in the features' space: a classifier head, or embedded text prompts."""

    vectors: np.ndarray  # float32 [C, d]
    bias: np.ndarray  # float32 [C]


class FittedWitness(Protocol):
    """What every fitted witness can say of the features that it reads."""

    def evidence(self, features: Any, /) -> jax.Array:
        """Its value at every class, [C]; -inf for a class without anchors."""
        ...


class ImageWitness(FittedWitness, Protocol):
    """One that is fitted on images, of some of the classes."""

    @property
    def present(self) -> jax.Array:
        """Classes that have anchors, bool [C]."""
        ...


class StageFeatures(NamedTuple):
    """What the witnesses read of one image, from one backbone or several.

    Attributes:
      final: the penultimate features [d].
      early: means of the earliest inner stage [e].
      inner: statistics of the inner stages: [d_1], [d_2], ...
      glances: penultimate features [d] of the image at every side the backbone looks at it, `final` the first.
    """

    final: jax.Array
    early: jax.Array
    inner: tuple[jax.Array, ...]
    glances: tuple[jax.Array, ...] = ()


class Witness(NamedTuple):
    """A fitted witness. `evidence` gives its value at every class."""

    anchors: jax.Array  # [m, d]
    bandwidth: jax.Array  # scalar, of the RBF kernel
    coefficients: jax.Array  # [m, C]
    offset: jax.Array  # [C]
    present: jax.Array  # bool [C], classes that have anchors

    def evidence(self, features: jax.Array, /) -> jax.Array:
        """Its value at every class, [C], for features [d]; -inf for a class without anchors."""
        row = dependence.rbf(features[None], self.anchors, bandwidth=self.bandwidth)[0]
        values = jnp.matmul(row, self.coefficients, precision="highest") + self.offset
        return jnp.where(self.present, values, -jnp.inf)


class ClassVectorWitness(NamedTuple):
    """The witness whose anchors are class vectors, with a linear kernel and a temperature inside the vectors."""

    vectors: jax.Array  # [C, d]
    bias: jax.Array  # [C]

    def evidence(self, features: jax.Array, /) -> jax.Array:
        """Its value at every class, [C], for features [d]."""
        return jnp.matmul(self.vectors, features, precision="highest") + self.bias


class Choice(NamedTuple):
    """What leave-one-out chose for the regularised witness."""

    bandwidth_multiple: float
    ridge: float
    error: float  # mean squared leave-one-out error of the label embedding, lower is better
    landmarks: int | None = None  # that carry the kernel of many anchors; None: all of them do


def check_anchors(anchors: Anchors) -> None:
    """Raises ValueError or InputError unless a witness can be fitted on these anchors."""
    _checks.as_samples(anchors.features, "anchors.features")
    m = len(anchors.features)
    if np.shape(anchors.labels) != (m,):
        raise ValueError(f"anchors.labels: expected shape ({m},), got {np.shape(anchors.labels)}")
    labels = np.asarray(anchors.labels)
    if m and (labels.min() < 0 or labels.max() >= anchors.num_classes):
        raise ValueError(
            f"anchors.labels: expected 0 to {anchors.num_classes - 1}, got {labels.min()} to {labels.max()}"
        )
    if len(np.unique(labels)) < 2:
        raise _checks.InputError(f"anchors: expected at least 2 classes, got {len(np.unique(labels))} in {m} images")
    if not np.isfinite(anchors.features).all():
        raise ValueError("anchors.features: expected finite numbers")


def _prepared(anchors: Anchors) -> tuple[np.ndarray, np.ndarray, float]:
    check_anchors(anchors)
    features = np.asarray(anchors.features, np.float32)
    onehot = np.eye(anchors.num_classes)[np.asarray(anchors.labels)]
    return features, onehot, _positive(_compiled.median_distance(features))


def _positive(median: float) -> float:
    if not median > 0:
        raise _checks.InputError(
            "anchors: more than half of their pairs have equal features; the backbone is blind here"
        )
    return median


def _gram(features: np.ndarray, bandwidth: float) -> np.ndarray:
    return np.asarray(_compiled.rbf(features, np.float32(bandwidth)), np.float64)


def _uncentred(gram, weights, constant) -> tuple[np.ndarray, np.ndarray]:
    # k~ @ B with k~_j = k_j - mean(k) - mean_i K_ij + mean(K): the row's own mean goes into B, the rest is constant.
    centred = weights - weights.mean(axis=0)
    return centred, constant - gram.mean(axis=0) @ centred


def ridge_coefficients(gram: np.ndarray, targets: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Solves kernel ridge regression with an unpenalised intercept.

    Args:
      gram: kernel matrix [m, m], float64.
      targets: [m, C].
      ridge: lambda, positive.

    Returns:
      (coefficients [m, C], offset [C]): the prediction at x is k(x, anchors) @ coefficients + offset.
    """
    m, prior = len(targets), targets.mean(axis=0)
    weights = np.linalg.solve(_centre(gram) + m * ridge * np.eye(m), targets - prior)
    return _uncentred(gram, weights, prior)


def _witness(features, bandwidth, coefficients, offset, present) -> Witness:
    return Witness(
        jnp.asarray(features, jnp.float32),
        jnp.float32(bandwidth),
        jnp.asarray(coefficients, jnp.float32),
        jnp.asarray(offset, jnp.float32),
        jnp.asarray(present),
    )


def fit_witness(anchors: Anchors) -> Witness:
    """Fits the plain witness: RBF kernel with the median heuristic, delta kernel on labels.

    Its evidence is h(x, y) = (1/m) sum_j k~(phi(x), phi(a_j)) l~(y, y_j), in float32; the fit is in float64. Of more
    than `low_rank.MOST_EXACT` anchors it is projected onto landmarks, whose median distance is the width.

    Args:
      anchors: m clean labelled images, classes in turn.

    Returns:
      The witness.

    Raises:
      ValueError: when shapes or labels are off.
      InputError: when there are fewer than two classes, or the features do not differ.

    References:
      [1] Gretton et al. 2005, definition of the cross-covariance operator.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> features = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> witness = quality.fit_witness(quality.Anchors(features, labels, 3))
      >>> int(quality.evidence(witness, features[1]).argmax())
      1
    """
    if len(anchors.features) > low_rank.MOST_EXACT:
        return fit_on_landmarks(anchors)[0]
    features, onehot, median = _prepared(anchors)
    gram = _gram(features, median)
    label_rows = onehot - onehot.mean(axis=0)
    # l~(y, y_j) centred over both of its arguments: the mean over anchors of column y is taken away as well.
    label_kernel = label_rows - (label_rows @ onehot.mean(axis=0))[:, None]
    coefficients, offset = _uncentred(gram, label_kernel / len(onehot), 0.0)
    return _witness(features, median, coefficients, offset, onehot.any(axis=0))


def _centre(gram: np.ndarray) -> np.ndarray:
    # In float64 on the host; dependence.centre is the form for the device.
    return gram - gram.mean(axis=0) - gram.mean(axis=1)[:, None] + gram.mean()


def leave_one_out_losses(gram: np.ndarray, targets: np.ndarray, ridges: Sequence[float]) -> np.ndarray:
    """Squared leave-one-out errors of kernel ridge regression with an unpenalised intercept, for several ridges.

    With S = (K~ + m lambda I)^-1 and H = K~ S + 1/m, the residual of sample i when left out is r_i / (1 - H_ii),
    exactly.

    Args:
      gram: kernel matrix [m, m].
      targets: [m, C].
      ridges: lambdas, positive.

    Returns:
      float64 [len(ridges), m], averaged over the C targets of a sample; lower is better.

    References:
      [3] Rasmussen and Williams 2006, section 5.4.2.

    Examples:
      >>> gram, targets = np.eye(4), np.eye(2)[[0, 1, 0, 1]]
      >>> quality.leave_one_out_losses(gram, targets, [0.1, 1.0]).shape
      (2, 4)
    """
    m = len(gram)
    values, vectors = np.linalg.eigh(_centre(gram))
    values = np.maximum(values, 0.0)
    centred = targets - targets.mean(axis=0)
    projected = vectors.T @ centred
    losses = []
    for ridge in ridges:
        shrink = m * ridge / (values + m * ridge)
        residual = vectors @ (shrink[:, None] * projected)
        leverage = 1.0 - (vectors**2) @ shrink + 1.0 / m
        losses.append(np.mean((residual / np.maximum(1.0 - leverage, 1e-12)[:, None]) ** 2, axis=1))
    return np.asarray(losses)


def leave_one_out_errors(gram: np.ndarray, targets: np.ndarray, ridges: Sequence[float]) -> np.ndarray:
    """Returns the means of `leave_one_out_losses` over the samples, float64 [len(ridges)]. Lower is better.

    Examples:
      >>> gram, targets = np.eye(4), np.eye(2)[[0, 1, 0, 1]]
      >>> quality.leave_one_out_errors(gram, targets, [0.1, 1.0]).shape
      (2,)
    """
    return leave_one_out_losses(gram, targets, ridges).mean(axis=1)


def fit_regularised_witness(
    anchors: Anchors, *, bandwidths: Sequence[float] = BANDWIDTHS, ridges: Sequence[float] = RIDGES
) -> tuple[Witness, Choice]:
    """Fits the conditional mean embedding E[l(y, .) | phi(x)] in closed form: (K~ + m lambda I)^-1 on centred labels.

    Width and ridge are chosen on the anchors alone by the exact leave-one-out error. Its evidence estimates the
    probability of each class. Of more than `low_rank.MOST_EXACT` anchors, the first few hundred carry the kernel: as
    many landmarks as the error asks for.

    Args:
      anchors: m clean labelled images, classes in turn.
      bandwidths: multiples of the median distance to choose from.
      ridges: lambdas to choose from.

    Returns:
      The witness and what was chosen.

    Raises:
      ValueError: when shapes or labels are off, or a grid is empty.
      InputError: when there are fewer than two classes, or the features do not differ.

    References:
      [2] Song et al. 2009, equation 6.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> features = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> anchors = quality.Anchors(features, labels, 3)
      >>> witness, choice = quality.fit_regularised_witness(anchors)
      >>> bool(quality.share_of_label(witness, features[1], 1) > 0.5)
      True
    """
    if not len(bandwidths) or not len(ridges):
        raise ValueError("bandwidths, ridges: expected at least one value each")
    if len(anchors.features) > low_rank.MOST_EXACT:
        return fit_on_landmarks(anchors, bandwidths=bandwidths, ridges=ridges)[1:]
    features, onehot, median = _prepared(anchors)
    best = None
    for multiple in bandwidths:
        gram = _gram(features, multiple * median)
        errors = leave_one_out_errors(gram, onehot, ridges)
        i = int(np.argmin(errors))
        if best is None or errors[i] < best[0].error:
            best = Choice(float(multiple), float(ridges[i]), float(errors[i])), gram
    assert best is not None, "there is a bandwidth"
    choice, gram = best
    coefficients, offset = ridge_coefficients(gram, onehot, choice.ridge)
    width = choice.bandwidth_multiple * median
    return _witness(features, width, coefficients, offset, onehot.any(axis=0)), choice


def fit_on_landmarks(
    anchors: Anchors,
    *,
    bandwidths: Sequence[float] = BANDWIDTHS,
    ridges: Sequence[float] = RIDGES,
    ranks: Sequence[int] | None = None,
) -> tuple[Witness, Witness, Choice]:
    """Fits the plain and the regularised witness on landmarks, the first of the anchors, in one reading of all.

    Args:
      anchors: m clean labelled images, classes in turn.
      bandwidths: multiples of the landmarks' median distance to choose from.
      ridges: lambdas to choose from.
      ranks: numbers of landmarks to choose from, by default `low_rank.RANKS`: the smallest whose leave-one-out error
        is within a hundredth of that of the largest.

    Returns:
      (plain witness, regularised witness, what was chosen); the anchors of both are the landmarks.

    Raises:
      ValueError: when shapes or labels are off.
      InputError: when there are fewer than two classes, or the features do not differ.
    """
    check_anchors(anchors)
    ranks = ranks or low_rank.RANKS
    features, labels = np.asarray(anchors.features, np.float32), np.asarray(anchors.labels)
    median = _positive(_compiled.median_distance(features[: max(ranks)]))
    multiples = list(dict.fromkeys((*bandwidths, 1.0)))
    widths = median * np.asarray(multiples)[:, None]
    landmarks = low_rank.Landmarks([features], labels, anchors.num_classes, max(ranks), widths)
    ranks = sorted({min(rank, landmarks.rank) for rank in ranks})
    fits = [[landmarks.ridge(i, rank, ridges) for i in range(len(bandwidths))] for rank in ranks]
    fit = min(fits[low_rank.smallest_sufficient(fits)], key=lambda one: one.losses.mean())
    present = np.bincount(labels, minlength=anchors.num_classes) > 0
    own = features[: fit.rank]
    plain = landmarks.mean_embedding(multiples.index(1.0), fit.rank)
    multiple = multiples[fit.width]
    return (
        _witness(own, median, *plain, present),
        _witness(own, multiple * median, fit.coefficients, fit.offset, present),
        Choice(float(multiple), fit.ridge, float(fit.losses.mean()), fit.rank),
    )


def fit_class_vectors(class_vectors: ClassVectors, *, temperature: float = 1.0) -> ClassVectorWitness:
    """Takes a classifier head or text prompts as anchors; shares are then softmax((vectors phi + bias) / temperature).

    Args:
      class_vectors: one vector and bias per class.
      temperature: positive; above 1 softens shares that are too sure of themselves.

    Returns:
      The witness.

    Raises:
      ValueError: when shapes disagree or temperature is not positive.

    Examples:
      >>> vectors = quality.ClassVectors(np.float32([[2, 0], [0, 2]]), np.float32([0, 0]))
      >>> witness = quality.fit_class_vectors(vectors)
      >>> np.round(quality.shares(witness, np.float32([1, 0])), 2).tolist()
      [0.8799999952316284, 0.11999999731779099]
    """
    if not temperature > 0:
        raise ValueError(f"temperature: expected a positive number, got {temperature!r}")
    _checks.as_samples(class_vectors.vectors, "class_vectors.vectors")
    if np.shape(class_vectors.bias) != np.shape(class_vectors.vectors)[:1]:
        expected, got = np.shape(class_vectors.vectors)[:1], np.shape(class_vectors.bias)
        raise ValueError(f"class_vectors.bias: expected shape {expected}, got {got}")
    scaled = (jnp.asarray(x, jnp.float32) / temperature for x in (class_vectors.vectors, class_vectors.bias))
    return ClassVectorWitness(*scaled)
