"""Exposure error and low light against their formulas and the statistics of photons."""

import jax
import numpy as np
import pytest

from causal_iqa import colour
from causal_iqa.degradations import _exposure as exposure
from causal_iqa.degradations import spec
from tests.degradations.linear import decode, encode, ladder_of
from tests.degradations.scenes import picture


def test_srgb_curve_and_its_inverse():
    values = np.concatenate([np.linspace(0, 1, 1001), [0.04045, 0.0031308]]).astype(np.float32)
    np.testing.assert_allclose(jax.jit(colour.to_linear)(values), decode(values), rtol=2e-6)
    np.testing.assert_allclose(jax.jit(colour.to_srgb)(values), encode(values), atol=3e-7)
    np.testing.assert_allclose(colour.to_srgb(colour.to_linear(values)), values, atol=1e-6)
    np.testing.assert_allclose(colour.to_srgb(np.float32([-1.0, 2.0])), [0.0, 1.0], atol=1e-7)


@pytest.mark.parametrize("direction", ["over", "under"])
def test_exposure_error_is_a_gain_in_stops(direction):
    image = picture(17, 20)
    ours = ladder_of(exposure.exposure_error, image, direction=direction)
    for out, stops in zip(ours, exposure.EXPOSURE_STOPS[spec.ANY_SIZE], strict=True):
        gain = 2.0 ** stops[direction == "under"]
        np.testing.assert_allclose(out, encode(decode(image) * gain), atol=2e-6)


def test_low_light_counts_photons():
    # Stripes of flat light; in the darkest, clipping at black would show.
    levels = np.asarray([0.1, 0.2, 0.35, 0.5])
    image = np.repeat(encode(levels), 40)[:, None, None] * np.ones((1, 90, 3))
    ours = ladder_of(exposure.low_light, image.astype(np.float32), severities=[1, 2], brightness="kept")
    for out, (electrons, read, _) in zip(ours, exposure.LOW_LIGHT_EXPOSURE[spec.ANY_SIZE][:2], strict=True):
        stripes = decode(out).reshape(len(levels), -1)
        count = stripes.shape[1]
        variance = levels / electrons + (read / electrons) ** 2
        assert (np.abs(stripes.mean(axis=1) - levels) < 4 * np.sqrt(variance / count)).all()
        # Standard error of a variance: sqrt(2 / n) of it.
        np.testing.assert_allclose(stripes.var(axis=1), variance, rtol=4 * np.sqrt(2 / count))


def test_low_light_stays_dark_by_the_stops():
    image = np.full((64, 64, 3), 0.8, np.float32)
    dark = ladder_of(exposure.low_light, image, severities=[1, 2])
    kept = ladder_of(exposure.low_light, image, severities=[1, 2], brightness="kept")
    stops = [row[2] for row in exposure.LOW_LIGHT_EXPOSURE[spec.ANY_SIZE][:2]]
    ratio = decode(dark).mean(axis=(1, 2, 3)) / decode(kept).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(ratio, 2.0 ** -np.asarray(stops), rtol=2e-3)
