"""Copies equal the single-image function bit for bit, at sizes from a single pixel to odd aspects."""

import numpy as np
import pytest

from causal_iqa import InputError, copies, degradations
from causal_iqa.copies import programs
from causal_iqa.degradations import shared_sizes

_SIZES = ((31, 53), (30, 61))
_ODD_SIZES = ((1, 1), (1, 37), (45, 2), (16, 17), (64, 48), (65, 33))
_SHARED = sorted({*shared_sizes.ON_STRIP, *shared_sizes.ON_CANVAS})
# These compile fast enough for every size in every run.
_QUICK = ("brightness", "impulse_noise", "pixelate")
_OWN = ("contrast", "saturate+gaussian_noise")


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
    _check(name, _SIZES[0], runner, "cifar_c")
    structure = programs.with_parameters(f"{name}/0", "cifar_c")
    runner.run(structure, copies.image_key(3, ""), _pixels(*_SIZES[1]), _severities(name))
    assert len([make for make, *_ in runner._cache if make is programs._compiled]) == 1


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in _QUICK else pytest.mark.slow) for name in _SHARED]
)
def test_programs_that_sizes_share_at_odd_sizes(name):
    runner = programs.Programs()
    for shape in _ODD_SIZES:
        _check(name, shape, runner, "cifar_c")


@pytest.mark.parametrize("name", _OWN)
def test_programs_of_one_size_change_no_pixel(name):
    runner = programs.Programs()
    for shape in _SIZES:
        _check(name, shape, runner, "imagenet_c")
    assert runner.compiled == 2


def test_canvases_hold_their_image_and_are_few():
    sides = range(1, 5000)
    assert all(side <= programs.grown(side) <= 1.25 * side + 32 for side in sides)
    # Fog is drawn on the next power of two, which must be that of the image.
    assert all((programs.grown(side) - 1).bit_length() == (side - 1).bit_length() for side in sides)
    assert len({programs.grown(side) for side in range(256, 2049)}) <= 13
    assert [programs.grown(side) for side in (1, 9, 32, 333, 480, 640)] == [1, 16, 32, 384, 512, 640]


def test_canvases_are_chosen_for_all_sizes_together():
    sizes = [(480, 640)] * 50 + [(427, 640)] * 30 + [(640, 480)] * 20 + [(361, 640), (4000, 6000)]
    chosen = programs.choose_canvases(sizes)
    assert chosen.keys() == set(sizes)
    assert all(h <= canvas[0] and w <= canvas[1] for (h, w), canvas in chosen.items())
    # The two common sizes share one, the odd one joins it, and the large photograph stays alone.
    assert chosen[361, 640] == chosen[427, 640] == chosen[480, 640] == (512, 640)
    assert chosen[4000, 6000] == (4096, 6144) and len(set(chosen.values())) == 3
    assert programs.choose_canvases([]) == {}


def test_larger_canvases_change_no_pixel():
    for name in ("fog", "impulse_noise", "pixelate"):
        runner, structure = programs.Programs(), programs.with_parameters(f"{name}/0", "cifar_c")
        key, severities = copies.image_key(0, ""), np.asarray([[3.0]], np.float32)
        found = [runner.run(structure, key, _pixels(21, 30), severities, canvas) for canvas in (None, (96, 64))]
        np.testing.assert_array_equal(*found)


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
