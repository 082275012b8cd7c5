"""Phase congruency: how far the Fourier components at each pixel agree in phase, whatever the contrast.

Kovesi's measure with the settings of the FSIM authors: 4 scales x 4 orientations of log-Gabor filters, applied by FFT.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa._arrays import total
from causal_iqa._roots import safe_sqrt
from causal_iqa.metrics import _order

# Zhang et al. (2011), section IV-B, and the authors' phasecong2.
_SCALES = 4
_ORIENTATIONS = 4
_SHORTEST_WAVELENGTH = 6.0
_WAVELENGTH_RATIO = 2.0
_RADIAL_SPREAD = 0.55
_ANGULAR_SPREAD = math.pi / _ORIENTATIONS / 1.2
_NOISE_DEVIATIONS = 2.0
_NOISE_DIVISOR = 1.7
_EPSILON = 1e-4
# The authors' Butterworth low-pass: it takes the corners of the spectrum out of the finest filters.
_CUTOFF = 0.45
_CUTOFF_ORDER = 15


class _Bank(NamedTuple):
    """The filters of one image size, in the order of numpy's FFT.

    Attributes:
      radial: float32 [S, H, W], one ring per scale, zero at the mean.
      angular: float32 [O, H, W], one lobe per orientation.
      noise: float32 [O], per orientation the noise threshold for a median squared amplitude of one at the finest scale.
    """

    radial: np.ndarray
    angular: np.ndarray
    noise: np.ndarray


def _frequencies(size: int) -> np.ndarray:
    # An odd side is divided by size - 1, as the authors have it, not by size.
    return np.fft.ifftshift((np.arange(size) - size // 2) / (size - size % 2))


def _noise_scale(filters: np.ndarray) -> float:
    """The threshold T for a median of 1, from the filters [S, H, W] of one orientation.

    Kovesi: the squared amplitude of noise is exponential, so its mean is median / ln 2; the summed amplitude over
    scales is Rayleigh with a parameter that depends on the overlap of the filters.
    """
    impulse = np.fft.ifft2(filters).real * math.sqrt(filters[0].size)
    overlap = np.einsum("shw,thw->st", impulse, impulse)
    squares = np.trace(overlap)
    energy = 2.0 * squares + 2.0 * (overlap.sum() - squares)
    rayleigh = math.sqrt(energy / (2.0 * math.log(2.0) * np.sum(filters[0] ** 2)))
    deviations = math.sqrt(math.pi / 2.0) + _NOISE_DEVIATIONS * math.sqrt(2.0 - math.pi / 2.0)
    return rayleigh * deviations / _NOISE_DIVISOR


@functools.lru_cache(maxsize=8)
def _bank(height: int, width: int) -> _Bank:
    v, u = np.meshgrid(_frequencies(height), _frequencies(width), indexing="ij")
    radius, angle = np.hypot(u, v), np.arctan2(-v, u)
    low_pass = 1.0 / (1.0 + (radius / _CUTOFF) ** (2 * _CUTOFF_ORDER))
    radius[0, 0] = 1.0
    wavelengths = _SHORTEST_WAVELENGTH * _WAVELENGTH_RATIO ** np.arange(_SCALES)
    logs = np.log(radius * wavelengths[:, None, None])
    radial = np.exp(-(logs**2) / (2.0 * math.log(_RADIAL_SPREAD) ** 2)) * low_pass
    radial[:, 0, 0] = 0.0
    offsets = angle - (np.arange(_ORIENTATIONS) * math.pi / _ORIENTATIONS)[:, None, None]
    offsets = np.abs(np.arctan2(np.sin(offsets), np.cos(offsets)))
    angular = np.exp(-(offsets**2) / (2.0 * _ANGULAR_SPREAD**2))
    noise = np.array([_noise_scale(radial * lobe) for lobe in angular])
    return _Bank(*(part.astype(np.float32) for part in (radial, angular, noise)))


def _oriented(spectrum: jax.Array, radial: jax.Array, lobe: jax.Array, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Energy above the noise and summed amplitude, each [H, W], of one orientation.

    With S the sum of the complex responses R_s and u = S / (|S| + epsilon), the projections Re(R_s conj u) add up to
    Re(S conj u), so only the deviations |Im(R_s conj u)| are summed scale by scale. No axis is reduced: what follows
    the FFT is one elementwise loop.
    """
    responses = [jnp.fft.ifft2(spectrum * (radial[scale] * lobe)) for scale in range(_SCALES)]
    even, odd = [r.real for r in responses], [r.imag for r in responses]
    squared = [e * e + o * o for e, o in zip(even, odd, strict=True)]
    amplitude = total(safe_sqrt(s) for s in squared)
    sum_even, sum_odd = total(even), total(odd)
    power = sum_even * sum_even + sum_odd * sum_odd
    deviation = total(jnp.abs(e * sum_odd - o * sum_even) for e, o in zip(even, odd, strict=True))
    energy = (power - deviation) / (safe_sqrt(power) + _EPSILON)
    threshold = noise * safe_sqrt(_order.median(squared[0]))
    return jnp.maximum(energy - threshold, 0.0), amplitude


def phase_congruency(plane: jax.Array) -> jax.Array:
    """Phase congruency map, summed over orientations.

    PC = sum_o max(E_o - T_o, 0) / sum_o sum_s A_so, with A the amplitude of the log-Gabor responses, E their sum
    projected on the mean phase minus its deviation from it, and T the energy that pure noise would have.

    Args:
      plane: float32 [H, W] in 0..255 (only the guard 1e-4 in E makes the measure depend on the scale). H and W are
        static.

    Returns:
      float32 [H, W] in [0, 1]; 0 where no filter responds at all, as on a flat image.

    References:
      [1] Kovesi, "Image features from phase congruency", Videre 1999.
      [2] Zhang, Zhang, Mou, Zhang, "FSIM: a feature similarity index for image quality assessment", IEEE TIP 2011,
          section II-A and the authors' FeatureSIM.m.
    """
    # The filters ignore the mean. Taken out first, it leaves a flat image exactly zero and the others their digits.
    plane = plane - jax.lax.stop_gradient(plane[0, 0])
    spectrum = jnp.fft.fft2(plane - jnp.mean(plane))
    radial, angular, noise = (jnp.asarray(part, plane.dtype) for part in _bank(*plane.shape))

    def add(sums: tuple[jax.Array, jax.Array], orientation: tuple[jax.Array, jax.Array]) -> tuple:
        parts = _oriented(spectrum, radial, *orientation)
        return (sums[0] + parts[0], sums[1] + parts[1]), None

    # One orientation after the other: four responses in memory instead of sixteen.
    start = (jnp.zeros_like(plane), jnp.zeros_like(plane))
    (energy, amplitude), _ = jax.lax.scan(add, start, (angular, noise))
    responds = amplitude > 0
    return jnp.where(responds, energy / jnp.where(responds, amplitude, 1.0), 0.0)
