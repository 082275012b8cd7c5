"""Sensor noise: Gaussian, shot (Poisson), impulse and speckle, after Hendrycks and Dietterich (2019).

All work on the flattened image: XLA compiles and runs random bits and long formulas several times faster along one axis
than along three of which the last is 3 long.
"""

import math

import jax
import jax.numpy as jnp

from causal_iqa.degradations import ladder, spec

__all__ = ["gaussian_noise", "impulse_noise", "shot_noise", "speckle_noise"]

# Hendrycks and Dietterich (2019), released scripts for 224, 299, 64 and 32 pixels; severities 1..5.
GAUSSIAN_NOISE_SIGMA = {
    "imagenet224": (0.08, 0.12, 0.18, 0.26, 0.38),
    "inception299": (0.09, 0.13, 0.19, 0.27, 0.40),
    "tiny64": (0.04, 0.08, 0.12, 0.15, 0.18),
    "cifar32": (0.04, 0.06, 0.08, 0.09, 0.10),
}
# Photons at full scale.
SHOT_NOISE_PHOTONS = {
    "imagenet224": (60.0, 25.0, 12.0, 5.0, 3.0),
    "inception299": (50.0, 20.0, 10.0, 5.0, 3.0),
    "tiny64": (250.0, 100.0, 50.0, 30.0, 15.0),
    "cifar32": (500.0, 250.0, 100.0, 75.0, 50.0),
}
# Share of samples replaced.
IMPULSE_NOISE_AMOUNT = {
    "imagenet224": (0.03, 0.06, 0.09, 0.17, 0.27),
    "inception299": (0.04, 0.07, 0.10, 0.18, 0.28),
    "tiny64": (0.01, 0.02, 0.05, 0.08, 0.14),
    "cifar32": (0.01, 0.02, 0.03, 0.05, 0.07),
}
SPECKLE_NOISE_SIGMA = {
    "imagenet224": (0.15, 0.20, 0.35, 0.45, 0.60),
    "inception299": (0.16, 0.21, 0.36, 0.46, 0.61),
    "tiny64": (0.15, 0.20, 0.25, 0.30, 0.35),
    "cifar32": (0.06, 0.10, 0.12, 0.16, 0.20),
}

# Below this mean the Poisson quantile is found by summing the distribution, above by its expansion.
_POISSON_SPLIT = 5.0
_POISSON_TERMS = 20


def gaussian_noise(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Adds independent normal noise, x + sigma z.

    Args:
      key: random key.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019). Benchmarking Neural Network Robustness to Common Corruptions and Perturbations.

    Examples:
      >>> grey = jnp.full((32, 32, 3), 0.5)
      >>> noisy = jax.jit(degradations.gaussian_noise)(jax.random.key(0), grey, 3.0)
      >>> print(f"{noisy.std():.2f}")
      0.08
    """
    family = ladder.family_of(image, family)
    sigma = ladder.mix(0.0, GAUSSIAN_NOISE_SIGMA[family], severity)
    flat = image.reshape(-1)
    noisy = flat + sigma * jax.random.normal(key, flat.shape, jnp.float32)
    return ladder.finish(flat, noisy, severity).reshape(image.shape)


def speckle_noise(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Adds normal noise in proportion to the signal, x + x sigma z.

    Args:
      key: random key.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019), extra corruptions.

    Examples:
      >>> grey = jnp.full((32, 32, 3), 0.5)
      >>> noisy = jax.jit(degradations.speckle_noise)(jax.random.key(0), grey, 3.0)
      >>> print(f"{noisy.std():.2f}")
      0.06
    """
    family = ladder.family_of(image, family)
    sigma = ladder.mix(0.0, SPECKLE_NOISE_SIGMA[family], severity)
    flat = image.reshape(-1)
    noisy = flat * (1.0 + sigma * jax.random.normal(key, flat.shape, jnp.float32))
    return ladder.finish(flat, noisy, severity).reshape(image.shape)


