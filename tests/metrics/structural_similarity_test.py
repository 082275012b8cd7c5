"""Structural similarity against float64 formulas and scikit-image."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal

from causal_iqa import images, metrics
from causal_iqa.metrics import _filters
from tests.golden import photographs

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden" / "metrics.json").read_text())["values"]

JITTED = {name: jax.jit(spec.fn) for name, spec in metrics.TABLE.items()}


def _case(name):
    return tuple(images.from_uint8(part) for part in photographs.case(name))


def _window():
    offset = np.arange(-5, 6)
    window = np.exp(-(offset[:, None] ** 2 + offset[None, :] ** 2) / (2 * 1.5**2))
    return window / window.sum()


def _ssim_float64(x, y):
    """SSIM of one channel in [0, 1] with a full 2-D window and two-pass local moments."""
    patches = (np.lib.stride_tricks.sliding_window_view(v.astype(np.float64), (11, 11)) for v in (x, y))
    a, b = patches
    w = _window()
    mean_a, mean_b = (np.einsum("yxij,ij->yx", v, w) for v in (a, b))
    da, db = a - mean_a[..., None, None], b - mean_b[..., None, None]
    var_a, var_b, cov = (np.einsum("yxij,yxij,ij->yx", p, q, w) for p, q in ((da, da), (db, db), (da, db)))
    top = (2 * mean_a * mean_b + 1e-4) * (2 * cov + 9e-4)
    return np.mean(top / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)))


def _luma8(image):
    # MATLAB's rgb2gray: the first row of the inverse of its NTSC matrix.
    matrix = np.linalg.inv([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]])
    return np.floor(np.asarray(image, np.float64) @ matrix[0] + 0.5)


@pytest.mark.parametrize("case", photographs.CASES)
def test_scikit_image_gives_the_same(case):
    np.testing.assert_allclose(JITTED["ssim"](*_case(case)), GOLDEN[case]["ssim"], rtol=1e-6, atol=2e-7)


@pytest.mark.parametrize("case", photographs.CASES)
def test_ssim_is_the_mean_of_the_channels(case):
    x, y = (np.asarray(part, np.float64) for part in _case(case))
    expected = np.mean([_ssim_float64(x[..., c], y[..., c]) for c in range(3)])
    np.testing.assert_allclose(JITTED["ssim"](*_case(case)), expected, atol=2e-7)


@pytest.mark.parametrize("case", photographs.CASES)
def test_ssim_wang2004_reads_rounded_luma(case):
    x, y = (_luma8(part) / 255 for part in photographs.case(case))
    np.testing.assert_allclose(JITTED["ssim_wang2004"](*_case(case)), _ssim_float64(x, y), atol=2e-7)


@pytest.mark.parametrize("level", [0.02, 0.5, 0.98])
def test_ssim_variances_do_not_cancel_on_nearly_flat_images(level):
    rng = np.random.default_rng(0)
    x = (level + 0.002 * rng.standard_normal((32, 40, 3))).astype(np.float32)
    y = (level + 0.002 * rng.standard_normal((32, 40, 3))).astype(np.float32)
    expected = np.mean([_ssim_float64(x[..., c], y[..., c]) for c in range(3)])
    assert expected < 0.999  # far enough from 1 for an error to show
    np.testing.assert_allclose(JITTED["ssim"](jnp.asarray(x), jnp.asarray(y)), expected, atol=3e-7)


def test_ssim_on_black_and_white_halves_keeps_its_digits():
    rng = np.random.default_rng(1)
    x = np.zeros((40, 40, 3), np.float32)
    x[:, 20:] = 1.0
    y = np.clip(x + 0.003 * rng.standard_normal(x.shape), 0, 1).astype(np.float32)
    expected = np.mean([_ssim_float64(x[..., c], y[..., c]) for c in range(3)])
    np.testing.assert_allclose(JITTED["ssim"](jnp.asarray(x), jnp.asarray(y)), expected, atol=3e-6)


def test_ssim_of_opposite_images_is_negative():
    rng = np.random.default_rng(2)
    x = (0.5 + 0.4 * rng.uniform(-1, 1, (24, 24, 3))).astype(np.float32)
    assert float(JITTED["ssim"](jnp.asarray(x), jnp.asarray(1 - x))) < -0.8


def _official_shrink(luma, factor):
    """MATLAB's imfilter(ones(f)/f^2, 'symmetric', 'same') followed by (1:f:end, 1:f:end)."""
    before = (factor + 1) // 2 - 1
    padded = np.pad(luma, ((before, factor), (before, factor)), mode="symmetric")
    means = np.lib.stride_tricks.sliding_window_view(padded, (factor, factor)).mean(axis=(2, 3))
    return means[: luma.shape[0] : factor, : luma.shape[1] : factor]


@pytest.mark.parametrize(("height", "width", "factor"), [(385, 384, 2), (640, 641, 3)])
def test_downsampling_is_the_official_box_filter(height, width, factor):
    reference = photographs.photograph(5, height, width)
    image = photographs.noisy(reference, 5, 0.1)
    x, y = (_official_shrink(_luma8(part) / 255, factor) for part in (reference, image))
    value = JITTED["ssim_wang2004_downsampled"](images.from_uint8(reference), images.from_uint8(image))
    np.testing.assert_allclose(value, _ssim_float64(x, y), atol=1e-6)


def test_downsampling_starts_at_384_pixels():
    for side, equal in ((383, True), (384, False)):
        reference = photographs.photograph(6, side, side)
        pair = images.from_uint8(reference), images.from_uint8(photographs.noisy(reference, 6, 0.1))
        same = np.isclose(JITTED["ssim_wang2004_downsampled"](*pair), JITTED["ssim_wang2004"](*pair), atol=1e-6)
        assert same == equal


def test_gradient_of_ssim_matches_finite_differences():
    with jax.enable_x64(True):
        x, y = (jnp.asarray(np.asarray(part, np.float64)[:14, :13]) for part in _case("square"))
        gradient = jax.jit(jax.grad(metrics.ssim, argnums=1))(x, y)
        direction = jnp.asarray(np.random.default_rng(3).standard_normal(y.shape))
        step = 1e-5
        slope = (JITTED["ssim"](x, y + step * direction) - JITTED["ssim"](x, y - step * direction)) / (2 * step)
        np.testing.assert_allclose(jnp.sum(gradient * direction), slope, rtol=1e-6)


def test_filter_is_the_published_window():
    x, y = (np.asarray(part, np.float64)[..., 0] for part in _case("wide"))
    w = _window()
    local = {k: scipy.signal.correlate2d(v, w, mode="valid") for k, v in {"x": x, "y": y, "xy": x * y}.items()}
    covariance = local["xy"] - local["x"] * local["y"]
    moments = jnp.asarray(np.stack([x, y, x * y]), jnp.float32)
    window = _filters.gaussian(11, 1.5)
    filtered = _filters.separable(moments, window, window)
    np.testing.assert_allclose(filtered[2] - filtered[0] * filtered[1], covariance, atol=1e-6)
