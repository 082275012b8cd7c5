"""The deterministic originals and the pieces of others against values that the original tools gave."""

import math
import pathlib

import jax
import numpy as np
import pytest

from causal_iqa import degradations
from causal_iqa.degradations import _blur as blur
from causal_iqa.degradations import _spatter as spatter
from tests.golden import photographs

# As in tests/golden/make_degradations.py, which needs the peers and made the values.
DETERMINISTIC = tuple(name for name, row in degradations.TABLE.items() if row.published and not row.stochastic)
MOTION = ((10, 3, 0), (15, 5, 300), (15, 8, 511), (20, 15, 777), (6, 1, 1023))
LEVELS = (0.69, 0.68, 0.7, 0.69)


@pytest.fixture(scope="module")
def golden():
    with np.load(pathlib.Path(__file__).parents[1] / "golden" / "degradations.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def image():
    return photographs.photograph(11, 34, 41).astype(np.float32) / np.float32(255)


def _check(ours, reference):
    # What the tools give is cut down to 8 bits.
    error = ours - reference.astype(np.float64) / 255
    assert np.abs(error).max() < 2 / 255
    assert -10 * math.log10(np.mean(error**2) + 1e-20) > 45


def test_all_deterministic_originals_have_values(golden):
    assert {name.split("/")[0] for name in golden} >= set(DETERMINISTIC)
    assert len(DETERMINISTIC) == 8


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_deterministic_originals_are_as_published(name, golden, image):
    fn = degradations.TABLE[name].fn
    run = jax.jit(jax.vmap(lambda s: fn(None, image, s, family="imagenet224")))
    for severity, ours in enumerate(np.asarray(run(np.arange(1, 6, dtype=np.float32))), 1):
        _check(ours, golden[f"{name}/{severity}"])


def test_line_blur_is_imagemagicks_motion_blur(golden, image):
    offsets = np.stack([blur._line_offsets(41, 0.0)[index] for _, _, index in MOTION])
    radius, sigma, _ = np.asarray(MOTION, np.float32).T
    run = jax.jit(jax.vmap(lambda radius, sigma, offsets: blur.line_blur(image, radius, sigma, offsets)))
    for i, ours in enumerate(np.asarray(run(radius, sigma, offsets))):
        # ImageMagick cuts down to 8 bits.
        rest = ours * 255 - golden[f"motion/{i}"]
        assert rest.min() > -0.01 and rest.max() < 1.01


def test_water_relief_is_opencvs(golden):
    layers = np.stack([golden[f"layer/{i}"] for i in range(len(LEVELS))])
    ours = np.asarray(jax.jit(jax.vmap(spatter.water_relief))(layers, np.asarray(LEVELS, np.float32)))
    for i, relief in enumerate(ours):
        assert golden[f"relief/{i}"].std() > 0.02
        np.testing.assert_allclose(relief, golden[f"relief/{i}"], atol=1e-6)
