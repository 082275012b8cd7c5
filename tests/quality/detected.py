"""Anchors of three classes with noise, and their noisier copies."""

import jax
import numpy as np

from causal_iqa import quality

LABELS = np.arange(90) % 3
_CENTRES = np.random.default_rng(9).normal(size=(3, 8))


def _features(seed, labels, noise):
    rng = np.random.default_rng(seed)
    blocks = [_CENTRES[labels][:, :d] + noise * rng.normal(size=(len(labels), d)) for d in (8, 4, 5)]
    final, *inner = (x.astype(np.float32) for x in blocks)
    return quality.StageFeatures(final, inner[0], tuple(inner))


ANCHORS = _features(0, LABELS, 0.4)
ORIGINS = np.tile(np.arange(30), 8)
COPIES = jax.tree.map(
    lambda *x: np.concatenate(x), *(_features(i, LABELS[:30], noise) for i, noise in enumerate(np.linspace(0.2, 3, 8)))
)


def each(score, witness, features):
    """A score of every row of features."""
    return np.asarray(jax.jit(jax.vmap(score, (None, 0)))(witness, features))
