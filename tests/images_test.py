"""The image contract: 8 bits in and out, luma, and a resize that is Pillow's."""

# pyright: reportArgumentType=false, reportCallIssue=false

import jax
import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, images

_RNG = np.random.default_rng(0)


def test_eight_bits_come_back():
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    np.testing.assert_array_equal(images.to_uint8(images.from_uint8(every)), every)
    half = np.float32([[[0.5 / 255, 1.5 / 255, 2.5 / 255]]])
    assert images.to_uint8(half).tolist() == [[[0, 2, 2]]], "half to even"
    assert images.to_uint8(np.float32([[[-0.5, 1.5, 0.0]]])).tolist() == [[[0, 255, 0]]]


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8, bool])
def test_only_eight_bits_enter(dtype):
    with pytest.raises(TypeError, match="image: expected uint8"):
        images.from_uint8(np.zeros((2, 2, 3), dtype))


@pytest.mark.parametrize("value", [np.nan, 2.5, -1.5, 255.0])
def test_another_range_does_not_leave(value):
    with pytest.raises(ValueError):
        images.to_uint8(np.full((1, 1, 3), value, np.float32))


def test_luma_weighs_the_channels():
    image = _RNG.random((4, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(images.luma(image), image @ np.float32([0.299, 0.587, 0.114]), atol=1e-6)
    with pytest.raises(ValueError, match="image"):
        images.luma(image[..., :2])


@pytest.mark.parametrize("method", images.INTERPOLATIONS)
@pytest.mark.parametrize("size", [(5, 9), (23, 31), (1, 1), (12, 17)])
def test_resize_is_pillows_up_to_its_rounding(method, size):
    pixels = _RNG.integers(80, 176, (12, 17, 3)).astype(np.uint8)  # Pillow clips after each axis.
    found = images.to_uint8(images.resize(images.from_uint8(pixels), *size, method))
    filters = {"bilinear": PIL.Image.Resampling.BILINEAR, "bicubic": PIL.Image.Resampling.BICUBIC}
    expected = np.asarray(PIL.Image.fromarray(pixels).resize(size[::-1], filters[method]))
    assert np.abs(np.asarray(found, int) - expected).max() <= 1


def test_resize_refuses_sides_and_filters_that_are_none():
    image = jax.numpy.zeros((4, 4, 3))
    with pytest.raises(ValueError, match="expected positive sides, got 0 x 4"):
        images.resize(image, 0, 4)
    with pytest.raises(InputError, match="method"):
        images.resize(image, 2, 2, "lanczos")
    with pytest.raises(InputError, match="did you mean bicubic"):
        images.resize_weights(4, 2, "bicubik")
    for method in images.INTERPOLATIONS:
        np.testing.assert_allclose(images.resize_weights(7, 3, method).sum(axis=1), 1, atol=1e-6)
