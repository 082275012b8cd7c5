"""The sRGB curve and the ladder in NumPy, for the tests of the camera conditions."""

import jax
import numpy as np

SEVERITIES = np.arange(1, 6, dtype=np.float32)


def decode(encoded: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1 in double precision."""
    encoded = np.asarray(encoded, np.float64)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encode(linear: np.ndarray) -> np.ndarray:
    """The inverse, after clipping."""
    linear = np.clip(np.asarray(linear, np.float64), 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def ladder_of(fn, image, key=None, severities=SEVERITIES, **options) -> np.ndarray:
    """`fn` at severities 1..5, [5, H, W, 3]."""
    key = jax.random.key(0) if key is None else key
    return np.asarray(jax.jit(jax.vmap(lambda s: fn(key, image, s, **options)))(np.float32(severities)))
