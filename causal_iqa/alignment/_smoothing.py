"""How far the correlation of expected ranks lies above that of the ranks themselves.

Image noise blurs the order of conditions that lie close together. Disattenuation estimates the correlation of expected
ranks, which does not count how score and performance disagree about such neighbours; Spearman's does. The difference is
of the order of 3 (rho - tau) / (C + 1) for C conditions: .005 at most for 95 of them, .02 for 20. It is computed here
for normal scores with the given reliabilities, once for every number of conditions.
"""

import functools

import numpy as np
from scipy import interpolate, special

from causal_iqa.alignment import correlation

_RHO = np.array([0.0, 0.3, 0.6, 0.8, 0.9, 0.96, 0.99, 1.0])
_RELIABILITY = np.array([0.2, 0.5, 0.75, 0.9, 0.96, 0.99, 1.0])
# Entries of the tables of differences of one draw times the draws: a fraction of a second.
_MOST_ENTRIES, _MOST_DRAWS = 400_000, 200


def smoothing_bias(rho: float, score: float, performance: float, num_conditions: int) -> float:
    """Returns what to subtract from a disattenuated correlation of ranks.

    Args:
      rho: the disattenuated correlation, in [-1, 1].
      score: reliability of the ranks of score on the images of one half, in [0, 1].
      performance: reliability of the ranks of performance on the images of one half, in [0, 1].
      num_conditions: C, 3 at least.

    Returns:
      The bias; it has the sign of rho.
    """
    at = np.clip([abs(rho), score, performance], 0.0, 1.0)
    return float(np.sign(rho) * _interpolator(num_conditions)(at)[0])


@functools.lru_cache(maxsize=8)
def _interpolator(num_conditions: int) -> interpolate.RegularGridInterpolator:
    grid = (_RHO, _RELIABILITY, _RELIABILITY)
    return interpolate.RegularGridInterpolator(grid, _table(num_conditions), bounds_error=False, fill_value=None)  # pyright: ignore[reportArgumentType]


def _table(num_conditions: int) -> np.ndarray:
    draws = int(np.clip(_MOST_ENTRIES // num_conditions**2, 4, _MOST_DRAWS))
    x, other = np.random.default_rng(0).normal(size=(2, draws, num_conditions))
    pearson = [2 * np.sin(np.pi * r / 6) for r in (_RHO, _RELIABILITY)]
    of_x = [_expected_ranks(x, r) for r in pearson[1]]
    table = np.empty((len(_RHO), len(_RELIABILITY), len(_RELIABILITY)))
    for i, r in enumerate(pearson[0]):
        y = r * x + np.sqrt(max(1 - r * r, 0.0)) * other
        of_y = [_expected_ranks(y, reliability) for reliability in pearson[1]]
        exact = correlation.rank_correlation(of_x[-1], of_y[-1])
        for j, a in enumerate(of_x):
            table[i, j] = [(correlation.rank_correlation(a, b) - exact).mean() for b in of_y]
    return table


def _expected_ranks(means: np.ndarray, reliability: float) -> np.ndarray:
    """Centred ranks of standard normal means [D, C] that are seen through noise, in expectation."""
    everywhere = np.ones(means.shape, bool)
    if reliability >= 1:
        return correlation.masked_ranks(means, everywhere)
    noise = np.sqrt(2 * (1 - reliability) / reliability)
    return special.ndtr((means[:, :, None] - means[:, None, :]) / noise).sum(axis=2) - means.shape[1] / 2
