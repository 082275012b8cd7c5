"""Full-reference metrics against float64 formulas, scikit-image, and the official code's published values."""

import csv
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
import scipy.signal

from causal_iqa import images, metrics
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
    return np.floor(np.asarray(image, np.int64) @ np.array([299, 587, 114]) / 1000 + 0.5)


@pytest.mark.parametrize("case", photographs.CASES)
@pytest.mark.parametrize("name", ["mse", "psnr", "ssim", "ssim_wang2004"])
def test_scikit_image_gives_the_same(case, name):
    value = JITTED[name](*_case(case))
    np.testing.assert_allclose(value, GOLDEN[case][name], rtol=1e-6, atol=2e-7)


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


def test_psnr_values_in_closed_form():
    reference = jnp.full((8, 9, 3), 0.5)
    np.testing.assert_allclose(JITTED["psnr"](reference, reference + 0.1), 20.0, rtol=1e-6)
    np.testing.assert_allclose(JITTED["psnr_y"](reference, reference - 0.01), 40.0, rtol=1e-5)
    np.testing.assert_allclose(JITTED["psnr"](jnp.zeros((8, 9, 3)), jnp.ones((8, 9, 3))), 0.0, atol=1e-6)


def test_psnr_y_weighs_the_channels_as_bt601():
    reference = jnp.full((8, 9, 3), 0.5)
    image = reference.at[..., 1].add(0.1)
    np.testing.assert_allclose(JITTED["psnr_y"](reference, image), -20 * np.log10(0.0587), rtol=1e-5)


def test_psnr_of_one_wrong_value_is_finite_and_of_none_undefined():
    reference = jnp.full((64, 64, 3), 0.5)
    image = reference.at[3, 4, 1].add(1 / 255)
    np.testing.assert_allclose(JITTED["psnr"](reference, image), 10 * np.log10(64 * 64 * 3 * 255**2), rtol=1e-5)
    assert np.isnan(JITTED["psnr"](reference, reference))


@pytest.mark.parametrize("scene", ["I03", "I04", "I08"])
def test_official_values(scene, shared_data):
    with open(shared_data("data", "iqa_calibration", "official_values.csv"), newline="") as file:
        official = {row["Method"]: float(row[f"{scene}.bmp"]) for row in csv.DictReader(file)}
    pair = []
    for kind in ("ref", "dist"):
        with PIL.Image.open(shared_data("data", "iqa_calibration", kind, f"{scene}.bmp")) as file:
            pair.append(images.from_uint8(np.asarray(file.convert("RGB"))))
    # The published digits are four after the point for SSIM and entropy, two for PSNR; one unit, as some are cut off.
    np.testing.assert_allclose(JITTED["ssim_wang2004"](*pair), official["ssim"], atol=1e-4)
    np.testing.assert_allclose(JITTED["psnr"](*pair), official["psnr"], atol=1e-2)
    np.testing.assert_allclose(JITTED["entropy"](pair[1]), official["entropy"], atol=1e-4)


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
    filtered = metrics.full_reference._filter_valid(metrics.full_reference._filter_valid(moments, 1, 1), 2, 1)
    np.testing.assert_allclose(filtered[2] - filtered[0] * filtered[1], covariance, atol=1e-6)
