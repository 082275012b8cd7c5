"""VSI and SR-SIM: similarity of saliency and gradient, weighted by saliency.

Images are float32 [H, W, 3], sRGB, in [0, 1]; the constants refer to 0..255.
"""

import jax
import jax.numpy as jnp

from causal_iqa._roots import safe_sqrt
from causal_iqa.metrics import _pixels, _similarity, saliency, spec

__all__ = ["sr_sim", "vsi", "vsi_256"]

# Zhang, Shen, Li (2014), section IV-B.
_VSI_SALIENCY = 1.27
_VSI_GRADIENT = 386.0
_VSI_CHROMA = 130.0
_VSI_GRADIENT_EXPONENT = 0.40
_VSI_CHROMA_EXPONENT = 0.020
_VSI_SALIENCY_SIDE = 256
_VSI_SIDE = 4
# Zhang, Li (2012), section 4.
_SR_SALIENCY = 0.40
_SR_GRADIENT = 225.0
_SR_SIDE = 16


def _vsi(reference: jax.Array, image: jax.Array, side: int | None) -> jax.Array:
    maps = (saliency.sdsp(part, side=side) for part in (reference, image))
    salient_x, salient_y = (_similarity.to_viewing_size(part) for part in maps)
    score = _similarity.similarity(salient_x, salient_y, _VSI_SALIENCY)
    x, y = (_similarity.to_viewing_size(_similarity.opponent_luma(part)) for part in (reference, image))
    gradient = _similarity.similarity(_similarity.scharr(x), _similarity.scharr(y), _VSI_GRADIENT)
    score = score * _similarity.real_power(gradient, _VSI_GRADIENT_EXPONENT)
    similar = []
    for x, y in zip(_similarity.opponent_chroma(reference), _similarity.opponent_chroma(image), strict=True):
        x, y = _similarity.to_viewing_size(x), _similarity.to_viewing_size(y)
        similar.append(_similarity.similarity(x, y, _VSI_CHROMA))
    weight = jnp.maximum(salient_x, salient_y)
    total = jnp.sum(score * _similarity.real_power(similar[0] * similar[1], _VSI_CHROMA_EXPONENT) * weight)
    return _similarity.ratio(total, jnp.sum(weight))


def vsi(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Visual saliency-induced index, with the saliency of the image at its own size.

    sum S_VS S_G^0.4 (S_M S_N)^0.02 VS_m / sum VS_m, S(a, b) = (2 a b + C) / (a^2 + b^2 + C) of the SDSP saliency
    (C = 1.27), the Scharr gradient of L (386) and the chroma planes M and N (130); VS_m the larger saliency. The
    values that IQA-PyTorch publishes as official come from another code that does not resize (IQA-optimization's
    VSI.py, which multiplies X and Z by the white of D65 where CIELAB divides, and takes the modulus of a negative
    chroma product): they lie within 0.25 % of these.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 4.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 1]; higher is better, 1 for equal images. NaN when neither image has any saliency (flat).

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 4 pixels.

    References:
      [1] Zhang, Shen, Li, "VSI: a visual saliency-induced index for perceptual image quality assessment", IEEE TIP
          2014, eq. 8 to 12.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.vsi)(reference, image):.2f}")
      0.99
    """
    _pixels.check_pair(reference, image, _VSI_SIDE, "vsi")
    return _vsi(reference, image, None)


def vsi_256(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Visual saliency-induced index, with the saliency computed at 256 x 256 as in the VSI.m that circulates.

    As `vsi`, but the image is resized to 256 x 256 for the saliency map and the map back, whatever its shape: bilinear
    as MATLAB's imresize. piq and pyiqa do the same with PyTorch's resizing, which differs by a few 1e-4.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 4.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 1]; higher is better, 1 for equal images. NaN when neither image has any saliency (flat).

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 4 pixels.

    References:
      [1] Zhang, Shen, Li, "VSI: a visual saliency-induced index for perceptual image quality assessment", IEEE TIP
          2014, eq. 8 to 12, and the authors' VSI.m.

    Examples:
      >>> image = jax.ShapeDtypeStruct((192, 192, 3), jnp.float32)
      >>> jax.eval_shape(metrics.vsi_256, image, image).shape  # traced, not run
      ()
      >>> metrics.TABLE["vsi_256"].higher_is_better
      True
    """
    _pixels.check_pair(reference, image, _VSI_SIDE, "vsi_256")
    return _vsi(reference, image, _VSI_SALIENCY_SIDE)


