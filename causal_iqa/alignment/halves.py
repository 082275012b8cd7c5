"""Intervals from halves of the images, for scores that copies of an image would deceive.

Evidence, transferability and dispersion of a set are fitted on the very images they judge: a bootstrap sample, in which
images come twice, looks easier to fit than any sample of the population. A half without copies does not.
"""

import math

import jax
import numpy as np
from scipy import stats

from causal_iqa.estimates import Estimate, check_level


def half_samples(key: jax.Array, num_images: int, num_pairs: int) -> np.ndarray:
    """Draws halves of the images in pairs that share no image.

    Args:
      key: typed PRNG key.
      num_images: N, at least 4; of an odd number one image is left out of each pair.
      num_pairs: number of pairs of halves.

    Returns:
      int [2 num_pairs, N // 2], places of the images; rows 2 i and 2 i + 1 are a pair.

    Raises:
      ValueError: when a number is too small.

    Examples:
      >>> halves = alignment.half_samples(jax.random.key(0), 10, 3)
      >>> halves.shape
      (6, 5)
    """
    if num_images < 4 or num_pairs < 1:
        raise ValueError(f"num_images, num_pairs: expected at least 4 and 1, got {num_images} and {num_pairs}")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32))
    half = num_images // 2
    drawn = np.stack([rng.permutation(num_images)[: 2 * half] for _ in range(num_pairs)])
    return np.sort(drawn.reshape(2 * num_pairs, half), axis=1)


def half_sample_interval(
    rho: float, halves: np.ndarray, *, deviations: np.ndarray | None = None, level: float = 0.95
) -> Estimate:
    """The interval of a correlation from its values on pairs of halves.

    On Fisher's scale half the difference of a pair has the variance of the whole sample's value, whatever both halves
    have in common by being smaller: s^2 = mean of ((z_1 - z_2) / 2)^2, and the interval is tanh(z - t s) to
    tanh(z + t s), t the quantile of Student's law with as many degrees of freedom as pairs.

    Args:
      rho: the correlation on all images.
      halves: [2 P], the correlations on halves, in the order of `half_samples`; pairs with an undefined value are left
        out.
      deviations: [G] by degradation on Fisher's scale, from `between_deviations`; with them the interval is for
        other degradations as well. The two reaches, each with its own quantile, add as squares.
      level: confidence level of the interval, in (0, 1).

    Returns:
      The interval; bounds are NaN where rho is undefined or no pair has values.

    Raises:
      ValueError: when the halves are not pairs, or level is out of range.

    References:
      [1] J. Shao, C. Wu (1989), A general theory for jackknife variance estimation, Annals of Statistics 17: the
        delete-d jackknife.
      [2] P. McCarthy (1969), Pseudo-replication: half samples.

    Examples:
      >>> halves = np.array([0.90, 0.94, 0.91, 0.95])  # two pairs of halves
      >>> interval = alignment.half_sample_interval(0.93, halves)
      >>> bool(interval.low < 0.93 < interval.high)
      True
    """
    check_level(level)
    halves = np.asarray(halves, np.float64)
    if halves.ndim != 1 or len(halves) % 2:
        raise ValueError(f"halves: expected [2 P] values of pairs, got shape {halves.shape}")
    z = np.arctanh(np.clip(halves.reshape(-1, 2), -1 + 1e-9, 1 - 1e-9))
    z = z[np.isfinite(z).all(axis=1)]
    if not math.isfinite(rho) or not len(z):
        return Estimate(rho, math.nan, math.nan)
    reach = stats.t.ppf((1 + level) / 2, len(z)) * math.sqrt(np.mean((z[:, 0] - z[:, 1]) ** 2) / 4)
    if deviations is not None:
        if not np.isfinite(deviations).all() or np.size(deviations) < 2:
            return Estimate(rho, math.nan, math.nan)
        other = stats.t.ppf((1 + level) / 2, np.size(deviations) - 1) * math.sqrt(np.square(deviations).sum())
        reach = math.hypot(reach, other)
    middle = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9))
    return Estimate(float(rho), min(rho, float(np.tanh(middle - reach))), max(rho, float(np.tanh(middle + reach))))
