"""What the out-of-distribution detectors need beside the witness, fitted on the clean anchors.

References: the numbers are those of `detectors`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._arrays import Array
from causal_iqa.quality import readings, stages
from causal_iqa.quality.stages import StageFeatures, StagesWitness

# Neighbours, and the share of the variance that the principal directions keep.
NEIGHBOURS = 10
_KEPT_VARIANCE = 0.9
TINY = 1e-12


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
    bank = np.asarray(unit(carried))
    own = jax.tree.map(lambda x: np.asarray(x)[:m], anchors._replace(glances=()))
    bare = witness._replace(success=None, detectors=None)
    confidences = np.asarray(jax.jit(jax.vmap(largest_share, (None, 0)))(bare, own))
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


def detectors_of(witness: StagesWitness) -> Detectors:
    """Returns the detectors of a witness; ValueError when it has none."""
    if witness.detectors is None:
        raise ValueError("witness: expected one with detectors, which quality.fit_detectors adds, got one without")
    return witness.detectors


def largest_share(witness: StagesWitness, features: StageFeatures) -> jax.Array:
    """Returns the largest share that the witness gives a class."""
    return readings.shares(witness, features).max()


def unit(x):
    """Returns vectors of length one; a vanishing one stays."""
    numeric = jnp if isinstance(x, jax.Array) else np
    return x / numeric.maximum(numeric.sqrt((x * x).sum(axis=-1, keepdims=True)), TINY)


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
    kept = np.searchsorted(np.cumsum(values) / max(values.sum(), TINY), _KEPT_VARIANCE) + 1
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
        place = min(NEIGHBOURS, len(bank) - 1) - 1
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
    values = unit(np.asarray(statistic, np.float64))
    centre = values.mean(axis=0)
    spectrum, vectors = np.linalg.eigh(shrunk_covariance(values)[0])
    largest = spectrum.max()
    spectrum = np.maximum(spectrum, 1e-6 * largest) if largest > 0 else np.ones_like(spectrum)
    whitening = vectors / np.sqrt(spectrum)
    typical = np.median(np.linalg.norm((values - centre) @ whitening, axis=1))
    typical = typical if typical > 0 else 1.0
    return Gaussian(*(jnp.asarray(x, jnp.float32) for x in (centre, whitening, typical)))
