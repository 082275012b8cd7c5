"""Zoom blur against SciPy's zoom and the counts of the released scripts."""

import math

import jax
import numpy as np
import pytest
from scipy import ndimage

from causal_iqa.degradations import _zoom as zoom
from tests.degradations.scenes import picture

SIZES = {"cifar32": (32, 32), "tiny64": (45, 62), "imagenet224": (97, 80), "inception299": (80, 99)}
SEVERITIES = np.arange(1, 6, dtype=np.float32)


def _ours(fn, image, family):
    run = jax.jit(jax.vmap(lambda image, s: fn(jax.random.key(0), image, s, family=family), in_axes=(None, 0)))
    return np.asarray(run(image, SEVERITIES))


def _check(ours, reference):
    error = ours - np.clip(reference, 0, 1)
    assert np.abs(error).max() < 2 / 255
    assert -10 * math.log10(np.mean(error**2) + 1e-20) > 45


def _published_zoom(image, factor):
    sides = image.shape[:2]
    crop = [math.ceil(n / factor) for n in sides]
    top, left = ((n - c) // 2 for n, c in zip(sides, crop, strict=True))
    out = ndimage.zoom(image[top : top + crop[0], left : left + crop[1]], (factor, factor, 1), order=1)
    top, left = ((m - n) // 2 for m, n in zip(out.shape[:2], sides, strict=True))
    return out[top : top + sides[0], left : left + sides[1]]


@pytest.mark.parametrize("family", SIZES)
def test_zoom_blur_is_scipys(family):
    image = picture(*SIZES[family])
    for ours, (end, step) in zip(_ours(zoom.zoom_blur, image, family), zoom.ZOOM_BLUR_RANGE[family], strict=True):
        factors = np.arange(1, end, step)
        reference = (image + sum(_published_zoom(image, f) for f in factors)) / (len(factors) + 1)
        _check(ours, reference)


@pytest.mark.parametrize(("family", "side"), [("imagenet224", 224), ("cifar32", 224)])
def test_zoom_counts_are_those_of_the_released_scripts(family, side):
    # At a side where no two factors give the same zoom.
    counts = {"imagenet224": [12, 16, 11, 13, 11], "cifar32": [7, 12, 16, 21, 26]}[family]
    _, shares = zoom._zooms(zoom.ZOOM_BLUR_RANGE[family], side, side)
    # The image counts twice: itself and its zoom by 1.
    np.testing.assert_allclose(shares[1:, 0], 2.0 / (np.asarray(counts) + 1), rtol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-6)
