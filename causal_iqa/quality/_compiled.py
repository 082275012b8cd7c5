"""Median distances and kernel matrices of anchors, for fits on the host: as few programs as there are shapes.

Operation by operation JAX compiles some forty programs for one median.
"""

import jax
import numpy as np
from scipy.spatial import distance

from causal_iqa import dependence
from causal_iqa._arrays import Array

# Numbers subtracted up to which all pairs of samples are faster on the host than a program is compiled.
_ON_HOST = 500_000_000

_median_on_device = jax.jit(dependence.median_heuristic)


def median_distance(samples: Array, *, on_host: int = _ON_HOST) -> float:
    """Median of the Euclidean distances of all pairs, like `dependence.median_heuristic` but for rounding.

    Args:
      samples: float32 [m, d], finite, m at least 2.
      on_host: numbers subtracted up to which the host does it.
    """
    m, d = samples.shape
    if m * (m - 1) // 2 * d > on_host:
        return float(_median_on_device(samples))
    return float(np.sqrt(np.median(distance.pdist(np.asarray(samples, np.float64), "sqeuclidean"))))


@jax.jit
def rbf(x: jax.Array, bandwidth: jax.Array) -> jax.Array:
    """The RBF kernel matrix [m, m] of samples [m, d]."""
    return dependence.rbf(x, x, bandwidth=bandwidth)


@jax.jit
def squared_distances(x: jax.Array, y: jax.Array) -> jax.Array:
    """Squared Euclidean distances [n, m] of samples [n, d] and [m, d]."""
    return dependence.squared_distances(x, y)
