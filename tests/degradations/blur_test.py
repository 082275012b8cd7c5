"""Blurs against SciPy and NumPy versions of the published definitions."""

import math

import jax
import numpy as np
import pytest
from scipy import ndimage, stats

from causal_iqa.degradations import _blur as blur
from tests.degradations.scenes import picture

SIZES = {"cifar32": (32, 32), "tiny64": (45, 62), "imagenet224": (97, 80), "inception299": (80, 99)}
SEVERITIES = np.arange(1, 6, dtype=np.float32)


def _ours(fn, image, family):
    run = jax.jit(jax.vmap(lambda image, s: fn(jax.random.key(0), image, s, family=family), in_axes=(None, 0)))
    return np.asarray(run(image, SEVERITIES))


@pytest.mark.parametrize("family", SIZES)
def test_gaussian_blur_is_scipys(family):
    image = picture(*SIZES[family])
    for ours, sigma in zip(_ours(blur.gaussian_blur, image, family), blur.GAUSSIAN_BLUR_SIGMA[family], strict=True):
        reference = ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest", truncate=4.0)
        np.testing.assert_allclose(ours, reference, atol=3e-6)


def _published_disk(radius, alias):
    """The kernel as published, by loops: a disk on the grid, then OpenCV's small Gaussian with reflected border."""
    reach, taps = (8, 1) if radius <= 8 else (int(radius), 2)
    size = 2 * reach + 1
    disk = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            disk[i, j] = (i - reach) ** 2 + (j - reach) ** 2 <= radius**2
    disk /= disk.sum()
    gauss = np.asarray([math.exp(-(k**2) / (2 * alias**2)) for k in range(-taps, taps + 1)])
    return ndimage.correlate(disk, np.outer(gauss, gauss) / gauss.sum() ** 2, mode="mirror")


@pytest.mark.parametrize("family", SIZES)
def test_defocus_blur_is_the_published_disk(family):
    image = picture(*SIZES[family])
    for ours, row in zip(_ours(blur.defocus_blur, image, family), blur.DEFOCUS_BLUR_DISK[family], strict=True):
        kernel = _published_disk(*row)
        reference = np.stack([ndimage.correlate(image[..., c], kernel, mode="mirror") for c in range(3)], axis=-1)
        np.testing.assert_allclose(ours, reference, atol=3e-6)


def _point_response(keys, severity):
    """Responses to a bright point, [n, 81, 81]: the line of taps, seen from the other end."""
    image = np.zeros((81, 81, 3), np.float32)
    image[40, 40] = 1.0
    run = jax.jit(jax.vmap(lambda key: blur.motion_blur(key, image, severity, family="imagenet224")))
    return np.asarray(run(keys))[..., 0]


def test_motion_blur_taps_and_weights():
    radius, sigma = blur.MOTION_BLUR_LINE["imagenet224"][4]
    keys = jax.random.split(jax.random.key(3), 4)
    half = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    half /= half.sum()
    for response in _point_response(keys, 5.0):
        matches = 0
        for angle in np.deg2rad(np.linspace(-45, 45, 2001)):
            expected = np.zeros((81, 81))
            for i, weight in enumerate(half):
                dx, dy = math.ceil(i * math.cos(angle) - 0.5), math.ceil(i * math.sin(angle) - 0.5)
                expected[40 - dy, 40 - dx] += weight
            matches += np.abs(response - expected).max() < 1e-6
        assert matches >= 1


def test_motion_blur_angles_are_uniform():
    rows, columns = np.mgrid[0:81, 0:81] - 40
    response = _point_response(jax.random.split(jax.random.key(4), 200), 1.0)
    angles = np.rad2deg(np.arctan2((response * rows).sum(axis=(1, 2)), (response * columns).sum(axis=(1, 2))))
    angles = np.where(angles > 90, angles - 180, np.where(angles < -90, angles + 180, angles))
    assert np.abs(angles).max() < 48
    assert stats.kstest(angles, "uniform", args=(-45, 90)).pvalue > 1e-3


def test_motion_blur_repeats_the_edge():
    image = np.broadcast_to(np.arange(32, dtype=np.float32)[:, None, None] / 31, (32, 40, 3))
    columns = np.asarray(blur.motion_blur(jax.random.key(0), image, 5.0))
    # Nothing varies along a row, so the result varies along none either, up to the right border.
    np.testing.assert_allclose(columns, np.broadcast_to(columns[:, :1], columns.shape), atol=1e-6)
