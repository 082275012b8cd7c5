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


def _check(name: str, size: tuple[int, int], **options) -> np.ndarray:
    spec = degradations.TABLE[name]
    image = np.random.default_rng(0).uniform(size=(*size, 3)).astype(np.float32)
    fn = functools.partial(spec.fn, family="imagenet224", **options)
    out = np.asarray(jax.jit(jax.vmap(fn, (None, None, 0)))(jax.random.key(1), image, _SEVERITIES))
    np.testing.assert_array_equal(out[0], image)
    assert np.isfinite(out).all(), (name, size)
    assert out.min() >= 0 and out.max() <= 1
    return out


@pytest.mark.parametrize("name", _MIRRORING)
def test_one_pixel(name):
    out = _check(name, (1, 1))
    if name != "frost":  # Moved, mirrored or seen from its centre, a single pixel stays itself.
        np.testing.assert_allclose(out, np.broadcast_to(out[:1], out.shape), atol=1e-6)


@pytest.mark.parametrize("name", ["interlacing", "rotation"])
def test_one_row(name):
    _check(name, (1, 9))


@pytest.mark.parametrize("options", [{"shape": "pincushion"}, {"method": "bicubic"}])
def test_one_pixel_under_the_other_options(options):
    _check("lens_distortion", (1, 1), **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", degradations.TABLE)
@pytest.mark.parametrize("shape", _SHAPES, ids=str)
def test_every_condition_at_every_shape(name, shape):
    _check(name, shape)
