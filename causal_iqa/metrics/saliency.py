"""Visual saliency maps by signal processing: simple priors (SDSP) and the spectral residual."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _checks, colour
from causal_iqa._arrays import total
from causal_iqa._roots import safe_sqrt
from causal_iqa.metrics import _filters, _similarity

# Zhang, Gu, Li (2013) as set in Zhang, Shen, Li (2014), section IV-B: frequency, location and colour priors.
_FREQUENCY = 0.021
_FREQUENCY_SPREAD = 1.34
_LOCATION_SPREAD = 145.0
_COLOUR_SPREAD = 0.001
# One grey level moves a or b by at least 0.005; smaller differences are rounding on a flat image.
_FLAT_LAB = 1e-3
# IEC 61966-2-1, sRGB to XYZ, rows X Y Z; the authors divide by the white of D50 without adapting to it.
_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))
_WHITE = (0.9642, 1.0, 0.8251)
# CIE 15:2004, the linear piece of CIELAB, rounded as the authors have it.
_LAB_EPSILON = 0.008856
_LAB_KAPPA = 903.3
# Zhang, Li (2012), section 2, and the authors' SR_SIM.m.
_RESIDUAL_SCALE = 0.25
_RESIDUAL_SIZE = 10
_RESIDUAL_SIGMA = 3.8


def _power(x: jax.Array, exponent: float) -> jax.Array:
    return jnp.exp(exponent * jnp.log(x))


def _lab(image: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """CIELAB planes of sRGB planes [3, H, W] in [0, 1]. The branches not taken are held where powers are finite."""
    linear = colour.to_linear(image)
    matrix = jnp.asarray(np.array(_XYZ) / np.array(_WHITE)[:, None], image.dtype)
    value = jnp.einsum("ij,jhw->ihw", matrix, linear, precision="highest")
    root = _power(jnp.maximum(value, 0.5 * _LAB_EPSILON), 1.0 / 3.0)
    x, y, z = jnp.where(value > _LAB_EPSILON, root, (_LAB_KAPPA * value + 16.0) / 116.0)
    return 116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)


@functools.lru_cache(maxsize=8)
def _frequency_prior(height: int, width: int) -> np.ndarray:
    """Log-Gabor ring over the half spectrum of numpy's rfft2, zero at the mean and beyond the circle of 1/2."""
    # An odd side is divided by size - 1, as the authors have it, not by size.
    v = np.fft.ifftshift(np.arange(height) - height // 2) / (height - height % 2)
    u = np.arange(width // 2 + 1) / (width - width % 2)
    squared = u[None, :] ** 2 + v[:, None] ** 2
    inside = (squared > 0) & (squared <= 0.25)
    logs = np.log(np.sqrt(np.where(inside, squared, 1.0)) / _FREQUENCY)
    return np.where(inside, np.exp(-(logs**2) / (2.0 * _FREQUENCY_SPREAD**2)), 0.0).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _location_prior(height: int, width: int) -> np.ndarray:
    # The authors count pixels from one, so the centre lies half a pixel before the middle.
    down, along = ((np.arange(1, side + 1) - side / 2) ** 2 for side in (height, width))
    return np.exp(-(down[:, None] + along[None, :]) / _LOCATION_SPREAD**2).astype(np.float32)


def _to_unit(x: jax.Array, least_extent: float = 0.0) -> jax.Array:
    """Maps the smallest value to 0 and the largest to 1; all to 0 where they lie no more than `least_extent` apart."""
    low = jnp.min(x)
    extent = jnp.max(x) - low
    varies = extent > least_extent
    return jnp.where(varies, (x - low) / jnp.where(varies, extent, 1.0), 0.0)


def sdsp(image: jax.Array, *, side: int | None = None) -> jax.Array:
    """Saliency by simple priors: the product of a band-pass response in CIELAB, nearness to the centre, and colour.

    Args:
      image: float32 [H, W, 3] in [0, 1].
      side: where given, the image is resized to side x side first and the map back, bilinear both ways; static.

    Returns:
      float32 [H, W] from 0 to 1, higher is more salient; 0 everywhere on a flat image.

    Raises:
      ValueError: when the shape is not [H, W, 3].

    References:
      [1] Zhang, Gu, Li, "SDSP: a novel saliency detection method by combining simple priors", ICIP 2013, eq. 3 to 7,
          and SDSP in the authors' VSI.m.
    """
    _checks.check_image(image)
    planes = jnp.moveaxis(image, -1, 0)
    if side is not None:
        planes = _similarity.resize(planes, (side, side), "bilinear")
    shape = planes.shape[1:]
    lab = _lab(planes)
    ring = jnp.asarray(_frequency_prior(*shape), image.dtype)
    # Plane by plane: XLA is slow on the CPU at sums over a leading axis.
    spectra = (jnp.fft.rfft2(plane - jax.lax.stop_gradient(plane[0, 0])) for plane in lab)
    frequency = safe_sqrt(total(jnp.square(jnp.fft.irfft2(spectrum * ring, s=shape)) for spectrum in spectra))
    warmth = sum(jnp.square(_to_unit(plane, _FLAT_LAB)) for plane in lab[1:])
    colour = 1.0 - jnp.exp(-warmth / _COLOUR_SPREAD**2)
    product = frequency * jnp.asarray(_location_prior(*shape), image.dtype) * colour
    if side is not None:
        product = _similarity.resize(product, image.shape[:2], "bilinear")
    return _to_unit(product)


def spectral_residual(plane: jax.Array) -> jax.Array:
    """Saliency by the spectral residual: what stands out of the smooth trend of the log amplitude spectrum.

    |IFFT(exp(R + i phase))|^2 at a quarter of the size, R the log amplitude minus its 3 x 3 mean, then smoothed. As
    exp(log|F| + i phase) is F itself, it is computed as |IFFT(F exp(-mean log|F|))|^2.

    Args:
      plane: float32 [H, W] in 0..255, not constant.

    Returns:
      float32 [H, W], about 0 to 1 (the bicubic enlargement oversteps), higher is more salient.

    References:
      [1] Hou, Zhang, "Saliency detection: a spectral residual approach", CVPR 2007, eq. 6 to 10.
      [2] Zhang, Li, "SR-SIM: a fast and high performance IQA index based on spectral residual", ICIP 2012, section 2,
          and the authors' SR_SIM.m.
    """
    small_shape = tuple(math.ceil(_RESIDUAL_SCALE * side) for side in plane.shape)
    # Without the mean the FFT keeps the digits of the weak frequencies; the mean's own coefficient is put back.
    corner = jax.lax.stop_gradient(plane[0, 0])
    small = _similarity.resize(plane - corner, small_shape, "bicubic", scale=_RESIDUAL_SCALE)
    mean = jnp.mean(small)
    spectrum = jnp.fft.fft2(small - mean).at[0, 0].set((mean + corner) * small.size)
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    tiny = float(jnp.finfo(plane.dtype).eps) ** 2
    log_amplitude = 0.5 * jnp.log(jnp.maximum(power, tiny))
    trend = _filters.box_mean(log_amplitude, 3, border="edge")
    residual = jnp.fft.ifft2(spectrum * jnp.exp(-trend))
    energy = jnp.square(residual.real) + jnp.square(residual.imag)
    window = _filters.gaussian(_RESIDUAL_SIZE, _RESIDUAL_SIGMA)
    # MATLAB centres an even window before its middle: four pixels back, five ahead.
    before, after = (_RESIDUAL_SIZE - 1) // 2, _RESIDUAL_SIZE // 2
    smooth = _filters.separable(_filters.pad(energy, (before, after), (before, after), "zero"), window, window)
    return _similarity.resize(_to_unit(smooth), plane.shape, "bicubic")
