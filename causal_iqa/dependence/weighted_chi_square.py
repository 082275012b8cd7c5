"""Tails of weighted sums of chi-square variables, sum_i w_i chi2_1: the null law of kernel tests."""

import jax
import jax.numpy as jnp
from jax.scipy import special

# Below this skewness float32 loses digits of the incomplete gamma function, and the cube root is normal to 1e-4.
_LITTLE_SKEWNESS = 0.15


def pearson3_survival(z: jax.Array, skewness: jax.Array) -> jax.Array:
    """P(Z > z) for a shifted gamma distribution of mean 0, variance 1 and a given skewness: Pearson's type III.

    Args:
      z: standardised value.
      skewness: skewness of either sign, or zero.

    Returns:
      In [0, 1], to 1e-4; in float64 to rounding for a skewness above 1e-3.

    References:
      [1] Wilson, Hilferty, "The distribution of chi-square", PNAS 1931: the cube root, used for little skewness.
    """
    # A negative skewness mirrors the distribution.
    sign = jnp.where(skewness < 0, -1.0, 1.0)
    z, skewness = sign * z, jnp.abs(skewness)
    little = skewness < (1e-3 if jnp.result_type(z) == jnp.float64 else _LITTLE_SKEWNESS)
    safe = jnp.where(little, 1.0, skewness)
    shape = 4.0 / safe**2
    gamma = special.gammaincc(shape, jnp.maximum(shape + jnp.sqrt(shape) * z, 0.0))
    tiny = skewness < 1e-4
    safe = jnp.where(little & ~tiny, skewness, 1.0)
    root = jnp.expm1(jnp.log1p(jnp.maximum(safe * z / 2.0, -1.0 + 1e-6)) / 3.0)
    normal = special.ndtr(-jnp.where(tiny, z, 6.0 / safe * (root + safe**2 / 36.0)))
    above = jnp.where(little, normal, gamma)
    return jnp.where(sign < 0, 1.0 - above, above)


def satterthwaite_welch(statistic: jax.Array, mean: jax.Array, variance: jax.Array) -> jax.Array:
    """Upper tail of the gamma law that has the given mean and variance.

    Args:
      statistic: observed value, scalar.
      mean: mean of the null law, positive; sum_i w_i.
      variance: variance of the null law, positive; 2 sum_i w_i^2.

    Returns:
      P(null >= statistic), scalar in [0, 1]. NaN when a moment is not positive: a constant variable has no law.

    References:
      [1] Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 1946.
      [2] Gretton et al., "A kernel statistical test of independence", NIPS 2007, eq. 9.
    """
    defined = (mean > 0) & (variance > 0)
    mean, variance = jnp.where(defined, mean, 1.0), jnp.where(defined, variance, 1.0)
    std = jnp.sqrt(variance)
    return jnp.where(defined, pearson3_survival((statistic - mean) / std, 2.0 * std / mean), jnp.nan)


def hall_buckley_eagleson(
    statistic: jax.Array, mean: jax.Array, variance: jax.Array, third_cumulant: jax.Array
) -> jax.Array:
    """Upper tail of the shifted gamma law that has the given first three cumulants.

    Args:
      statistic: observed value, scalar.
      mean: first cumulant, sum_i w_i.
      variance: second cumulant, 2 sum_i w_i^2, positive.
      third_cumulant: 8 sum_i w_i^3, positive.

    Returns:
      P(null >= statistic), scalar in [0, 1]. NaN when the variance or the third cumulant is not positive.

    References:
      [1] Buckley, Eagleson, "An approximation to the distribution of quadratic forms in normal random variables",
          Australian Journal of Statistics 1988.
      [2] Hall, "Chi squared approximations to the distribution of a sum of independent random variables", Annals of
          Probability 1983.
    """
    defined = (variance > 0) & (third_cumulant > 0)
    variance, third_cumulant = jnp.where(defined, variance, 1.0), jnp.where(defined, third_cumulant, 1.0)
    # Ratios, not powers, of the cumulants: their unit is the statistic's and may be tiny.
    std = jnp.sqrt(variance)
    tail = pearson3_survival((statistic - mean) / std, third_cumulant / variance / std)
    return jnp.where(defined, tail, jnp.nan)


def shifted_gamma(statistic: jax.Array, mean: jax.Array, variance: jax.Array, third_cumulant: jax.Array) -> jax.Array:
    """`hall_buckley_eagleson` for estimated cumulants: the third is raised to the least one a weighted sum can have.

    By the Cauchy-Schwarz inequality 8 sum w^3 >= 2 (2 sum w^2)^2 / sum w, with equality for the gamma law of
    `satterthwaite_welch`.

    Args:
      statistic: observed value, scalar.
      mean: estimated first cumulant, positive.
      variance: estimated second cumulant, positive.
      third_cumulant: estimated third cumulant, of any sign.

    Returns:
      P(null >= statistic), scalar in [0, 1]. NaN when the mean or the variance is not positive.

    References:
      [1] Buckley, Eagleson, Australian Journal of Statistics 1988.
    """
    defined = (mean > 0) & (variance > 0)
    safe_mean, safe_variance = jnp.where(defined, mean, 1.0), jnp.where(defined, variance, 1.0)
    least = 2.0 * safe_variance * (safe_variance / safe_mean)
    tail = hall_buckley_eagleson(statistic, mean, safe_variance, jnp.maximum(third_cumulant, least))
    return jnp.where(defined, tail, jnp.nan)


def simulated(key: jax.Array, weights: jax.Array, *, num_simulations: int) -> jax.Array:
    """Draws of sum_i w_i chi2_1.

    Args:
      key: random key.
      weights: [m], not negative.
      num_simulations: number of draws, static int, at least 1.

    Returns:
      [num_simulations].

    Raises:
      ValueError: when fewer than one draw is asked for.

    References:
      [1] Zhang, Peters, Janzing, Schoelkopf, "Kernel-based conditional independence test and application in causal
          discovery", UAI 2011, section 3.4.
    """
    if num_simulations < 1:
        raise ValueError(f"num_simulations: expected at least 1, got {num_simulations}")
    normal = jax.random.normal(key, (num_simulations, weights.shape[0]), weights.dtype)
    return (normal * normal) @ weights
