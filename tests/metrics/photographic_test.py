"""Focus, colourfulness, clipping, block edges and spectral slope against SciPy, loops and closed forms."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
import scipy.ndimage
import scipy.stats

from causal_iqa import images, metrics
from tests.golden import photographs

NAMES = ("tenengrad", "colourfulness", "clipped_highlights", "clipped_shadows", "jpeg_quality", "spectral_slope")


def _scores(image):
    return {name: metrics.TABLE[name].fn(image) for name in NAMES}


SCORES = jax.jit(jax.vmap(_scores))


def score(*pixels: np.ndarray) -> dict[str, np.ndarray]:
    return SCORES(images.from_uint8(np.stack(pixels)))


@pytest.fixture(scope="module", params=["wide", "tall"])
def pixels(request):
    return photographs.case(request.param)[1]


@pytest.fixture(scope="module")
def scores(pixels):
    return {name: value[0] for name, value in score(pixels).items()}


def test_tenengrad(pixels, scores):
    y = pixels @ np.array([0.299, 0.587, 0.114])
    gradients = [scipy.ndimage.sobel(y, axis, mode="mirror") for axis in (0, 1)]
    np.testing.assert_allclose(
        scores["tenengrad"], np.mean(np.square(gradients[0]) + np.square(gradients[1])), rtol=1e-5
    )


def test_colourfulness(pixels, scores):
    r, g, b = np.moveaxis(pixels.astype(np.float64), -1, 0)
    red_green, yellow_blue = r - g, 0.5 * (r + g) - b
    expected = np.hypot(red_green.std(), yellow_blue.std()) + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean())
    np.testing.assert_allclose(scores["colourfulness"], expected, rtol=1e-5)


def test_clipping(pixels, scores):
    np.testing.assert_allclose(scores["clipped_highlights"], np.mean(pixels == 255), rtol=1e-6)
    np.testing.assert_allclose(scores["clipped_shadows"], np.mean(pixels == 0), rtol=1e-6)


def _jpeg_quality(pixels: np.ndarray) -> float:
    """Wang, Sheikh, Bovik (2002) by loops over differences."""
    x = np.floor(pixels @ np.array([299, 587, 114]) / 1000 + 0.5)
    found = []
    for z in (x, x.T):
        d = np.diff(z, axis=1)
        edges = range(7, 8 * (z.shape[1] // 8 - 1), 8)
        b = np.mean([np.abs(d[:, c]).mean() for c in edges])
        a = (8 * np.abs(d).mean() - b) / 7
        crossings = [[d[r, c] * d[r, c + 1] < 0 for c in range(d.shape[1] - 1)] for r in range(d.shape[0])]
        found.append((b, a, np.mean(crossings)))
    b, a, z = np.mean(found, axis=0)
    return -245.8909 + 261.9373 * b ** (-239.8886e-4) * a ** (160.1664e-4) * z ** (64.2859e-4)


def test_jpeg_quality(pixels, scores):
    np.testing.assert_allclose(scores["jpeg_quality"], _jpeg_quality(pixels), rtol=1e-4)


def test_jpeg_quality_falls_with_compression_on_its_grid():
    photograph = photographs.photograph(4, 64, 64)
    decoded = []
    for quality in (80, 40, 15, 5):
        stream = io.BytesIO()
        PIL.Image.fromarray(photograph).save(stream, "JPEG", quality=quality)
        decoded.append(np.asarray(PIL.Image.open(stream)))
    assert np.all(np.diff(score(*decoded)["jpeg_quality"]) < 0)


def _spectral_slope(pixels: np.ndarray) -> float:
    """Full complex spectrum, rings by bincount, SciPy's regression."""
    y = pixels @ np.array([0.299, 0.587, 0.114]) / 255
    height, width = y.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    power = np.abs(np.fft.fft2((y - y.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]) * min(height, width)
    ring = np.rint(radius).astype(int)
    rings = np.arange(1, min(height, width) // 4 + 1)
    means = [power[ring == k].mean() for k in rings]
    return scipy.stats.linregress(np.log10(rings), np.log10(means)).slope


def test_spectral_slope(pixels, scores):
    np.testing.assert_allclose(scores["spectral_slope"], _spectral_slope(pixels), rtol=1e-4)


def test_spectral_slope_follows_the_exponent_of_the_field():
    """The same noise, white and with power f^-2: sampling error is shared, the slopes differ by two."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None])
    frequency[0, 0] = 1.0
    noise = np.fft.fft2(rng.normal(size=(16, 64, 64)))
    fields = np.concatenate([np.fft.ifft2(noise * frequency**power).real for power in (0.0, -1.0)])
    fields = 0.5 + 0.1 * fields / fields.std(axis=(1, 2), keepdims=True)
    batch = jnp.asarray(np.repeat(fields[..., None], 3, axis=-1), jnp.float32)
    white, pink = np.asarray(jax.jit(jax.vmap(metrics.spectral_slope))(batch)).reshape(2, 16)
    np.testing.assert_allclose(np.mean(white), 0.0, atol=0.2)
    np.testing.assert_allclose(np.mean(pink - white), -2.0, atol=0.15)


def test_flat_images():
    """Statistics are exactly zero; ratios have no value, and no gradient that is not finite."""
    flat = images.from_uint8(np.stack([np.full((32, 33, 3), level, np.uint8) for level in (0, 77, 255)]))
    values, gradients = jax.jit(jax.vmap(lambda x: (_scores(x), jax.grad(lambda y: sum(_scores(y).values()))(x))))(flat)
    for name in ("tenengrad", "colourfulness"):
        np.testing.assert_array_equal(values[name], 0.0)
    np.testing.assert_array_equal(values["clipped_highlights"], [0, 0, 1])
    np.testing.assert_array_equal(values["clipped_shadows"], [1, 0, 0])
    assert np.isnan(values["jpeg_quality"]).all() and np.isnan(values["spectral_slope"]).all()
    assert np.isfinite(gradients).all()
