"""Boosted oblivious trees for the chance of an event: fitted on the host, applied as a few gathers on the device.

In an oblivious tree [2] all nodes of one depth ask the same question, so a tree of depth D is D comparisons and a table
of 2^D values: no branch, and the same work for every sample.

References:
  [1] Friedman. Greedy function approximation: a gradient boosting machine. Annals of Statistics 2001.
  [2] Prokhorenkova, Gusev, Vorobev, Dorogush, Gulin. CatBoost: unbiased boosting with categorical features. NeurIPS
    2018, section 4 (oblivious trees).
  [3] Chen, Guestrin. XGBoost: a scalable tree boosting system. KDD 2016, equation 7 (the gain of a split).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_BINS = 32
_SMALLEST_CHANCE = 1e-3


class Trees(NamedTuple):
    """T fitted trees of depth D; the log odds are `base` and the values of the leaves that a sample reaches."""

    inputs: jax.Array  # int32 [T, D], the input that each depth asks about
    thresholds: jax.Array  # float32 [T, D], above which the answer is yes
    leaves: jax.Array  # float32 [T, 2^D], the first answer is the highest bit
    base: jax.Array  # scalar


def fit_trees(
    inputs: np.ndarray,
    happened: np.ndarray,
    *,
    seed: int = 0,
    num_trees: int = 120,
    depth: int = 3,
    rate: float = 0.1,
    penalty: float = 10.0,
    share_of_inputs: float = 0.5,
    share_of_samples: float = 0.7,
) -> Trees:
    """Fits trees to the log odds of an event by Newton's steps on the logistic loss.

    Args:
      inputs: float [n, p].
      happened: bool or 0 and 1 [n].
      seed: seed of the inputs and samples that each tree sees.
      num_trees: T.
      depth: D.
      rate: share of each Newton step that is taken.
      penalty: L2, in units of summed curvature, added to that of every leaf.
      share_of_inputs: inputs that a tree may ask about.
      share_of_samples: samples that a tree is fitted on.

    Returns:
      The trees; samples of one kind only give a constant.

    Raises:
      ValueError: when shapes disagree or inputs are not finite.

    References:
      [1] for the steps, [3] for the gain of a split.
    """
    inputs, happened = np.asarray(inputs, np.float32), np.asarray(happened, np.float64)
    if inputs.ndim != 2 or happened.shape != inputs.shape[:1] or not np.isfinite(inputs).all():
        raise ValueError(f"inputs: expected finite [n, p] and n outcomes, got {inputs.shape} and {happened.shape}")
    rng = np.random.default_rng(seed)
    n, p = inputs.shape
    edges = np.quantile(inputs, np.linspace(0, 1, _BINS + 1)[1:-1], axis=0).astype(np.float32).T
    bins = np.stack([np.searchsorted(edges[j], inputs[:, j]) for j in range(p)], axis=1)
    mean = np.clip(happened.mean(), _SMALLEST_CHANCE, 1 - _SMALLEST_CHANCE)
    base = np.log(mean / (1 - mean))
    odds = np.full(n, base)
    asked, thresholds, leaves = [], [], []
    for _ in range(num_trees):
        chance = 1 / (1 + np.exp(-odds))
        seen = rng.random(n) < share_of_samples
        slope, curvature = (happened - chance) * seen, chance * (1 - chance) * seen
        columns = rng.choice(p, max(1, round(share_of_inputs * p)), replace=False)
        leaf = np.zeros(n, np.int64)
        questions = []
        for level in range(depth):
            column, edge = _best_split(bins[:, columns], leaf, 2**level, slope, curvature, penalty)
            questions.append((columns[column], edge))
            leaf = 2 * leaf + (bins[:, columns[column]] > edge)
        step = np.bincount(leaf, slope, 2**depth) / (np.bincount(leaf, curvature, 2**depth) + penalty)
        odds += rate * step[leaf]
        asked.append([column for column, _ in questions])
        thresholds.append([edges[column, edge] for column, edge in questions])
        leaves.append(rate * step)
    return Trees(
        jnp.asarray(asked, jnp.int32),
        jnp.asarray(np.asarray(thresholds), jnp.float32),
        jnp.asarray(np.asarray(leaves), jnp.float32),
        jnp.float32(base),
    )


def _best_split(bins, leaf, num_leaves, slope, curvature, penalty) -> tuple[int, int]:
    """(place of the column, number of the edge) with the largest gain summed over the leaves."""
    k = bins.shape[1]
    cell = ((np.arange(k) * num_leaves + leaf[:, None]) * _BINS + bins).ravel()

    def sums(weights):
        return np.bincount(cell, np.repeat(weights, k), k * num_leaves * _BINS).reshape(k, num_leaves, _BINS).cumsum(2)

    slopes, curvatures = sums(slope), sums(curvature)
    below = slopes[..., :-1] ** 2 / (curvatures[..., :-1] + penalty)
    above = (slopes[..., -1:] - slopes[..., :-1]) ** 2 / (curvatures[..., -1:] - curvatures[..., :-1] + penalty)
    gain = (below + above).sum(axis=1)
    column, edge = np.unravel_index(np.argmax(gain), gain.shape)
    return int(column), int(edge)


def log_odds(trees: Trees, inputs: jax.Array) -> jax.Array:
    """Log odds of the event for one sample.

    Args:
      trees: result of `fit_trees`.
      inputs: float [p].

    Returns:
      Scalar.

    Examples:
      >>> x = np.linspace(0, 1, 400, dtype=np.float32)[:, None]
      >>> trees = fit_trees(x, x[:, 0] > 0.5, num_trees=20)
      >>> bool(log_odds(trees, x[390]) > 0 > log_odds(trees, x[10]))
      True
    """
    answers = (inputs[trees.inputs] > trees.thresholds).astype(jnp.int32)
    bits = 2 ** jnp.arange(answers.shape[1] - 1, -1, -1)
    place = jnp.matmul(answers, bits)
    return trees.base + jnp.take_along_axis(trees.leaves, place[:, None], axis=1).sum()
