"""VIF in float32 against float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from causal_iqa import images, metrics
from tests.golden import photographs


def _grey_pair(seed, height, width, sigma):
    """Reference and image as uint8 [H, W], and as the package reads them."""
    reference = photographs.photograph(seed, height, width)
    parts = [part[..., 1] for part in (reference, photographs.noisy(reference, seed, sigma))]
    return parts, [images.from_uint8(np.repeat(part[..., None], 3, axis=-1)) for part in parts]


def _vifp_loop(x, y):
    """vifp_mscale.m in float64."""
    top = bottom = 0.0
    for scale in range(4):
        size = 2 ** (4 - scale) + 1
        offset = np.arange(size) - size // 2
        window = np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / (2 * (size / 5) ** 2))
        window /= window.sum()
        if scale:
            x, y = (scipy.signal.correlate2d(v, window, mode="valid")[::2, ::2] for v in (x, y))
        patches = [np.lib.stride_tricks.sliding_window_view(v, (size, size)) for v in (x, y)]
        means = [np.einsum("yxij,ij->yx", p, window)[..., None, None] for p in patches]
        a, b = (p - m for p, m in zip(patches, means, strict=True))
        xx, yy, xy = (np.einsum("yxij,yxij,ij->yx", p, q, window) for p, q in ((a, a), (b, b), (a, b)))
        gain = xy / (xx + 1e-10)
        noise = yy - gain * xy
        noise[gain < 0] = yy[gain < 0]
        gain[gain < 0] = 0
        top += np.log10(1 + gain**2 * xx / (np.maximum(noise, 1e-10) + 2)).sum()
        bottom += np.log10(1 + xx / 2).sum()
    return top / bottom


@pytest.mark.parametrize(("level", "contrast"), [(0.5, 1.0), (0.98, 0.004)])
def test_vifp_keeps_its_digits_on_nearly_flat_images(level, contrast):
    parts, _ = _grey_pair(6, 47, 52, 0.1)
    x, y = (np.clip(level + contrast * (p / 255.0 - 0.5), 0, 1).astype(np.float32) for p in parts)
    value = jax.jit(metrics.vifp)(*(jnp.repeat(jnp.asarray(v)[..., None], 3, axis=-1) for v in (x, y)))
    np.testing.assert_allclose(value, _vifp_loop(255.0 * x.astype(np.float64), 255.0 * y.astype(np.float64)), rtol=2e-4)


def test_vif_in_float32_is_vif_in_float64():
    _, pair = _grey_pair(7, 80, 73, 0.02)
    single = jax.jit(metrics.vif)(*pair)
    with jax.enable_x64(True):
        double = jax.jit(metrics.vif)(*(jnp.asarray(np.asarray(part), jnp.float64) for part in pair))
    assert double.dtype == jnp.float64
    np.testing.assert_allclose(single, double, atol=2e-6)


def test_more_contrast_is_more_information():
    photo = images.from_uint8(photographs.photograph(8, 80, 80))
    stretched = jnp.clip(0.5 + 1.15 * (photo - 0.5), 0, 1)
    assert jax.jit(metrics.vifp)(photo, stretched) > 1.01
