"""Keys' cubic convolution, which every bicubic resize and every reading between pixels shares.

References:
  [1] Keys (1981). Cubic convolution interpolation for digital image processing, eq. 15.
"""

import jax
import numpy as np

from causal_iqa._arrays import OneKind

HALF_WIDTH = 2.0
# The kernel of third order, as Pillow's BICUBIC and MATLAB's imresize have it.
_A = -0.5


def near(distance: jax.Array) -> jax.Array:
    """The kernel at distances from 0 to 1, in pixels."""
    return _slope(distance) * distance * distance + 1.0


def far(distance: OneKind) -> OneKind:
    """The kernel at distances from 1 to 2."""
    return ((_A * distance - 5.0 * _A) * distance + 8.0 * _A) * distance - 4.0 * _A


def _slope(distance: OneKind) -> OneKind:
    return (_A + 2.0) * distance - (_A + 3.0)


def kernel(distance: np.ndarray) -> np.ndarray:
    """The kernel at any distance that is not negative; 0 from `HALF_WIDTH` on."""
    # The square first, unlike `near`: the order decides the last bits of the weights of a resize.
    within_one = _slope(distance) * distance**2 + 1.0
    return np.where(distance < 1.0, within_one, np.where(distance < HALF_WIDTH, far(distance), 0.0))
