"""Multi-scale, wavelet and information metrics against peers' stored values and float64 loops of the original codes."""

import json
import pathlib

import jax
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from causal_iqa import images, metrics
from tests.golden import metrics_pyramid, photographs

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / "golden" / "metrics_pyramid.json").read_text())["values"]


def _grey_pair(seed, height, width, sigma):
    """Reference and image as uint8 [H, W], and as the package reads them."""
    reference = photographs.photograph(seed, height, width)
    parts = [part[..., 1] for part in (reference, photographs.noisy(reference, seed, sigma))]
    return parts, [images.from_uint8(np.repeat(part[..., None], 3, axis=-1)) for part in parts]


# pyiqa's nlpd turns its filters and pads otherwise than the authors' code, which ours follows: see the loop below.
@pytest.mark.parametrize(
    "name",
    ["ssim_scikit_image", "ms_ssim", "iw_ssim", "vifp", "vif of grey", "cw_ssim of grey", "ssim_wang2004 of grey"],
)
def test_peers_give_the_same(name):
    pair = (images.from_uint8(part) for part in metrics_pyramid.pair("odd", "grey" in name))
    value = jax.jit(metrics.TABLE[name.split()[0]].fn)(*pair)
    np.testing.assert_allclose(value, GOLDEN["odd"][name], atol=2e-6)


def _wang_maps(x, y):
    offset = np.arange(11) - 5
    window = np.exp(-(offset**2) / 4.5) / np.exp(-(offset**2) / 4.5).sum()
    mean = lambda v: scipy.signal.correlate2d(v, np.outer(window, window), mode="valid")  # noqa: E731
    a, b = mean(x), mean(y)
    variances, covariance = mean(x * x) - a * a + mean(y * y) - b * b, mean(x * y) - a * b
    luminance = (2 * a * b + 6.5025) / (a * a + b * b + 6.5025)
    return luminance, (2 * covariance + 58.5225) / (variances + 58.5225)


def test_ms_ssim_as_msssim_m():
    parts, pair = _grey_pair(3, 177, 163, 0.1)
    x, y = (part.astype(np.float64) for part in parts)
    means = []
    for scale in range(5):
        luminance, structure = _wang_maps(x, y)
        means.append(np.mean(structure * luminance if scale == 4 else structure))
        x, y = (np.pad(v, ((0, 1), (0, 1)), mode="symmetric") for v in (x, y))
        x, y = ((v[:-1, :-1] + v[1:, :-1] + v[:-1, 1:] + v[1:, 1:])[::2, ::2] / 4 for v in (x, y))
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    product, total = jax.jit(lambda a, b: (metrics.ms_ssim_wang2003(a, b), metrics.ms_ssim_wang2003_sum(a, b)))(*pair)
    np.testing.assert_allclose(product, np.prod(np.array(means) ** weights), atol=1e-6)
    np.testing.assert_allclose(total, np.sum(means * weights) / weights.sum(), atol=1e-6)


def test_ms_ssim_of_opposite_images_is_zero_with_a_finite_gradient():
    photo = images.from_uint8(photographs.photograph(4, 161, 161))
    value, gradient = jax.jit(jax.value_and_grad(metrics.ms_ssim, argnums=1))(photo, 1.0 - photo)
    assert value == 0.0 and np.all(np.isfinite(gradient))


@pytest.mark.parametrize("case", ["mixed", "flat", "black"])
def test_uqi_as_img_qi_m(case):
    parts, _ = _grey_pair(10, 19, 22, 0.1)
    x, y = parts
    if case == "flat":
        x[:, :11], y[:, :11] = 40, 50
    if case == "black":
        x[:10], y[:10] = 0, 0
    values = []
    for r in range(x.shape[0] - 7):
        for c in range(x.shape[1] - 7):
            a, b = (v[r : r + 8, c : c + 8].astype(np.float64).ravel() for v in (x, y))
            luminance, variances = a.mean() ** 2 + b.mean() ** 2, a.var() + b.var()
            if luminance == 0:
                values.append(1.0)
            elif variances == 0:
                values.append(2 * a.mean() * b.mean() / luminance)
            else:
                values.append(
                    4 * np.mean((a - a.mean()) * (b - b.mean())) * a.mean() * b.mean() / variances / luminance
                )
    pair = (images.from_uint8(np.repeat(v[..., None], 3, axis=-1)) for v in (x, y))
    np.testing.assert_allclose(jax.jit(metrics.uqi)(*pair), np.mean(values), atol=1e-6)
