"""`stages_peak` and the detectors averaged as ranks among degraded copies of the anchors."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from causal_iqa.quality import stages, success
from causal_iqa.quality import witness as single
from causal_iqa.quality.detector_fits import detectors_of
from causal_iqa.quality.detectors import SCORES
from causal_iqa.quality.features import statistics
from causal_iqa.quality.stages import StageFeatures, StagesWitness

# Places at which the distribution functions over the degraded anchors are kept, and copies read at a time.
_PLACES, _BLOCK = 257, 1024
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
    own = detectors_of(witness)
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

    Raises:
      ValueError: when the witness has no ranks.

    Examples:
      After the example of `fit_ranks`:

      >>> 0 <= float(quality.mean_rank(witness, jax.tree.map(lambda x: x[0], anchors))) <= 1
      True
    """
    own = detectors_of(witness)
    if own.ranks is None or own.weights is None:
        raise ValueError("witness: expected one with ranks, which quality.fit_ranks adds, got one without")
    places = jnp.linspace(0.0, 1.0, _PLACES)
    ranks = jax.vmap(lambda value, quantiles: jnp.interp(value, quantiles, places))(
        _averaged(witness, features), own.ranks
    )
    return (own.weights * ranks).sum() / jnp.maximum(own.weights.sum(), 1.0)
