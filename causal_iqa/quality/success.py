"""The chance that the witness is right, learned on anchors that were degraded.

Clean anchors say how certain a witness is, not how far its certainty can be trusted on degraded images. The labels of
the anchors are known, though, and anchors can be degraded: their copies show where the witness fails. A small model
learns from readings of the witness on a copy, and from statistics of the stages, whether it is right. The witness must
not have seen the copy's own anchor: its evidence is that of the witness fitted without this anchor, in closed form. No
judged network and no judged image takes part.

References:
  [1] Deng, Zheng. Are labels always necessary for classifier accuracy evaluation? CVPR 2021 (learning on transformed
    sets).
  [2] Yoo, Kweon. Learning loss for active learning. CVPR 2019 (predicting the error of one sample).
  [3] Rasmussen, Williams. Gaussian processes for machine learning. 2006, section 5.4.2 (leave-one-out).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa.quality import boosting, low_rank, stages
from causal_iqa.quality import witness as single
from causal_iqa.quality.features import statistics

# Principal components of every statistic that the model reads.
_COMPONENTS = 6
# Copies at a time, and places at which distribution functions are kept.
_BLOCK, _PLACES = 1024, 257
_SMALLEST_SHARE, _SMALLEST_EVIDENCE = 1e-4, 0.02


class Axes(NamedTuple):
    """Principal axes of one statistic of the clean anchors."""

    centre: jax.Array  # [d]
    scale: jax.Array  # [d], standard deviations
    vectors: jax.Array  # [d, k]
    spread: jax.Array  # [k], standard deviations along them


class Success(NamedTuple):
    """What gives the chance that a witness over stages is right."""

    axes: tuple[Axes, ...]  # of S statistics
    trees: boosting.Trees
    peaks: jax.Array  # [q], quantiles of `stages_peak` over the degraded anchors
    odds: jax.Array  # [q], quantiles of the log odds over them


class SuccessFit(NamedTuple):
    """What the degraded anchors showed, for the record."""

    copies: int
    right: float  # share of copies of which the witness, fitted without their anchor, is right


def axes_of(values: np.ndarray) -> Axes:
    """Returns the principal axes of one statistic [m, d] of the clean anchors."""
    values = values.astype(np.float64)
    centre, scale = values.mean(axis=0), values.std(axis=0)
    scale = np.maximum(scale, 1e-3 * scale.mean() + 1e-9)
    standard = (values - centre) / scale
    spread, vectors = np.linalg.eigh(standard.T @ standard / len(values))
    k = min(_COMPONENTS, len(values) - 1, values.shape[1])
    vectors = vectors[:, ::-1][:, :k]
    # The sign of an eigenvector is the library's; the largest entry is made positive.
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(k)])
    spread = np.sqrt(np.maximum(spread[::-1][:k], 1e-6))
    return Axes(*(jnp.asarray(x, jnp.float32) for x in (centre, scale, vectors, spread)))


def _place(axes: Axes, value: jax.Array) -> jax.Array:
    """Coordinates along the axes and the log of what they leave, [k + 1]."""
    standard = (value - axes.centre) / axes.scale
    along = jnp.matmul(standard, axes.vectors, precision="highest")
    left = jnp.sum(standard * standard) - jnp.sum(along * along)
    return jnp.append(along / axes.spread, 0.5 * jnp.log(jnp.maximum(left, 1e-6)))


def _inputs(
    witness: stages.StagesWitness, axes: Sequence[Axes], features: stages.StageFeatures, evidence: jax.Array
) -> jax.Array:
    """What the model reads of one image."""
    best, second = jax.lax.top_k(evidence, 2)[0]
    clipped = jnp.where(witness.present, jnp.clip(evidence, 0.0, 1.0), 0.0)
    shares = jnp.where(witness.present, jnp.maximum(evidence, _SMALLEST_SHARE), 0.0)
    entropy = jax.scipy.special.entr(shares / shares.sum()).sum()
    said = [jnp.log(jnp.maximum(best, _SMALLEST_EVIDENCE)), best - second, second, -entropy, jnp.sum(clipped**2)]
    of_stages = [_place(one, value) for one, value in zip(axes, statistics(features), strict=True)]
    return jnp.concatenate([jnp.stack([*said, stages.familiarity(witness, features)]), *of_stages])


@jax.jit
def _inputs_of_copies(witness, axes, features, smoothers, offsets, residuals):
    """Inputs [b, p] and evidence [b, C] of copies, without the anchors that they are copies of.

    A least-squares fit without one sample is the fit in which its target is what is predicted for it then. So leaving
    it out takes the sample's weight at the copy times its leave-one-out residual away.
    """

    def one(own, smoother, offset, residual):
        row = stages.kernel_row(witness, own)
        weight = jnp.matmul(row, smoother, precision="highest") + offset
        full = jnp.matmul(row, witness.coefficients, precision="highest") + witness.offset
        evidence = jnp.where(witness.present, full - weight * residual, -jnp.inf)
        return _inputs(witness, axes, own, evidence), evidence, stages.peak_of(witness, own, evidence.max())

    return jax.vmap(one)(features, smoothers, offsets, residuals)


def fit_success(
    witness: stages.StagesWitness,
    choice: single.Choice,
    anchors: stages.StageFeatures,
    labels: np.ndarray,
    copies: stages.StageFeatures,
    origins: np.ndarray,
    *,
    seed: int = 0,
) -> tuple[stages.StagesWitness, SuccessFit]:
    """Learns the chance that a witness is right from degraded copies of its anchors.

    The target is whether the best class of the witness fitted without the copy's own anchor is the anchor's label.

    Args:
      witness: result of `fit_stages_witness`.
      choice: what was chosen for it.
      anchors: features of the m clean anchors that it was fitted on.
      labels: int [m].
      copies: features of n degraded copies of anchors.
      origins: int [n], the anchor that each is a copy of.
      seed: seed of the samples and inputs that each tree sees.

    Returns:
      The witness with its `success`, and a record of the copies.

    Raises:
      ValueError: when lengths disagree.
      InputError: when no copy has finite features.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(40) % 2
      >>> def look(noise):
      ...     x = (np.eye(2, 4)[labels] + noise * rng.normal(size=(40, 4))).astype(np.float32)
      ...     return quality.StageFeatures(x, x, (x,))
      >>> anchors = look(0.2)
      >>> witness, choice = quality.fit_stages_witness(anchors, labels, 2)
      >>> witness, seen = quality.fit_success(witness, choice, anchors, labels, look(1.0), np.arange(40))
      >>> seen.copies, 0 < float(quality.success_chance(witness, jax.tree.map(lambda x: x[0], anchors))) < 1
      (40, True)
    """
    labels, copies, origins = finite_copies(anchors, labels, copies, origins)
    axes = tuple(axes_of(np.asarray(x)) for x in statistics(anchors))
    inputs, evidence, peaks = read_copies(witness, choice, axes, anchors, labels, copies, origins)
    right = evidence.argmax(axis=1) == labels[origins]
    trees = boosting.fit_trees(inputs, right, seed=seed)
    odds = np.asarray(jax.jit(jax.vmap(boosting.log_odds, (None, 0)))(trees, inputs))
    places = np.linspace(0, 1, _PLACES)
    quantiles = (jnp.asarray(np.quantile(x, places), jnp.float32) for x in (peaks, odds))
    return witness._replace(success=Success(axes, trees, *quantiles)), SuccessFit(len(origins), float(right.mean()))


def finite_copies(
    anchors: stages.StageFeatures, labels: np.ndarray, copies: stages.StageFeatures, origins: np.ndarray
) -> tuple[np.ndarray, stages.StageFeatures, np.ndarray]:
    """Leaves out the copies whose features are not finite.

    Args:
      anchors: features of the m anchors.
      labels: int [m].
      copies: features of n copies.
      origins: int [n], the anchor that each is a copy of.

    Returns:
      (labels, copies, origins) as arrays.

    Raises:
      ValueError: when lengths disagree.
      InputError: when no copy has finite features.
    """
    labels, origins = np.asarray(labels), np.asarray(origins)
    if len(copies.final) != len(origins) or len(anchors.final) != len(labels):
        raise ValueError(
            f"copies, origins, anchors, labels: expected equal lengths in pairs, got {len(copies.final)}, "
            f"{len(origins)}, {len(anchors.final)}, {len(labels)}"
        )
    finite = np.all([np.isfinite(x).reshape(len(origins), -1).all(axis=1) for x in jax.tree.leaves(copies)], axis=0)
    if not finite.any():
        raise _checks.InputError("anchors: no degraded anchor has finite features; check the weights of the backbone")
    copies, origins = jax.tree.map(lambda x: np.asarray(x)[finite], copies), origins[finite]
    return labels, copies, origins


def read_copies(
    witness: stages.StagesWitness,
    choice: single.Choice,
    axes: Sequence[Axes],
    anchors: stages.StageFeatures,
    labels: np.ndarray,
    copies: stages.StageFeatures,
    origins: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads copies through the witness that is fitted without the anchor that each is a copy of.

    Args:
      witness: result of `fit_stages_witness`.
      choice: what was chosen for it.
      axes: axes of the statistics.
      anchors: features of the m anchors.
      labels: int [m].
      copies: features of n copies.
      origins: int [n], the anchor that each is a copy of.

    Returns:
      (what the model reads [n, p], evidence [n, C], `stages_peak` [n]).
    """
    own = np.unique(origins)
    place = np.searchsorted(own, origins)
    smoothers, offsets, residuals = _left_out(witness, choice, anchors, labels, own)
    bare = witness._replace(success=None)
    copies = jax.tree.map(lambda x: np.asarray(x, np.float32), copies._replace(glances=()))
    found = []
    for start in range(0, len(origins), _BLOCK):
        # Filled up with the last: one shape is one program.
        rows = np.minimum(np.arange(start, start + _BLOCK), len(origins) - 1)
        block = jax.tree.map(lambda x, rows=rows: x[rows], copies)
        of = place[rows]
        said = _inputs_of_copies(bare, axes, block, smoothers.T[of], offsets[of], residuals[of])
        found.append([np.asarray(x)[: len(origins) - start] for x in said])
    inputs, evidence, peaks = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return inputs, evidence, peaks


