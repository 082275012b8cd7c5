"""Compiled degradations for images of any size, with few compilations and the numbers of the single-image function.

XLA compiles a program for each shape, which takes longer than degrading an image does. Three ways around it, each only
where it leaves every 8-bit pixel as it is:

- *strip*: where a pixel depends on nothing but itself and its place in reading order, the image is handed over as a
  strip of pixels, filled up to one of few lengths. Random draws are counted off in reading order, so those of the
  image's own pixels stay the same.
- *canvas*: where borders are continued by their outer pixels, the image is laid on a canvas of one of few sizes and
  continued there before it is handed over; the canvas is cut off afterwards.
- *own*: all others are compiled for each size.

All severities of a degradation run one after the other in one program, as a loop: its body is compiled as the
single-image function is. (Side by side, by `jax.vmap`, XLA orders the arithmetic in another way, and pixels that lie
half way between two levels fall to the other one.)
"""

import collections
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from causal_iqa import _checks, degradations, images
from causal_iqa.copies.config import PARAMETERS
from causal_iqa.degradations import Condition

STRIP = frozenset({"gaussian_noise", "speckle_noise", "shot_noise", "brightness", "saturate"})
CANVAS = frozenset({"motion_blur", "fog"})
# Sizes grow in quarters of an octave, at least by so many pixels.
_LEAST_STEP = 32
# A strip has rows of this many pixels.
_ROW = 256
# Programs kept; those of sizes that come no more are dropped.
_KEPT = 48


def with_parameters(condition: Condition | str, parameters: str | None) -> Condition:
    """Returns a condition with the family of a published set of parameters, where it names none of its own.

    Args:
      condition: or its written form.
      parameters: a key of PARAMETERS, or None.

    Raises:
      InputError: for an unknown set.
    """
    condition = Condition.parse(condition) if isinstance(condition, str) else condition
    if parameters is None or condition.family is not None:
        return condition
    _checks.check_choice(parameters, PARAMETERS, "parameters")
    return Condition(
        condition.steps, family=PARAMETERS[parameters], quantise=condition.quantise, stored=condition.stored
    )


def grown(side: int) -> int:
    """Returns the size of the canvas or strip that serves a side: the next of four per octave."""
    step = max(_LEAST_STEP, 1 << max((side - 1).bit_length() - 3, 0))
    return -(-side // step) * step


def layout_of(structure: Condition) -> str:
    """Says how images are handed to the program of a structure: "strip", "canvas" or "own"."""
    if len(structure.steps) != 1 or structure.stored is not None:
        return "own"
    name = structure.steps[0].name
    return "strip" if name in STRIP else "canvas" if name in CANVAS else "own"


@dataclasses.dataclass
class Programs:
    """The compiled programs of one process.

    Attributes:
      compiled: how many were compiled so far.
    """

    compiled: int = 0
    _cache: "collections.OrderedDict[Any, Callable]" = dataclasses.field(default_factory=collections.OrderedDict)

    def run(self, structure: Condition, key: jax.Array, pixels: np.ndarray, severities: np.ndarray) -> np.ndarray:
        """Degrades an image at several severities.

        Args:
          structure: the condition with all severities 0, family named where it has several.
          key: of the image.
          pixels: uint8 [H, W, 3].
          severities: float32 [K, steps].

        Returns:
          uint8 [K, H, W, 3], equal to `degrade` of every severity.
        """
        layout = layout_of(structure)
        height, width, _ = pixels.shape
        if layout == "strip":
            strip = np.zeros((grown(-(-height * width // _ROW)), _ROW, 3), np.uint8)
            strip.reshape(-1, 3)[: height * width] = pixels.reshape(-1, 3)
            out = self._program(structure, strip.shape, severities.shape)(key, strip, severities)
            return np.asarray(out).reshape(len(severities), -1, 3)[:, : height * width].reshape(-1, *pixels.shape)
        if layout == "canvas":
            pad = ((0, grown(height) - height), (0, grown(width) - width), (0, 0))
            canvas = np.pad(pixels, pad, mode="edge")
            out = self._program(structure, canvas.shape, severities.shape)(key, canvas, severities)
            return np.asarray(out)[:, :height, :width]
        return np.asarray(self._program(structure, pixels.shape, severities.shape)(key, pixels, severities))

    def _program(self, structure: Condition, *shapes: tuple[int, ...]) -> Callable[..., jax.Array]:
        place = (structure, *shapes)
        if place in self._cache:
            self._cache.move_to_end(place)
            return self._cache[place]
        self.compiled += 1
        while len(self._cache) >= _KEPT:
            self._cache.popitem(last=False)
        self._cache[place] = _compiled(structure)
        return self._cache[place]


def _compiled(structure: Condition) -> Callable[..., jax.Array]:
    graded = degradations.do_graded(structure)

    def program(key: jax.Array, pixels: jax.Array, severities: jax.Array) -> jax.Array:
        def one(own: jax.Array) -> jax.Array:
            return images.to_uint8(graded(key, images.from_uint8(pixels), own))

        return jax.lax.map(one, severities)

    return jax.jit(program)
