"""No-reference statistics against SciPy in float64, closed forms, and OpenCV."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats

from causal_iqa import images, metrics
from tests.golden import photographs

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden" / "metrics.json").read_text())["values"]

JITTED = {name: jax.jit(spec.fn) for name, spec in metrics.TABLE.items()}


def _luma(image):
    return np.asarray(image, np.float64) / 255 @ np.array([0.299, 0.587, 0.114])


def _luma8(image):
    return np.floor(np.asarray(image, np.int64) @ np.array([299, 587, 114]) / 1000 + 0.5).astype(np.uint8)


@pytest.fixture(params=photographs.CASES)
def case(request):
    return request.param


@pytest.fixture
def pixels(case):
    return photographs.case(case)[1]


@pytest.fixture
def image(pixels):
    return images.from_uint8(pixels)


def test_variance_of_laplacian(image, pixels):
    kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    expected = np.var(scipy.ndimage.convolve(255 * _luma(pixels), kernel, mode="mirror"))
    np.testing.assert_allclose(JITTED["variance_of_laplacian"](image), expected, rtol=1e-5)


def test_variance_of_laplacian_is_opencvs_on_grey(case, pixels):
    grey = np.repeat(_luma8(pixels)[..., None], 3, axis=-1)
    value = JITTED["variance_of_laplacian"](images.from_uint8(grey))
    np.testing.assert_allclose(value, GOLDEN[case]["variance_of_laplacian_of_grey"], rtol=1e-5)


def test_total_variation(image, pixels):
    x = pixels / 255
    expected = 0.0
    for r in range(x.shape[0]):
        for c in range(x.shape[1]):
            if r + 1 < x.shape[0]:
                expected += np.abs(x[r + 1, c] - x[r, c]).sum()
            if c + 1 < x.shape[1]:
                expected += np.abs(x[r, c + 1] - x[r, c]).sum()
    np.testing.assert_allclose(JITTED["total_variation"](image), expected / x.size, rtol=1e-5)


def test_entropy(case, image, pixels):
    counts = np.bincount(_luma8(pixels).ravel(), minlength=256)
    np.testing.assert_allclose(JITTED["entropy"](image), scipy.stats.entropy(counts, base=2), rtol=1e-6)
    np.testing.assert_allclose(JITTED["entropy"](image), GOLDEN[case]["entropy"], rtol=1e-6)


def test_rms_contrast(image, pixels):
    np.testing.assert_allclose(JITTED["rms_contrast"](image), np.std(_luma(pixels)), rtol=1e-5)


def test_noise_sigma(image, pixels):
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    y = _luma(pixels)
    response = np.abs(scipy.ndimage.convolve(y, mask)[1:-1, 1:-1])
    height, width = y.shape
    expected = np.sqrt(np.pi / 2) * response.sum() / (6 * (width - 2) * (height - 2))
    np.testing.assert_allclose(JITTED["noise_sigma"](image), expected, rtol=1e-5)


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_noise_sigma_finds_the_noise_it_was_given(sigma):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:128, 0:128] / 128
    luma = 0.4 + 0.1 * x - 0.1 * y + sigma * rng.standard_normal((128, 128))
    image = jnp.asarray(np.repeat(luma[..., None], 3, axis=-1), jnp.float32)
    # Standard error of the mean absolute response of 16,000 correlated values is about 1 %.
    np.testing.assert_allclose(JITTED["noise_sigma"](image), sigma, rtol=0.03)


def test_entropy_of_known_histograms():
    steps = images.from_uint8(np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=-1))
    np.testing.assert_allclose(JITTED["entropy"](steps), 8.0, rtol=1e-6)
    halves = jnp.zeros((8, 8, 3)).at[:, 4:].set(1.0)
    np.testing.assert_allclose(JITTED["entropy"](halves), 1.0, rtol=1e-6)


def test_extremes_reach_the_stated_range():
    board = jnp.asarray(np.indices((16, 16)).sum(axis=0) % 2, jnp.float32)
    board = jnp.stack([board] * 3, axis=-1)
    np.testing.assert_allclose(JITTED["rms_contrast"](board), 0.5, rtol=1e-6)
    np.testing.assert_allclose(JITTED["total_variation"](board), 2 * 15 / 16, rtol=1e-6)
    np.testing.assert_allclose(JITTED["variance_of_laplacian"](board), (4 * 255) ** 2, rtol=1e-5)
