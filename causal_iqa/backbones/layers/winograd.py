"""3x3 convolutions with half the multiplications: Winograd's minimal filtering, along the rows only.

Four rows of output come from six rows of input: Y = A' [(G g) (B' d)], F(4, 3) of [1], with the product a convolution
along the columns. Rounding is about 2e-6 of the largest output in float32; along both axes it would be ten times that.

References:
  [1] Lavin, Gray. Fast algorithms for convolutional neural networks. CVPR 2016, section 4.1 and equation 15.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._arrays import total
from causal_iqa.backbones import numerics

# B', G and A' of [1] for four outputs and three taps, at the points 0, 1, -1, 2, -2 and infinity.
_FROM_ROWS = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_FROM_TAPS = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_TO_ROWS = ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1))
ROWS = len(_TO_ROWS)


def _combined(weights: Sequence[float], parts: Sequence[jax.Array]) -> jax.Array:
    terms = [weight * part for weight, part in zip(weights, parts, strict=True) if weight]
    return sum(terms[1:], terms[0])


def convolve(x: jax.Array, kernel: jax.Array, pad: int) -> jax.Array:
    """3x3 convolution of stride 1; fastest where the rows of the output come in whole fours (`ROWS`).

    Args:
      x: float32 [B, H, W, before].
      kernel: float32 [3, 3, before, after].
      pad: zeros on every side, static.

    Returns:
      float32 [B, H + 2 pad - 2, W + 2 pad - 2, after].
    """
    batch, height, width, before = x.shape
    rows = height + 2 * pad - 2
    tiles = -(-rows // ROWS)
    x = jnp.pad(x, ((0, 0), (pad, pad + ROWS * tiles - rows), (0, 0), (0, 0)))
    views = [
        jax.lax.slice(x, (0, i, 0, 0), (batch, i + ROWS * (tiles - 1) + 1, width, before), (1, ROWS, 1, 1))
        for i in range(ROWS + 2)
    ]
    planes = []
    for inward, taps, outward in zip(_FROM_ROWS, _FROM_TAPS, np.asarray(_TO_ROWS, np.float32).T, strict=True):
        plane = jax.lax.conv_general_dilated(
            _combined(inward, views),
            _combined(taps, list(kernel))[None],
            (1, 1),
            ((0, 0), (pad, pad)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=numerics.of_products(),
        )
        # A product and not four sums side by side, which XLA would write one after the other.
        planes.append(plane[:, :, None] * outward.reshape(1, 1, -1, 1, 1))
    out = total(planes)
    return out.reshape(batch, ROWS * tiles, *out.shape[3:])[:, :rows]
