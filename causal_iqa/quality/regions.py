"""Quality of the objects of an image and of its background apart, where boxes or masks of the clean image say which.

A network that finds objects hardly minds what becomes of the background. What a score over the whole image averages
away, these two keep.
"""

import jax
import jax.numpy as jnp


def region_weights(region: jax.Array, height: int, width: int) -> jax.Array:
    """Share of every cell of a map that lies in a region.

    Args:
      region: float [S, S], 1 inside, 0 outside.
      height: height of the map, static.
      width: width of the map, static.

    Returns:
      float32 [height, width] in [0, 1].

    Examples:
      >>> region_weights(jnp.array([[1.0, 1.0], [0.0, 0.0]]), 1, 1).tolist()
      [[0.5]]
    """
    return jnp.clip(jax.image.resize(region.astype(jnp.float32), (height, width), "linear", antialias=True), 0.0, 1.0)


def region_cosine(maps: jax.Array, clean: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean over a region of the cosine of features and those of the clean image, place by place.

    Args:
      maps: [h, w, c] of the image.
      clean: [h, w, c] of the clean image.
      weights: [h, w], how much of each place lies in the region.

    Returns:
      In [-1, 1], higher is better; NaN where the region is empty.

    References:
      [1] Zhang, Isola, Efros, Shechtman, Wang. The unreasonable effectiveness of deep features. CVPR 2018.

    Examples:
      >>> maps, weights = jnp.ones((4, 4, 8)), jnp.zeros((4, 4)).at[1:3, 1:3].set(1.0)
      >>> round(float(quality.region_cosine(maps, -maps, weights)), 3)
      -1.0
    """
    norms = jnp.linalg.norm(maps, axis=-1) * jnp.linalg.norm(clean, axis=-1)
    cosine = (maps * clean).sum(axis=-1) / jnp.maximum(norms, 1e-12)
    return _mean(cosine, weights)


def region_psnr(reference: jax.Array, image: jax.Array, weights: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio inside a region, in decibels.

    Args:
      reference: [S, S, 3] in [0, 1].
      image: [S, S, 3] in [0, 1].
      weights: [S, S].

    Returns:
      Higher is better, at most 80; NaN where the region is empty.

    Examples:
      >>> image = jnp.zeros((8, 8, 3))
      >>> weights = jnp.zeros((8, 8)).at[2:6, 2:6].set(1.0)
      >>> round(float(quality.region_psnr(image, image + 0.1, weights)), 2)
      20.0
    """
    error = _mean(((reference - image) ** 2).mean(axis=-1), weights)
    return -10 * jnp.log10(jnp.maximum(error, 1e-8))


def _mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    total = weights.sum()
    return jnp.where(total > 1e-3, (weights * values).sum() / jnp.maximum(total, 1e-3), jnp.nan)
