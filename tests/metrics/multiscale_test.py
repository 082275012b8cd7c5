"""Multi-scale, wavelet and information metrics against peers' stored values and float64 loops of the original codes."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from causal_iqa import images, metrics
from causal_iqa.metrics import _filters, _pyramids, multiscale
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


@pytest.mark.parametrize("shape", [(9, 12), (10, 7)])
def test_laplacian_pyramid_is_zeros_between_and_mirror_about_the_edge(shape):
    x = np.random.default_rng(0).normal(size=shape)
    taps = np.outer(multiscale._BINOMIAL, multiscale._BINOMIAL)
    low = scipy.ndimage.correlate(x, taps, mode="mirror")[::2, ::2]
    spread = np.zeros(shape)
    spread[::2, ::2] = low
    expected = x - 4 * scipy.ndimage.correlate(spread, taps, mode="mirror")
    bands = _pyramids.laplacian(
        jnp.asarray(x, jnp.float32), multiscale._BINOMIAL, 2, reduce_border="reflect", expand_border="reflect", gain=2.0
    )
    np.testing.assert_allclose(bands[0], expected, atol=1e-6)
    np.testing.assert_allclose(bands[1], 2 * low, atol=1e-6)


def _nlpd_loop(x, y):
    """NLP_dist.m in float64: imfilter(symmetric), zeros between, conv2 with the printed filters."""
    taps = np.outer([0.05, 0.25, 0.4, 0.25, 0.05], [0.05, 0.25, 0.4, 0.25, 0.05])
    printed = {
        0: [[0, 0, 0.1011, 0, 0], [0, 0.1493, 0, 0.1460, 0.0072], [0, 0, 0.1015, 0, 0]],
        1: [[0, 0, 0.0757, 0, 0], [0, 0.1986, 0, 0.1846, 0], [0, 0, 0.0837, 0, 0]],
        2: [[0, 0, 0.0477, 0, 0], [0, 0.2138, 0, 0.2243, 0], [0, 0, 0.0467, 0, 0]],
        3: [[0, 0, 0, 0, 0], [0, 0.2503, 0, 0.2616, 0], [0, 0, 0, 0, 0]],
        4: [[0, 0, 0, 0, 0], [0, 0.2598, 0, 0.2552, 0], [0, 0, 0, 0, 0]],
        5: [[0, 0, 0, 0, 0], [0, 0.2215, 0, 0.0717, 0], [0, 0, 0, 0, 0]],
    }
    distances, sides = [], (x, y)
    for level, sigma in enumerate((0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782)):
        low = [scipy.ndimage.correlate(v, taps, mode="reflect")[::2, ::2] for v in sides]
        bands = sides
        if level < 5:
            bands = []
            for v, small in zip(sides, low, strict=True):
                spread = np.zeros((2 * small.shape[0] + 4, 2 * small.shape[1] + 4))
                spread[::2, ::2] = 4 * np.pad(small, 1, mode="edge")
                expanded = scipy.signal.convolve2d(spread, taps, mode="same")
                bands.append(v - expanded[2 : 2 + v.shape[0], 2 : 2 + v.shape[1]])
        normal = [b / (sigma + scipy.signal.convolve2d(np.abs(b), printed[level], mode="same")) for b in bands]
        distances.append(np.sqrt(np.mean((normal[0] - normal[1]) ** 2)))
        sides = low
    return np.mean(distances)


@pytest.mark.parametrize("sigma", [0.01, 0.2])
def test_nlpd_as_the_authors_code(sigma):
    parts, pair = _grey_pair(5, 45, 66, sigma)
    np.testing.assert_allclose(jax.jit(metrics.nlpd)(*pair), _nlpd_loop(*(p / 255.0 for p in parts)), rtol=2e-6)


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


def test_cw_ssim_forgives_a_small_shift():
    photo = photographs.photograph(9, 96, 99)
    x, y = (images.from_uint8(part) for part in (photo[:, :-3], photo[:, 3:]))
    assert jax.jit(metrics.cw_ssim)(x, y) > 0.9 > jax.jit(metrics.ssim)(x, y)


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


@pytest.mark.parametrize(("axis", "step", "stride"), [(1, 1, 1), (1, 1, 3), (2, 3, 1), (2, 1, 2)])
def test_shifted_sum_and_its_transpose(axis, step, stride):
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(2, 13, 17)).astype(np.float32), (0.1, 0.5, -0.2, 0.3)
    filtered = lambda v: _filters.shifted_sum(v, weights, axis, step=step, stride=stride)  # noqa: E731
    kernel = np.zeros(3 * step + 1)
    kernel[::step] = weights
    expected = np.apply_along_axis(lambda v: np.correlate(v, kernel, mode="valid")[::stride], axis, x)
    out, transpose = jax.vjp(filtered, jnp.asarray(x))
    np.testing.assert_allclose(out, expected, atol=1e-6)
    probe = rng.normal(size=expected.shape).astype(np.float32)
    np.testing.assert_allclose(np.sum(transpose(jnp.asarray(probe))[0] * x), np.sum(probe * expected), rtol=1e-4)


def test_local_moments_differentiate_as_their_formula():
    rng = np.random.default_rng(1)
    x, y = (jnp.asarray(rng.uniform(0, 1, (12, 13)), jnp.float32) for _ in range(2))
    window = _filters.gaussian(5, 1.0)

    def plain(x, y):
        mean = lambda v: _filters.separable(v, window, window)  # noqa: E731
        a, b = mean(x), mean(y)
        return _filters.LocalMoments(a, b, mean(x * x) - a * a, mean(y * y) - b * b, mean(x * y) - a * b)

    probe = [jnp.asarray(rng.normal(size=(8, 9)), jnp.float32) for _ in range(5)]
    ours, back = jax.vjp(lambda x, y: _filters.local_moments(x, y, window), x, y)
    theirs, expected = jax.vjp(plain, x, y)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), ours, theirs)
    cotangent = _filters.LocalMoments(*probe)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), back(cotangent), expected(cotangent))
