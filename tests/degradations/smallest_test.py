"""Every condition is defined for every size: of one pixel, of one row or column, and far from square."""

import functools

import jax
import numpy as np
import pytest

from causal_iqa import degradations

_SEVERITIES = np.asarray([0.0, 1.0, 5.0], np.float32)
# What mirrors about the border or measures from the centre divides by a side less one; the rest divide by none.
_MIRRORING = (
    "frost",
    "interlacing",
    "lens_distortion",
    "rolling_shutter",
    "rotation",
    "scale",
    "translation",
    "vignetting",
    "zoom_blur",
)
_SHAPES = ((1, 1), (1, 9), (9, 1), (2, 2), (2, 9), (3, 3), (3, 200))


def _check(name: str, size: tuple[int, int], **options) -> None:
    spec = degradations.TABLE[name]
    image = np.random.default_rng(0).uniform(size=(*size, 3)).astype(np.float32)
    fn = functools.partial(spec.fn, family="imagenet224", **options)
    out = np.asarray(jax.jit(jax.vmap(fn, (None, None, 0)))(jax.random.key(1), image, _SEVERITIES))
    np.testing.assert_array_equal(out[0], image)
    assert np.isfinite(out).all(), (name, size)
    assert out.min() >= 0 and out.max() <= 1


@pytest.mark.parametrize("name", _MIRRORING)
def test_one_pixel(name):
    _check(name, (1, 1))


@pytest.mark.parametrize("name", ["interlacing", "rotation"])
def test_one_row(name):
    _check(name, (1, 9))


@pytest.mark.parametrize("options", [{"shape": "pincushion"}, {"method": "bicubic"}])
def test_one_pixel_under_the_other_options(options):
    _check("lens_distortion", (1, 1), **options)


def test_one_pixel_moved_is_the_same_pixel():
    image = np.asarray([[[0.2, 0.4, 0.8]]], np.float32)
    for name in ("rotation", "translation", "scale", "rolling_shutter", "interlacing", "lens_distortion", "vignetting"):
        out = degradations.TABLE[name].fn(jax.random.key(0), image, 4.0)
        np.testing.assert_allclose(out, image, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", degradations.TABLE)
@pytest.mark.parametrize("shape", _SHAPES, ids=str)
def test_every_condition_at_every_shape(name, shape):
    _check(name, shape)
