"""Copies equal the single-image function bit for bit, at sizes from a single pixel to odd aspects."""

import numpy as np
import pytest

from causal_iqa import InputError, copies, degradations
from causal_iqa.copies import programs

_SIZES = ((1, 1), (1, 37), (45, 2), (31, 53), (64, 48))
_SHARED = sorted(programs.STRIP | programs.CANVAS)
_OWN = ("contrast", "pixelate", "elastic_transform+gaussian_noise")


def _pixels(height, width):
    rng = np.random.default_rng(height * 1000 + width)
    smooth = np.linspace(0, 200, height * width).reshape(height, width, 1)
    return (smooth + rng.integers(0, 56, (height, width, 3))).astype(np.uint8)


def _severities(name):
    levels = np.asarray([1.0, 2.5, 5.0], np.float32)
    return np.repeat(levels[:, None], name.count("+") + 1, axis=1)


def _check(name, shape, runner, parameters):
    structure = programs.with_parameters("+".join(f"{step}/0" for step in name.split("+")), parameters)
    pixels, key = _pixels(*shape), copies.image_key(3, "a/b.png")
    many = runner.run(structure, key, pixels, _severities(name))
    for own, severities in zip(many, _severities(name), strict=True):
        steps = [degradations.Step(step.name, s) for step, s in zip(structure.steps, severities.tolist(), strict=True)]
        condition = degradations.Condition(steps, family=structure.family)
        alone = copies.degrade(pixels, condition, seed=3, image_id="a/b.png")
        np.testing.assert_array_equal(own, alone, err_msg=f"{condition} at {shape}")


@pytest.mark.parametrize("name", _SHARED)
def test_programs_that_sizes_share_change_no_pixel(name):
    runner = programs.Programs()
    for shape in _SIZES:
        _check(name, shape, runner, "cifar_c")
    assert runner.compiled < len(_SIZES)


@pytest.mark.parametrize("name", _OWN)
def test_programs_of_one_size_change_no_pixel(name):
    runner = programs.Programs()
    for shape in _SIZES[2:4]:
        _check(name, shape, runner, "imagenet_c")
    assert runner.compiled == 2


def test_canvases_hold_their_image_and_are_few():
    sides = range(1, 5000)
    assert all(side <= programs.grown(side) <= 1.25 * side + 32 for side in sides)
    assert len({programs.grown(side) for side in range(256, 2049)}) <= 13
    assert [programs.grown(side) for side in (1, 32, 333, 480, 640)] == [32, 32, 384, 512, 640]


def test_single_image():
    pixels = _pixels(9, 7)
    one = copies.degrade(pixels, "gaussian_noise/3", parameters="cifar_c")
    assert one.shape == pixels.shape and one.dtype == np.uint8 and (one != pixels).any()
    other = copies.degrade(pixels, "gaussian_noise/3", parameters="cifar_c", image_id="b")
    assert (one != other).any()
    with pytest.raises(InputError, match="family"):
        copies.degrade(pixels, "gaussian_noise/3")
    with pytest.raises(TypeError, match="uint8"):
        copies.degrade(pixels / 255.0, "fog/1")
    with pytest.raises(ValueError, match="H, W, 3"):
        copies.degrade(pixels[None], "fog/1")
