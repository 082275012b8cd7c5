"""Compiled degradations for images of any size, with few compilations and the numbers of the single-image function.

XLA compiles a program for each shape, which takes longer than degrading an image does. Where `shared_sizes` has a
degradation, images are laid on a strip of pixels or on a canvas of one of few sizes, and one program serves all of such
a size. The others, and conditions of several steps, are compiled for each size of images.

All severities of a degradation run one after the other in one program, as a loop: its body is compiled as the
single-image function is. (Side by side, by `jax.vmap`, XLA orders the arithmetic in another way, and pixels that lie
half way between two levels fall to the other one.)
"""

import collections
import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from causal_iqa import _checks, degradations, images
from causal_iqa._xla import settle
from causal_iqa.copies.config import PARAMETERS
from causal_iqa.degradations import Condition, shared_sizes

# Sizes grow in quarters of an octave, at least by so many pixels.
_LEAST_STEP = 32
# A strip has rows of this many pixels.
_ROW = 256
# A program takes about as long to compile as it takes to degrade so many pixels (at five severities).
_COMPILATION_PIXELS = 5_000_000
# Programs kept; the ones used longest ago are dropped.
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
    """Returns the size of the canvas or strip that serves a side: the next of four per octave, which none crosses."""
    if side <= _LEAST_STEP:
        return 1 << (side - 1).bit_length()
    step = max(_LEAST_STEP, 1 << ((side - 1).bit_length() - 3))
    return -(-side // step) * step


def choose_canvases(sizes: Iterable[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, int]]:
    """Chooses canvases for images of many sizes: few, so that little is compiled, and not much larger than the images.

    Starts with one for each `grown` size, and merges two as long as the pixels that are degraded for nothing cost less
    than a compilation.

    Args:
      sizes: height and width of every image.

    Returns:
      Size -> canvas, both (height, width).
    """
    count = collections.Counter(sizes)
    start = {size: (grown(size[0]), grown(size[1])) for size in count}
    canvases = sorted(set(start.values()))
    sides = np.asarray(canvases, np.int64).reshape(-1, 2)
    images = np.asarray([sum(count[size] for size in count if start[size] == one) for one in canvases], np.int64)
    group = np.arange(len(canvases))  # The row that stands for each of the first canvases.
    while (images > 0).sum() > 1:
        area, larger = sides.prod(axis=1), np.maximum(sides[:, None], sides[None]).prod(axis=2)
        more = (larger - area[:, None]) * images[:, None] + (larger - area[None]) * images[None]
        more[~np.outer(images > 0, images > 0)] = _COMPILATION_PIXELS
        np.fill_diagonal(more, _COMPILATION_PIXELS)
        a, b = np.unravel_index(np.argmin(more), more.shape)
        if more[a, b] >= _COMPILATION_PIXELS:
            break
        sides[a], images[a], images[b] = np.maximum(sides[a], sides[b]), images[a] + images[b], 0
        group[group == b] = a
    whole = {one: (int(sides[row, 0]), int(sides[row, 1])) for one, row in zip(canvases, group, strict=True)}
    return {size: whole[start[size]] for size in count}


def layout_of(structure: Condition) -> str:
    """Returns how images are handed to the program of a structure: "strip", "canvas" or "own"."""
    if len(structure.steps) != 1 or structure.stored is not None:
        return "own"
    (step,) = structure.steps
    return shared_sizes.layout_of(step.name, dict(step.options))


def _octave(size: tuple[int, int]) -> int:
    return (max(size) - 1).bit_length()


@dataclasses.dataclass
class Programs:
    """The compiled programs of one process.

    Attributes:
      compiled: how many were compiled so far.
    """

    compiled: int = 0
    _cache: "collections.OrderedDict[Any, Callable]" = dataclasses.field(default_factory=collections.OrderedDict)

    def run(
        self,
        structure: Condition,
        key: jax.Array,
        pixels: np.ndarray,
        severities: np.ndarray,
        canvas: tuple[int, int] | None = None,
    ) -> np.ndarray:
        """Degrades an image at several severities.

        Args:
          structure: the condition with all severities 0, family named where it has several.
          key: key of the image.
          pixels: uint8 [H, W, 3].
          severities: float32 [K, steps].
          canvas: height and width of the canvas, or of a strip of as many pixels; None: `grown` from the image.

        Returns:
          uint8 [K, H, W, 3], equal to `degrade` of every severity.
        """
        layout = layout_of(structure)
        height, width, _ = pixels.shape
        canvas = canvas or (grown(height), grown(width))
        if structure.steps[0].name in shared_sizes.SAME_OCTAVE and _octave(canvas) != _octave((height, width)):
            canvas = grown(height), grown(width)
        if layout == "strip":
            array = np.zeros((-(-canvas[0] * canvas[1] // _ROW), _ROW, 3), np.uint8)
            array.reshape(-1, 3)[: height * width] = pixels.reshape(-1, 3)
        elif layout == "canvas":
            pad = ((0, canvas[0] - height), (0, canvas[1] - width), (0, 0))
            array = np.pad(pixels, pad, mode="edge")
        else:
            array = pixels
        once, graded = self._prepared(structure, key, pixels.shape, array.shape, severities)
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves((array, severities, once, graded))]
        program = self._program(_compiled, structure, *shapes)
        out = np.asarray(program(key, array, np.asarray([height, width], np.int32), severities, once, graded))
        if layout == "strip":
            return out.reshape(len(severities), -1, 3)[:, : height * width].reshape(-1, *pixels.shape)
        return out[:, :height, :width]

    def _prepared(
        self,
        structure: Condition,
        key: jax.Array,
        shape: tuple[int, ...],
        array: tuple[int, ...],
        severities: np.ndarray,
    ) -> tuple[Any, Any]:
        """What is prepared at the image's own size: for all severities together, and for each; () for nothing."""
        wanted = shared_sizes.PREPARED.get(structure.steps[0].name) if layout_of(structure) == "canvas" else None
        if wanted is None:
            return (), ()
        height, width, _ = shape
        if wanted.draw is None:
            found = wanted.fn(height, width, array[:2], severities[:, 0], structure.family)
        else:
            own = severities if wanted.graded else severities[:1]
            # What is random is the larger part of a program, and shared: the first draws are those of the image.
            draw = self._program(functools.partial(_drawing, 2 * array[0] * array[1]), structure, array)
            drawn = np.asarray(draw(key))[: 2 * height * width].reshape(2, height, width)
            field = np.asarray(self._program(_preparing, structure, shape, own.shape)(key, drawn, own))
            pad = [(0, 0)] * (field.ndim - 2) + [(0, array[0] - height), (0, array[1] - width)]
            found = np.pad(field, pad)
            found = found if wanted.graded else found[0]
        return ((), (found,)) if wanted.graded else ((found,), ())

    def _program(self, make: Callable[[Condition], Any], structure: Condition, *shapes: tuple[int, ...]) -> Any:
        place = (getattr(make, "func", make), structure, *shapes)
        if place in self._cache:
            self._cache.move_to_end(place)
            return self._cache[place]
        self.compiled += 1
        while len(self._cache) >= _KEPT:
            self._cache.popitem(last=False)
        self._cache[place] = make(structure)
        return self._cache[place]


def _drawing(number: int, structure: Condition) -> Callable[..., jax.Array]:
    (step,) = structure.steps
    draw = shared_sizes.PREPARED[step.name].draw
    assert draw is not None, "asked for by those that draw"
    return jax.jit(lambda key: draw(degradations.step_key(key, step.name), (number,)))


def _preparing(structure: Condition) -> Callable[..., jax.Array]:
    (step,) = structure.steps
    fn = shared_sizes.PREPARED[step.name].fn

    def program(key: jax.Array, drawn: jax.Array, severities: jax.Array) -> jax.Array:
        own = degradations.step_key(key, step.name)
        return jax.lax.map(lambda one: fn(own, drawn, one[0], family=structure.family), severities)

    return jax.jit(program)


def _compiled(structure: Condition) -> Callable[..., jax.Array]:
    layout = layout_of(structure)
    alone = degradations.do_graded(structure)

    def graded(key: jax.Array, image: jax.Array, size: jax.Array, severities: jax.Array, prepared: Any) -> jax.Array:
        if layout == "own":
            return alone(key, image, severities)
        (step,) = structure.steps
        fn = (shared_sizes.ON_STRIP if layout == "strip" else shared_sizes.ON_CANVAS)[step.name]
        key = degradations.step_key(key, step.name)
        degraded = fn(key, image, size, severities[0], *prepared, family=structure.family, **dict(step.options))
        return degradations.keep(degraded, quantise=structure.quantise)

    def program(key, pixels, size, severities, once, each) -> jax.Array:
        def one(step: tuple[jax.Array, Any]) -> jax.Array:
            own, prepared = step
            return images.to_uint8(settle(graded(key, image, size, own, (*once, *prepared))))

        image = settle(images.from_uint8(pixels))

        return jax.lax.map(one, (severities, each))

    return jax.jit(program)
