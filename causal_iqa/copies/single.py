"""One image under one condition: the function that every copy on disk equals."""

import functools
import zlib

import jax
import numpy as np

from causal_iqa import degradations, images
from causal_iqa._xla import settle
from causal_iqa.copies import programs
from causal_iqa.degradations import Condition


def image_key(seed: int, image_id: str) -> jax.Array:
    """Returns the random key of an image, the same under every condition.

    Args:
      seed: seed of the degradations.
      image_id: image id of the image; for a folder its path relative to it.

    Returns:
      fold_in(key(seed), crc32(image_id)), as in a study.

    Examples:
      >>> bool(image_key(0, "a.png") == image_key(0, "b.png"))
      False
    """
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(image_id.encode()))


def degrade(
    pixels: np.ndarray,
    condition: Condition | str,
    *,
    seed: int = 0,
    image_id: str = "",
    parameters: str | None = None,
) -> np.ndarray:
    """Degrades one image of any size: the pixels that `causal-iqa degrade` stores, bit for bit.

    It is the compiled `degradations.do_graded` at the image's own size, severities as arguments, rounded to 8 bits; the
    conversions from and to 8 bits are compiled by themselves.

    Args:
      pixels: uint8 [H, W, 3], sRGB.
      condition: what is done, or its written form, e.g. "fog/3".
      seed: seed of the degradation.
      image_id: tells images apart, so that each gets its own draw.
      parameters: published set of parameters, a key of `PARAMETERS`, where the condition names no family.

    Returns:
      uint8 [H, W, 3].

    Raises:
      TypeError: when the pixels are not uint8.
      ValueError: when they are not [H, W, 3].
      InputError: when the condition cannot be read, or the size asks for parameters to be chosen.

    Examples:
      >>> degrade(np.zeros((3, 5, 3), np.uint8), "brightness/2", parameters="imagenet_c").max()
      np.uint8(51)
    """
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8:
        raise TypeError(f"pixels: expected uint8, got {pixels.dtype}")
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or not pixels.size:
        raise ValueError(f"pixels: expected one image of shape [H, W, 3], got shape {pixels.shape}")
    condition = programs.with_parameters(condition, parameters)
    severities = np.asarray(condition.severities, np.float32)
    return np.asarray(_program(condition.structure)(image_key(seed, image_id), pixels, severities))


@functools.lru_cache(maxsize=64)
def _program(structure: Condition):
    graded = degradations.do_graded(structure)

    @jax.jit
    def program(key: jax.Array, pixels: jax.Array, severities: jax.Array) -> jax.Array:
        # Conversions by themselves: fused with the arithmetic, how it rounds would depend on the size of the image.
        return images.to_uint8(settle(graded(key, settle(images.from_uint8(pixels)), severities)))

    return program