def _left_out(witness, choice, anchors, labels, own) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the anchors `own` weigh, coefficients [m, P] and offset [P], and their residuals [P, C] when left out."""
    arrays = [np.asarray(x, np.float32) for x in statistics(anchors)]
    widths = np.asarray(witness.bandwidths)
    num_classes = len(witness.offset)
    if choice.landmarks is None:
        kernel = np.asarray(stages.own_kernel(arrays, widths), np.float64)
        unit = np.zeros((len(labels), len(own)))
        unit[own, np.arange(len(own))] = 1.0
        coefficients, offset = single.ridge_coefficients(kernel, unit, choice.ridge)
        rows = kernel[own]
    else:
        landmarks = low_rank.Landmarks(arrays, labels, num_classes, choice.landmarks, widths[None])
        rows = landmarks.kernel([x[own] for x in arrays])[0].astype(np.float64)
        coefficients, offset = landmarks.smoothers(0, choice.landmarks, choice.ridge, rows)
    leverage = np.einsum("pm,mp->p", rows, coefficients) + offset
    fitted = rows @ np.asarray(witness.coefficients, np.float64) + np.asarray(witness.offset, np.float64)
    residuals = (np.eye(num_classes)[labels[own]] - fitted) / np.maximum(1.0 - leverage, 1e-6)[:, None]
    return coefficients.astype(np.float32), offset.astype(np.float32), residuals.astype(np.float32)


def success_odds(witness: stages.StagesWitness, features: stages.StageFeatures) -> jax.Array:
    """Log odds that the witness is right. Higher is better; needs no label.

    Args:
      witness: a witness with its `success`, from `fit_success`.
      features: features of one image.

    Returns:
      Scalar.
    """
    evidence = stages.stages_evidence(witness, features)
    return boosting.log_odds(witness.success.trees, _inputs(witness, witness.success.axes, features, evidence))


def success_chance(witness: stages.StagesWitness, features: stages.StageFeatures) -> jax.Array:
    """Probability that the witness is right about the class of the image. Higher is better; needs no label.

    Args:
      witness: a witness with its `success`, from `fit_success`.
      features: features of one image.

    Returns:
      Scalar in (0, 1).

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(40) % 2
      >>> def look(noise):
      ...     x = (np.eye(2, 4)[labels] + noise * rng.normal(size=(40, 4))).astype(np.float32)
      ...     return quality.StageFeatures(x, x, (x,))
      >>> anchors = look(0.2)
      >>> witness, choice = quality.fit_stages_witness(anchors, labels, 2)
      >>> witness, seen = quality.fit_success(witness, choice, anchors, labels, look(1.0), np.arange(40))
      >>> one = jax.tree.map(lambda x: x[0], anchors)
      >>> 0 < float(quality.success_chance(witness, one)) < 1
      True
    """
    return jax.nn.sigmoid(success_odds(witness, features))


def success_rank(witness: stages.StagesWitness, features: stages.StageFeatures) -> jax.Array:
    """Mean rank of `stages_peak` and of `success_chance` among the degraded anchors. Higher is better; needs no label.

    Args:
      witness: a witness with its `success`, from `fit_success`.
      features: features of one image.

    Returns:
      Scalar in [0, 1], the mean of two distribution functions.

    Examples:
      >>> rng = np.random.default_rng(0)
      >>> labels = np.arange(40) % 2
      >>> def look(noise):
      ...     x = (np.eye(2, 4)[labels] + noise * rng.normal(size=(40, 4))).astype(np.float32)
      ...     return quality.StageFeatures(x, x, (x,))
      >>> anchors = look(0.2)
      >>> witness, choice = quality.fit_stages_witness(anchors, labels, 2)
      >>> witness, seen = quality.fit_success(witness, choice, anchors, labels, look(1.0), np.arange(40))
      >>> one = jax.tree.map(lambda x: x[0], anchors)
      >>> 0 <= float(quality.success_rank(witness, one)) <= 1
      True
    """
    places = jnp.linspace(0.0, 1.0, _PLACES)
    own = witness.success
    peak = jnp.interp(stages.stages_peak(witness, features), own.peaks, places)
    return 0.5 * (peak + jnp.interp(success_odds(witness, features), own.odds, places))
