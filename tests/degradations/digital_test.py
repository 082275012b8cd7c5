"""Contrast, saturation and pixelation against colorsys, NumPy and Pillow."""

import colorsys

import jax
import numpy as np
import pytest
from PIL import Image

from causal_iqa.degradations import digital
from tests.degradations.scenes import picture

SIZES = {"cifar32": (32, 32), "tiny64": (45, 62), "imagenet224": (97, 80), "inception299": (80, 99)}
SEVERITIES = np.arange(1, 6, dtype=np.float32)


def _ours(fn, image, family):
    run = jax.jit(jax.vmap(lambda image, s: fn(None, image, s, family=family), in_axes=(None, 0)))
    return np.asarray(run(image, SEVERITIES))


@pytest.mark.parametrize("family", SIZES)
def test_contrast_is_about_the_channel_means(family):
    image = picture(*SIZES[family])
    means = image.astype(float).mean(axis=(0, 1))
    for ours, gain in zip(_ours(digital.contrast, image, family), digital.CONTRAST_GAIN[family], strict=True):
        np.testing.assert_allclose(ours, np.clip((image - means) * gain + means, 0, 1), atol=2e-6)


@pytest.mark.parametrize("family", SIZES)
def test_saturate_is_hsv_saturation(family):
    image = picture(20, 24)
    image[0, :4] = [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0.4, 0.4, 0.4]]
    hsv = np.asarray([colorsys.rgb_to_hsv(*pixel) for pixel in image.reshape(-1, 3).astype(float)])
    for ours, (gain, offset) in zip(_ours(digital.saturate, image, family), digital.SATURATE_GAIN[family], strict=True):
        expected = [colorsys.hsv_to_rgb(h, min(max(s * gain + offset, 0.0), 1.0), v) for h, s, v in hsv]
        np.testing.assert_allclose(ours.reshape(-1, 3), expected, atol=5e-6)


@pytest.mark.parametrize("family", SIZES)
def test_pixelate_is_pillows_box(family):
    image = picture(*SIZES[family])
    height, width = image.shape[:2]
    stored = Image.fromarray(np.round(image * 255).astype(np.uint8))
    for ours, share in zip(_ours(digital.pixelate, image, family), digital.PIXELATE_SHARE[family], strict=True):
        small = stored.resize((int(width * share), int(height * share)), Image.Resampling.BOX)
        reference = np.asarray(small.resize((width, height), Image.Resampling.BOX)) / 255.0
        # Pillow rounds to 8 bits after each axis: at most one level in all.
        assert np.abs(ours - reference).max() < 1.01 / 255


def test_pixelate_cell_counts_are_those_of_python():
    shares = sorted({share for rows in digital.PIXELATE_SHARE.values() for share in rows})
    for side in range(16, 600):
        ours = np.floor(np.float32(side) * np.asarray(shares, np.float32) + np.float32(1e-4))
        np.testing.assert_array_equal(ours, [int(side * share) for share in shares])
