"""Scenes: pure, reproducible, balanced, with known factors that show in the image."""

import jax
import numpy as np
import pytest

import causal_iqa
from causal_iqa.data import scenes


def test_an_image_is_the_same_alone_and_among_others():
    source = scenes.SceneSource(split="test")
    alone = source[23]
    among = source.batch(range(20, 60))[3]
    assert alone.id == among.id == "test/00023" and alone.label == among.label == 3
    np.testing.assert_array_equal(alone.image, among.image)
    assert alone.image.shape == (48, 48, 3) and alone.image.dtype == np.uint8


def test_splits_and_seeds_share_no_image():
    images = [
        scenes.SceneSource(split=split, seed=seed)[5].image for split, seed in (("test", 0), ("train", 0), ("test", 1))
    ]
    assert len({image.tobytes() for image in images}) == 3


def test_factors_are_those_of_the_images_and_do_not_depend_on_the_class():
    source = scenes.SceneSource(split="test")
    factors = source.factors(range(1000))
    np.testing.assert_array_equal(factors.label, np.arange(1000) % 10)
    again = scenes.render(jax.tree.map(lambda leaf: leaf[7], factors))
    np.testing.assert_allclose(np.asarray(again) * 255, source[7].image, atol=0.51)
    for values in (factors.radius, factors.position[:, 0], factors.exposure):
        means = [values[factors.label == c].mean() for c in range(10)]
        standard_error = values.std() / 10
        assert np.ptp(means) < 7 * standard_error


def test_factors_act_on_the_image():
    factors = jax.tree.map(lambda leaf: leaf[0], scenes.SceneSource(split="test").factors([0]))
    base = np.asarray(scenes.render(factors))
    darker = np.asarray(scenes.render(factors._replace(exposure=factors.exposure * 0.5)))
    assert darker.mean() < base.mean() - 0.05
    moved = np.asarray(scenes.render(factors._replace(position=factors.position + 0.1)))
    assert np.abs(moved - base).max() > 0.2
    disks = {float(np.asarray(scenes.render(factors._replace(label=label))).sum()) for label in range(10)}
    assert len(disks) == 10


def test_views_share_the_object_and_nothing_else(key):
    factors = jax.tree.map(lambda leaf: leaf[3], scenes.SceneSource(split="train").factors(range(4)))
    other = scenes.same_object(factors, key)
    kept = {name for name in factors._fields if np.array_equal(getattr(factors, name), getattr(other, name))}
    assert kept == {"label", "radius", "texture", "texture_frequency", "texture_depth"}
    views = scenes.SceneSource(split="train").views([3, 4])
    assert views.shape == (2, 2, 48, 48, 3)
    assert (views[0, 0] != views[0, 1]).mean() > 0.5


def test_bad_arguments_are_refused():
    with pytest.raises(causal_iqa.InputError, match="split"):
        scenes.SceneSource(split="tset")
    with pytest.raises(causal_iqa.InputError, match="size"):
        scenes.SceneSource(size=4)
    with pytest.raises(IndexError):
        scenes.SceneSource()[10_000]
