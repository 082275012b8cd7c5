"""Conventional statistics of one image, read as its quality.

Images are float32 [H, W, 3], sRGB, in [0, 1]. These are statistics of natural-image folklore, not models of
opinion scores; each row fixes the direction the field reads it in.
"""

import math

import jax
import jax.numpy as jnp

from causal_iqa import images
from causal_iqa._roots import safe_sqrt
from causal_iqa._xla import settle
from causal_iqa.metrics import _pixels, spec

__all__ = ["entropy", "noise_sigma", "rms_contrast", "total_variation", "variance_of_laplacian"]


def variance_of_laplacian(image: jax.Array) -> jax.Array:
    """Variance of the 4-neighbour Laplacian of the luma in grey levels, a focus measure.

    The border is mirrored without repeating the edge, as in OpenCV's default, and the luma is scaled to 0..255
    without rounding, so that thresholds known from OpenCV keep their meaning.

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 2.

    Returns:
      Scalar in squared grey levels, not negative; higher is read as sharper, so better. Noise raises it too. 0 for a
      flat image.

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 2 pixels.

    References:
      [1] Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative study", ICPR 2000.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> print(f"{jax.jit(metrics.variance_of_laplacian)(image):.0f}")
      2652
    """
    _pixels.check_single(image, 2, "variance_of_laplacian")
    y = settle(255.0 * images.luma(image))
    padded = settle(jnp.pad(y, 1, mode="reflect"))
    # Differences first: a flat image then gives exact zeros.
    vertical = (padded[:-2, 1:-1] - y) + (padded[2:, 1:-1] - y)
    horizontal = (padded[1:-1, :-2] - y) + (padded[1:-1, 2:] - y)
    return _pixels.variance(vertical + horizontal)


def total_variation(image: jax.Array) -> jax.Array:
    """Anisotropic total variation per pixel and channel, (sum |dx| + sum |dy|) / (3 H W).

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 2.

    Returns:
      Scalar in [0, 2]; higher is read as more detail, so better. Noise raises it too. 0 for a flat image.

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 2 pixels.

    References:
      [1] Rudin, Osher, Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D 1992;
          here the anisotropic sum, divided by the number of values.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> print(f"{jax.jit(metrics.total_variation)(image):.2f}")
      0.03
    """
    _pixels.check_single(image, 2, "total_variation")
    rows = image.reshape(image.shape[0], -1)
    down, across = jnp.abs(rows[1:] - rows[:-1]), jnp.abs(rows[:, 3:] - rows[:, :-3])
    # Most of both in one map: summing costs more than the differences.
    both = _pixels.total(down[:, :-3] + across[:-1])
    return (both + jnp.sum(down[:, -3:]) + jnp.sum(across[-1])) / image.size


def entropy(image: jax.Array) -> jax.Array:
    """Shannon entropy of the 256-bin histogram of the 8-bit luma, -sum p log2 p.

    Args:
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in bits, in [0, 8]; higher is read as more information, so better. 0 for a flat image.

    Raises:
      ValueError: when the shape is not [H, W, 3].

    References:
      [1] Shannon, "A mathematical theory of communication", Bell System Technical Journal 1948, section 6.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> print(f"{jax.jit(metrics.entropy)(image):.2f}")
      0.70
    """
    _pixels.check_single(image, 1, "entropy")
    grey = _pixels.luma_uint8(image).reshape(-1)
    counts = jnp.zeros(256, jnp.int32).at[grey].add(1)
    p = counts.astype(image.dtype) / grey.size
    return -jnp.sum(p * jnp.log2(jnp.where(counts > 0, p, 1.0)))


def rms_contrast(image: jax.Array) -> jax.Array:
    """Standard deviation of the luma in [0, 1].

    Args:
      image: float32 [H, W, 3] in [0, 1].

    Returns:
      Scalar in [0, 0.5]; higher is better. 0 for a flat image.

    Raises:
      ValueError: when the shape is not [H, W, 3].

    References:
      [1] Peli, "Contrast in complex images", JOSA A 1990.

    Examples:
      >>> image = jnp.full((32, 32, 3), 0.2).at[8:16, 8:].set(0.8)
      >>> print(f"{jax.jit(metrics.rms_contrast)(image):.2f}")
      0.23
    """
    _pixels.check_single(image, 1, "rms_contrast")
    return safe_sqrt(_pixels.variance(images.luma(image)))


