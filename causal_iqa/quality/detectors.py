"""Out-of-distribution detectors on the witness over stages: published scores of how far an image is from the anchors.

They read what the witness reads, the class shares and the stage features of one image, and neither its label nor its
clean version. Their constants are those of the publications; nothing is chosen on images. The bank of the nearest
neighbours is the anchors that carry the witness.

References:
  [1] Liu, Lochman, Zach. GEN: Pushing the limits of softmax-based out-of-distribution detection. CVPR 2023.
  [2] Park, Jung, Teoh. Nearest neighbor guidance for out-of-distribution detection. ICCV 2023 (NNGuide).
  [3] Liu, Qin. Fast decision boundary based out-of-distribution detector. ICML 2024 (fDBD).
  [4] Peng et al. Breaking semantic hegemony: decoupling principal and residual subspaces for generalized OOD detection.
      2026, arXiv 2602.05360 (D-KNN); Sun, Ming, Zhu, Li. Out-of-distribution detection with deep nearest neighbors.
      ICML 2022.
  [5] Lee, Lee, Lee, Shin. A simple unified framework for detecting out-of-distribution samples. NeurIPS 2018.
  [6] Mueller, Hein. Mahalanobis++: improving OOD detection via feature normalization. ICML 2025; Janiak, Binkowski,
      Kajdanowicz. Dissecting Mahalanobis: how feature geometry and normalization shape OOD detection. 2025.
  [7] Ledoit, Wolf. A well-conditioned estimator for large-dimensional covariance matrices. JMA 2004.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from causal_iqa._arrays import total
from causal_iqa.quality import readings, stages
from causal_iqa.quality.detector_fits import NEIGHBOURS, TINY, Gaussian, detectors_of, largest_share, unit
from causal_iqa.quality.stages import StageFeatures, StagesWitness

# GEN's exponent and number of classes [1].
_EXPONENT, _CLASSES = 0.1, 100


def _closeness(gaussian: Gaussian, value: jax.Array) -> jax.Array:
    offset = jnp.matmul(unit(value) - gaussian.centre, gaussian.whitening, precision="highest")
    distance = jnp.sqrt(jnp.sum(offset * offset) + TINY)
    return jnp.log(gaussian.typical) - jnp.log(jnp.maximum(distance, 1e-3 * gaussian.typical))


def generalised_entropy(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """GEN of the witness's shares, with its sign turned: -sum_k (p_k (1 - p_k))^.1 over the 100 largest shares.

    Args:
      witness: fitted on features of the same backbones.
      features: features of one image.

    Returns:
      Scalar, at most 0, higher is better; needs no label.

    References:
      [1] Liu et al. 2023, equation 3.

    Examples:
      After the example of `fit_detectors`:

      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> between = jax.tree.map(lambda of_all: of_all[:3].mean(axis=0), features)  # between three classes
      >>> bool(quality.generalised_entropy(witness, between) < quality.generalised_entropy(witness, one))
      True
    """
    shares = readings.shares(witness, features)
    largest = jax.lax.top_k(shares, min(_CLASSES, len(shares)))[0]
    return -((largest * (1 - largest)) ** _EXPONENT).sum()


def guided_confidence(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """NNGuide: the largest share times the mean of cosine x confidence over the ten anchors where it is largest.

    Args:
      witness: with its `detectors`, from `fit_detectors`.
      features: features of one image.

    Returns:
      Scalar in [-1, 1], higher is better; needs no label.

    References:
      [2] Park et al. 2023, equations 3 and 4, with the witness's largest share in place of the energy.

    Examples:
      After the example of `fit_detectors`:

      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> far = one._replace(final=-one.final)
      >>> bool(quality.guided_confidence(witness, far) < quality.guided_confidence(witness, one))
      True
    """
    own = detectors_of(witness)
    cosines = jnp.matmul(own.bank, unit(features.final), precision="highest")
    guides = jax.lax.top_k(cosines * own.confidences, min(NEIGHBOURS, len(own.bank)))[0]
    return largest_share(witness, features) * guides.mean()


def boundary_distance(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """fDBD in the witness's function space: mean distance to the boundaries of the best class, over that to the mean.

    The evidence is linear in the kernel's features, so the distance to the boundary between the best class and another
    is the difference of their evidence over the distance of their functions.

    Args:
      witness: with its `detectors`, from `fit_detectors`.
      features: features of one image.

    Returns:
      Scalar, not negative, higher is better; needs no label.

    References:
      [3] Liu and Qin 2024, equation 6.

    Examples:
      After the example of `fit_detectors`:

      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> between = jax.tree.map(lambda of_all: of_all[:3].mean(axis=0), features)  # between three classes
      >>> bool(quality.boundary_distance(witness, between) < quality.boundary_distance(witness, one))
      True
    """
    own = detectors_of(witness)
    row = stages.kernel_row(witness, features)
    values = jnp.matmul(row, witness.coefficients, precision="highest") + witness.offset
    best = jnp.argmax(jnp.where(witness.present, values, -jnp.inf))
    others = witness.present & (jnp.arange(len(values)) != best) & (own.separations[best] > 0)
    gaps = (values[best] - values) / jnp.where(others, own.separations[best], 1.0)
    mean_gap = jnp.where(others, gaps, 0.0).sum() / jnp.maximum(others.sum(), 1)
    # Every image has a kernel of 1 with itself.
    distance = jnp.sqrt(jnp.maximum(1.0 - 2.0 * row.mean() + own.mean_kernel, 1e-6))
    return mean_gap / distance


def neighbour_closeness(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """D-KNN: minus the standardised distances to the tenth nearest anchor in principal and residual subspace.

    Both distances are of penultimate features of length one; each is centred and scaled by what the anchors have among
    themselves, and the mean of both is taken.

    Args:
      witness: with its `detectors`, from `fit_detectors`.
      features: features of one image.

    Returns:
      Scalar, higher is better; needs no label.

    References:
      [4] Peng et al. 2026, with a mean in place of their calibration; Sun et al. 2022.

    Examples:
      After the example of `fit_detectors`:

      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> far = one._replace(final=-one.final)
      >>> bool(quality.neighbour_closeness(witness, far) < quality.neighbour_closeness(witness, one))
      True
    """
    own = detectors_of(witness)
    direction = unit(features.final)
    along = own.along - jnp.matmul(direction, own.directions, precision="highest")[None]
    principal = (along * along).sum(axis=1)
    # All lengths are one.
    squares = 2.0 - 2.0 * jnp.matmul(own.bank, direction, precision="highest")
    residual = jnp.maximum(squares - principal, 0.0)
    found = []
    for squares, (mean, deviation) in zip((principal, residual), own.distances, strict=True):
        nearest = -jax.lax.top_k(-squares, min(NEIGHBOURS, len(own.bank)))[0][-1]
        found.append((jnp.sqrt(jnp.maximum(nearest, 0.0)) - mean) / deviation)
    return -total(found) / len(found)


def early_closeness(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """Minus the log Mahalanobis distance of the earliest inner stage, of length one, with optimal shrinkage.

    Args:
      witness: with its `detectors`, from `fit_detectors`.
      features: features of one image.

    Returns:
      Scalar, 0 at the median distance of the anchors, higher is better; needs no label.

    References:
      [5] Lee et al. 2018 with one class; [6] for the length; [7] for the shrinkage.

    Examples:
      After the example of `fit_detectors`:

      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> bool(quality.early_closeness(witness, one._replace(early=-one.early)) < quality.early_closeness(witness, one))
      True
    """
    return _closeness(detectors_of(witness).early, features.early)


def middle_closeness(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """The mean of the same over all statistics of the inner stages.

    Args:
      witness: with its `detectors`, from `fit_detectors`.
      features: features of one image.

    Returns:
      Scalar, higher is better; needs no label.

    References:
      [5] Lee et al. 2018, which adds the distances of the layers; [6]; [7].

    Examples:
      After the example of `fit_detectors`:

      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> far = one._replace(inner=(-one.inner[0],))
      >>> bool(quality.middle_closeness(witness, far) < quality.middle_closeness(witness, one))
      True
    """
    own = detectors_of(witness).middle
    pairs = zip(own, features.inner or (features.final,), strict=True)
    return total(_closeness(gaussian, value) for gaussian, value in pairs) / len(own)


def late_closeness(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """The same of the penultimate features.

    Args:
      witness: with its `detectors`, from `fit_detectors`.
      features: features of one image.

    Returns:
      Scalar, higher is better; needs no label.

    References:
      [5] Lee et al. 2018 with one class; [6]; [7].

    Examples:
      After the example of `fit_detectors`:

      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> bool(quality.late_closeness(witness, one._replace(final=-one.final)) < quality.late_closeness(witness, one))
      True
    """
    return _closeness(detectors_of(witness).late, features.final)


# Name of the row in the table of metrics -> the score.
SCORES: Mapping[str, Callable[[StagesWitness, StageFeatures], jax.Array]] = {
    "gen_free": generalised_entropy,
    "nnguide_free": guided_confidence,
    "fdbd_free": boundary_distance,
    "dknn_free": neighbour_closeness,
    "mahalanobis_early_free": early_closeness,
    "mahalanobis_middle_free": middle_closeness,
    "mahalanobis_late_free": late_closeness,
}
# Name -> the fields of `StageFeatures` that the score reads.
READS: Mapping[str, tuple[str, ...]] = {
    "gen_free": ("final", "inner"),
    "nnguide_free": ("final", "inner"),
    "fdbd_free": ("final", "inner"),
    "dknn_free": ("final",),
    "mahalanobis_early_free": ("early",),
    "mahalanobis_middle_free": ("inner",),
    "mahalanobis_late_free": ("final",),
}


def early_coordinates(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """The earliest inner stage where the anchors' shrunk covariance is one and their mean zero.

    Args:
      witness: result of `fit_stages_witness`; it needs no detectors.
      features: features of one image.

    Returns:
      [e]; what `estimators.frechet_distance` compares with the anchors.

    Examples:
      After the example of `fit_detectors`:

      >>> quality.early_coordinates(witness, jax.tree.map(lambda of_all: of_all[0], features)).shape
      (2,)
    """
    return jnp.matmul(features.early - witness.centre, witness.whitening, precision="highest")
