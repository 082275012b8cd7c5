"""Clean images by rule, with the statistics of photographs: textured leaves that hide each other, out of focus or not.

A dead-leaves image has the power-law spectrum, sharp edges and scale invariance of photographs [1, 2]. Here leaves lie
in two layers, the farther one out of focus, each with a colour, a shading and a texture of 1/f noise of its own; then
the picture gets a tone curve, a little sensor noise and the resampling of a camera. No photograph is read.

References:
  [1] Lee, Mumford, Huang. Occlusion models for natural images. IJCV 2001.
  [2] Ruderman. Origins of scaling in natural images. Vision Research 1997.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, _keys, images

_TEXTURES = 3
_CHUNK = 8
SMALLEST_SIDE = 16


def _noise(key: jax.Array, size: int, exponent: jax.Array, stretch: jax.Array) -> jax.Array:
    """Noise with the amplitude spectrum 1 / f^exponent, mean 0 and standard deviation 1, [size, size].

    `stretch` lengthens it along the rows and shortens it down the columns.
    """
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    fy, fx = fy.astype(np.float32) / stretch, fx.astype(np.float32) * stretch
    frequency = jnp.maximum(jnp.sqrt(fy**2 + fx**2), 1.0 / size)
    spectrum = jnp.fft.rfft2(jax.random.normal(key, (size, size))) * frequency**-exponent
    field = jnp.fft.irfft2(spectrum.at[0, 0].set(0.0), (size, size))
    return field / (field.std() + 1e-6)


def _blurred(image: jax.Array, sigma: jax.Array) -> jax.Array:
    """Gaussian blur [H, W, C] by its transfer function, at mirrored borders."""
    h, w = image.shape[:2]
    padded = jnp.pad(image, ((0, h), (0, w), (0, 0)), mode="symmetric")
    fy, fx = np.fft.fftfreq(2 * h)[:, None], np.fft.rfftfreq(2 * w)[None]
    transfer = jnp.exp(-2.0 * np.pi**2 * sigma**2 * (fy**2 + fx**2))[..., None]
    return jnp.fft.irfft2(jnp.fft.rfft2(padded, axes=(0, 1)) * transfer, (2 * h, 2 * w), axes=(0, 1))[:h, :w]


class _World(NamedTuple):
    """What the leaves of one picture share."""

    textures: jax.Array  # [textures, size, size]
    palette: jax.Array  # [colours, 3]
    upright: jax.Array  # share of the leaves that stand or lie
    tilt: jax.Array  # of the camera, radians


class _Tier(NamedTuple):
    """Leaves of like size, painted within a window: most of a picture is not touched by a small leaf."""

    leaves: int
    smallest: float  # radius, share of the side
    largest: float
    window: float  # side, share of the picture's


_TIERS = (_Tier(14, 0.12, 0.6, 1.0), _Tier(60, 0.05, 0.13, 0.4), _Tier(60, 0.012, 0.06, 0.2))


def _leaf(key: jax.Array, image: jax.Array, world: _World, tier: _Tier) -> jax.Array:
    """Paints one leaf over an image [size, size, 3]."""
    size = image.shape[0]
    keys = iter(jax.random.split(key, 20))

    def uniform(low, high, shape=()):
        return jax.random.uniform(next(keys), shape, minval=low, maxval=high)

    # Radii by the density r^-3 within the tier: scale invariance.
    radius = 1.0 / jnp.sqrt(uniform(tier.largest**-2, tier.smallest**-2))
    window = min(size, -(-int(tier.window * size) // 8) * 8)
    corner = jnp.int32(uniform(0.0, size - window + 0.999, (2,)))
    place = uniform(0.25, 0.75, (2,)) if window < size else uniform(-0.1, 1.1, (2,))
    axis = (jnp.arange(window) + 0.5) / size
    x, y = axis[None, :] - place[0] * window / size, axis[:, None] - place[1] * window / size
    aspect = jnp.exp(uniform(-0.9, 0.9))
    # Gravity and builders: in most pictures much stands or lies.
    standing = 0.5 * np.pi * jax.random.randint(next(keys), (), 0, 2) + world.tilt + 0.04 * uniform(-1.0, 1.0)
    angle = jnp.where(uniform(0.0, 1.0) < world.upright, standing, uniform(0.0, np.pi))
    u = (jnp.cos(angle) * x + jnp.sin(angle) * y) / (radius * aspect)
    v = (jnp.cos(angle) * y - jnp.sin(angle) * x) * aspect / radius
    kind = uniform(0.0, 1.0, (3,))
    ellipse, box = jnp.sqrt(u * u + v * v), jnp.maximum(jnp.abs(u), jnp.abs(v))
    mixed = jnp.where(kind[0] < 0.4, ellipse, jnp.where(kind[0] < 0.7, box, 0.5 * (ellipse + box)))
    which = jax.random.randint(next(keys), (), 0, len(world.textures))
    texture = jax.lax.dynamic_slice(world.textures, (which, corner[0], corner[1]), (1, window, window))[0]
    inside = mixed + jnp.maximum(uniform(-0.5, 0.3), 0.0) * texture < 1.0
    colour = world.palette[jnp.int32(kind[1] * len(world.palette))] + 0.06 * jax.random.normal(next(keys))
    depth = jnp.exp(uniform(-3.5, -0.9))
    stripes = jnp.sin(2 * np.pi * u * uniform(2.0, 9.0)) * jnp.where(kind[2] < 0.15, 1.5, 0.0)
    shade = 1.0 + depth * (texture + stripes) + 0.35 * (u * uniform(-1.0, 1.0) + v * uniform(-1.0, 1.0))
    below = jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (window, window, 3))
    painted = jnp.where(inside[..., None], jnp.clip(colour[None, None] * shade[..., None], 0.0, 1.0), below)
    return jax.lax.dynamic_update_slice(image, painted, (corner[0], corner[1], 0))


def _layer(key: jax.Array, image: jax.Array, world: _World, share: jax.Array) -> jax.Array:
    """Paints leaves one over the other, large ones first; only a share of them, so that some ground stays free."""
    for tier in _TIERS:
        own = _keys.named(key, f"leaves down to {tier.smallest}")
        count = jnp.int32(jnp.ceil(share * tier.leaves))

        def paint(i, below, own=own, tier=tier):
            return _leaf(jax.random.fold_in(own, i), below, world, tier)

        image = jax.lax.fori_loop(0, count, paint, image)
    return image


def procedural_image(key: jax.Array, *, side: int) -> jax.Array:
    """Draws one clean image.

    Args:
      key: random key.
      side: side of the image in pixels, at least 16; static.

    Returns:
      float32 [side, side, 3] in [0, 1], sRGB.

    Raises:
      ValueError: for a smaller side.

    Examples:
      >>> jax.eval_shape(lambda key: procedural_image(key, side=32), jax.random.key(0)).shape
      (32, 32, 3)
    """
    if side < SMALLEST_SIDE:
        raise ValueError(f"side: expected at least {SMALLEST_SIDE}, got {side}")
    size = 2 * side  # Drawn twice as large and resampled, as a camera's picture is.

    def uniform(name, low, high, shape=()):
        return jax.random.uniform(_keys.named(key, name), shape, minval=low, maxval=high)

    exponents, stretch = (
        uniform("exponents", 0.5, 1.8, (_TEXTURES,)),
        jnp.exp(uniform("stretch", -0.6, 0.9, (_TEXTURES,))),
    )
    textures = jnp.stack(
        [_noise(_keys.named(key, f"texture {i}"), size, exponents[i], stretch[i]) for i in range(_TEXTURES)]
    )
    grey = uniform("grey", 0.02, 0.98, (6, 1))
    # Most photographs are nearly grey, few are vivid.
    vivid = jnp.exp(uniform("vivid", -3.7, -0.9))
    tint = vivid * jax.random.normal(_keys.named(key, "palette"), (6, 3))
    warmth = uniform("warmth", -0.08, 0.12)
    tint = tint + warmth * np.asarray([[1.0, 0.1, -1.0]], np.float32)
    palette = jnp.clip(grey * (1.0 + tint) + 0.5 * tint, 0.01, 0.98)
    world = _World(textures, palette, uniform("upright", 0.0, 1.0), uniform("tilt", -0.1, 0.1))
    axis = jnp.linspace(-1.0, 1.0, size)
    slope = uniform("slope", -0.35, 0.35, (2,))
    ground = 1.0 + slope[0] * axis[None, :] + slope[1] * axis[:, None]
    ground = ground + jnp.exp(uniform("depth", -5.0, -0.9)) * textures[0]
    image = jnp.clip(palette[0][None, None] * ground[..., None], 0.0, 1.0)
    far, near = uniform("far", 0.1, 1.0), uniform("near", 0.05, 1.0)
    image = _layer(_keys.named(key, "far leaves"), image, world, far)
    # Most pictures have something out of focus behind what is sharp, some have nothing.
    sigma = jnp.maximum(uniform("focus", -5.0, 9.0), 0.0) * side / 224.0
    image = _blurred(image, sigma)
    image = _layer(_keys.named(key, "near leaves"), image, world, near)
    light = jnp.clip(1.0 + uniform("light", 0.0, 0.25) * textures[1] * (exponents[1] > 1.2), 0.2, 1.8)
    image = image * light[..., None]
    low, high = jnp.maximum(uniform("black", -0.08, 0.1), 0.0), jnp.minimum(uniform("white", 0.75, 1.15), 1.05)
    image = jnp.clip(low + (high - low) * image, 0.0, 1.0) ** jnp.exp(uniform("gamma", -0.55, 0.55))
    image = _blurred(image, jnp.maximum(uniform("lens", -0.5, 1.1), 0.0))
    noise = jnp.maximum(uniform("grain", -0.01, 0.03), 0.0)
    image = image + noise * jax.random.normal(_keys.named(key, "noise"), image.shape)
    return images.resize(jnp.clip(image, 0.0, 1.0), side, side)


@functools.partial(jax.jit, static_argnames="side")
def _drawn(keys: jax.Array, side: int) -> jax.Array:
    return jax.lax.map(lambda key: images.to_uint8(procedural_image(key, side=side)), keys)


def procedural_images(key: jax.Array, count: int, *, side: int) -> np.ndarray:
    """Draws clean images; image i is the same however many are drawn.

    Args:
      key: random key.
      count: how many.
      side: side of the image in pixels, at least 16.

    Returns:
      uint8 [count, side, side, 3].

    Raises:
      InputError: when the count is not positive.

    Examples:
      >>> procedural_images(jax.random.key(0), 2, side=64).shape
      (2, 64, 64, 3)
    """
    if count < 1:
        raise _checks.InputError(f"count: expected at least 1, got {count}")
    numbers = np.arange(-(-count // _CHUNK) * _CHUNK).reshape(-1, _CHUNK)
    keys = jax.vmap(jax.vmap(lambda i: jax.random.fold_in(key, i)))(jnp.asarray(numbers))
    return np.concatenate([np.asarray(_drawn(chunk, side)) for chunk in keys])[:count]
