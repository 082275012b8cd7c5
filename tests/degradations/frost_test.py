"""Frost: the formula, texture files, and what drawn frost is like."""

import jax
import numpy as np
import pytest
from PIL import Image

from causal_iqa.degradations import _frost as frost
from tests.degradations.scenes import picture

SHAPE = (24, 31)


@pytest.mark.parametrize("family", ["cifar32", "imagenet224"])
def test_frost_follows_the_formula(family):
    image, key = picture(*SHAPE), jax.random.key(3)
    texture = np.asarray(jax.jit(lambda: frost.frost_texture(key, *SHAPE))())
    run = jax.jit(jax.vmap(lambda s: frost.frost(key, image, s, family=family)))
    for ours, (kept, added) in zip(run(np.arange(1, 6, dtype=np.float32)), frost.FROST_WEIGHTS[family], strict=True):
        np.testing.assert_allclose(ours, np.clip(kept * image + added * texture, 0, 1), atol=2e-6)


@pytest.fixture(scope="module")
def drawn():
    run = jax.jit(jax.vmap(lambda key: frost.frost_texture(key, 64, 64)))
    keys = jax.random.split(jax.random.key(1), 600)
    kinds = jax.vmap(lambda key: jax.random.randint(jax.random.split(key, 4)[0], (), 0, 5))(keys)
    return np.asarray(run(keys)), np.asarray(kinds)


def test_drawn_frost_has_the_colours_of_the_textures(drawn):
    pictures, kinds = drawn
    for kind in range(5):
        pixels = pictures[kinds == kind].reshape(-1, 3)
        deviation = np.sqrt(frost._FIRST[kind] ** 2 + frost._SECOND[kind] ** 2)
        # The brightness of a whole piece varies, and there are some 120.
        np.testing.assert_allclose(pixels.mean(axis=0), frost._MEANS[kind], atol=0.02)
        np.testing.assert_allclose(pixels.std(axis=0), deviation, rtol=0.08)
    assert (np.bincount(kinds, minlength=5) > 80).all()


def test_drawn_frost_has_a_falling_spectrum(drawn):
    pictures, kinds = drawn
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None, :])
    bands = [(frequency >= low) & (frequency < 2 * low) for low in (0.03, 0.06, 0.12, 0.24)]
    for kind in range(5):
        light = pictures[kinds == kind].mean(axis=-1)
        power = np.mean(np.abs(np.fft.fft2(light - light.mean(axis=(1, 2), keepdims=True))) ** 2, axis=0)
        slopes = np.diff(np.log2([power[band].mean() for band in bands]))
        assert -3.2 < slopes.mean() < -1.2, slopes


def _write(folder, name, shape, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return pixels


def test_texture_files_are_cut_at_random(tmp_path):
    first, second = _write(tmp_path, "a.png", (40, 50), 1), _write(tmp_path, "b.png", (30, 33), 2)
    textures = frost.load_frost_textures([tmp_path / "a.png", tmp_path / "b.png"])
    black = np.zeros((*SHAPE, 3), np.float32)
    run = jax.jit(jax.vmap(lambda key: frost.frost(key, black, 1.0, family="imagenet224", textures=textures)))
    places = set()
    for piece in np.asarray(run(jax.random.split(jax.random.key(0), 400))):
        stored = np.round(piece / 0.4 * 255).astype(int)
        for which, texture in enumerate((first, second)):
            windows = np.lib.stride_tricks.sliding_window_view(texture, (*SHAPE, 3))[:, :, 0]
            found = np.argwhere((windows[:, :, :2, :2].astype(int) == stored[:2, :2]).all(axis=(2, 3, 4)))
            places |= {(which, *place) for place in found if (windows[tuple(place)] == stored).all()}
    # Of 17 x 20 and 7 x 3 places many are met, up to the last.
    assert sum(which == 0 for which, *_ in places) > 50
    assert {(y, x) for which, y, x in places if which == 1} == {(y, x) for y in range(7) for x in range(3)}


def test_textures_are_shrunk_as_opencv_does(tmp_path):
    pixels = _write(tmp_path, "a.png", (40, 50), 1) / 255.0
    (small,) = frost.load_frost_textures([tmp_path / "a.png"], scale=0.2)
    # Five pixels to one: the middle of each is a pixel's own.
    np.testing.assert_allclose(small, pixels[2::5, 2::5], atol=1e-6)
    (large,) = frost.load_frost_textures([tmp_path / "a.png"], scale=0.2, smallest=(32, 32))
    assert large.shape == (32, 40, 3)


def test_bad_textures_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"textures\[1\].*32"):
        frost.frost(jax.random.key(0), picture(32, 32), 1.0, textures=[np.ones((40, 40, 3)), np.ones((40, 20, 3))])
    with pytest.raises(ValueError, match="none"):
        frost.frost(jax.random.key(0), picture(32, 32), 1.0, textures=[])
    with pytest.raises(ValueError, match="scale"):
        frost.load_frost_textures([], scale=0.0)
    with pytest.raises(FileNotFoundError):
        frost.load_frost_textures([tmp_path / "none.png"])
