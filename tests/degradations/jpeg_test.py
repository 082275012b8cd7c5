"""JPEG against Pillow's libjpeg-turbo, bit for bit."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, features

from causal_iqa.degradations import _jpeg as jpeg
from tests.degradations.scenes import picture

_run = jax.jit(jax.vmap(jpeg.jpeg_roundtrip, in_axes=(None, 0)))
QUALITIES = (1, 5, 7, 10, 15, 18, 25, 40, 49, 50, 58, 65, 80, 95, 100)

turbo = pytest.mark.skipif(not features.check_feature("libjpeg_turbo"), reason="Pillow without libjpeg-turbo")


def _pillow(pixels, quality):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def _check(pixels):
    ours = np.asarray(_run(jnp.asarray(pixels, jnp.int32), jnp.asarray(QUALITIES, jnp.int32)))
    for out, quality in zip(ours, QUALITIES, strict=True):
        np.testing.assert_array_equal(out, _pillow(pixels, quality))


@turbo
@pytest.mark.parametrize("shape", [(32, 32), (33, 50), (18, 47)])
def test_pictures_of_any_size(shape):
    _check(np.round(picture(*shape) * 255).astype(np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    _check(noise)
    _check(np.where(noise > 127, 255, 0).astype(np.uint8))


@turbo
def test_photographs(shared_data):
    folder = shared_data("data", "imagenet_sample", "validation")
    for path in sorted(folder.glob("*/*.JPEG"))[::100]:
        photo = np.asarray(Image.open(path).convert("RGB").resize((150, 113)))
        _check(photo)


def test_quality_steps_at_known_qualities():
    steps = jax.jit(lambda q: jpeg.quality_steps(jpeg._LUMA_STEPS, q))
    np.testing.assert_array_equal(steps(50), jpeg._LUMA_STEPS)
    assert (np.asarray(steps(100)) == 1).all()
    assert np.asarray(steps(1)).max() == 255
    assert np.asarray(steps(25))[0, 0] == 32


def test_division_rounds_halves_away_from_zero():
    value = np.arange(-40_000, 40_001, dtype=np.int32)
    for step in (8, 24, 136, 2040):
        sign, size = np.sign(value), np.abs(value)
        np.testing.assert_array_equal(jpeg._divide(value, np.int32(step)), sign * ((size + step // 2) // step))


@turbo
def test_severity_is_the_published_quality():
    image = picture(32, 32)
    pixels = np.round(image * 255).astype(np.int32)
    severities, qualities = (1.0, 1.5, 5.0), (80, 72, 40)  # 72.5 rounds to even
    run = jax.jit(jax.vmap(lambda s: jpeg.jpeg_compression(None, image, s)))
    for out, quality in zip(np.asarray(run(np.float32(severities))), qualities, strict=True):
        np.testing.assert_array_equal(np.round(out * 255).astype(int), _pillow(pixels.astype(np.uint8), quality))
