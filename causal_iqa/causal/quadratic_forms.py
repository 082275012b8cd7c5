"""The tail of a weighted sum of squared normal variables, by a saddle-point approximation."""

import math

import numpy as np
from scipy import optimize, stats

# Nearer to the mean than so many standard deviations the formula divides by almost nothing.
_NEAR_MEAN = 1e-3
_LEAST_WEIGHT = 1e-12


def survival(weights: np.ndarray, value: float) -> float:
    """P(sum_i w_i Z_i^2 > value) for independent standard normal Z_i.

    The Lugannani-Rice formula in the cumulant generating function K(s) = -1/2 sum_i log(1 - 2 s w_i): its relative
    error stays at a few per cent however far out the tail.

    Args:
      weights: [m], not negative, at least one positive.
      value: where the tail begins.

    Returns:
      In [0, 1]; 1 for a value that is not positive.

    Raises:
      ValueError: when no weight is positive.

    Examples:
      >>> round(survival(np.ones(4), 9.49), 3)  # chi-square with 4 degrees of freedom
      0.05

    References:
      [1] D. Kuonen (1999), Saddlepoint approximations for distributions of quadratic forms in normal variables,
        Biometrika 86.
      [2] R. Lugannani, S. Rice (1980), Saddle point approximation for the distribution of the sum of independent random
        variables, Advances in Applied Probability 12.
    """
    weights = np.asarray(weights, np.float64)
    largest = weights.max(initial=0.0)
    if not largest > 0:
        raise ValueError("weights: expected at least one that is positive")
    if value <= 0:
        return 1.0
    # Everything in units of the largest weight.
    w, u = weights[weights > _LEAST_WEIGHT * largest] / largest, value / largest
    mean, spread = w.sum(), math.sqrt(2 * (w**2).sum())
    if abs(u - mean) < _NEAR_MEAN * spread:
        sides = (survival(w, mean + side * 2 * _NEAR_MEAN * spread) for side in (-1, 1))
        return sum(sides) / 2

    def excess(s: float) -> float:
        return float((w / (1 - 2 * s * w)).sum() - u)

    # Where the sum over one weight, or over all as if they were 1, is as large as the value.
    low, high = (-w.size / (2 * u), 0.0) if u < mean else (0.0, 0.5 - 0.5 / (2 * u + 1))
    while u > mean and excess(high) < 0:
        high = 0.25 + high / 2
    s: float = optimize.brentq(excess, low, high, xtol=1e-14, rtol=1e-13)  # pyright: ignore[reportArgumentType, reportAssignmentType]
    exponent = s * u + 0.5 * np.log1p(-2 * s * w).sum()
    curvature = 2 * ((w / (1 - 2 * s * w)) ** 2).sum()
    r = math.copysign(math.sqrt(max(2 * exponent, 0.0)), s)
    v = s * math.sqrt(curvature)
    return float(stats.norm.sf(r + math.log(v / r) / r))
