"""Layers of convolutional networks against their definitions."""

# pyright: reportArgumentType=false, reportIndexIssue=false

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.stats

from causal_iqa.backbones.layers import convolutions


@pytest.mark.parametrize(
    "shape",
    [(6, 8, 3, 2), (6, 6, 5, 1, 6), (6, 6, 7, 2, 6), (6, 8, 3, 2, 2), (6, 8, 1, 2), (6, 8, 4, 4, 1, 0)],
)
def test_convolutions_by_definition(shape):
    shape = convolutions.Shape(*shape)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 13, 15, 6))
    inner = shape.before // shape.groups
    kernel = rng.normal(size=(shape.size, shape.size, inner, shape.after))
    out = jax.jit(convolutions.convolve, static_argnums=2)(jnp.float32(x), jnp.float32(kernel), shape)
    padded = np.pad(x, ((0, 0), (shape.pad, shape.pad), (shape.pad, shape.pad), (0, 0)))
    for after in range(shape.after):
        first = after // (shape.after // shape.groups) * inner
        total = sum(
            scipy.signal.correlate(padded[:, :, :, first + c], kernel[None, :, :, c, after], "valid")
            for c in range(inner)
        )[:, :: shape.stride, :: shape.stride]
        np.testing.assert_allclose(out[..., after], total, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("size", "stride", "padding", "ceil"), [(3, 2, 1, False), (3, 2, 0, True), (2, 2, 0, False)])
@pytest.mark.parametrize("side", [12, 13, 14])
def test_max_pool_by_definition(side, size, stride, padding, ceil):
    x = np.random.default_rng(side).normal(size=(1, side, side, 2)).astype(np.float32)
    out = np.asarray(convolutions.max_pool(x, size, stride, padding, ceil))
    last = (side + 2 * padding - size) / stride
    starts = [stride * i - padding for i in range((math.ceil(last) if ceil else math.floor(last)) + 1)]
    assert out.shape == (1, len(starts), len(starts), 2)
    for i, row in enumerate(starts):
        for j, column in enumerate(starts):
            window = x[0, max(row, 0) : row + size, max(column, 0) : column + size]
            np.testing.assert_array_equal(out[0, i, j], window.max(axis=(0, 1)))


def test_average_pool_cuts_the_rest_off():
    x = np.arange(2 * 5 * 7 * 3, dtype=np.float32).reshape(2, 5, 7, 3)
    out = convolutions.average_pool(x, 2)
    assert out.shape == (2, 2, 3, 3)
    np.testing.assert_allclose(out[1, 1, 2], x[1, 2:4, 4:6].mean(axis=(0, 1)))


def correlated(x: np.ndarray, kernel: np.ndarray, shape: convolutions.Shape) -> np.ndarray:
    """The definition, channel by channel in float64, by scipy."""
    padded = np.pad(x.astype(np.float64), ((0, 0), (shape.pad,) * 2, (shape.pad,) * 2, (0, 0)))
    maps = [
        [
            sum(scipy.signal.correlate2d(image[..., c], kernel[..., c, o], "valid") for c in range(shape.before))
            for o in range(shape.after)
        ]
        for image in padded
    ]
    return np.moveaxis(np.asarray(maps), 1, -1)[:, :: shape.stride, :: shape.stride]


@pytest.mark.parametrize(
    ("shape", "side", "columns"),
    [
        (convolutions.Shape(3, 16), (5, 8), 4),
        (convolutions.Shape(3, 16, 3, 2), (7, 15), 4),
        (convolutions.Shape(3, 32, 3, 2), (8, 12), 2),
        (convolutions.Shape(16, 16), (4, 6), 2),
        (convolutions.Shape(16, 16), (4, 7), 1),
        (convolutions.Shape(3, 64, 7, 2), (9, 8), 1),
        (convolutions.Shape(4, 512), (3, 4), 1),
        (convolutions.Shape(4, 512, 3, 2), (5, 4), 1),
    ],
)  # fmt: skip
def test_narrow_and_wide_convolutions_are_the_definition(shape, side, columns):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *side, shape.before)).astype(np.float32)
    kernel = rng.normal(size=(shape.size, shape.size, shape.before, shape.after)).astype(np.float32)
    width = (side[1] + 2 * shape.pad - shape.size) // shape.stride + 1
    assert convolutions._columns_at_once(shape, width) == columns
    expected = correlated(x, kernel, shape)
    found = jax.jit(functools.partial(convolutions.convolve, shape=shape))(x, kernel)
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())
