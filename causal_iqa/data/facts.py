"""Facts of an image beside its quality: size, format, whether it shows anything, and a hash of how it looks."""

from typing import NamedTuple

import numpy as np
import PIL.Image

from causal_iqa.data.sources import Example, Source

_GRID = 8
# Every so many pixels are compared before all are.
_STRIDE = 16


class Facts(NamedTuple):
    """Facts about one image at its full size.

    Attributes:
      width: width of the upright image in pixels.
      height: height of the upright image in pixels.
      format: format of the file, e.g. "JPEG"; "" where the images are not in files, or it is unknown.
      one_colour: whether all pixels are equal.
      look_across: 64 bits, whether the grey of an 8 x 8 grid rises from left to right.
      look_down: 64 bits, whether it rises from top to bottom.
    """

    width: int
    height: int
    format: str
    one_colour: bool
    look_across: int
    look_down: int


def facts_of(image: np.ndarray, *, format: str = "") -> Facts:
    """Gathers the facts of one image.

    The two hashes are the difference hash in both directions; copies of an image in other sizes and codings differ in
    few bits, other images in about half.

    Args:
      image: uint8 [H, W, 3].
      format: format of its file.

    Returns:
      The facts.

    References:
      [1] N. Krawetz (2013), Kind of like that: the difference hash.

    Examples:
      >>> facts_of(np.zeros((4, 6, 3), np.uint8)).one_colour
      True
    """
    height, width, _ = image.shape
    grey = PIL.Image.fromarray(image).convert("L").resize((_GRID + 1, _GRID + 1), PIL.Image.Resampling.BOX)
    grid = np.asarray(grey)
    across = grid[:_GRID, 1:] > grid[:_GRID, :-1]
    down = grid[1:, :_GRID] > grid[:-1, :_GRID]
    return Facts(width, height, format, _is_one_colour(image), *(_as_number(bits) for bits in (across, down)))


def _is_one_colour(image: np.ndarray) -> bool:
    return all(bool((part == image[0, 0]).all()) for part in (image[::_STRIDE, ::_STRIDE], image))


def _as_number(bits: np.ndarray) -> int:
    return int.from_bytes(np.packbits(bits.reshape(-1)).tobytes(), "big")


class Looker:
    """Gathers the facts of a source's images, for `batches(look=...)`."""

    def __init__(self, source: Source):
        """Keeps the source, whose `format(index)` is read where there is one."""
        self._format = getattr(source, "format", None)

    def __call__(self, index: int, example: Example) -> Facts:
        """Returns the facts of one image."""
        format = self._format(index) if self._format is not None else None
        return facts_of(example.image, format=format or "")
