"""The power spectrum of an image: by frequency, by direction and between the channels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa.diagnosis import _maps

_BANDS = 32
_FINE = 43  # Bands of one width up to the corners of the spectrum.
_WIDE_BANDS = 6
_ORIENTATIONS = 8
_COUNTS = {"fine": _FINE, "coarse": _WIDE_BANDS + 1, "oriented": 6 * _ORIENTATIONS}


@functools.lru_cache(maxsize=8)
def _bands(side: int) -> dict[str, np.ndarray]:
    """Which coefficient of a real FFT belongs to which band; weights count conjugates once each."""
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    radius = np.hypot(fy, fx)
    angle = np.arctan2(fy, fx)
    fine = np.minimum((radius * 2 * _BANDS).astype(int), _FINE - 1)
    coarse = np.clip((np.log2(np.maximum(radius, 1e-9)) + 1 + _WIDE_BANDS).astype(int), 0, _WIDE_BANDS)
    turned = ((angle + np.pi / 2) / np.pi * _ORIENTATIONS + 0.5).astype(int) % _ORIENTATIONS
    ring = np.digitize(radius, (0.04, 0.1, 0.2, 0.32, 0.5))  # 0 and 5 are not used
    return {"fine": fine, "coarse": coarse, "oriented": ring * _ORIENTATIONS + turned, "dc": radius < 1.5 / side}


@functools.lru_cache(maxsize=8)
def _band_matrix(side: int, names: tuple[str, ...]) -> np.ndarray:
    """Averages over some kinds of bands, float32 [coefficients, bands]."""
    bands = _bands(side)
    parts = []
    for name in names:
        member = np.eye(_COUNTS[name], dtype=np.float32)[bands[name].reshape(-1)]
        parts.append(member / np.maximum(member.sum(axis=0), 1.0))
    return np.concatenate(parts, axis=1)


def _band_means(power: jax.Array, side: int, names: tuple[str, ...]) -> jax.Array:
    """Means of coefficients [n] over the bands of some kinds."""

    def by_scattering(power: jax.Array) -> jax.Array:
        # A CPU would read the matrix, which no cache holds, for every image.
        places = [_bands(side)[name].reshape(-1) for name in names]
        sizes = [np.maximum(np.bincount(x, minlength=_COUNTS[n]), 1) for n, x in zip(names, places, strict=True)]
        sums = [jax.ops.segment_sum(power, x, _COUNTS[n]) for n, x in zip(names, places, strict=True)]
        return jnp.concatenate(sums) / np.concatenate(sizes).astype(np.float32)

    def by_product(power: jax.Array) -> jax.Array:
        return power @ _band_matrix(side, names)

    return jax.lax.platform_dependent(power, cpu=by_scattering, default=by_product)


def spectrum(image: jax.Array, luma: jax.Array) -> _maps.Named:
    """Log power by frequency and direction, and how far the channels share it."""
    side = luma.shape[0]
    window = np.hanning(side + 2)[1:-1]
    window = np.outer(window, window).astype(np.float32)
    window = window / np.sqrt((window**2).mean())
    keep = ~_bands(side)["dc"]
    planes = jnp.moveaxis(image, -1, 0)
    f = jnp.fft.rfft2((planes - planes.mean((1, 2), keepdims=True)) * window[None]) / side * keep[None]
    r, g, b = f
    y = 0.299 * r + 0.587 * g + 0.114 * b

    def size(x):
        return x.real**2 + x.imag**2

    stack = [size(y), size(r - g) + size(b - g), size(r), size(g), size(b)]
    stack += [r.real * g.real + r.imag * g.imag, b.real * g.real + b.imag * g.imag]
    stack = jnp.stack(stack).reshape(len(stack), -1)
    coarse = stack @ _band_matrix(side, ("coarse",))
    of_luma = _band_means(stack[0], side, ("fine", "oriented"))
    floor = _maps.STEP**2 / 12.0
    fine = _maps.log(of_luma[:_FINE], floor)
    powers = coarse[2:5] + floor
    coherence = [coarse[5] / jnp.sqrt(powers[0] * powers[1]), coarse[6] / jnp.sqrt(powers[2] * powers[1])]
    turned = of_luma[_FINE:].reshape(6, _ORIENTATIONS)[1:5] + floor
    turned = jnp.log(turned) - jnp.log(turned).mean(axis=1, keepdims=True)
    angle = 2 * np.pi * np.arange(_ORIENTATIONS) / _ORIENTATIONS
    wave = turned @ np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], 1).astype(np.float32)
    return {
        "spectrum": fine,
        "slope": fine[1:] - fine[:-1],
        "bend": fine[4:] - 2 * fine[2:-2] + fine[:-4],
        "chroma bands": _maps.log(coarse[1], floor) - _maps.log(coarse[0], floor),
        "coherence": jnp.concatenate(coherence),
        "turned": jnp.concatenate([turned.max(1), turned.min(1), turned.std(1), turned[:, 0], turned[:, 4]]),
        "waves": jnp.concatenate([jnp.hypot(wave[:, 0], wave[:, 1]), jnp.hypot(wave[:, 2], wave[:, 3]), wave[:, 2]]),
    }