def sr_sim(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Spectral residual based similarity of luma.

    sum S_V S_G^0.5 R_m / sum R_m, S(a, b) = (2 a b + C) / (a^2 + b^2 + C) of the spectral residual saliency (C = 0.40)
    and the Scharr gradient (C = 225); R_m the larger saliency.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 16.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar, about 0 to 1; higher is better, 1 for equal images. NaN when an image is flat, as its spectrum has no
      amplitude to take the logarithm of.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 16 pixels.

    References:
      [1] Zhang, Li, "SR-SIM: a fast and high performance IQA index based on spectral residual", ICIP 2012, eq. 3 to 6,
          and the authors' SR_SIM.m.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.sr_sim)(reference, image):.2f}")
      0.98
    """
    _pixels.check_pair(reference, image, _SR_SIDE, "sr_sim")
    x, y = (_similarity.to_viewing_size(_similarity.luma(part)) for part in (reference, image))
    salient_x, salient_y = saliency.spectral_residual(x), saliency.spectral_residual(y)
    gradient = _similarity.similarity(_similarity.scharr(x), _similarity.scharr(y), _SR_GRADIENT)
    score = _similarity.similarity(salient_x, salient_y, _SR_SALIENCY) * safe_sqrt(gradient)
    weight = jnp.maximum(salient_x, salient_y)
    defined = (jnp.max(x) > jnp.min(x)) & (jnp.max(y) > jnp.min(y))
    return jnp.where(defined, _similarity.ratio(jnp.sum(score * weight), jnp.sum(weight)), jnp.nan)


_SHARED = {
    "family": "full_reference",
    "higher_is_better": True,
    "differentiable": True,
    "worse_with": ("blur", "noise"),
    "perfect": 1.0,
    "symmetric": True,
    "data_range": "0-255, not rounded",
    "downsampling": "box mean by round(shorter side / 256), zero border",
}

SPECS = (
    spec.MetricSpec(
        name="vsi",
        fn=vsi,
        colour="LMN",
        range=(0.0, 1.0),
        smallest_side=_VSI_SIDE,
        convention="SDSP saliency at the image's size in CIELAB over white D50, C 1.27 386 130, powers 0.4 and 0.02",
        reference="Zhang, Shen, Li, IEEE TIP 23(10), 2014",
        window="log-Gabor ring at 0.021 cycles per pixel; 3x3 Scharr",
        border="periodic for the ring, zero for the gradient",
        undefined="neither image has any saliency (both flat)",
        **_SHARED,
    ),
    spec.MetricSpec(
        name="vsi_256",
        fn=vsi_256,
        colour="LMN",
        range=(0.0, 1.0),
        smallest_side=_VSI_SIDE,
        convention="SDSP saliency at 256x256 in CIELAB over white D50, C 1.27 386 130, powers 0.4 and 0.02",
        reference="Zhang, Shen, Li, IEEE TIP 23(10), 2014; VSI.m",
        window="log-Gabor ring at 0.021 cycles per pixel; 3x3 Scharr",
        border="periodic for the ring, symmetric for resizing, zero for the gradient",
        undefined="neither image has any saliency (both flat)",
        **_SHARED,
    ),
    spec.MetricSpec(
        name="sr_sim",
        fn=sr_sim,
        colour="Y BT.601",
        range=(None, None),
        smallest_side=_SR_SIDE,
        convention="spectral residual saliency at a quarter of the size (bicubic), C 0.40 225, exponent 0.5",
        reference="Zhang, Li, ICIP 2012; SR_SIM.m",
        window="3x3 mean of the log spectrum; 10x10 Gaussian, sigma 3.8; 3x3 Scharr",
        border="edge for the spectrum, zero for the Gaussian and the gradient",
        undefined="an image is flat",
        **_SHARED,
    ),
)
