"""Structural similarity over five scales, with and without information-content weights.

Images are float32 [H, W, 3], sRGB, in [0, 1].
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import images
from causal_iqa._xla import settle
from causal_iqa.metrics import _filters, _information, _pixels, _pyramids, spec
from causal_iqa.metrics import structural_similarity as ss

__all__ = ["iw_ssim", "ms_ssim", "ms_ssim_wang2003", "ms_ssim_wang2003_sum"]

# Wang, Simoncelli, Bovik (2003), section 3.2; the sum is 1.0001.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# The window of 11 must fit the coarsest of five scales, ceil(side / 16).
_SMALLEST_SIDE = 161
# Binomial taps of matlabPyrTools' buildLpyr; its two passes have a gain of sqrt(2) each.
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
_IW_NOISE = 0.4  # Wang and Li (2011), section III: variance of the internal noise, grey levels squared.


def _power_product(means: Sequence[jax.Array], weights: Sequence[float]) -> jax.Array:
    """Product of max(0, mean)^weight, with gradient zero where a mean is not positive."""
    found = jnp.stack(means)
    positive = found > 0.0
    powers = jnp.where(positive, found, 1.0) ** jnp.asarray(weights, found.dtype).reshape(-1, *[1] * (found.ndim - 1))
    return jnp.prod(jnp.where(positive, powers, 0.0), axis=0)


def ms_ssim_wang2003(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Multi-scale SSIM as first published: rounded 8-bit luma, five scales, product of powers.

    MS-SSIM = l5^w5 prod_k cs_k^w_k, where cs_k is the mean contrast-structure term of scale k. A scale is the 2 x 2
    mean of the previous scale, with an odd last row or column repeated. A negative mean counts as 0.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 161 (the authors' code also refuses 161 to 175).
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 1]; higher is better, 1 for equal luma.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 161 pixels.

    References:
      [1] Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar 2003,
          eq. 7, and the authors' msssim.m.

    Examples:
      >>> image = jax.ShapeDtypeStruct((192, 192, 3), jnp.float32)
      >>> jax.eval_shape(metrics.ms_ssim_wang2003, image, image).shape  # traced, not run
      ()
      >>> metrics.TABLE["ms_ssim_wang2003"].higher_is_better
      True
    """
    _pixels.check_pair(reference, image, _SMALLEST_SIDE, "ms_ssim_wang2003")
    return _power_product(_luma_scales(reference, image), _SCALE_WEIGHTS)


def ms_ssim_wang2003_sum(reference: jax.Array, image: jax.Array) -> jax.Array:
    """`ms_ssim_wang2003` pooled over scales by a weighted sum, the "wtd_sum" method of the authors' code.

    Values published for TID2013 pairs as those of the original code were made this way.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 161 (the authors' code also refuses 161 to 175).
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [-1, 1]; higher is better, 1 for equal luma.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 161 pixels.

    References:
      [1] Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar 2003,
          and the authors' msssim.m with method "wtd_sum".

    Examples:
      >>> image = jax.ShapeDtypeStruct((192, 192, 3), jnp.float32)
      >>> jax.eval_shape(metrics.ms_ssim_wang2003_sum, image, image).shape  # traced, not run
      ()
      >>> metrics.TABLE["ms_ssim_wang2003_sum"].higher_is_better
      True
    """
    _pixels.check_pair(reference, image, _SMALLEST_SIDE, "ms_ssim_wang2003_sum")
    weights = jnp.asarray(_SCALE_WEIGHTS, image.dtype) / sum(_SCALE_WEIGHTS)
    return jnp.sum(weights * jnp.stack(_luma_scales(reference, image)))


def _luma_scales(reference: jax.Array, image: jax.Array) -> list[jax.Array]:
    """Mean contrast-structure of each scale, times luminance in the coarsest."""
    x, y = _filters.grey_levels(reference) / 255.0, _filters.grey_levels(image) / 255.0
    means = []
    for scale in range(len(_SCALE_WEIGHTS)):
        if scale:
            x, y = settle((_filters.shrink(x, 2), _filters.shrink(y, 2)))
        luminance, structure = ss.similarity_maps(x, y)
        means.append(jnp.mean(structure if scale < len(_SCALE_WEIGHTS) - 1 else luminance * structure))
    return means


