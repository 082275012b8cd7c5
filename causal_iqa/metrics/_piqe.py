"""PIQE: share of the active blocks that look distorted, block by block, without training."""

import jax
import jax.numpy as jnp

from causal_iqa._roots import safe_sqrt
from causal_iqa.metrics import _filters, _pixels, natural_scene, spec

__all__ = ["piqe"]

_BLOCK = 16
_ACTIVITY = 0.1
_IMPAIRED = 0.1
_SEGMENT = 6
_PREVENT_DIVISION = 1.0


def _deviation(x: jax.Array, axis: int | tuple[int, ...]) -> jax.Array:
    return safe_sqrt(jnp.var(x, axis=axis, ddof=1))


def _edge_segments(blocks: jax.Array) -> jax.Array:
    """[n, 16, 16] -> [n, 4, 11]: variances of the six-pixel segments of the four edges."""
    edges = jnp.stack([blocks[:, 0], blocks[:, -1], blocks[:, :, 0], blocks[:, :, -1]], axis=1)
    count = _BLOCK - _SEGMENT + 1
    segments = jnp.stack([edges[..., k : k + count] for k in range(_SEGMENT)])
    return jnp.var(segments, axis=0, ddof=1)


def piqe(image: jax.Array) -> jax.Array:
    """Perception-based image quality evaluator, 100 (D + 1) / (N + 1) over N active blocks of 16 x 16.

    Of the locally normalised luma: a block is active when its variance is above 0.1. It adds 1 - variance to D when a
    segment of six pixels of its edges has a deviation below 0.1, and its variance when it is noisy: when its deviation
    s is above 2 |s - c| / max(s, c), with c the ratio of the deviations of its two middle columns and of the others.
    The luma is first divided by the image's maximum, so the score does not see exposure.

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 16; padded to multiples of 16 with its last pixels.

    Returns:
      Scalar in (0, 100]; lower is better. 100 where no block is active, so for a flat image.

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 16 pixels.

    References:
      [1] Venkatanath et al., "Blind image quality evaluation using perception based features", NCC 2015,
          sections II and III; constants and border as MATLAB's piqe, which leaves columns 8 and 10, not 8 and 9, out
          of a block's surround.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> print(f"{jax.jit(metrics.piqe)(image):.2f}")
      94.71
    """
    _pixels.check_single(image, _BLOCK, "piqe")
    grey = _filters.grey_levels(image)
    grey = jnp.pad(grey, [(0, -side % _BLOCK) for side in grey.shape], mode="edge")
    # 255 x / max, rounded half up in integers.
    levels, largest = grey.astype(jnp.int32), jnp.maximum(jnp.max(grey), 1.0).astype(jnp.int32)
    grey = ((510 * levels + largest) // (2 * largest)).astype(grey.dtype)
    blocks = natural_scene.blocks(natural_scene.normalise(grey, "edge"), _BLOCK)
    variance = jnp.var(blocks, axis=(1, 2), ddof=1)
    active = variance > _ACTIVITY
    impaired = jnp.any(_edge_segments(blocks) < _IMPAIRED**2, axis=(1, 2))
    middle = _deviation(blocks[:, :, 7:9], (1, 2))
    surround = _deviation(jnp.concatenate([blocks[:, :, :7], blocks[:, :, 8:9], blocks[:, :, 10:]], axis=2), (1, 2))
    contrast = middle / jnp.maximum(surround, 1e-12)
    deviation = safe_sqrt(variance)
    noisy = deviation * jnp.maximum(deviation, contrast) > 2.0 * jnp.abs(deviation - contrast)
    distortion = jnp.where(active & impaired, 1.0 - variance, 0.0) + jnp.where(active & noisy, variance, 0.0)
    num_active = jnp.sum(active.astype(image.dtype))
    return 100.0 * (jnp.sum(distortion) + _PREVENT_DIVISION) / (num_active + _PREVENT_DIVISION)


SPECS = (
    spec.MetricSpec(
        name="piqe",
        fn=piqe,
        family="no_reference",
        higher_is_better=False,
        colour="Y BT.601",
        range=(0.0, 100.0),
        smallest_side=_BLOCK,
        differentiable=False,
        convention=(
            "MATLAB: luma rounded to 0..255, divided by its maximum, blocks of 16 padded to the next multiple by the "
            "last pixel, activity 0.1, segments of 6 pixels below 0.1, noise against the two middle columns; 100 where "
            "no block is active"
        ),
        reference="Venkatanath, Praneeth, Bh, Channappayya, Medasani, NCC 2015",
        worse_with=("blur",),
        data_range="0-255 rounded",
        window="7x7 Gaussian, sigma 7/6, for the normalised luma",
        border="edge",
    ),
)