def noise_sigma(image: jax.Array) -> jax.Array:
    """Standard deviation of additive noise by Immerkaer's method, on the luma.

    sigma = sqrt(pi / 2) / (6 (W - 2)(H - 2)) sum |I * N|, N = [[1, -2, 1], [-2, 4, -2], [1, -2, 1]].

    Args:
      image: float32 [H, W, 3] in [0, 1], sides of at least 3.

    Returns:
      Scalar in units of the data range (0.1 is 25.5 grey levels), not negative; lower is better. 0 for a flat image.
      Fine texture is counted as noise.

    Raises:
      ValueError: when the shape is not [H, W, 3] or a side is below 3 pixels.

    References:
      [1] Immerkaer, "Fast noise variance estimation", Computer Vision and Image Understanding 1996.

    Examples:
      >>> grey = 0.5 + 0.1 * jax.random.normal(jax.random.key(0), (32, 32, 1))
      >>> image = jnp.broadcast_to(grey, (32, 32, 3))
      >>> print(f"{jax.jit(metrics.noise_sigma)(image):.2f}")
      0.10
    """
    _pixels.check_single(image, 3, "noise_sigma")
    # N is the product of second differences along the two axes; first differences keep flat images exact.
    y = jnp.diff(images.luma(image), n=2, axis=0)
    return math.sqrt(math.pi / 2.0) / 6.0 * jnp.mean(jnp.abs(jnp.diff(y, n=2, axis=1)))


SPECS = (
    spec.MetricSpec(
        name="variance_of_laplacian",
        fn=variance_of_laplacian,
        family="no_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(0.0, None),
        smallest_side=2,
        differentiable=True,
        data_range="0-255 not rounded",
        window="3x3 Laplacian of 4 neighbours",
        border="reflect",
        convention="population variance of the Laplacian; OpenCV's border and scale",
        reference="Pech-Pacheco, Cristobal, Chamorro-Martinez, Fernandez-Valdivia, ICPR 2000",
        worse_with=("blur",),
    ),
    spec.MetricSpec(
        name="total_variation",
        fn=total_variation,
        family="no_reference",
        higher_is_better=True,
        colour="RGB",
        range=(0.0, 2.0),
        smallest_side=2,
        differentiable=True,
        window="first differences",
        border="valid",
        convention="anisotropic, divided by 3 H W; read as detail",
        reference="Rudin, Osher, Fatemi, Physica D 60, 1992",
        worse_with=("blur",),
    ),
    spec.MetricSpec(
        name="entropy",
        fn=entropy,
        family="no_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(0.0, 8.0),
        smallest_side=1,
        differentiable=False,
        data_range="0-255 rounded",
        convention="256-bin histogram of the luma, bits",
        reference="Shannon, Bell System Technical Journal 27, 1948",
        worse_with=("blur",),
    ),
    spec.MetricSpec(
        name="rms_contrast",
        fn=rms_contrast,
        family="no_reference",
        higher_is_better=True,
        colour="Y BT.601",
        range=(0.0, 0.5),
        smallest_side=1,
        differentiable=True,
        convention="population standard deviation of the luma",
        reference="Peli, JOSA A 7(10), 1990",
        worse_with=("blur",),
    ),
    spec.MetricSpec(
        name="noise_sigma",
        fn=noise_sigma,
        family="no_reference",
        higher_is_better=False,
        colour="Y BT.601",
        range=(0.0, None),
        smallest_side=3,
        differentiable=True,
        window="3x3 difference of two Laplacians",
        border="valid",
        convention="mean absolute response times sqrt(pi / 2) / 6",
        reference="Immerkaer, Computer Vision and Image Understanding 64(2), 1996",
        worse_with=("noise",),
    ),
)
