"""The lens against the law of cos^4, SciPy's resampling and the sums of light."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from causal_iqa.degradations import _optics as optics
from causal_iqa.degradations import spec
from tests.degradations.linear import decode, encode, ladder_of
from tests.degradations.scenes import picture


@pytest.mark.parametrize("shape", [(17, 23), (32, 20)])
def test_vignetting_is_cos4(shape):
    white = np.ones((*shape, 3), np.float32)
    middle, corner = (np.asarray(shape) - 1) / 2, np.hypot(*((np.asarray(shape) - 1) / 2))
    y, x = np.mgrid[: shape[0], : shape[1]]
    radius = np.hypot(y - middle[0], x - middle[1]) / corner
    for out, degrees in zip(ladder_of(optics.vignetting, white), optics.VIGNETTING_DEGREES[spec.ANY_SIZE], strict=True):
        angle = np.arctan(radius * np.tan(np.deg2rad(degrees)))
        np.testing.assert_allclose(out, np.repeat(encode(np.cos(angle) ** 4)[..., None], 3, axis=-1), atol=3e-6)
        assert decode(out[0, 0, 0]) == pytest.approx(np.cos(np.deg2rad(degrees)) ** 4, rel=1e-4)


def _warp(plane, factor):
    """`plane` read at factor times the distance from the centre; factor [H, W] or a number."""
    y, x = np.mgrid[: plane.shape[0], : plane.shape[1]].astype(float)
    cy, cx = (np.asarray(plane.shape) - 1) / 2
    return ndimage.map_coordinates(
        plane.astype(float), [cy + (y - cy) * factor, cx + (x - cx) * factor], order=1, mode="nearest"
    )


def test_chromatic_aberration_scales_red_and_blue():
    image = picture(33, 40)
    ours = ladder_of(optics.chromatic_aberration, image)
    for out, k in zip(ours, optics.CHROMATIC_ABERRATION_SCALE[spec.ANY_SIZE], strict=True):
        np.testing.assert_array_equal(out[..., 1], image[..., 1])
        np.testing.assert_allclose(out[..., 0], _warp(image[..., 0], 1 / (1 + k)), atol=1e-5)
        np.testing.assert_allclose(out[..., 2], _warp(image[..., 2], 1 / (1 - k)), atol=1e-5)


@pytest.mark.parametrize("shape", ["barrel", "pincushion"])
def test_lens_distortion_is_browns_first_term(shape):
    image = picture(31, 44)
    cy, cx = 15.0, 21.5
    y, x = np.mgrid[:31, :44]
    squared = ((y - cy) ** 2 + (x - cx) ** 2) / (cy**2 + cx**2)
    for out, k in zip(
        ladder_of(optics.lens_distortion, image, shape=shape), (0.04, 0.08, 0.15, 0.25, 0.4), strict=True
    ):
        k = k if shape == "barrel" else -0.6 * k
        touching = 1.0 if shape == "barrel" else cy**2 / (cy**2 + cx**2)
        factor = (1 + k * squared) / (1 + k * touching)
        # Nothing is read outside the frame.
        assert np.abs((y - cy) * factor).max() <= cy + 1e-9 and np.abs((x - cx) * factor).max() <= cx + 1e-9
        expected = np.stack([_warp(image[..., c], factor) for c in range(3)], axis=-1)
        np.testing.assert_allclose(out, expected, atol=1e-5)


def test_veiling_glare_spreads_light():
    image = picture(20, 22)
    linear = decode(image)
    for source in (0.0, 0.5):
        ours = ladder_of(optics.veiling_glare, image, source=source)
        for out, share in zip(ours, optics.VEILING_GLARE_SHARE[spec.ANY_SIZE], strict=True):
            veil = linear.mean(axis=(0, 1)) + source
            np.testing.assert_allclose(out, encode((1 - share) * linear + share * veil), atol=3e-6)
            if source == 0.0:
                np.testing.assert_allclose(decode(out).mean(axis=(0, 1)), linear.mean(axis=(0, 1)), rtol=1e-5)


def test_lens_flare_adds_light_in_proportion():
    dark = np.full((48, 60, 3), 0.02, np.float32)
    ours = decode(ladder_of(optics.lens_flare, dark, jax.random.key(4))) - decode(dark)
    assert ours.min() > 0
    strength = optics.LENS_FLARE_STRENGTH[spec.ANY_SIZE]
    unclipped = ours[2] < 0.9
    assert unclipped.mean() > 0.9
    for row in (0, 1):
        ratio = strength[row] / strength[2]
        np.testing.assert_allclose(ours[row][unclipped], ratio * ours[2][unclipped], rtol=1e-3, atol=1e-6)


def test_lens_flare_ghosts_lie_on_the_line_through_the_centre():
    flare = np.asarray(optics._flare(jax.random.key(11), 101, 101, 101)).reshape(101, 101, 3)
    # Glow and rays are white; what is left in colour are the ghosts.
    colour = flare.max(axis=-1) - flare.min(axis=-1)
    y, x = np.nonzero(colour > 0.3 * colour.max())
    source = np.asarray(np.unravel_index(np.argmax(flare.min(axis=-1)), (101, 101))) - 50.0
    across = np.abs((y - 50) * source[1] - (x - 50) * source[0]) / np.hypot(*source)
    assert len(y) > 20
    # No farther from the line than the largest ghost's radius.
    assert across.max() < 0.12 * 101 + 1.5
