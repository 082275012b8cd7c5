"""DSS: similarity of the local variances of DCT subbands, at the places where it is worst.

Images are float32 [H, W, 3], sRGB, in [0, 1]; the constants refer to 0..255.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._roots import safe_sqrt
from causal_iqa.metrics import _filters, _order, _pixels, _similarity, spec

__all__ = ["dss"]

# Balanov et al. (2015), section 3, and the authors' dss_index.m.
_BLOCK = 8
_WEIGHT_SIGMA = 1.55
_SMALLEST_WEIGHT = 0.01
_DC_CONSTANT = 1000.0
_AC_CONSTANT = 300.0
_WINDOW_SIZE = 3
_WINDOW_SIGMA = 1.5
_WORST_SHARE = 0.05
# A twentieth of 16 blocks rounds to one; of 9 blocks (24 pixels) to none.
_SMALLEST_SIDE = 32


@functools.lru_cache(maxsize=1)
def _subbands() -> tuple[np.ndarray, np.ndarray]:
    """Basis images [K, 8, 8] of the subbands that count, the constant first, and their weights [K] of sum 1."""
    order, position = np.mgrid[0:_BLOCK, 0:_BLOCK]
    cosines = np.cos(np.pi / _BLOCK * (position + 0.5) * order) * np.sqrt(2.0 / _BLOCK)
    cosines[0] = np.sqrt(1.0 / _BLOCK)
    weights = np.exp(-((order + 0.5) ** 2 + (position + 0.5) ** 2) / (2.0 * _WEIGHT_SIGMA**2))
    rows, columns = np.nonzero(weights >= _SMALLEST_WEIGHT)
    basis = np.einsum("ki,kj->kij", cosines[rows], cosines[columns])
    kept = weights[rows, columns]
    return basis.astype(np.float32), (kept / kept.sum()).astype(np.float32)


def _decompose(plane: jax.Array, basis: np.ndarray) -> jax.Array:
    """Returns the DCT coefficients [K, h, w] of the 8 x 8 blocks; incomplete blocks are cut off."""
    height, width = (side // _BLOCK for side in plane.shape)
    blocks = plane[: height * _BLOCK, : width * _BLOCK].reshape(height, _BLOCK, width, _BLOCK)
    blocks = blocks.transpose(1, 3, 0, 2).reshape(_BLOCK * _BLOCK, height * width)
    # About a pixel of the block: a flat one has exactly no coefficients but the constant one.
    corner = blocks[:1]
    matrix = jnp.asarray(basis.reshape(-1, _BLOCK * _BLOCK), plane.dtype)
    found = jnp.matmul(matrix, blocks - corner, precision="highest")
    return found.at[:1].add(_BLOCK * corner).reshape(-1, height, width)


def _moments(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Local variances and covariance E[x y] - E[x] E[y] under the 3 x 3 Gaussian, zero border, each [K, h, w].

    Taken about the middle of each window: the difference of two large moments has no digits left in float32 where
    blocks hardly differ, and a root makes that visible. With x = c + u, y = d + v, c and d in the middle, and W the
    part of the window inside the image: E[u v] - E[u] E[v] + (1 - W) (c d W + c E[v] + d E[u]).
    """
    window = _filters.gaussian(_WINDOW_SIZE, _WINDOW_SIGMA)
    height, width = x.shape[1:]
    reach = (_WINDOW_SIZE // 2,) * 2
    padded = [_filters.pad(part, reach, reach, "zero") for part in (x, y)]
    inside = _filters.pad(jnp.ones((1, height, width), x.dtype), reach, reach, "zero")
    whole = mean_u = mean_v = square_u = square_v = product = 0.0
    for i, j in np.ndindex(_WINDOW_SIZE, _WINDOW_SIZE):
        other_x, other_y, there = (part[:, i : i + height, j : j + width] for part in (*padded, inside))
        weight = window[i] * window[j] * there
        u, v = other_x - x, other_y - y
        whole += weight
        mean_u, mean_v = mean_u + weight * u, mean_v + weight * v
        square_u, square_v, product = square_u + weight * u * u, square_v + weight * v * v, product + weight * u * v

    def moment(
        second: float | jax.Array, a: jax.Array, b: jax.Array, mean_a: float | jax.Array, mean_b: float | jax.Array
    ) -> jax.Array:
        return second - mean_a * mean_b + (1.0 - whole) * (a * b * whole + a * mean_b + b * mean_a)

    return (
        moment(square_u, x, x, mean_u, mean_u),
        moment(square_v, y, y, mean_v, mean_v),
        moment(product, x, y, mean_u, mean_v),
    )


def dss(reference: jax.Array, image: jax.Array) -> jax.Array:
    """DCT subband similarity of luma.

    sum_k w_k times the mean of the worst 5 % of (2 sx sy + C) / (sx^2 + sy^2 + C) over the blocks, sx and sy the local
    deviations of coefficient k (C = 300, for the constant one 1000); the constant subband is also multiplied by the
    worst 5 % of (sxy + C) / (sx sy + C). w falls with frequency as a Gaussian of 1.55 and is zero below 0.01.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 32.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar of at most 1; higher is better, 1 for equal images.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 32 pixels.

    References:
      [1] Balanov, Schwartz, Moshe, Peleg, "Image quality assessment based on DCT subband similarity", ICIP 2015, eq. 2
          to 6, and the authors' dss_index.m.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.dss)(reference, image):.2f}")
      0.93
    """
    _pixels.check_pair(reference, image, _SMALLEST_SIDE, "dss")
    basis, weights = _subbands()
    x, y = (_decompose(_similarity.luma(part), basis) for part in (reference, image))
    var_x, var_y, covariance = _moments(x, y)
    var_x, var_y = jnp.maximum(var_x, 0.0), jnp.maximum(var_y, 0.0)
    product = safe_sqrt(var_x * var_y)
    constants = np.full((len(basis), 1, 1), _AC_CONSTANT, np.float32)
    constants[0] = _DC_CONSTANT
    left = (2.0 * product + constants) / (var_x + var_y + constants)
    worst = max(1, int(_WORST_SHARE * left[0].size + 0.5))
    pooled = jax.vmap(lambda part: _order.mean_of_smallest(part, worst))(left)
    right = _order.mean_of_smallest((covariance[0] + _DC_CONSTANT) / (product[0] + _DC_CONSTANT), worst)
    return jnp.sum(pooled * weights) - (1.0 - right) * pooled[0] * weights[0]


SPECS = (
    spec.MetricSpec(
        name="dss",
        fn=dss,
        family="full_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(None, 1.0),
        smallest_side=_SMALLEST_SIDE,
        differentiable=True,
        convention="8x8 DCT, sigma 1.55, weights below 0.01 dropped, C 1000 and 300, worst 5 % of the blocks",
        reference="Balanov, Schwartz, Moshe, Peleg, ICIP 2015; dss_index.m",
        worse_with=("blur", "noise"),
        perfect=1.0,
        symmetric=True,
        data_range="0-255, not rounded",
        window="3x3 Gaussian over blocks, sigma 1.5",
        border="zero; blocks not whole at the right and below are cut off",
    ),
)