def _halve(x: jax.Array) -> jax.Array:
    """2 x 2 means of [3, H, W]; when either side is odd, both first repeat their first line, and a last one is left."""
    odd = max(side % 2 for side in x.shape[-2:])
    x = _filters.pad(x, (odd, 0), (odd, 0), "edge")
    height, width = (side // 2 for side in x.shape[-2:])
    x = x[..., : 2 * height, : 2 * width]
    return jnp.mean(x.reshape(*x.shape[:-2], height, 2, width, 2), axis=(-3, -1))


def ms_ssim(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Multi-scale SSIM on RGB as in piq: per channel, then the mean of the channels.

    A scale is the 2 x 2 mean of the previous scale; when a side is odd the first row and column are repeated first. A
    negative mean counts as 0.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 161.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 1]; higher is better, 1 for equal images.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 161 pixels.

    References:
      [1] Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar 2003,
          eq. 7, applied per channel; border and weights as in piq's multi_scale_ssim.

    Examples:
      >>> image = jax.ShapeDtypeStruct((192, 192, 3), jnp.float32)
      >>> jax.eval_shape(metrics.ms_ssim, image, image).shape  # traced, not run
      ()
      >>> metrics.TABLE["ms_ssim"].higher_is_better
      True
    """
    _pixels.check_pair(reference, image, _SMALLEST_SIDE, "ms_ssim")
    x, y = jnp.moveaxis(reference, -1, 0), jnp.moveaxis(image, -1, 0)
    means = []
    for scale in range(len(_SCALE_WEIGHTS)):
        if scale:
            x, y = settle((_halve(x), _halve(y)))
        luminance, structure = jax.vmap(ss.similarity_maps)(x, y)
        last = scale == len(_SCALE_WEIGHTS) - 1
        means.append(jnp.mean(luminance * structure if last else structure, axis=(1, 2)))
    return jnp.mean(_power_product(means, _SCALE_WEIGHTS))


def _enlargement(source: int, target: int) -> np.ndarray:
    """Matrix [target, source] of the authors' imenlarge2: bilinear to 4 n - 3, a line extrapolated, every second."""
    fine = 4 * source - 3
    position = (np.arange(fine) + 0.5) * source / fine - 0.5
    weights = np.maximum(0.0, 1.0 - np.abs(np.clip(position, 0, source - 1)[:, None] - np.arange(source)))
    weights = np.concatenate([2 * weights[:1] - weights[1:2], weights, 2 * weights[-1:] - weights[-2:-1]])
    return weights[::2][:target].astype(np.float32)


def _enlarge(x: jax.Array, shape: tuple[int, int]) -> jax.Array:
    rows, columns = (jnp.asarray(_enlargement(s, t)) for s, t in zip(x.shape, shape, strict=True))
    return jnp.einsum("yh,hw,xw->yx", rows, x, columns, precision="highest")


def _information_weights(x: jax.Array, y: jax.Array, parent: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Information-content weight of each 3 x 3 neighbourhood of a band, [H - 2, W - 2], and whether it is defined."""
    height, width = x.shape[0] - 2, x.shape[1] - 2
    box = _filters.box_mean(jnp.stack([x, y - x, x * x, x * (y - x), jnp.square(y - x)]), 3)
    gain, residual = _information.regress(*box)
    vectors = [x[r : r + height, c : c + width] for r in range(3) for c in range(3)]
    if parent is not None:
        vectors.append(parent[1:-1, 1:-1])
    model = _information.scale_mixture(vectors, vectors, centred=False)
    slope = (residual + (1.0 + gain * gain) * _IW_NOISE) * model.field / _IW_NOISE**2
    slope, residual = settle((slope, residual))
    weights = _information.sum_of_logs(lambda eigenvalue: slope * eigenvalue + residual / _IW_NOISE, model.eigenvalues)
    return jnp.where(model.defined, weights, 1.0), model.defined


def iw_ssim(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Information-content weighted SSIM on the luma in 0..255, not rounded.

    The contrast-structure maps of a five-level Laplacian pyramid are averaged with the information that reference and
    image carry about a Gaussian scale mixture of 3 x 3 neighbourhoods and their parent; then as MS-SSIM.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 161 (the authors' code also refuses 161 to 175).
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 1]; higher is better, 1 for equal luma. NaN where a band of the reference is flat.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 161 pixels.

    References:
      [1] Wang, Li, "Information content weighting for perceptual image quality assessment", IEEE TIP 2011, eqs. 28
          to 33, and the authors' iwssim.m.

    Examples:
      >>> image = jax.ShapeDtypeStruct((192, 192, 3), jnp.float32)
      >>> jax.eval_shape(metrics.iw_ssim, image, image).shape  # traced, not run
      ()
      >>> metrics.TABLE["iw_ssim"].higher_is_better
      True
    """
    _pixels.check_pair(reference, image, _SMALLEST_SIDE, "iw_ssim")
    levels = len(_SCALE_WEIGHTS)
    pair = jnp.stack([images.luma(reference), images.luma(image)])
    pyramid = _pyramids.laplacian(pair, _BINOMIAL, levels, reduce_border="reflect", expand_border="reflect", gain=2.0)
    means, defined = [], True
    for level, (x, y) in enumerate(pyramid):
        luminance, structure = ss.similarity_maps(x, y)
        if level == levels - 1:
            means.append(jnp.mean(luminance * structure))
            continue
        parent = _enlarge(255.0 * pyramid[level + 1][0], x.shape) if level < levels - 2 else None
        weights, here = _information_weights(255.0 * x, 255.0 * y, parent)
        weights, defined = weights[4:-4, 4:-4], defined & here
        means.append(jnp.sum(structure * weights) / jnp.sum(weights))
    total = sum(_SCALE_WEIGHTS)
    return jnp.where(defined, _power_product(means, [w / total for w in _SCALE_WEIGHTS]), jnp.nan)


_WANG2003 = "Wang, Simoncelli, Bovik, Asilomar 2003"


def _row(**fields: Any) -> spec.MetricSpec:
    """Fills in the fields that all rows of this file have in common."""
    common = {
        "family": "full_reference",
        "higher_is_better": True,
        "range": (0.0, 1.0),
        "differentiable": True,
        "worse_with": ("blur", "noise"),
        "perfect": 1.0,
        "border": "valid",
        "window": "11x11 Gaussian, sigma 1.5",
        "smallest_side": _SMALLEST_SIDE,
    }
    return spec.MetricSpec(**(common | fields))


SPECS = (
    _row(
        name="ms_ssim",
        fn=ms_ssim,
        colour="RGB",
        symmetric=True,
        downsampling="four times the 2x2 mean, first line repeated when a side is odd",
        convention="per channel then mean, negative means count as 0; piq",
        reference=f"{_WANG2003}; piq multi_scale_ssim",
    ),
    _row(
        name="ms_ssim_wang2003",
        fn=ms_ssim_wang2003,
        colour="Y BT.601",
        symmetric=True,
        data_range="0-255 rounded",
        downsampling="four times the 2x2 mean, last line repeated when a side is odd",
        convention="luma rounded to 0..255, gradient straight through the rounding, negative means count as 0",
        reference=f"{_WANG2003}; msssim.m",
    ),
    _row(
        name="ms_ssim_wang2003_sum",
        fn=ms_ssim_wang2003_sum,
        colour="Y BT.601",
        symmetric=True,
        range=(-1.0, 1.0),
        data_range="0-255 rounded",
        downsampling="four times the 2x2 mean, last line repeated when a side is odd",
        convention="luma rounded to 0..255, gradient straight through the rounding, weighted sum over scales",
        reference=f"{_WANG2003}; msssim.m, wtd_sum",
    ),
    _row(
        name="iw_ssim",
        fn=iw_ssim,
        colour="Y BT.601",
        data_range="0-255",
        downsampling="five-level Laplacian pyramid, binomial filter, border mirrored about the edge",
        convention="luma not rounded, 3x3 neighbourhoods with parent, noise variance 0.4, weights divided by their sum",
        undefined="a band of the reference is flat: its scale mixture has no covariance",
        reference="Wang, Li, IEEE TIP 20(5), 2011; iwssim.m",
    ),
)
