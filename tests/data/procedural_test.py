"""Clean images by rule: reproducible, different from each other, with the spectrum of photographs."""

import jax
import numpy as np
import pytest

from causal_iqa import InputError, data

SIDE = 64


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return data.procedural_images(jax.random.key(0), 16, side=SIDE)


def test_an_image_does_not_depend_on_how_many_are_drawn(drawn):
    assert drawn.shape == (16, SIDE, SIDE, 3) and drawn.dtype == np.uint8
    np.testing.assert_array_equal(data.procedural_images(jax.random.key(0), 9, side=SIDE), drawn[:9])
    assert len({image.tobytes() for image in drawn}) == 16
    assert np.median(drawn.reshape(16, -1).std(axis=1)) > 20


def test_spectrum_falls_as_that_of_photographs(drawn):
    luma = drawn.mean(axis=-1)
    window = np.outer(np.hanning(SIDE), np.hanning(SIDE))
    power = np.abs(np.fft.fft2((luma - luma.mean((1, 2), keepdims=True)) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None]) * SIDE
    levels = [np.log(power[:, (radius >= r) & (radius < r + 1)].mean(axis=1)) for r in (3, 6, 12, 24)]
    slopes = np.polyfit(np.log([3, 6, 12, 24]), np.asarray(levels), 1)[0]
    # Photographs: about -2, from -1 to -3.
    assert -3.2 < np.median(slopes) < -1.2 and np.mean((slopes > -4.5) & (slopes < -0.5)) > 0.8


def test_refusals():
    with pytest.raises(InputError, match="count: expected at least 1, got 0"):
        data.procedural_images(jax.random.key(0), 0, side=SIDE)
    with pytest.raises(ValueError, match="side: expected at least 16, got 8"):
        data.procedural_image(jax.random.key(0), side=8)
