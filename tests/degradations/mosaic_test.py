"""Mosaic and demosaicing against loops, the published kernels and what linear interpolation must keep."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from causal_iqa.degradations import _mosaic as mosaic
from causal_iqa.degradations import spec
from tests.degradations.linear import decode, encode, ladder_of
from tests.degradations.scenes import picture

PATTERNS = ("rggb", "grbg", "gbrg", "bggr")
# Malvar, He, Cutler (2004), figure 2, times 8: green at red or blue; a colour at green beside it, above it; a colour at
# the opposite colour.
GREEN = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
BESIDE = [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
OPPOSITE = [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]


def _colour(pattern, y, x):
    return "rgb".index(pattern[2 * (y % 2) + x % 2])


def _bilinear_by_loops(raw, pattern):
    """Means of the sites of the wanted colour among the 3 x 3 neighbours, the frame mirrored."""
    height, width = raw.shape
    out = np.zeros((height, width, 3))
    mirror = lambda i, n: n - 1 - abs(n - 1 - abs(i))  # noqa: E731
    for y in range(height):
        for x in range(width):
            for c in range(3):
                if _colour(pattern, y, x) == c:
                    out[y, x, c] = raw[y, x]
                    continue
                near = [
                    raw[mirror(y + i, height), mirror(x + j, width)]
                    for i in (-1, 0, 1)
                    for j in (-1, 0, 1)
                    if _colour(pattern, y + i, x + j) == c
                ]
                out[y, x, c] = np.mean(near)
    return out


def _malvar_by_kernels(raw, pattern):
    height, width = raw.shape
    green, beside, above, opposite = (
        ndimage.correlate(raw, np.asarray(k) / 8, mode="mirror")
        for k in (GREEN, BESIDE, np.transpose(BESIDE), OPPOSITE)
    )
    out = np.zeros((height, width, 3))
    for y in range(height):
        for x in range(width):
            for c in range(3):
                own = _colour(pattern, y, x)
                if own == c:
                    out[y, x, c] = raw[y, x]
                elif c == 1:
                    out[y, x, c] = green[y, x]
                elif own != 1:
                    out[y, x, c] = opposite[y, x]
                else:
                    out[y, x, c] = (beside if _colour(pattern, y, x + 1) == c else above)[y, x]
    return out


@pytest.mark.parametrize("pattern", PATTERNS)
def test_demosaic(pattern):
    image = picture(17, 20)
    raw = np.asarray(mosaic.mosaic(image, pattern))
    expected = [[image[y, x, _colour(pattern, y, x)] for x in range(20)] for y in range(17)]
    np.testing.assert_array_equal(raw, expected)
    for method, reference in (("bilinear", _bilinear_by_loops), ("malvar", _malvar_by_kernels)):
        ours = jax.jit(lambda raw, method=method: mosaic.demosaic(raw, method=method, pattern=pattern))(raw)
        np.testing.assert_allclose(ours, reference(raw.astype(float), pattern), atol=1e-6)


@pytest.mark.parametrize("method", ["bilinear", "malvar"])
def test_ramps_of_grey_survive(method):
    y, x = np.mgrid[:18, :21]
    ramp = (0.1 + 0.01 * y + 0.02 * x).astype(np.float32)[..., None].repeat(3, axis=-1)
    ours = mosaic.demosaic(mosaic.mosaic(ramp), method=method)
    np.testing.assert_allclose(ours[2:-2, 2:-2], ramp[2:-2, 2:-2], atol=1e-6)


def test_severity_is_the_share_of_the_error():
    image = picture(18, 23)
    linear = decode(image)
    raw = np.asarray([[linear[y, x, _colour("rggb", y, x)] for x in range(23)] for y in range(18)])
    rebuilt = encode(_bilinear_by_loops(raw, "rggb"))
    ours = ladder_of(mosaic.demosaicing, image)
    for out, share in zip(ours, mosaic.DEMOSAICING_SHARE[spec.ANY_SIZE], strict=True):
        np.testing.assert_allclose(out, image + share * (rebuilt - image), atol=3e-6)
