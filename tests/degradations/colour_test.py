"""Colour conditions against Planck's law, colorsys, Pillow and NumPy."""

import colorsys

import jax
import numpy as np
import pytest
from PIL import Image

from causal_iqa.degradations import _colour as colour
from causal_iqa.degradations import spec
from tests.degradations.linear import decode, encode, ladder_of
from tests.degradations.scenes import picture

_TO_RGB = np.linalg.inv([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def _lobe(wavelength, centre, left, right):
    return np.exp(-0.5 * ((wavelength - centre) / np.where(wavelength < centre, left, right)) ** 2)


def _black_body(kelvin):
    """Linear sRGB of luminance 1 by Planck's law and the colour matching functions of Wyman, Sloan, Shirley (2013)."""
    nm = np.arange(360.0, 831.0)
    radiance = nm**-5 / np.expm1(1.4388e7 / (nm * kelvin))
    x = (
        1.056 * _lobe(nm, 599.8, 37.9, 31.0)
        + 0.362 * _lobe(nm, 442.0, 16.0, 26.7)
        - 0.065 * _lobe(nm, 501.1, 20.4, 26.2)
    )
    y = 0.821 * _lobe(nm, 568.8, 46.9, 40.5) + 0.286 * _lobe(nm, 530.9, 16.3, 31.1)
    z = 1.217 * _lobe(nm, 437.0, 11.8, 36.0) + 0.681 * _lobe(nm, 459.0, 26.0, 13.8)
    xyz = np.asarray([(radiance * c).sum() for c in (x, y, z)])
    return _TO_RGB @ (xyz / xyz[1])


def test_planckian_locus_is_plancks_law():
    kelvin = np.asarray([2000.0, 2600.0, 3500.0, 4500.0, 6504.0, 10000.0, 20000.0])
    ours = jax.jit(jax.vmap(colour.planckian_rgb))((1e6 / kelvin).astype(np.float32))
    np.testing.assert_allclose(ours, [_black_body(t) for t in kelvin], rtol=0.02, atol=0.01)


@pytest.mark.parametrize("direction", ["warm", "cool"])
def test_white_balance_gains(direction):
    image = np.full((16, 16, 3), 0.4, np.float32)
    ours = ladder_of(colour.white_balance, image, direction=direction)[:, 3, 5]
    for out, shifts in zip(ours, colour.WHITE_BALANCE_MIRED[spec.ANY_SIZE], strict=True):
        mired = 1e6 / 6504.0
        gains = _black_body(1e6 / (mired + shifts[direction == "cool"])) / _black_body(1e6 / mired)
        gains /= gains @ [0.2126, 0.7152, 0.0722]
        np.testing.assert_allclose(out, encode(decode(0.4) * gains), atol=0.012)
        # Luminance stays.
        assert decode(out) @ [0.2126, 0.7152, 0.0722] == pytest.approx(decode(0.4), rel=1e-4)


def test_hue_shift_is_colorsys():
    image = picture(16, 19)
    image[0, :4] = [[0, 0, 0], [1, 1, 1], [1, 0, 0], [0.4, 0.4, 0.4]]
    hsv = [colorsys.rgb_to_hsv(*pixel) for pixel in image.reshape(-1, 3).astype(float)]
    ours = ladder_of(colour.hue_shift, image)
    for out, degrees in zip(ours, colour.HUE_SHIFT_DEGREES[spec.ANY_SIZE], strict=True):
        expected = [colorsys.hsv_to_rgb(h + degrees / 360, s, v) for h, s, v in hsv]
        np.testing.assert_allclose(out.reshape(-1, 3), expected, atol=3e-6)


def test_greyscale_is_pillows():
    image = picture(20, 23)
    ours = ladder_of(colour.greyscale, image)
    pillow = np.asarray(Image.fromarray(np.round(image * 255).astype(np.uint8)).convert("L"), float)[..., None]
    # Pillow's weights have 16 bits and it rounds.
    assert np.abs(255 * ours[4] - pillow).max() < 0.52
    for out, share in zip(ours, colour.GREYSCALE_SHARE[spec.ANY_SIZE], strict=True):
        np.testing.assert_allclose(out, image + share * (ours[4] - image), atol=1e-6)


def test_greyscale_by_luminance():
    image = picture(16, 17)
    grey = encode(decode(image) @ [0.2126, 0.7152, 0.0722])[..., None]
    out = ladder_of(colour.greyscale, image, severities=[5], luma="linear")[0]
    np.testing.assert_allclose(out, np.broadcast_to(grey, out.shape), atol=2e-6)


def test_colour_quantization_levels():
    image = np.linspace(0, 1, 20 * 20 * 3, dtype=np.float32).reshape(20, 20, 3)
    ours = ladder_of(colour.colour_quantization, image)
    for out, levels in zip(ours, colour.COLOUR_QUANTIZATION_LEVELS[spec.ANY_SIZE], strict=True):
        np.testing.assert_allclose(np.unique(out), np.linspace(0, 1, int(levels)), atol=1e-6)
        assert np.abs(out - image).max() <= 0.5 / (levels - 1) + 1e-6
