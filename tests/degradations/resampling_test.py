"""The gather against loops over padded images, and against SciPy."""

import functools
import math

import jax
import numpy as np
import pytest
from scipy import ndimage

from causal_iqa._checks import InputError
from causal_iqa.degradations import _resampling as resampling

PAD = {
    "reflect": {"mode": "reflect"},
    "edge": {"mode": "edge"},
    "constant": {"mode": "constant", "constant_values": 0.3},
}
RNG = np.random.default_rng(5)
IMAGE = RNG.uniform(size=(9, 11, 2)).astype(np.float32)
ROW = np.concatenate([RNG.uniform(-7, 15, 60), [0, 8, 4, -1, 9, 3.5]]).astype(np.float32)[None, :]
COLUMN = np.concatenate([RNG.uniform(-7, 17, 60), [0, 10, 5, -1, 11, 2.0]]).astype(np.float32)[None, :]


def _keys(distance):
    d = abs(distance)
    if d < 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


@pytest.mark.parametrize("border", resampling.BORDERS)
@pytest.mark.parametrize("method", resampling.METHODS)
def test_sample_by_loops(method, border):
    padded = np.pad(IMAGE.astype(float), ((8, 8), (8, 8), (0, 0)), **PAD[border])
    weight = _keys if method == "bicubic" else lambda d: max(0.0, 1 - abs(d))
    expected = np.zeros((*ROW.shape, 2))
    for i, (row, column) in enumerate(zip(ROW[0].astype(float), COLUMN[0].astype(float), strict=True)):
        for y in range(math.floor(row) - 1, math.floor(row) + 3):
            for x in range(math.floor(column) - 1, math.floor(column) + 3):
                expected[0, i] += (
                    weight(row - y) * weight(column - x) * padded[np.clip(y + 8, 0, 24), np.clip(x + 8, 0, 26)]
                )
    run = jax.jit(functools.partial(resampling.sample, method=method, border=border, fill=0.3))
    np.testing.assert_allclose(run(IMAGE, ROW, COLUMN), expected, atol=5e-6)


@pytest.mark.parametrize(
    ("border", "mode"), [("reflect", "mirror"), ("edge", "nearest"), ("constant", "grid-constant")]
)
def test_bilinear_is_scipys_far_out_too(border, mode):
    row, column = 5 * ROW, 5 * COLUMN
    ours = resampling.sample(IMAGE, row, column, border=border, fill=0.3)
    for c in range(2):
        expected = ndimage.map_coordinates(IMAGE[..., c].astype(float), [row, column], order=1, mode=mode, cval=0.3)
        np.testing.assert_allclose(ours[..., c], expected, atol=3e-5)


@pytest.mark.parametrize("method", resampling.METHODS)
def test_gradient_in_the_place_is_the_slope(method):
    # Away from pixel centres, where the bilinear slope jumps.
    row, column = np.float32([[3.4]]), np.float32([[6.7]])
    run = jax.jit(jax.value_and_grad(lambda row: resampling.sample(IMAGE, row, column, method=method)[0, 0, 0]))
    step = np.float32(0.05)
    expected = (run(row + step)[0] - run(row - step)[0]) / (2 * step)
    np.testing.assert_allclose(run(row)[1][0, 0], expected, rtol=2e-2)


def test_unknown_choices():
    for bad in ({"method": "nearest"}, {"border": "wrap"}):
        with pytest.raises(InputError, match=next(iter(bad))):
            resampling.sample(IMAGE, ROW, COLUMN, **bad)