def impulse_noise(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Replaces a share of the samples by 0 or 1, half each, every channel on its own (coloured salt and pepper).

    Args:
      key: random key.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019); scikit-image `random_noise(mode="s&p")`.

    Examples:
      >>> grey = jnp.full((32, 32, 3), 0.5)
      >>> noisy = jax.jit(degradations.impulse_noise)(jax.random.key(0), grey, 3.0)
      >>> print(f"{noisy.std():.2f}")
      0.09
    """
    return _impulse_noise(key, image, None, severity, family)


def impulse_noise_on_strip(
    key: jax.Array, strip: jax.Array, size: jax.Array, severity: jax.Array, *, family: str | None = None
) -> jax.Array:
    """`impulse_noise` of an image whose pixels are the first of a strip, see `_canvas`."""
    return _impulse_noise(key, strip, 3 * size[0] * size[1], severity, family)


def _impulse_noise(key, image, samples, severity, family) -> jax.Array:
    family = ladder.family_of(image, family)
    amount = ladder.mix(0.0, IMPULSE_NOISE_AMOUNT[family], severity)
    # One draw decides both whether and which: [0, a/2) is pepper, [a/2, a) is salt.
    flat = image.reshape(-1)
    u = _uniform_16(key, flat.size, samples)
    hit = jnp.where(u < 0.5 * amount, 0.0, 1.0)
    return ladder.finish(flat, jnp.where(u < amount, hit, flat), severity).reshape(image.shape)


def _uniform_16(key: jax.Array, size: int, first: jax.Array | None) -> jax.Array:
    """Uniform multiples of 2^-16 in [0, 1), two from each random word: drawing words is slow on a CPU.

    Where only the `first` so many are wanted, they are those that `size` = first would give.
    """
    words = jax.random.bits(key, ((size + 1) // 2,), jnp.uint32)
    if first is None:
        halves = jnp.concatenate([words >> 16, words & 0xFFFF])[:size]
    else:
        place, half = jnp.arange(size), (first + 1) // 2
        own = jnp.take(words, jnp.where(place < half, place, place - half), mode="clip")
        halves = jnp.where(place < half, own >> 16, own & 0xFFFF)
    return halves.astype(jnp.float32) * 2.0**-16


def shot_noise(key: jax.Array, image: jax.Array, severity: jax.Array, *, family: str | None = None) -> jax.Array:
    """Counts photons, Poisson(c x) / c.

    Between rows the variance 1 / c is interpolated, as c itself has no neutral value.

    Args:
      key: random key.
      image: float32 [H, W, 3] in [0, 1].
      severity: scalar in [0, 5], traced.
      family: static name of the parameter family, or None for the image's size.

    Returns:
      float32 [H, W, 3] in [0, 1].

    References:
      [1] Hendrycks, Dietterich (2019).

    Examples:
      >>> grey = jnp.full((32, 32, 3), 0.5)
      >>> noisy = jax.jit(degradations.shot_noise)(jax.random.key(0), grey, 3.0)
      >>> print(f"{noisy.std():.2f}")
      0.07
    """
    family = ladder.family_of(image, family)
    inverse = ladder.mix(0.0, tuple(1.0 / c for c in SHOT_NOISE_PHOTONS[family]), severity)
    photons = 1.0 / jnp.maximum(inverse, 1e-6)
    # Three parts, one after the other: a loop keeps XLA from running the formula along the image's short axis.
    level = jax.random.uniform(key, (image.size,), jnp.float32, 2.0**-24).reshape(3, -1)
    counts = jax.lax.map(lambda part: poisson_quantile(*part), (level, photons * image.reshape(3, -1)))
    return ladder.finish(image, counts.reshape(image.shape) / photons, severity)


def poisson_quantile(level: jax.Array, mean: jax.Array) -> jax.Array:
    """The Poisson count at a level, the smallest n with P(N <= n) >= level.

    With the level uniform the count is Poisson(mean). Means below 5 sum the distribution (exact to float32 rounding, up
    to 20 counts: the tail beyond has probability below 1e-6); from 5 on the count is the floor of Giles' expansion of
    the inverse, wrong with probability below 1e-3 in total variation at 5 and falling as the mean grows.

    Args:
      level: float32 [...], in (0, 1).
      mean: float32 [...], >= 0.

    Returns:
      float32 [...], whole numbers >= 0.

    References:
      [1] Giles (2016). Algorithm 955: approximation of the inverse Poisson cumulative distribution function, eq. 8.
    """
    small = jnp.minimum(mean, _POISSON_SPLIT)
    # Everything times exp(mean): the terms are then mean^n / n!, and the level is used up term by term.
    left = level * jnp.exp(small)
    term, count = jnp.ones_like(mean), jnp.zeros_like(mean)
    for n in range(1, _POISSON_TERMS + 1):
        left = left - term
        count = jnp.where(left > 0, float(n), count)
        # Subnormal numbers would cost a CPU several times the rest.
        term = jnp.maximum(term * (small * (1.0 / n)), 1e-30)
    large = jnp.maximum(mean, _POISSON_SPLIT)
    w = math.sqrt(2.0) * jax.lax.erf_inv(2.0 * level - 1.0)
    root = jnp.sqrt(large)
    w2 = w * w
    expansion = (
        large
        + root * w
        + (2.0 + w2) / 6.0
        - w * (2.0 + w2) / (72.0 * root)
        + (-16.0 + w2 * (7.0 + 3.0 * w2)) / (810.0 * large)
    )
    return jnp.where(mean < _POISSON_SPLIT, count, jnp.maximum(0.0, jnp.floor(expansion)))


SPECS = (
    spec.DegradationSpec(
        name="gaussian_noise",
        fn=gaussian_noise,
        group="noise",
        stochastic=True,
        differentiable=True,
        monotone=True,
        parameters=GAUSSIAN_NOISE_SIGMA,
        convention="x + sigma N(0, 1) per sample; neutral sigma 0; as the original but not truncated to 8 bits",
    ),
    spec.DegradationSpec(
        name="shot_noise",
        fn=shot_noise,
        group="noise",
        stochastic=True,
        differentiable=False,
        differentiable_in_severity=False,
        monotone=True,
        parameters=SHOT_NOISE_PHOTONS,
        convention="Poisson(c x) / c; 1 / c is interpolated, neutral 0; mean >= 5 by Giles' quantile expansion",
    ),
    spec.DegradationSpec(
        name="impulse_noise",
        fn=impulse_noise,
        group="noise",
        stochastic=True,
        differentiable=True,
        differentiable_in_severity=False,
        monotone=True,
        parameters=IMPULSE_NOISE_AMOUNT,
        convention="per channel, half salt and half pepper, amount to within 2^-16; neutral amount 0; under one key "
        "severities are nested",
    ),
    spec.DegradationSpec(
        name="speckle_noise",
        fn=speckle_noise,
        group="noise",
        stochastic=True,
        differentiable=True,
        monotone=True,
        parameters=SPECKLE_NOISE_SIGMA,
        convention="x (1 + sigma N(0, 1)) per sample; neutral sigma 0; as the original but not truncated to 8 bits",
        for_validation=True,
    ),
)
