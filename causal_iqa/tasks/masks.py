"""Performance of a predicted mask: pixel accuracy, mean IoU and Dice, of one image or of the sums over a set.

All three are functions of three counts per class: pixels that are right, predicted, and in the truth. The mean of an
IoU over images is not the IoU of their summed pixels: the first weighs every image equally, the second every pixel.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

# The value of a mask where the class of a pixel is not known; such pixels count for nothing.
IGNORED = -1


class ClassPixels(NamedTuple):
    """Pixels of every class, float32 [..., K]; sums of them stand for the set of images."""

    right: jax.Array  # of the class in both
    predicted: jax.Array
    there: jax.Array  # of the class in the truth


def class_pixels(prediction: jax.Array, mask: jax.Array, *, num_classes: int) -> ClassPixels:
    """Counts the pixels of every class in one image.

    Args:
      prediction: int [H, W], classes; one that is none of the K counts as predicted for no class.
      mask: int [H, W], the truth; IGNORED where it is not known.
      num_classes: K, static int.

    Returns:
      The counts, exact up to 16 million pixels.

    Raises:
      ValueError: when shapes differ.

    Examples:
      >>> counts = class_pixels(jnp.array([[0, 1], [1, 1]]), jnp.array([[0, 0], [1, -1]]), num_classes=2)
      >>> counts.right.tolist(), counts.predicted.tolist(), counts.there.tolist()
      ([1.0, 1.0], [1.0, 2.0], [2.0, 1.0])
    """
    prediction, mask = jnp.asarray(prediction), jnp.asarray(mask)
    if prediction.shape != mask.shape or prediction.ndim != 2:
        raise ValueError(f"prediction, mask: expected one shape [H, W], got {prediction.shape} and {mask.shape}")
    known = (mask >= 0).reshape(-1)
    classes = jnp.arange(num_classes, dtype=jnp.int32)[None]
    predicted = (prediction.reshape(-1, 1) == classes) & known[:, None]
    there = (mask.reshape(-1, 1) == classes) & known[:, None]
    return ClassPixels(*(x.sum(axis=0).astype(jnp.float32) for x in (predicted & there, predicted, there)))


def pixel_accuracy(pixels: ClassPixels) -> jax.Array:
    """Share of the known pixels whose class is right.

    Args:
      pixels: pixels of one image, or summed over a set.

    Returns:
      In [0, 1], higher is better; NaN without a known pixel.

    Examples:
      >>> counts = class_pixels(jnp.array([[0, 1]]), jnp.array([[0, 0]]), num_classes=2)
      >>> float(pixel_accuracy(counts))
      0.5
    """
    return _ratio(pixels.right.sum(axis=-1), pixels.there.sum(axis=-1))


def mean_iou(pixels: ClassPixels) -> jax.Array:
    """Mean over the classes that are present or predicted of right pixels over the union of predicted ones and true
      ones.

    Args:
      pixels: pixels of one image, or summed over a set.

    Returns:
      In [0, 1], higher is better; NaN without a known pixel.

    References:
      [1] M. Everingham et al. (2010), The PASCAL visual object classes challenge.

    Examples:
      >>> counts = class_pixels(jnp.array([[0, 1]]), jnp.array([[0, 0]]), num_classes=3)
      >>> float(mean_iou(counts))
      0.25
    """
    return _mean_over_present(pixels.right, pixels.predicted + pixels.there - pixels.right)


def dice(pixels: ClassPixels) -> jax.Array:
    """Mean over the classes that are present or predicted of twice the right pixels over predicted and true ones.

    Args:
      pixels: pixels of one image, or summed over a set.

    Returns:
      In [0, 1], higher is better; NaN without a known pixel.

    References:
      [1] L. Dice (1945), Measures of the amount of ecologic association between species.

    Examples:
      >>> counts = class_pixels(jnp.array([[0, 1]]), jnp.array([[0, 0]]), num_classes=3)
      >>> round(float(dice(counts)), 3)
      0.333
    """
    return _mean_over_present(2 * pixels.right, pixels.predicted + pixels.there)


def _mean_over_present(part: jax.Array, whole: jax.Array) -> jax.Array:
    present = whole > 0
    shares = jnp.where(present, part / jnp.where(present, whole, 1), 0)
    return _ratio(shares.sum(axis=-1), present.sum(axis=-1))


def _ratio(part: jax.Array, whole: jax.Array) -> jax.Array:
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), jnp.nan)
