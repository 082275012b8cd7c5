"""GMSD, MS-GMSD and MDSI: how much the local similarity of gradients (and colour) varies over the image.

Images are float32 [H, W, 3], sRGB, in [0, 1]; the constants refer to 0..255. All three measure a spread, which a
constant does not change, so they work on 1 - similarity: near equal images float32 would lose the similarity's digits.
"""

import jax
import jax.numpy as jnp

from causal_iqa._arrays import pair, total
from causal_iqa._roots import safe_sqrt
from causal_iqa._xla import settle
from causal_iqa.metrics import _filters, _pixels, _similarity, spec

__all__ = ["gmsd", "mdsi", "ms_gmsd"]

# Xue et al. (2014), section II-B: T = 170 for 8-bit images.
_GMSD_T = 170.0
_GMSD_SIDE = 4
# Zhang, Sander, Bermak (2017), section 3: masking and the weights of four scales.
_MASKING = 0.5
_SCALE_WEIGHTS = (0.096, 0.596, 0.289, 0.019)
_MS_GMSD_SIDE = 17
# Nafchi et al. (2016), section III, and the authors' MDSI.m; luma as MATLAB's rgb2gray weighs it, not rounded.
_MDSI_C1 = 140.0
_MDSI_C2 = 55.0
_MDSI_C3 = 550.0
_MDSI_ALPHA = 0.6
_MDSI_POWER = 0.25
_RGB2GRAY = (0.2989, 0.5870, 0.1140)
_MDSI_SIDE = 4


def gmsd(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Gradient magnitude similarity deviation of luma, rounded to 8 bits as the authors read it.

    The standard deviation (over N - 1) of (2 a b + 170) / (a^2 + b^2 + 170), a and b the Prewitt gradients after
    halving the size by 2 x 2 means.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 4.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar of at least 0, below 1; lower is better, 0 for equal images.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 4 pixels.

    References:
      [1] Xue, Zhang, Mou, Bovik, "Gradient magnitude similarity deviation: a highly efficient perceptual image quality
          index", IEEE TIP 2014, eq. 6 and the authors' GMSD.m.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.gmsd)(reference, image):.2f}")
      0.08
    """
    _pixels.check_pair(reference, image, _GMSD_SIDE, "gmsd")
    x, y = (_similarity.shrink(_filters.grey_levels(part), 2) for part in (reference, image))
    a, b = _similarity.prewitt(x), _similarity.prewitt(y)
    difference = _similarity.dissimilarity(a, b, _GMSD_T)
    return safe_sqrt(jnp.var(difference, ddof=1))


def ms_gmsd(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Gradient magnitude similarity deviation of luma on four scales.

    sqrt(sum_j w_j GMSD_j^2), w = (0.096, 0.596, 0.289, 0.019) from the full size down, each scale half the size of the
    last; GMSD_j is the deviation (over N) of the masked similarity (1.5 a b + 170) / (a^2 + b^2 - 0.5 a b + 170).

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 17.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar of at least 0, below 1; lower is better, 0 for equal images.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 17 pixels.

    References:
      [1] Zhang, Sander, Bermak, "Gradient magnitude similarity deviation on multiple scales for color image quality
          assessment", ICASSP 2017, eq. 3 and 4.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.ms_gmsd)(reference, image):.2f}")
      0.10
    """
    _pixels.check_pair(reference, image, _MS_GMSD_SIDE, "ms_gmsd")
    x, y = _similarity.luma(reference), _similarity.luma(image)
    terms = []
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        if scale:
            x, y = _similarity.shrink(x, 2), _similarity.shrink(y, 2)
        a, b = _similarity.prewitt(x), _similarity.prewitt(y)
        terms.append(weight * jnp.var(jnp.square(a - b) / (a * a + b * b - _MASKING * a * b + _GMSD_T)))
    return safe_sqrt(total(terms))


