"""Residual noise by intensity, and single pixels unlike their neighbours.

References:
  [1] Foi et al. Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data. IEEE TIP 2008.
"""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.diagnosis import _maps

_INTENSITIES = (0.03, 0.12, 0.25, 0.4, 0.55, 0.7, 0.85, 0.97)
_OUTLYING = (0.5, 4.5, 12.5, 38.5, 90.5)


def noise(image: jax.Array) -> _maps.Named:
    """Residual noise by intensity [1], and how far channels share it."""
    s = image.shape[0] // 4 * 4
    x = jnp.moveaxis(image[:s, :s], -1, 0)
    twist = 0.5 * (x[:, ::2, ::2] - x[:, 1::2, ::2] - x[:, ::2, 1::2] + x[:, 1::2, 1::2])
    variance, mean = _maps.quarter(twist * twist), _maps.quarter(_maps.quarter(x))
    nearness = jnp.exp(-0.5 * ((mean.reshape(-1, 1) - np.asarray(_INTENSITIES, np.float32)[None]) / 0.06) ** 2)
    floor = (0.3 * _maps.STEP) ** 2
    logs, inverses = _maps.log(variance, floor).reshape(-1), (variance + floor).reshape(-1) ** -0.5
    prior = 1.0 + 0.002 * variance.size
    whole_log, whole_low = logs.mean(), inverses.mean()
    values = jnp.stack([jnp.ones_like(logs), logs, inverses])
    weight, by_log, by_inverse = jnp.matmul(values, nearness, precision="highest")
    # Harmonic means weigh the smooth places most, where the residual is noise.
    middle = (by_log + prior * whole_log) / (weight + prior)
    low = (by_inverse + prior * whole_low) / (weight + prior)
    low = -2.0 * jnp.log(low)
    both = ((0, 1), (1, 2), (0, 2))
    flat = list(twist)
    products = _maps.products(flat, flat)
    power = jnp.sqrt(jnp.diagonal(products)) + 0.3 * _maps.STEP
    shared = jnp.stack([products[i, j] / (power[i] * power[j]) for i, j in both])
    size = jnp.log(jnp.abs(twist) + 0.3 * _maps.STEP)
    alike = jnp.stack([_maps.mean_of(jnp.abs(size[i] - size[j])) for i, j in both])
    return {
        "noise middle": middle,
        "noise low": low,
        "noise rise": low - -2.0 * jnp.log(whole_low),
        "noise shape": middle - low,
        "intensities": jnp.log(weight / variance.size + _maps.TINY),
        "noise shared": jnp.concatenate([shared, alike, _maps.log(power, 1e-6)]),
    }


def outliers(image: jax.Array) -> _maps.Named:
    """Single pixels of the green channel far from all their neighbours, and how many of these are black or white."""
    x = image[..., 1]
    centre, left, right = x[1:-1, 1:-1], x[1:-1, :-2], x[1:-1, 2:]
    most = jnp.maximum(jnp.maximum(x[:, :-2], x[:, 1:-1]), x[:, 2:])
    least = jnp.minimum(jnp.minimum(x[:, :-2], x[:, 1:-1]), x[:, 2:])
    highest = jnp.maximum(jnp.maximum(most[:-2], most[2:]), jnp.maximum(left, right))
    lowest = jnp.minimum(jnp.minimum(least[:-2], least[2:]), jnp.minimum(left, right))
    above, below = centre - highest, lowest - centre
    white, black = jnp.where(centre > 0.997, above, -1.0), jnp.where(centre < 0.003, below, -1.0)
    limits = jnp.asarray(_OUTLYING, jnp.float32) * _maps.STEP
    shares = jax.lax.map(
        lambda limit: jnp.stack([_maps.mean_of(x > limit) for x in (above, below, white, black)]), limits
    )
    return {"outliers": jnp.log(shares.reshape(-1) + 1e-4)}
