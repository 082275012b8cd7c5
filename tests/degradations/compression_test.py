"""JPEG at both chroma resolutions against Pillow."""

import functools
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, features

from causal_iqa._checks import InputError
from causal_iqa.degradations import _compression as compression
from causal_iqa.degradations import _jpeg as jpeg
from causal_iqa.degradations import spec
from tests.degradations.linear import ladder_of
from tests.degradations.scenes import picture

QUALITIES = (5, 10, 20, 35, 50, 65, 80, 95)
# Pillow's names of the chroma resolutions.
SUBSAMPLING = {"420": 2, "444": 0}

turbo = pytest.mark.skipif(not features.check_feature("libjpeg_turbo"), reason="Pillow without libjpeg-turbo")


def _pillow(image, quality, chroma):
    stream = io.BytesIO()
    pixels = Image.fromarray(np.round(image * 255).astype(np.uint8))
    pixels.save(stream, "JPEG", quality=quality, subsampling=SUBSAMPLING[chroma])
    return np.asarray(Image.open(stream).convert("RGB"))


@functools.cache
def _run(chroma):
    return jax.jit(jax.vmap(functools.partial(jpeg.jpeg, chroma=chroma), in_axes=(None, 0)))


@turbo
@pytest.mark.parametrize("chroma", jpeg.CHROMA)
def test_jpeg_is_pillows_bit_for_bit(chroma):
    image = picture(33, 50)
    ours = np.asarray(_run(chroma)(image, jnp.asarray(QUALITIES)))
    for out, quality in zip(ours, QUALITIES, strict=True):
        np.testing.assert_array_equal(np.round(out * 255), _pillow(image, quality, chroma))


@pytest.mark.parametrize("chroma", jpeg.CHROMA)
def test_photographs_within_45_decibels(shared_data, chroma):
    folder = shared_data("data", "imagenet_sample", "validation")
    for path in sorted(folder.glob("*/*.JPEG"))[::250]:
        photo = np.asarray(Image.open(path).convert("RGB").resize((150, 113))).astype(np.float32) / np.float32(255)
        ours = np.asarray(_run(chroma)(photo, jnp.asarray(QUALITIES)))
        for out, quality in zip(ours, QUALITIES, strict=True):
            error = np.mean((out - _pillow(photo, quality, chroma) / 255.0) ** 2)
            assert -10 * np.log10(error + 1e-12) > 45


@turbo
@pytest.mark.parametrize("chroma", jpeg.CHROMA)
def test_severity_is_the_quality(chroma):
    image = picture(33, 50)
    ours = ladder_of(compression.jpeg_444, image, chroma=chroma)
    for out, quality in zip(ours, compression.JPEG_444_QUALITY[spec.ANY_SIZE], strict=True):
        np.testing.assert_array_equal(np.round(out * 255), _pillow(image, int(quality), chroma))


def test_full_chroma_keeps_more_colour():
    image = picture(32, 48)
    error = {c: np.mean((np.asarray(_run(c)(image, jnp.asarray(QUALITIES))[-1]) - image) ** 2) for c in jpeg.CHROMA}
    assert error["444"] < 0.5 * error["420"]


def test_unknown_chroma():
    with pytest.raises(InputError, match="chroma"):
        jpeg.jpeg(picture(16, 16), 50, chroma="422")
