"""The sensor: noise variance against its line, defects by counting, fields against SciPy."""

import itertools

import jax
import numpy as np
import pytest
from scipy import ndimage

from causal_iqa.degradations import _sensor as sensor
from causal_iqa.degradations import spec
from tests.degradations.linear import decode, encode, ladder_of
from tests.degradations.scenes import picture

LEVELS = np.asarray([0.12, 0.2, 0.3, 0.42, 0.55])


def _stripes(rows, width):
    """Flat stripes, one below the other, of the linear LEVELS."""
    return np.broadcast_to(np.repeat(encode(LEVELS), rows)[:, None, None], (rows * len(LEVELS), width, 3)).astype(
        np.float32
    )


def test_iso_noise_variance_is_a_line_per_channel():
    rows, width = 30, 100
    ours = decode(ladder_of(sensor.iso_noise, _stripes(rows, width), severities=[1, 2, 3]))
    for out, iso in zip(ours, sensor.ISO_NOISE_ISO[spec.ANY_SIZE], strict=False):
        stripes = out.reshape(len(LEVELS), rows * width, 3)
        for channel, gain in enumerate(sensor.CHANNEL_GAINS):
            per_electron = gain * iso / (100 * sensor.FULL_WELL)
            variance = stripes[..., channel].var(axis=1)
            expected = per_electron * LEVELS + (sensor.READ_NOISE * per_electron) ** 2
            np.testing.assert_allclose(variance, expected, rtol=4.5 * np.sqrt(2 / (rows * width)))
            slope = np.polyfit(LEVELS, variance, 1)[0]
            assert slope == pytest.approx(per_electron, rel=0.12)
            mean_error = np.abs(stripes[..., channel].mean(axis=1) - LEVELS)
            assert (mean_error < 4.5 * np.sqrt(expected / (rows * width))).all()


@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_row_noise_is_one_offset_per_row(axis):
    image = np.full((200, 24, 3) if axis == "rows" else (24, 200, 3), encode(0.4), np.float32)
    ours = decode(ladder_of(sensor.row_noise, image, axis=axis)) - 0.4
    ours = ours if axis == "rows" else ours.swapaxes(1, 2)
    np.testing.assert_allclose(ours, np.broadcast_to(ours[:, :, :1], ours.shape), atol=1e-5)
    # The channels differ by their gains.
    np.testing.assert_allclose(ours[..., 0], 2.0 * ours[..., 1], atol=2e-5)
    np.testing.assert_allclose(ours[..., 2], 1.6 * ours[..., 1], atol=2e-5)
    np.testing.assert_allclose(ours[:, :, 0, 1].std(axis=1), sensor.ROW_NOISE_SIGMA[spec.ANY_SIZE], rtol=0.2)
    assert np.abs(ours[4, :, 0, 1].mean()) < 4 * 0.04 / np.sqrt(200)


def test_dead_pixels_are_nested_halves():
    image = np.full((80, 91, 3), 0.5, np.float32)
    all_channels = ladder_of(sensor.dead_pixels, image, channels="all")
    stuck = all_channels != 0.5
    for one, more in itertools.pairwise(stuck):
        assert (more | ~one).all()
    for out, share in zip(all_channels, sensor.DEAD_PIXELS_SHARE[spec.ANY_SIZE], strict=True):
        sites = out[..., 0][out[..., 0] != 0.5]
        spread = np.sqrt(image[..., 0].size * share)
        assert abs(len(sites) - image[..., 0].size * share) < 4 * spread
        assert abs((sites == 1.0).sum() - (sites == 0.0).sum()) < 4 * spread
        np.testing.assert_array_equal(out[..., 0], out[..., 2])


def test_dead_sites_have_the_colour_of_the_mosaic():
    image = np.full((80, 91, 3), 0.5, np.float32)
    stuck = ladder_of(sensor.dead_pixels, image, severities=[5])[0] != 0.5
    y, x, channel = np.nonzero(stuck)
    assert len(y) > 200
    np.testing.assert_array_equal(channel, np.asarray([[0, 1], [1, 2]])[y % 2, x % 2])


def test_interlacing_moves_the_odd_rows():
    image, key = picture(32, 45), jax.random.key(2)
    ours = ladder_of(sensor.interlacing, image, key)
    angle = float(jax.random.uniform(key, (), np.float32, 0.0, 2.0 * np.pi))
    for out, share in zip(ours, sensor.INTERLACING_SHARE[spec.ANY_SIZE], strict=True):
        np.testing.assert_allclose(out[::2], image[::2], atol=1e-6)
        move = 32 * share * np.asarray([np.sin(angle), np.cos(angle), 0.0])
        moved = ndimage.shift(image.astype(float), move, order=1, mode="mirror")
        np.testing.assert_allclose(out[1::2], moved[1::2], atol=1e-5)