def _quarter_power_less_one(loss: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Real and imaginary part of (1 - loss)^(1/4) - 1, to full relative precision near zero loss."""
    value = 1.0 - loss
    negative = value < 0
    exponent = _MDSI_POWER * jnp.log1p(-jnp.where(negative | (value == 0), 0.0, loss))
    positive_part = jnp.where(value == 0, -1.0, jnp.expm1(exponent))
    power = jnp.exp(_MDSI_POWER * jnp.log(jnp.where(negative, -value, 1.0)))
    turned = power * 0.5**0.5  # (-1)^(1/4) = (1 + i) / sqrt(2)
    return jnp.where(negative, turned - 1.0, positive_part), jnp.where(negative, turned, 0.0)


def _magnitude_loss(
    x: tuple[jax.Array, jax.Array], y: tuple[jax.Array, jax.Array], difference: tuple[jax.Array, jax.Array], c: float
) -> jax.Array:
    """One minus the similarity of two gradients' magnitudes, from the vectors x, y and their difference x - y."""
    a, b = _similarity.magnitude(x), _similarity.magnitude(y)
    both = a + b
    # a^2 - b^2 = (x - y) . (x + y)
    dot = sum(d * (u + v) for d, u, v in zip(difference, x, y, strict=True))
    apart = jnp.where(both > 0, dot / jnp.where(both > 0, both, 1.0), 0.0)
    return apart * apart / (a * a + b * b + c)


def _mdsi_loss(reference: jax.Array, image: jax.Array) -> jax.Array:
    """One minus the similarity of gradients and chroma, [h, w].

    All differences come from the difference of the images. The difference of two maps that are computed alike need not
    be zero for equal images once a compiler has rearranged them, and the quarter powers turn 1e-15 into 0.0002.
    """
    change = reference - image
    x, y, delta = (
        _similarity.prewitt_vector(_similarity.to_viewing_size(_similarity.combine(part, _RGB2GRAY)))
        for part in (reference, image, change)
    )
    # Computed twice and rounded differently, a flat region would have a gradient in one place and none in another.
    x, y, delta = settle((x, y, delta))
    half = pair(0.5 * d for d in delta)
    mean = pair(0.5 * (u + v) for u, v in zip(x, y, strict=True))
    gradients = _magnitude_loss(x, y, delta, _MDSI_C1)
    gradients = gradients + _magnitude_loss(mean, y, half, _MDSI_C2) - _magnitude_loss(x, mean, half, _MDSI_C2)
    top, bottom = 0.0, _MDSI_C3
    for p, q, d in zip(*map(_similarity.opponent_chroma, (reference, image, change)), strict=True):
        p, q, d = (_similarity.to_viewing_size(part) for part in (p, q, d))
        top, bottom = top + d * d, bottom + p * p + q * q
    return _MDSI_ALPHA * gradients + (1.0 - _MDSI_ALPHA) * top / bottom


def mdsi(reference: jax.Array, image: jax.Array) -> jax.Array:
    """Mean deviation similarity index.

    (mean |g - mean g|)^(1/4) with g = (0.6 GS + 0.4 CS)^(1/4), complex where the base is negative; GS the similarity of
    the Prewitt gradients of reference, image and their mean, CS that of the opponent chroma planes.

    Args:
      reference: float32 [H, W, 3] in [0, 1], sides of at least 4.
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar of at least 0; lower is better, 0 for equal images. The quarter power is steep near 0: one grey level in
      one pixel of a photograph gives about 0.02.

    Raises:
      ValueError: when shapes differ, are not [H, W, 3], or a side is below 4 pixels.

    References:
      [1] Nafchi, Shahkolaei, Hedjam, Cheriet, "Mean deviation similarity index: efficient and reliable full-reference
          image quality evaluator", IEEE Access 2016, eq. 4, 6, 8, 10 and 13 (summation), and the authors' MDSI.m.

    Examples:
      >>> reference = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> image = 0.5 * reference + 0.25  # half of the contrast
      >>> print(f"{jax.jit(metrics.mdsi)(reference, image):.2f}")
      0.31
    """
    _pixels.check_pair(reference, image, _MDSI_SIDE, "mdsi")
    real, imaginary = _quarter_power_less_one(_mdsi_loss(reference, image))
    real, imaginary = real - jnp.mean(real), imaginary - jnp.mean(imaginary)
    deviation = jnp.mean(safe_sqrt(real * real + imaginary * imaginary))
    return safe_sqrt(safe_sqrt(deviation))


_SHARED = {
    "family": "full_reference",
    "higher_is_better": False,
    "differentiable": True,
    "worse_with": ("blur", "noise"),
    "perfect": 0.0,
    "window": "3x3 Prewitt",
    "border": "zero",
}

SPECS = (
    spec.MetricSpec(
        name="gmsd",
        fn=gmsd,
        colour="Y BT.601",
        range=(0.0, 1.0),
        smallest_side=_GMSD_SIDE,
        convention="T 170, standard deviation over N - 1",
        reference="Xue, Zhang, Mou, Bovik, IEEE TIP 23(2), 2014; GMSD.m",
        symmetric=True,
        data_range="0-255 rounded, gradient straight through",
        downsampling="2x2 mean, zero border",
        **_SHARED,
    ),
    spec.MetricSpec(
        name="ms_gmsd",
        fn=ms_gmsd,
        colour="Y BT.601",
        range=(0.0, 1.0),
        smallest_side=_MS_GMSD_SIDE,
        convention="4 scales weighted .096 .596 .289 .019, masking 0.5, T 170, standard deviation over N",
        reference="Zhang, Sander, Bermak, ICASSP 2017",
        symmetric=True,
        data_range="0-255, not rounded",
        downsampling="none at the first scale, then 2x2 means, zero border",
        **_SHARED,
    ),
    spec.MetricSpec(
        name="mdsi",
        fn=mdsi,
        colour="LHM",
        range=(0.0, None),
        smallest_side=_MDSI_SIDE,
        convention="summation, alpha 0.6, C 140 55 550, rho 1, q 1/4, o 1/4, complex power of negative values",
        reference="Nafchi, Shahkolaei, Hedjam, Cheriet, IEEE Access 4, 2016; MDSI.m",
        symmetric=False,
        data_range="0-255, not rounded",
        downsampling="box mean by round(shorter side / 256), zero border",
        **_SHARED,
    ),
)
