"""sRGB and linear light; only this module defines the transfer function."""

import jax
import jax.numpy as jnp

# IEC 61966-2-1:1999, equations 5 to 8.
SLOPE = 12.92
OFFSET = 0.055
GAMMA = 2.4
ENCODED_KNEE = 0.04045
LINEAR_KNEE = 0.0031308

# Rec. ITU-R BT.709-6, section 3.2: luminance of linear R, G, B.
BT709_LUMINANCE = (0.2126, 0.7152, 0.0722)


def to_linear(encoded: jax.Array) -> jax.Array:
    """Decodes sRGB values to linear light.

    Args:
      encoded: float32 [...] in [0, 1].

    Returns:
      float32 [...] in [0, 1].

    Examples:
      >>> [round(float(x), 4) for x in to_linear(jnp.array([0.0, 0.5, 1.0]))]
      [0.0, 0.214, 1.0]

    References:
      [1] IEC 61966-2-1:1999, equations 5 and 6.
    """
    upper = jnp.exp(GAMMA * jnp.log((jnp.maximum(encoded, ENCODED_KNEE) + OFFSET) / (1.0 + OFFSET)))
    return jnp.where(encoded <= ENCODED_KNEE, encoded / SLOPE, upper)


def to_srgb(linear: jax.Array) -> jax.Array:
    """Clips linear light to [0, 1] and encodes it as sRGB.

    Args:
      linear: float32 [...].

    Returns:
      float32 [...] in [0, 1].

    Examples:
      >>> [round(float(x), 4) for x in to_srgb(jnp.array([-1.0, 0.214, 2.0]))]
      [0.0, 0.5, 1.0]

    References:
      [1] IEC 61966-2-1:1999, equations 7 and 8.
    """
    linear = jnp.clip(linear, 0.0, 1.0)
    upper = (1.0 + OFFSET) * jnp.exp(jnp.log(jnp.maximum(linear, LINEAR_KNEE)) / GAMMA) - OFFSET
    return jnp.where(linear <= LINEAR_KNEE, linear * SLOPE, upper)
