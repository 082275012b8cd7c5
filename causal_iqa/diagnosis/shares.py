"""What a whole set suffers from: shares of the causes, corrected for how the diagnosis confuses them.

The mean of the probabilities leans towards the mix of causes that the model was fitted on. Expectation-maximisation
finds the shares under which the probabilities, reweighted from the model's even mix to these shares, agree with
themselves: the maximum of the likelihood under label shift [1], consistent where the probabilities are calibrated [2].

References:
  [1] Saerens, Latinne, Decaestecker. Adjusting the outputs of a classifier to new a priori probabilities. Neural
      Computation 2002.
  [2] Garg, Wu, Balakrishnan, Lipton. A unified view of label shift estimation. NeurIPS 2020.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np

from causal_iqa import _checks, _keys
from causal_iqa._arrays import Array
from causal_iqa.estimates import check_level

_ITERATIONS = 200
_MOST_RESAMPLED = 4000
_LEAST_DRAWN = 1024
_SUM_SLACK = 1e-3
FEWEST_IMAGES = 20


class Composition(NamedTuple):
    """Shares of the causes in a set of images."""

    causes: tuple[str, ...]  # the model's causes, then "other": none of them
    shares: np.ndarray  # float [causes + 1], sums to 1
    low: np.ndarray  # float [causes + 1], ends of an interval for each share
    high: np.ndarray
    num_images: int


OTHER = "other"


def _shares(full: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Shares of the causes by expectation-maximisation, one row for each row of weights.

    Args:
      full: rows [n, k] under even shares.
      weights: [m, n], how often each row counts.

    Returns:
      float64 [m, k]; every row sums to 1.
    """
    full = full.astype(np.float64)
    shares = np.full((len(weights), full.shape[1]), 1.0 / full.shape[1])
    weights = weights / weights.sum(axis=1, keepdims=True)
    for _ in range(_ITERATIONS):
        # The posterior of a row is proportional to itself times the shares: all rows are summed by one product.
        shares = shares * ((weights / np.maximum(shares @ full.T, 1e-30)) @ full)
    return shares


@functools.partial(jax.jit, static_argnums=1)
def _drawn(keys: jax.Array, size: int, n: jax.Array) -> jax.Array:
    return jax.vmap(lambda key: jax.random.randint(key, (size,), 0, n))(keys)


def _resamples(keys: jax.Array, n: int) -> np.ndarray:
    """How often each of n rows is drawn under each key, [keys, n].

    More are drawn than are used, for a program is compiled for each number; the first draws do not depend on it.
    """
    size = max(_LEAST_DRAWN, 1 << (n - 1).bit_length())
    rows = np.asarray(_drawn(keys, size, n))[:, :n]
    return np.stack([np.bincount(one, minlength=n) for one in rows]).astype(np.float64)


def _checked(probabilities: Array) -> np.ndarray:
    """Returns the rows with the rest of 1 as a last column."""
    array = np.asarray(probabilities, np.float32)
    if array.ndim != 2 or array.shape[1] < 2:
        raise ValueError(f"probabilities: expected shape [n, causes], got {array.shape}")
    if not np.isfinite(array).all() or (array < -_SUM_SLACK).any() or (array.sum(axis=1) > 1 + _SUM_SLACK).any():
        raise ValueError("probabilities: expected numbers from 0 whose rows sum to at most 1")
    array = np.maximum(array, 0.0)
    return np.concatenate([array, np.maximum(1.0 - array.sum(axis=1, keepdims=True), 0.0)], axis=1)


def composition(
    key: jax.Array,
    probabilities: jax.Array,
    causes: tuple[str, ...],
    *,
    resamples: int = 200,
    level: float = 0.95,
) -> Composition:
    """Estimates the shares of the causes in a set.

    Args:
      key: random key of the resamples.
      probabilities: float [n, causes] of `diagnose`, at least 20 images; the share of "other" is 1 minus the sum.
      causes: names, `model.causes`.
      resamples: resamples of the images, for the intervals; of more than 4000 images 4000 are resampled, and deviations
        shrink by the square root of the ratio.
      level: confidence level of the intervals. They hold for other images of the same source; that the model may
        confuse causes on these images in another way than on its anchors is not in them.

    Returns:
      The shares with intervals.

    Raises:
      ValueError: when shapes disagree, rows are no probabilities, or for a level that is none.
      InputError: for fewer than 20 images.

    Examples:
      >>> import jax, numpy as np
      >>> probabilities = np.repeat([[0.9, 0.1], [0.2, 0.8]], [75, 25], axis=0)
      >>> [round(float(x), 2) for x in composition(jax.random.key(0), probabilities, ("none", "fog")).shares]
      [0.97, 0.03, 0.0]
    """
    full = _checked(probabilities)
    if full.shape[1] != len(causes) + 1:
        raise ValueError(f"causes: expected {full.shape[1] - 1} names, got {len(causes)}")
    n = len(full)
    if n < FEWEST_IMAGES:
        raise _checks.InputError(f"probabilities: expected at least {FEWEST_IMAGES} images, got {n}")
    check_level(level)
    if resamples < 2:
        raise ValueError(f"resamples: expected at least 2, got {resamples}")
    shares = _shares(full, np.ones((1, n)))[0]
    kept, centre = full, shares
    if n > _MOST_RESAMPLED:
        draw = np.random.default_rng(np.asarray(jax.random.key_data(_keys.named(key, "images of the resamples"))))
        kept = full[np.sort(draw.permutation(n)[:_MOST_RESAMPLED])]
        centre = _shares(kept, np.ones((1, len(kept))))[0]
    keys = jax.random.split(_keys.named(key, "resamples of a composition"), resamples)
    found = _shares(kept, _resamples(keys, len(kept)))
    away = np.quantile(found - centre, ((1 - level) / 2, (1 + level) / 2), axis=0) * np.sqrt(len(kept) / n)
    low, high = (np.clip(shares + one, 0.0, 1.0) for one in away)
    return Composition((*causes, OTHER), shares, low, high, n)


def adapted(probabilities: Array, shares: np.ndarray) -> np.ndarray:
    """Reweights probabilities from the even mix of the anchors to the composition of the set that the images are from.

    Args:
      probabilities: float [n, causes].
      shares: float [causes + 1] of `composition`, the last for "other".

    Returns:
      float32 [n, causes + 1]: probabilities of the causes and of "other" given the image and its set; rows sum to 1.

    Raises:
      ValueError: when shapes disagree or rows are no probabilities.

    Examples:
      >>> probabilities = np.float32([[0.5, 0.5], [0.9, 0.1]])
      >>> shares = np.array([0.1, 0.9, 0.0])  # of two causes and of "other": nearly all images are of the second cause
      >>> np.round(diagnosis.adapted(probabilities, shares), 2).argmax(axis=1).tolist()
      [1, 0]
    """
    full = _checked(probabilities)
    if np.shape(shares) != full.shape[1:]:
        raise ValueError(f"shares: expected {full.shape[1]} numbers, got shape {np.shape(shares)}")
    joint = full * np.maximum(np.asarray(shares, np.float64), 1e-6)
    return (joint / joint.sum(axis=1, keepdims=True)).astype(np.float32)
