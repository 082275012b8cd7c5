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
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from causal_iqa._arrays import Array, total
from causal_iqa.quality import readings, stages, success
from causal_iqa.quality import witness as single
from causal_iqa.quality.features import statistics
from causal_iqa.quality.stages import StageFeatures, StagesWitness

# GEN's exponent and number of classes [1].
_EXPONENT, _CLASSES = 0.1, 100
# Neighbours, and the share of the variance that the principal directions keep.
_NEIGHBOURS, _KEPT_VARIANCE = 10, 0.9
# Places at which the distribution functions over the degraded anchors are kept, and copies read at a time.
_PLACES, _BLOCK = 257, 1024
_TINY = 1e-12


class Gaussian(NamedTuple):
    """The Gaussian of one statistic of the anchors, for vectors of length one."""

    centre: jax.Array  # [d]
    whitening: jax.Array  # [d, d]
    typical: jax.Array  # scalar, median distance of the anchors


class Detectors(NamedTuple):
    """What the detectors need beside the witness; m anchors carry it."""

    bank: jax.Array  # [m, d], penultimate features of length one
    confidences: jax.Array  # [m], largest share of the witness
    separations: jax.Array  # [C, C], distances of the classes' functions in the witness's function space
    mean_kernel: jax.Array  # scalar, mean of the kernel over all pairs of anchors
    directions: jax.Array  # [d, q], principal directions of the bank
    along: jax.Array  # [m, q], the bank along them
    distances: jax.Array  # [2, 2], mean and deviation of the anchors' own neighbour distances in both subspaces
    early: Gaussian
    middle: tuple[Gaussian, ...]
    late: Gaussian
    ranks: jax.Array | None = None  # [D, q], quantiles over the degraded anchors of the scores that are averaged
    weights: jax.Array | None = None  # [D], 1 for a score that tells the witness's successes from its failures


def fit_detectors(witness: StagesWitness, anchors: StageFeatures) -> StagesWitness:
    """Fits what the detectors need on the clean anchors.

    Args:
      witness: result of `fit_stages_witness` on these anchors.
      anchors: features of the m anchors, every array with a leading axis m.

    Returns:
      The witness with its `detectors`.

    Raises:
      ValueError: when these are not the anchors of the witness.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> witness, choice = quality.fit_stages_witness(features, labels, 3)
      >>> witness = quality.fit_detectors(witness, features)
      >>> witness.detectors.bank.shape
      (60, 4)
    """
    carried = np.asarray(witness.anchors[0], np.float32)
    m = len(carried)
    if not np.array_equal(np.asarray(anchors.final, np.float32)[:m], carried):
        raise ValueError(
            f"anchors: expected the features that the witness was fitted on, got {len(anchors.final)} others "
            f"(it carries {m})"
        )
    bank = np.asarray(_unit(carried))
    own = jax.tree.map(lambda x: np.asarray(x)[:m], anchors._replace(glances=()))
    bare = witness._replace(success=None, detectors=None)
    confidences = np.asarray(jax.jit(jax.vmap(_largest_share, (None, 0)))(bare, own))
    gram = np.asarray(stages.own_kernel(witness.anchors, witness.bandwidths), np.float64)
    directions = _principal(bank)
    found = Detectors(
        jnp.asarray(bank),
        jnp.asarray(confidences),
        jnp.asarray(_separations(gram, np.asarray(witness.coefficients, np.float64)), jnp.float32),
        jnp.float32(gram.mean()),
        jnp.asarray(directions, jnp.float32),
        jnp.asarray(bank @ directions, jnp.float32),
        jnp.asarray(_neighbour_distances(bank, directions), jnp.float32),
        _fit_gaussian(anchors.early),
        tuple(_fit_gaussian(x) for x in anchors.inner or (anchors.final,)),
        _fit_gaussian(anchors.final),
    )
    return witness._replace(detectors=found)


def _detectors_of(witness: StagesWitness) -> Detectors:
    if witness.detectors is None:
        raise ValueError("witness: expected one with detectors, which quality.fit_detectors adds, got one without")
    return witness.detectors


