"""The embedded default: scenes rendered by a pure function of known factors.

A scene is one of ten shapes with a position, size, rotation, colour and texture, before a textured background with
distractors, under a directional light. Every factor is drawn from an explicit key and returned, so the truth behind an
image is known. The causal room needs this, and no photograph offers it.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, colour, images
from causal_iqa.data.sources import Example

CLASS_NAMES = ("disk", "square", "triangle", "pentagon", "star", "cross", "ring", "crescent", "heart", "arrow")
SIZE = 48
SPLIT_SIZES = {"train": 50_000, "test": 10_000}

_NUM_TEXTURES = 4
_NUM_DISTRACTORS = 4
_NUM_WAVES = 6
# Rendered at a time: one program serves all numbers of scenes, and larger ones are no faster on a CPU.
_RENDER_CHUNK = 16
# The most numbers that one factor takes, and which of the factors' keys the texture has.
_MOST_DRAWN, _TEXTURE_DRAW = 12, 11


class SceneFactors(NamedTuple):
    """What causes a scene. Lengths are fractions of the image side, angles radians, colours linear RGB in [0, 1]."""

    label: jax.Array  # int, index into CLASS_NAMES
    position: jax.Array  # [2] centre of the object, (x, y) from the image centre
    radius: jax.Array  # circumscribed radius of the object
    angle: jax.Array  # rotation of the object
    object_colour: jax.Array  # [3]
    texture: jax.Array  # int: plain, stripes, checks, dots
    texture_frequency: jax.Array  # cycles per image side
    texture_angle: jax.Array
    texture_depth: jax.Array  # in [0, 1], how far the texture darkens the colour
    background_colours: jax.Array  # [2, 3] ends of the background's variation
    waves: jax.Array  # [_NUM_WAVES, 4] frequency x, y, phase, amplitude of the background
    distractors: jax.Array  # [_NUM_DISTRACTORS, 4] x, y, radius, elongation
    distractor_colours: jax.Array  # [_NUM_DISTRACTORS, 3]
    light_angle: jax.Array  # direction the light comes from
    light_slope: jax.Array  # relative change of irradiance across the image
    exposure: jax.Array  # gain of the whole image


def sample_factors(key: jax.Array, label: jax.Array) -> SceneFactors:
    """Draws the factors of one scene of a given class.

    Args:
      key: random key.
      label: int scalar in [0, 10).

    Returns:
      The factors; all but the label are independent of the label.
    """
    keys = jax.random.split(key, 20)
    # One draw for all factors: a program of twenty takes seconds to compile. A number depends on its key and its place
    # alone, so these are the numbers that every factor would draw by itself.
    with jax.threefry_partitionable(True):
        drawn = iter(jax.vmap(lambda one: jax.random.uniform(one, (_MOST_DRAWN,)))(keys))

        def uniform(low, high, shape=()):
            low, high = jnp.float32(low), jnp.float32(high)
            unit = next(drawn)[: math.prod(shape)].reshape(shape)
            return jnp.maximum(low, unit * (high - low) + low)

        texture = jax.random.randint(keys[_TEXTURE_DRAW], (), 0, _NUM_TEXTURES)

    background = uniform(0.05, 0.85, (2, 3))
    object_colour = uniform(0.0, 1.0, (3,))
    # Keep the object visible: move its colour away from the background's mean when the two nearly agree.
    difference = object_colour - background.mean(0)
    distance = jnp.sqrt((difference**2).sum() + 1e-6)
    object_colour = jnp.clip(background.mean(0) + difference / distance * jnp.maximum(distance, 0.35), 0.0, 1.0)
    waves = jnp.concatenate(
        [uniform(-6.0, 6.0, (_NUM_WAVES, 2)), uniform(0.0, 6.283, (_NUM_WAVES, 1)), uniform(0.2, 1.0, (_NUM_WAVES, 1))],
        axis=1,
    )
    distractors = jnp.concatenate(
        [
            uniform(-0.5, 0.5, (_NUM_DISTRACTORS, 2)),
            uniform(0.02, 0.07, (_NUM_DISTRACTORS, 1)),
            uniform(0.3, 1.0, (_NUM_DISTRACTORS, 1)),
        ],
        axis=1,
    )
    position, radius, angle = uniform(-0.12, 0.12, (2,)), uniform(0.2, 0.36), uniform(-jnp.pi, jnp.pi)
    next(drawn)  # The texture's.
    return SceneFactors(
        label=jnp.asarray(label, jnp.int32),
        position=position,
        radius=radius,
        angle=angle,
        object_colour=object_colour,
        texture=texture,
        texture_frequency=uniform(5.0, 11.0),
        texture_angle=uniform(0.0, jnp.pi),
        texture_depth=uniform(0.15, 0.5),
        background_colours=background,
        waves=waves,
        distractors=distractors,
        distractor_colours=uniform(0.0, 1.0, (_NUM_DISTRACTORS, 3)),
        light_angle=uniform(-jnp.pi, jnp.pi),
        light_slope=uniform(0.0, 0.6),
        exposure=uniform(0.7, 1.15),
    )


def _polygon(u, v, sides):
    sector = 2 * jnp.pi / sides
    angle = jnp.arctan2(u, -v)
    folded = jnp.mod(angle + sector / 2, sector) - sector / 2
    return jnp.hypot(u, v) * jnp.cos(folded) - jnp.cos(sector / 2)


def _star(u, v):
    sector = 2 * jnp.pi / 5
    folded = jnp.abs(jnp.mod(jnp.arctan2(u, -v) + sector / 2, sector) - sector / 2)
    r = jnp.hypot(u, v)
    x, y = r * jnp.cos(folded), r * jnp.sin(folded)
    # Edge from the tip (1, 0) to the notch at radius 0.42 on the sector's border.
    nx, ny = 0.42 * jnp.cos(sector / 2), 0.42 * jnp.sin(sector / 2)
    length = jnp.hypot(1 - nx, ny)
    return (ny * (x - 1.0) + (1 - nx) * y) / length


def _box(u, v, half_width, half_height):
    return jnp.maximum(jnp.abs(u) - half_width, jnp.abs(v) - half_height)


def _heart(u, v):
    # A square on its corner with a disk on each upper edge.
    half_diagonal = 0.62
    x, y = jnp.abs(u), -v
    square = (x + jnp.abs(y) - half_diagonal) / jnp.sqrt(2.0)
    lobe = jnp.hypot(x - half_diagonal / 2, y - half_diagonal / 2) - half_diagonal / jnp.sqrt(2.0)
    return jnp.minimum(square, lobe)


def _shapes(u: jax.Array, v: jax.Array) -> jax.Array:
    """Approximate signed distances of the ten shapes in units of their radius, negative inside: [10, ...]."""
    r = jnp.hypot(u, v)
    return jnp.stack(
        [
            r - 0.85,
            _box(u, v, 0.72, 0.72),
            _polygon(u, v, 3),
            _polygon(u, v, 5),
            _star(u, v),
            jnp.minimum(_box(u, v, 0.95, 0.3), _box(u, v, 0.3, 0.95)),
            jnp.abs(r - 0.65) - 0.22,
            jnp.maximum(r - 0.9, 0.72 - jnp.hypot(u - 0.42, v)),
            _heart(u, v),
            jnp.minimum(_box(u, v - 0.45, 0.2, 0.5), jnp.maximum((jnp.abs(u) - v - 0.95) * 0.72, v - 0.05)),
        ]
    )


def render(factors: SceneFactors, *, size: int = SIZE) -> jax.Array:
    """Renders one scene: shape, texture, background, distractors and light, composed in linear RGB, shown in sRGB.

    Args:
      factors: one scene's factors.
      size: side in pixels, static.

    Returns:
      float32 [size, size, 3], sRGB in [0, 1].
    """
    axis = (jnp.arange(size) + 0.5) / size - 0.5
    y, x = jnp.meshgrid(axis, axis, indexing="ij")
    pixel = 1.0 / size

    def coverage(distance):
        return jnp.clip(0.5 - distance / pixel, 0.0, 1.0)[..., None]

    fx, fy, phase, amplitude = (factors.waves[:, i, None, None] for i in range(4))
    variation = (amplitude * jnp.sin(2 * jnp.pi * (fx * x[None] + fy * y[None]) + phase)).sum(0) / _NUM_WAVES
    mix = jax.nn.sigmoid(4.0 * variation)[..., None]
    first, second = factors.background_colours[:, None, None]
    image = mix * first + (1 - mix) * second
    for i in range(_NUM_DISTRACTORS):
        dx, dy, radius, elongation = factors.distractors[i]
        distance = jnp.hypot((x - dx) / elongation, y - dy) - radius
        image = image + coverage(distance) * (factors.distractor_colours[i][None, None] - image)

    cos, sin = jnp.cos(factors.angle), jnp.sin(factors.angle)
    px, py = x - factors.position[0], y - factors.position[1]
    u, v = (cos * px + sin * py) / factors.radius, (cos * py - sin * px) / factors.radius
    shape = coverage(_shapes(u, v)[factors.label] * factors.radius)

    along = jnp.cos(factors.texture_angle) * x + jnp.sin(factors.texture_angle) * y
    across = jnp.cos(factors.texture_angle) * y - jnp.sin(factors.texture_angle) * x
    waves_along = jnp.sin(2 * jnp.pi * factors.texture_frequency * along)
    waves_across = jnp.sin(2 * jnp.pi * factors.texture_frequency * across)
    patterns = jnp.stack(
        [
            jnp.zeros_like(x),
            jnp.clip(2 * waves_along, -1, 1),
            jnp.clip(4 * waves_along * waves_across, -1, 1),
            jnp.clip(3 * (waves_along + waves_across) - 2, -1, 1),
        ]
    )
    shade = 1 - factors.texture_depth * (0.5 + 0.5 * patterns[factors.texture]) * (factors.texture > 0)
    image = image + shape * (factors.object_colour[None, None] * shade[..., None] - image)

    light = 1 + factors.light_slope * (jnp.cos(factors.light_angle) * x + jnp.sin(factors.light_angle) * y) * 2
    linear = jnp.clip(image * light[..., None] * factors.exposure, 0.0, 1.0)
    # As `colour.to_srgb`, but by a power: the pixels of the embedded scenes are these to the last bit.
    upper = (1 + colour.OFFSET) * jnp.maximum(linear, colour.LINEAR_KNEE) ** (1 / colour.GAMMA) - colour.OFFSET
    return jnp.where(linear <= colour.LINEAR_KNEE, colour.SLOPE * linear, upper)


def same_object(factors: SceneFactors, key: jax.Array) -> SceneFactors:
    """Intervenes on everything but the object itself, which keeps its shape, radius and texture.

    From two scenes of one object under independent interventions a backbone can learn without labels.

    Args:
      factors: one scene's factors.
      key: random key of the new position, rotation, colour, background, distractors and light.

    Returns:
      Factors with the object's own kept.
    """
    kept = ("label", "radius", "texture", "texture_frequency", "texture_depth")
    fresh = sample_factors(key, factors.label)
    return fresh._replace(**{name: getattr(factors, name) for name in kept})


# One program for all seeds and splits: the key is an argument.
@functools.partial(jax.jit, static_argnames="size")
def _render_indices(key: jax.Array, indices: jax.Array, *, size: int) -> tuple[jax.Array, SceneFactors]:
    def one(index):
        factors = sample_factors(jax.random.fold_in(key, index), index % len(CLASS_NAMES))
        return images.to_uint8(render(factors, size=size)), factors

    return jax.vmap(one)(indices)


@functools.partial(jax.jit, static_argnames="size")
def _render_views(key: jax.Array, indices: jax.Array, *, size: int) -> jax.Array:
    def one(index):
        factors = sample_factors(jax.random.fold_in(key, index), index % len(CLASS_NAMES))
        keys = jax.random.split(jax.random.fold_in(jax.random.fold_in(key, index), 1), 2)
        return jax.vmap(lambda key: images.to_uint8(render(same_object(factors, key), size=size)))(keys)

    return jax.vmap(one)(indices)


class SceneSource:
    """Random access to rendered scenes; image i of a split is the same for ever and has class i mod 10."""

    def __init__(self, *, split: str = "test", seed: int = 0, size: int = SIZE):
        """Opens a split.

        Args:
          split: "train" or "test"; they share no scene.
          seed: seed of the whole dataset.
          size: side in pixels, at least 16.

        Raises:
          InputError: on an unknown split or too small a size.
        """
        _checks.check_choice(split, SPLIT_SIZES, "split")
        if size < 16:
            raise _checks.InputError(f"size: expected at least 16 pixels, got {size}")
        self.split, self.seed, self.size = split, seed, size
        self.name = "scenes"
        self.class_names = CLASS_NAMES
        self.image_shape = (size, size)

    def __len__(self) -> int:
        return SPLIT_SIZES[self.split]

    def id(self, index: int) -> str:
        """Returns the image's id without rendering it."""
        return f"{self.split}/{index:05d}"

    def label(self, index: int) -> int:
        """Returns the image's class without rendering it."""
        return int(index) % len(CLASS_NAMES)

    def place(self, index: int) -> tuple:
        """Returns what tells the scene from all others; renders nothing."""
        return "scenes", self.seed, self.size, self.split, int(index)

    def __getitem__(self, index: int) -> Example:
        return self.batch([index])[0]

    def batch(self, indices: "np.ndarray | list[int]") -> list[Example]:
        """Renders many scenes at once."""
        rendered, _ = self._render(indices)
        return [Example(image, self.label(i), self.id(i)) for i, image in zip(indices, rendered, strict=True)]

    def factors(self, indices: "np.ndarray | list[int]") -> SceneFactors:
        """Returns the true factors of the given scenes, stacked on the first axis, as numpy arrays."""
        return self._render(indices)[1]

    def views(self, indices: "np.ndarray | list[int]") -> np.ndarray:
        """Returns two renderings of each scene's object under independent interventions, uint8 [n, 2, S, S, 3]."""
        return self._in_chunks(_render_views, indices)

    def _render(self, indices) -> tuple[np.ndarray, SceneFactors]:
        return self._in_chunks(_render_indices, indices)

    def _in_chunks(self, render_chunk, indices):
        indices = np.asarray(indices, np.int32).reshape(-1)
        if indices.size and (indices.min() < 0 or indices.max() >= len(self)):
            raise IndexError(f"index: expected 0 to {len(self) - 1}, got {indices.min()} to {indices.max()}")
        key = jax.random.fold_in(jax.random.key(self.seed), sorted(SPLIT_SIZES).index(self.split))
        padded = np.resize(indices, -(-indices.size // _RENDER_CHUNK) * _RENDER_CHUNK)
        parts = [
            jax.device_get(render_chunk(key, block, size=self.size)) for block in padded.reshape(-1, _RENDER_CHUNK)
        ]
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: indices.size], *parts)
