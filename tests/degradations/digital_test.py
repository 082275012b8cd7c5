"""Contrast, saturation and pixelation against colorsys, NumPy and Pillow."""

import colorsys

import jax
import numpy as np
import pytest
from PIL import Image

from causal_iqa.degradations import _digital as digital
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


def _pixelate(side, shares, severity):
    """What pixelation of one axis makes of the unit matrix, [side, side]."""
    return digital._pixelate_axis(np.eye(side, dtype=np.float32)[..., None], 0, shares, severity)[..., 0]


@pytest.mark.parametrize("side", [16, 45, 62, 97, 224, 299])
def test_pixelate_cells_are_pillows_at_every_rung(side):
    unit = Image.fromarray(np.eye(side, dtype=np.float32))
    for family, shares in digital.PIXELATE_SHARE.items():
        run = jax.jit(lambda severity, shares=shares: _pixelate(side, shares, severity))
        for severity, share in enumerate(shares, 1):
            small = unit.resize((side, int(side * share)), Image.Resampling.BOX)
            expected = np.asarray(small.resize((side, side), Image.Resampling.BOX))
            np.testing.assert_allclose(run(np.float32(severity)), expected, atol=1e-6, err_msg=f"{family} {share}")


def test_pixelate_between_rungs_has_a_cell_count_between():
    matrix = np.asarray(_pixelate(100, digital.PIXELATE_SHARE["imagenet224"], np.float32(1.5)))
    assert len(np.unique(matrix, axis=0)) == 55