def _largest_share(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    return readings.shares(witness, features).max()


def _unit(x):
    """Vectors of length one; a vanishing one stays."""
    numeric = jnp if isinstance(x, jax.Array) else np
    return x / numeric.maximum(numeric.sqrt((x * x).sum(axis=-1, keepdims=True)), _TINY)


def _separations(gram: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """|f_c - f_k| in the function space of the kernel: (B_c - B_k)' K (B_c - B_k)."""
    inner = coefficients.T @ gram @ coefficients
    squares = np.diag(inner)[:, None] + np.diag(inner)[None, :] - 2 * inner
    return np.sqrt(np.maximum(squares, 0.0))


def _principal(bank: np.ndarray) -> np.ndarray:
    """The fewest principal directions [d, q] that keep the share of the variance; at least one."""
    centred = bank.astype(np.float64) - bank.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    kept = np.searchsorted(np.cumsum(values) / max(values.sum(), _TINY), _KEPT_VARIANCE) + 1
    return vectors[:, : min(int(kept), vectors.shape[1])]


def _neighbour_distances(bank: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Mean and deviation of the anchors' distances to their neighbours among the others, in both subspaces [2, 2]."""
    along = bank @ directions

    def squares(x: np.ndarray) -> np.ndarray:
        norms = (x * x).sum(axis=1)
        return np.maximum(norms[:, None] + norms - 2 * x @ x.T, 0.0)

    principal = squares(along)
    residual = np.maximum(squares(bank) - principal, 0.0)
    found = []
    for of_pairs in (principal, residual):
        np.fill_diagonal(of_pairs, np.inf)
        place = min(_NEIGHBOURS, len(bank) - 1) - 1
        nearest = np.sqrt(np.partition(of_pairs, place, axis=1)[:, place])
        found.append((nearest.mean(), max(nearest.std(), 1e-6)))
    return np.asarray(found)


def shrunk_covariance(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Covariance shrunk towards a multiple of the identity by the analytic rule of Ledoit and Wolf.

    Args:
      values: [m, d].

    Returns:
      (covariance [d, d], the weight of the identity in [0, 1]).

    Raises:
      ValueError: for another rank, or fewer than two samples.

    References:
      [7] Ledoit and Wolf 2004, section 3.3.

    Examples:
      >>> few = np.random.default_rng(0).normal(size=(20, 10))
      >>> covariance, weight = quality.shrunk_covariance(few)
      >>> covariance.shape, bool(weight > 0.5)
      ((10, 10), True)
    """
    x = np.asarray(values, np.float64)
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"values: expected [m, d] with at least 2 samples, got shape {x.shape}")
    m, d = x.shape
    x = x - x.mean(axis=0)
    sample = x.T @ x / m
    scale = np.trace(sample) / d
    spread = ((sample - scale * np.eye(d)) ** 2).sum()
    noise = (((x * x).sum(axis=1) ** 2).sum() / m - (sample**2).sum()) / m
    weight = 1.0 if spread <= 0 else float(np.clip(noise / spread, 0.0, 1.0))
    return (1 - weight) * sample + weight * scale * np.eye(d), weight


def _fit_gaussian(statistic: Array) -> Gaussian:
    values = _unit(np.asarray(statistic, np.float64))
    centre = values.mean(axis=0)
    spectrum, vectors = np.linalg.eigh(shrunk_covariance(values)[0])
    largest = spectrum.max()
    spectrum = np.maximum(spectrum, 1e-6 * largest) if largest > 0 else np.ones_like(spectrum)
    whitening = vectors / np.sqrt(spectrum)
    typical = np.median(np.linalg.norm((values - centre) @ whitening, axis=1))
    typical = typical if typical > 0 else 1.0
    return Gaussian(*(jnp.asarray(x, jnp.float32) for x in (centre, whitening, typical)))


def _closeness(gaussian: Gaussian, value: jax.Array) -> jax.Array:
    offset = jnp.matmul(_unit(value) - gaussian.centre, gaussian.whitening, precision="highest")
    distance = jnp.sqrt(jnp.sum(offset * offset) + _TINY)
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
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> witness, choice = quality.fit_stages_witness(features, labels, 3)
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
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> witness = quality.fit_detectors(quality.fit_stages_witness(features, labels, 3)[0], features)
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> far = one._replace(final=-one.final)
      >>> bool(quality.guided_confidence(witness, far) < quality.guided_confidence(witness, one))
      True
    """
    own = _detectors_of(witness)
    cosines = jnp.matmul(own.bank, _unit(features.final), precision="highest")
    guides = jax.lax.top_k(cosines * own.confidences, min(_NEIGHBOURS, len(own.bank)))[0]
    return _largest_share(witness, features) * guides.mean()


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
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> witness = quality.fit_detectors(quality.fit_stages_witness(features, labels, 3)[0], features)
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> between = jax.tree.map(lambda of_all: of_all[:3].mean(axis=0), features)  # between three classes
      >>> bool(quality.boundary_distance(witness, between) < quality.boundary_distance(witness, one))
      True
    """
    own = _detectors_of(witness)
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
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> witness = quality.fit_detectors(quality.fit_stages_witness(features, labels, 3)[0], features)
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> far = one._replace(final=-one.final)
      >>> bool(quality.neighbour_closeness(witness, far) < quality.neighbour_closeness(witness, one))
      True
    """
    own = _detectors_of(witness)
    unit = _unit(features.final)
    along = own.along - jnp.matmul(unit, own.directions, precision="highest")[None]
    principal = (along * along).sum(axis=1)
    # All lengths are one.
    squares = 2.0 - 2.0 * jnp.matmul(own.bank, unit, precision="highest")
    residual = jnp.maximum(squares - principal, 0.0)
    found = []
    for squares, (mean, deviation) in zip((principal, residual), own.distances, strict=True):
        nearest = -jax.lax.top_k(-squares, min(_NEIGHBOURS, len(own.bank)))[0][-1]
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
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values, (values[:, 2:],), (values,))  # of 60 anchors
      >>> witness = quality.fit_detectors(quality.fit_stages_witness(features, labels, 3)[0], features)
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> bool(quality.early_closeness(witness, one._replace(early=-one.early)) < quality.early_closeness(witness, one))
      True
    """
    return _closeness(_detectors_of(witness).early, features.early)


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
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values,), (values,))  # of 60 anchors
      >>> witness = quality.fit_detectors(quality.fit_stages_witness(features, labels, 3)[0], features)
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> far = one._replace(inner=(-one.inner[0],))
      >>> bool(quality.middle_closeness(witness, far) < quality.middle_closeness(witness, one))
      True
    """
    own = _detectors_of(witness).middle
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
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> witness = quality.fit_detectors(quality.fit_stages_witness(features, labels, 3)[0], features)
      >>> one = jax.tree.map(lambda of_all: of_all[0], features)
      >>> bool(quality.late_closeness(witness, one._replace(final=-one.final)) < quality.late_closeness(witness, one))
      True
    """
    return _closeness(_detectors_of(witness).late, features.final)


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
_AVERAGED = (stages.stages_peak, *SCORES.values())


def _averaged(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    return jnp.stack([score(witness, features) for score in _AVERAGED])


class RanksFit(NamedTuple):
    """Spearman correlation of every averaged score with the witness's success on degraded anchors, for the record."""

    copies: int
    correlations: dict[str, float]


def fit_ranks(
    witness: StagesWitness,
    choice: single.Choice,
    anchors: StageFeatures,
    labels: np.ndarray,
    copies: StageFeatures,
    origins: np.ndarray,
) -> tuple[StagesWitness, RanksFit]:
    """Learns on degraded copies of the anchors how `stages_peak` and the detectors are averaged as ranks.

    A score counts, with weight one, if it correlates positively with the success of the witness that is fitted without
    the copy's own anchor. Of the distribution functions nothing else is learned; the scores that they are of read the
    witness with all anchors, which moves every score's scale but not the order that it gives.

    Args:
      witness: with its `detectors`, from `fit_detectors`.
      choice: what was chosen for it.
      anchors: features of the m clean anchors that it was fitted on.
      labels: int [m].
      copies: features of n degraded copies of anchors.
      origins: int [n], the anchor that each is a copy of.

    Returns:
      The witness with ranks in its `detectors`, and what the copies showed.

    Raises:
      ValueError: when lengths disagree, or the witness has no detectors.
      InputError: when no copy has finite features.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(40) % 2
      >>> def look(noise):
      ...     x = (np.eye(2, 4)[labels] + noise * rng.normal(size=(40, 4))).astype(np.float32)
      ...     return quality.StageFeatures(x, x, (x,))
      >>> anchors = look(0.2)
      >>> witness, choice = quality.fit_stages_witness(anchors, labels, 2)
      >>> witness = quality.fit_detectors(witness, anchors)
      >>> witness, seen = quality.fit_ranks(witness, choice, anchors, labels, look(1.0), np.arange(40))
      >>> seen.copies, sorted(seen.correlations)[0]
      (40, 'dknn_free')
    """
    own = _detectors_of(witness)
    labels, copies, origins = success.finite_copies(anchors, labels, copies._replace(glances=()), origins)
    axes = tuple(success.axes_of(np.asarray(x)) for x in statistics(anchors))
    evidence = success.read_copies(witness._replace(detectors=None), choice, axes, anchors, labels, copies, origins)[1]
    right = evidence.argmax(axis=1) == labels[origins]
    bare = witness._replace(success=None)
    every = jax.jit(jax.vmap(_averaged, (None, 0)))
    blocks = range(0, len(origins), _BLOCK)
    rows = [np.minimum(np.arange(start, start + _BLOCK), len(origins) - 1) for start in blocks]
    values = np.concatenate([every(bare, jax.tree.map(lambda x, r=r: x[r], copies)) for r in rows])[: len(origins)]
    constant = right.all() or not right.any()
    # Without a failure or without a success nothing can be told, and all count.
    rho = np.array([1.0 if constant or not np.ptp(v) else stats.spearmanr(v, right)[0] for v in values.T])
    quantiles = np.quantile(values, np.linspace(0, 1, _PLACES), axis=0).T
    own = own._replace(ranks=jnp.asarray(quantiles, jnp.float32), weights=jnp.asarray(rho > 0, jnp.float32))
    names = ("stages_free", *SCORES)
    return witness._replace(detectors=own), RanksFit(
        len(origins), {name: float(r) for name, r in zip(names, rho, strict=True)}
    )


def mean_rank(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """The mean rank of `stages_peak` and the detectors among the degraded anchors, of those that `fit_ranks` took.

    Args:
      witness: result of `fit_ranks`.
      features: features of one image.

    Returns:
      Scalar in [0, 1], higher is better; needs no label.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(40) % 2
      >>> def look(noise):
      ...     x = (np.eye(2, 4)[labels] + noise * rng.normal(size=(40, 4))).astype(np.float32)
      ...     return quality.StageFeatures(x, x, (x,))
      >>> anchors = look(0.2)
      >>> witness, choice = quality.fit_stages_witness(anchors, labels, 2)
      >>> witness = quality.fit_detectors(witness, anchors)
      >>> witness, seen = quality.fit_ranks(witness, choice, anchors, labels, look(1.0), np.arange(40))
      >>> 0 <= float(quality.mean_rank(witness, jax.tree.map(lambda x: x[0], anchors))) <= 1
      True
    """
    own = _detectors_of(witness)
    if own.ranks is None or own.weights is None:
        raise ValueError("witness: expected one with ranks, which quality.fit_ranks adds, got one without")
    places = jnp.linspace(0.0, 1.0, _PLACES)
    ranks = jax.vmap(lambda value, quantiles: jnp.interp(value, quantiles, places))(
        _averaged(witness, features), own.ranks
    )
    return (own.weights * ranks).sum() / jnp.maximum(own.weights.sum(), 1.0)


def early_coordinates(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """The earliest inner stage where the anchors' shrunk covariance is one and their mean zero.

    Args:
      witness: with its `detectors`, from `fit_detectors`.
      features: features of one image.

    Returns:
      [e]; what `estimators.frechet_distance` compares with the anchors.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(60) % 3
      >>> values = (rng.normal(size=(60, 4)) + 4 * np.eye(3, 4)[labels]).astype(np.float32)
      >>> features = quality.StageFeatures(values, values[:, :2], (values[:, 2:],), (values,))  # of 60 anchors
      >>> witness = quality.fit_detectors(quality.fit_stages_witness(features, labels, 3)[0], features)
      >>> quality.early_coordinates(witness, jax.tree.map(lambda of_all: of_all[0], features)).shape
      (2,)
    """
    return jnp.matmul(features.early - witness.centre, witness.whitening, precision="highest")
