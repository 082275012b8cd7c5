"""The witness over several stages and backbones: their kernels add, and how familiar an early stage is counts too.

A network's features before its last stage keep what later ones forget: a frozen ImageNet network hardly minds a blur
that a network of 32 pixels fails on. Statistics of early stages see it. The witness here is the conditional mean
embedding with the mean of one RBF kernel per statistic, each with its own median heuristic; beside its evidence stands
the familiarity of the image, its Mahalanobis distance to the clean anchors in the earliest of these stages. Where a
backbone needs the image enlarged, its inner stages read it at its own side as well: enlarging hides a blur from it that
a network of that side fails on.

References:
  [1] Gretton, Herbrich, Smola, Bousquet, Schoelkopf. Kernel methods for measuring independence. JMLR 2005.
  [2] Song, Huang, Smola, Fukumizu. Hilbert space embeddings of conditional distributions. ICML 2009.
  [3] Lee, Lee, Lee, Shin. A simple unified framework for detecting out-of-distribution samples. NeurIPS 2018.
  [4] Ledoit, Wolf. A well-conditioned estimator for large-dimensional covariance matrices. JMA 2004 (shrinkage).
  [5] Breiman, Friedman, Olshen, Stone. Classification and regression trees. 1984, section 3.4.3.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, dependence
from causal_iqa._arrays import Array, total, triple
from causal_iqa.quality import _compiled, low_rank
from causal_iqa.quality import witness as single
from causal_iqa.quality.features import statistics
from causal_iqa.quality.witness import StageFeatures

# Share of the average variance added to every direction of the covariance.
_SHRINKAGE = 0.05
# Weight of the log distance beside the log evidence; chosen on CIFAR-10 training images (docs/record/choices.md).
_FAMILIARITY_WEIGHT = 0.5
# Evidence below counts as this in the logarithm: a fifth of chance among ten classes.
_SMALLEST_EVIDENCE = 0.02


class StagesWitness(NamedTuple):
    """A fitted witness over S statistics of m anchors. `evidence` gives its value at every class."""

    anchors: tuple[jax.Array, ...]  # S of [m, d_s]
    bandwidths: jax.Array  # [S]
    coefficients: jax.Array  # [m, C]
    offset: jax.Array  # [C]
    present: jax.Array  # bool [C], classes that have anchors
    centre: jax.Array  # [e], of the early means
    whitening: jax.Array  # [e, e]
    typical: jax.Array  # scalar, median distance of the anchors
    success: Any = None  # `success.Success`, where anchors were degraded
    detectors: Any = None  # `detector_fits.Detectors`, where they were asked for

    def evidence(self, features: StageFeatures, /) -> jax.Array:
        """Its value at every class, [C]; -inf for a class without anchors."""
        values = jnp.matmul(kernel_row(self, features), self.coefficients, precision="highest") + self.offset
        return jnp.where(self.present, values, -jnp.inf)


def fit_stages_witness(
    features: StageFeatures,
    labels: np.ndarray,
    num_classes: int,
    *,
    bandwidths: Sequence[float] = single.BANDWIDTHS,
    ridges: Sequence[float] = single.RIDGES,
) -> tuple[StagesWitness, single.Choice]:
    """Fits the conditional mean embedding with the mean of the statistics' kernels, and the familiarity.

    One multiple of all median distances and one ridge are chosen on the anchors by the exact leave-one-out error: the
    widest kernel whose error, at its best ridge, is within one standard error of the smallest. Clean anchors cannot
    tell such widths apart, and away from them, where degraded images lie, a wide kernel still compares. A statistic
    that does not differ between the anchors is left out. Of more than `low_rank.MOST_EXACT` anchors, the first few
    hundred carry the kernel: as many landmarks as the error asks for.

    Args:
      features: features of the m anchors, classes in turn, every array with a leading axis m.
      labels: int [m], in [0, num_classes).
      num_classes: C.
      bandwidths: multiples of the median distances to choose from.
      ridges: lambdas to choose from.

    Returns:
      The witness and what was chosen.

    Raises:
      ValueError: when shapes or labels are off, or a grid is empty.
      InputError: when there are fewer than two classes, or no features differ.

    References:
      [2] Song et al. 2009, equation 6; [5] for the one-standard-error rule.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> witness, choice = quality.fit_stages_witness(features, labels, 3)
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> int(quality.stages_evidence(witness, one).argmax())
      0
    """
    if not len(bandwidths) or not len(ridges):
        raise ValueError("bandwidths, ridges: expected at least one value each")
    features = jax.tree.map(lambda x: np.asarray(x, np.float32), features)
    single.check_anchors(single.Anchors(features.final, labels, num_classes))
    arrays = statistics(features)
    many = len(labels) > low_rank.MOST_EXACT
    some = [x[: max(low_rank.RANKS)] for x in arrays] if many else arrays
    medians = np.asarray([_compiled.median_distance(x) for x in some])
    if not (medians > 0).any():
        raise _checks.InputError("anchors: more than half of their pairs have equal features; the backbone is blind")
    # An infinite width makes the kernel of a constant statistic 1 everywhere: it says nothing.
    medians = np.where(medians > 0, medians, np.inf)
    if many:
        fit = _fit_on_landmarks(arrays, np.asarray(labels), num_classes, medians, bandwidths, ridges)
        arrays = [x[: fit[0].landmarks] for x in arrays]
    else:
        fit = _fit_exactly(arrays, np.asarray(labels), num_classes, medians, bandwidths, ridges)
    choice, weights, offset = fit
    centre, whitening, typical = _fit_familiarity(features.early)
    return StagesWitness(
        tuple(jnp.asarray(x) for x in arrays),
        jnp.asarray(choice.bandwidth_multiple * medians, jnp.float32),
        jnp.asarray(weights, jnp.float32),
        jnp.asarray(offset, jnp.float32),
        jnp.asarray(np.bincount(labels, minlength=num_classes) > 0),
        centre,
        whitening,
        typical,
    ), choice


def _fit_exactly(arrays, labels, num_classes, medians, bandwidths, ridges):
    """(what was chosen, coefficients [m, C], offset [C])."""
    onehot = np.eye(num_classes)[labels]
    found = [_losses(arrays, onehot, multiple, medians, ridges) for multiple in bandwidths]
    choice = _widest_within_one_error(found, bandwidths)
    gram = _gram(arrays, choice.bandwidth_multiple * medians)
    return choice, *single.ridge_coefficients(gram, onehot, choice.ridge)


def _fit_on_landmarks(arrays, labels, num_classes, medians, bandwidths, ridges):
    """(what was chosen, coefficients [r, C], offset [C])."""
    widths = np.asarray(bandwidths)[:, None] * medians
    landmarks = low_rank.Landmarks(arrays, labels, num_classes, max(low_rank.RANKS), widths)
    fits = [[landmarks.ridge(i, rank, ridges) for i in range(len(bandwidths))] for rank in low_rank.RANKS]
    fits = fits[low_rank.smallest_sufficient(fits)]
    choice = _widest_within_one_error([(fit.ridge, fit.losses) for fit in fits], bandwidths)
    fit = fits[list(bandwidths).index(choice.bandwidth_multiple)]
    return choice._replace(landmarks=fit.rank), fit.coefficients, fit.offset


def _gram(arrays: Sequence[np.ndarray], widths: np.ndarray) -> np.ndarray:
    return np.asarray(own_kernel(arrays, np.asarray(widths, np.float32)), np.float64)


def _losses(arrays, onehot, multiple, medians, ridges) -> tuple[float, np.ndarray]:
    """The best ridge at one width, and the leave-one-out losses of the anchors with it."""
    losses = single.leave_one_out_losses(_gram(arrays, multiple * medians), onehot, ridges)
    best = int(np.argmin(losses.mean(axis=1)))
    return float(ridges[best]), losses[best]


def _widest_within_one_error(found: Sequence[tuple[float, np.ndarray]], bandwidths: Sequence[float]) -> single.Choice:
    errors = np.asarray([losses.mean() for _, losses in found])
    best = found[int(np.argmin(errors))][1]
    allowed = best.mean() + best.std(ddof=1) / np.sqrt(len(best))
    chosen = max((i for i in range(len(found)) if errors[i] <= allowed), key=lambda i: bandwidths[i])
    return single.Choice(float(bandwidths[chosen]), found[chosen][0], float(errors[chosen]))


def _fit_familiarity(early: Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    early = np.asarray(early, np.float64)
    centre = early.mean(axis=0)
    covariance = np.atleast_2d(np.cov((early - centre).T))
    average = np.trace(covariance) / len(covariance)
    ridge = _SHRINKAGE * average if average > 0 else 1.0
    values, vectors = np.linalg.eigh(covariance + ridge * np.eye(len(covariance)))
    whitening = vectors / np.sqrt(values)
    typical = np.median(np.linalg.norm((early - centre) @ whitening, axis=1))
    return triple(jnp.asarray(x, jnp.float32) for x in (centre, whitening, typical if typical > 0 else 1.0))


def kernel_row(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """Returns the kernel of one image with the anchors, [m]."""
    return _mean_kernel([x[None] for x in statistics(features)], witness.anchors, witness.bandwidths)[0]


def _mean_kernel(x: Sequence[jax.Array], y: Sequence[jax.Array], bandwidths: jax.Array) -> jax.Array:
    kernels = [dependence.rbf(a, b, bandwidth=width) for a, b, width in zip(x, y, bandwidths, strict=True)]
    return total(kernels) / len(kernels)


@jax.jit
def own_kernel(x: Sequence[jax.Array], bandwidths: jax.Array) -> jax.Array:
    return _mean_kernel(x, x, bandwidths)


def stages_evidence(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """Estimated probability of every class, not clipped.

    Args:
      witness: fitted on features of the same backbones.
      features: features of one image.

    Returns:
      float32 [C]; -inf for a class without anchors.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)  # the first image
      >>> witness, choice = quality.fit_stages_witness(features, labels, 3)
      >>> int(quality.stages_evidence(witness, one).argmax())
      0
    """
    return witness.evidence(features)


def familiarity(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """Minus the log Mahalanobis distance to the clean anchors at the earliest inner stage, 0 at their median distance.

    Args:
      witness: fitted on features of the same backbones.
      features: features of one image.

    Returns:
      Scalar, higher is more like the clean anchors. It reads neither label nor reference.

    References:
      [3] Lee et al. 2018, equation 1, with one class; [4] for the shrunk covariance.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)  # the first image
      >>> witness, choice = quality.fit_stages_witness(features, labels, 3)
      >>> far = one._replace(early=one.early + 50)
      >>> bool(quality.familiarity(witness, far) < quality.familiarity(witness, one))
      True
    """
    offset = jnp.matmul(features.early - witness.centre, witness.whitening, precision="highest")
    distance = jnp.sqrt(jnp.sum(offset * offset) + 1e-12)
    return jnp.log(witness.typical) - jnp.log(jnp.maximum(distance, 1e-3 * witness.typical))


def stages_peak(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """Log evidence of the best class plus half the familiarity. Higher is better; needs no label.

    Args:
      witness: fitted on features of the same backbones.
      features: features of one image.

    Returns:
      Scalar.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)  # the first image
      >>> witness, choice = quality.fit_stages_witness(features, labels, 3)
      >>> far = jax.tree.map(lambda x: x + 20, one)
      >>> bool(quality.stages_peak(witness, far) < quality.stages_peak(witness, one))
      True
    """
    return peak_of(witness, features, stages_evidence(witness, features).max())


def stages_share(witness: StagesWitness, features: StageFeatures, label: jax.Array) -> jax.Array:
    """Log evidence of the true class plus half the familiarity. Higher is better.

    Args:
      witness: fitted on features of the same backbones.
      features: features of one image.
      label: int scalar.

    Returns:
      Scalar; NaN when the label's class has no anchors.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)  # the first image
      >>> witness, choice = quality.fit_stages_witness(features, labels, 3)
      >>> bool(quality.stages_share(witness, one, labels[0]) > quality.stages_share(witness, one, labels[1]))
      True
    """
    score = peak_of(witness, features, stages_evidence(witness, features)[label])
    return jnp.where(witness.present[label], score, jnp.nan)


def stages_expectation(witness: StagesWitness, features: StageFeatures, clean: StageFeatures) -> jax.Array:
    """Log of the evidence expected under the class shares of the clean image, plus half the familiarity.

    What the image still says of the class that its clean version shows, whatever that is. Higher is better; it reads
    the clean image but no label.

    Args:
      witness: fitted on features of the same backbones.
      features: features of one image.
      clean: features of its clean reference.

    Returns:
      Scalar.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)  # the first image
      >>> witness, choice = quality.fit_stages_witness(features, labels, 3)
      >>> noisy = jax.tree.map(lambda x: x + 3, one)
      >>> bool(quality.stages_expectation(witness, noisy, one) < quality.stages_expectation(witness, one, one))
      True
    """
    floored = jnp.where(witness.present, jnp.maximum(stages_evidence(witness, clean), _SMALLEST_EVIDENCE), 0.0)
    values = jnp.where(witness.present, stages_evidence(witness, features), 0.0)
    return peak_of(witness, features, jnp.sum(values * floored) / jnp.sum(floored))


def clean_cosine(features: StageFeatures, clean: StageFeatures) -> jax.Array:
    """Cosine of the penultimate features with those of the clean image, averaged over glances. Higher is better.

    Args:
      features: features of one image.
      clean: features of its clean reference.

    Returns:
      Scalar in [-1, 1]; NaN where features vanish.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> one, other = (jax.tree.map(lambda of_all: of_all[i], features) for i in (0, 1))
      >>> round(float(quality.clean_cosine(one, one)), 3), bool(quality.clean_cosine(one, other) < 0.5)
      (1.0, True)
    """
    cosines = []
    for a, b in zip(features.glances, clean.glances, strict=True):
        square = jnp.sum(a * a) * jnp.sum(b * b)
        cosines.append(jnp.where(square > 0, jnp.sum(a * b) / jnp.sqrt(jnp.where(square > 0, square, 1.0)), jnp.nan))
    return total(cosines) / len(cosines)


def peak_of(witness: StagesWitness, features: StageFeatures, value: jax.Array) -> jax.Array:
    """Returns the log of an evidence, at least a fifth of chance among ten classes, plus half the familiarity."""
    return jnp.log(jnp.maximum(value, _SMALLEST_EVIDENCE)) + _FAMILIARITY_WEIGHT * familiarity(witness, features)
