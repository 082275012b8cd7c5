"""Luma in integers."""

import numpy as np
import pytest

from causal_iqa import images, metrics
from tests.golden import photographs


def _luma8(image):
    return np.floor(np.asarray(image, np.int64) @ np.array([299, 587, 114]) / 1000 + 0.5).astype(np.uint8)


@pytest.fixture(params=photographs.CASES)
def case(request):
    return request.param


@pytest.fixture
def pixels(case):
    return photographs.case(case)[1]


@pytest.fixture
def image(pixels):
    return images.from_uint8(pixels)


def test_luma_is_rounded_in_integers_for_every_grey_and_half():
    # 299 r + 587 g + 114 b = 500 mod 1000 rounds up; floats would depend on the order of the sum.
    r, g, b = np.meshgrid(np.arange(0, 256, 5), np.arange(0, 256, 3), np.arange(256), indexing="ij")
    colours = np.stack([r, g, b], axis=-1).reshape(-1, 256, 3).astype(np.uint8)
    ours = metrics.no_reference._pixels.luma_uint8(images.from_uint8(colours))
    np.testing.assert_array_equal(ours, _luma8(colours))
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=-1)
    np.testing.assert_array_equal(metrics.no_reference._pixels.luma_uint8(images.from_uint8(grey)), grey[..., 0])
