"""What the camera and world conditions share: a layout that vectorises, and the check of any size.

Light adds in linear units, so optics, sensors and weather work in the linear light of `causal_iqa.colour` and return to
sRGB. Formulas run on images laid out as [H, 3 W]: XLA runs them several times slower along a last axis of 3.
"""

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks
from causal_iqa.degradations import ladder


def wide(image: jax.Array) -> jax.Array:
    """Lays [H, W, 3] out as [H, 3 W]."""
    return image.reshape(image.shape[0], -1)


def finish_wide(image: jax.Array, degraded: jax.Array, severity: jax.Array) -> jax.Array:
    """`ladder.finish` for a degraded image in the wide layout; [H, W, 3]."""
    return ladder.finish(wide(image), degraded, severity).reshape(image.shape)


def per_channel(values: jax.Array | tuple[float, ...], width: int) -> jax.Array:
    """Repeats three values along the wide layout, [1, 3 W]."""
    return jnp.tile(jnp.asarray(values, jnp.float32), width)[None, :]


def centred_grid(height: int, width: int, copies: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Distances of pixel centres from the image centre in pixels, down [H, 1] and right [1, copies W], float32."""
    down = np.arange(height, dtype=np.float32) - 0.5 * (height - 1)
    right = np.arange(width, dtype=np.float32) - 0.5 * (width - 1)
    return down[:, None], np.repeat(right, copies)[None, :]


def check_any_size(image: jax.Array, family: str | None) -> int:
    """Checks the arguments of a condition whose parameters hold at every size.

    Args:
      image: float32 [H, W, 3] in [0, 1].
      family: None or the name of a parameter family, which changes nothing.

    Returns:
      The shorter side in pixels, of which the conditions' lengths are fractions.

    Raises:
      ValueError: when the image is not [H, W, 3] or the family is unknown.
      TypeError: when the image is not of floating point.
    """
    _checks.check_image(image)
    if family is not None:
        _checks.check_choice(family, ladder.FAMILIES, "family")
    return min(image.shape[:2])
