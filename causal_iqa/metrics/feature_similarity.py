"""FSIM and FSIMc: similarity of phase congruency and gradient, weighted by phase congruency.

Images are float32 [H, W, 3], sRGB, in [0, 1]; the constants refer to 0..255.
"""

import jax
import jax.numpy as jnp

from causal_iqa.metrics import _pixels, _similarity, phase_congruency, spec

__all__ = ["fsim", "fsimc"]

# Zhang et al. (2011), section IV-B.
_T_PHASE = 0.85
_T_GRADIENT = 160.0
_T_CHROMA = 200.0
_CHROMA_EXPONENT = 0.03
# Shorter than the finest filter's wavelength there is nothing to agree in phase.
_SMALLEST_SIDE = 6


def _maps(reference: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Similarity of luma at every pixel, and the weight of the pixel, each [h, w]."""
    x, y = (_similarity.to_viewing_size(_similarity.luma(part)) for part in (reference, image))
    phase_x, phase_y = phase_congruency.phase_congruency(x), phase_congruency.phase_congruency(y)
    gradient = _similarity.similarity(_similarity.scharr(x), _similarity.scharr(y), _T_GRADIENT)
    return gradient * _similarity.similarity(phase_x, phase_y, _T_PHASE), jnp.maximum(phase_x, phase_y)


def fsim(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Feature similarity of luma.

    FSIM = sum S_PC S_G PC_m / sum PC_m, S(a, b) = (2 a b + T) / (a^2 + b^2 + T) of phase congruency (T = 0.85) and
    Scharr gradient (T = 160), PC_m the larger phase congruency. Both images are first shrunk by round(min(H, W) / 256).

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 6.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 1]; higher is better, 1 for equal images. NaN when neither image has any phase congruency (flat).

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 6 pixels.

    References:
      [1] Zhang, Zhang, Mou, Zhang, "FSIM: a feature similarity index for image quality assessment", IEEE TIP 2011,
          eq. 5 and the authors' FeatureSIM.m.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.fsim)(reference, image):.2f}")
      0.95
    """
    _pixels.check_pair(reference, image, _SMALLEST_SIDE, "fsim")
    score, weight = _maps(reference, image)
    return _similarity.ratio(jnp.sum(score * weight), jnp.sum(weight))


def fsimc(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Feature similarity of luma and chroma: FSIM's map times (S_I S_Q)^0.03, S with T = 200 on the planes I and Q.

    Where S_I S_Q is negative the real part of the complex power counts, as in the authors' code.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 6.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 1]; higher is better, 1 for equal images. NaN when neither image has any phase congruency (flat).

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 6 pixels.

    References:
      [1] Zhang, Zhang, Mou, Zhang, "FSIM: a feature similarity index for image quality assessment", IEEE TIP 2011,
          eq. 9 and the authors' FeatureSIM.m.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.fsimc)(reference, image):.2f}")
      0.95
    """
    _pixels.check_pair(reference, image, _SMALLEST_SIDE, "fsimc")
    score, weight = _maps(reference, image)
    similar = []
    planes = zip(_similarity.in_phase_quadrature(reference), _similarity.in_phase_quadrature(image), strict=True)
    for x, y in planes:
        x, y = _similarity.to_viewing_size(x), _similarity.to_viewing_size(y)
        similar.append(_similarity.similarity(x, y, _T_CHROMA))
    return _similarity.ratio(
        jnp.sum(score * _similarity.real_power(similar[0] * similar[1], _CHROMA_EXPONENT) * weight), jnp.sum(weight)
    )


_ZHANG2011 = "Zhang, Zhang, Mou, Zhang, IEEE TIP 20(8), 2011; FeatureSIM.m"
_SHARED = {
    "family": "full_reference",
    "higher_is_better": True,
    "range": (0.0, 1.0),
    "smallest_side": _SMALLEST_SIDE,
    "differentiable": True,
    "worse_with": ("blur", "noise"),
    "perfect": 1.0,
    "symmetric": True,
    "data_range": "0-255, not rounded",
    "window": "4 scales x 4 orientations of log-Gabor filters; 3x3 Scharr",
    "border": "periodic for the filters, zero for the gradient",
    "downsampling": "box mean by round(shorter side / 256), zero border",
    "undefined": "neither image has any phase congruency (both flat)",
}

SPECS = (
    spec.MetricSpec(
        name="fsim",
        fn=fsim,
        colour="Y BT.601",
        convention="wavelengths 6..48, sigma 0.55, noise k 2, T 0.85 and 160; odd frequency grids over n - 1",
        reference=_ZHANG2011,
        **_SHARED,
    ),
    spec.MetricSpec(
        name="fsimc",
        fn=fsimc,
        colour="YIQ",
        convention="as fsim, times the real part of (S_I S_Q)^0.03, T 200",
        reference=_ZHANG2011,
        **_SHARED,
    ),
)
