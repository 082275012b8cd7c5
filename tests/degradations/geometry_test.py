"""Geometry: what must be exact is exact, the rest against SciPy."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from causal_iqa.degradations import _geometry as geometry
from causal_iqa.degradations import _resampling as resampling
from causal_iqa.degradations import spec
from tests.degradations.linear import ladder_of
from tests.degradations.scenes import picture


def _read(image, row, column, mode="mirror"):
    row, column = np.broadcast_arrays(row, column)
    planes = [ndimage.map_coordinates(image[..., c].astype(float), [row, column], order=1, mode=mode) for c in range(3)]
    return np.stack(planes, axis=-1)


def _grid(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(float)
    return y, x, (image.shape[0] - 1) / 2, (image.shape[1] - 1) / 2


@pytest.mark.parametrize("method", resampling.METHODS)
@pytest.mark.parametrize("side", [20, 21])
def test_quarter_turns_are_exact(side, method):
    image = picture(side, side)
    run = jax.jit(jax.vmap(lambda degrees: geometry.rotate(image, degrees, method=method)))
    for out, turns in zip(np.asarray(run(np.float32([0, 90, 180, 270, -90, 450]))), [0, 1, 2, 3, -1, 5], strict=True):
        np.testing.assert_array_equal(out, np.rot90(image, turns))


@pytest.mark.parametrize(("border", "mode"), [("reflect", "mirror"), ("edge", "nearest")])
@pytest.mark.parametrize("turn", ["counterclockwise", "clockwise"])
def test_rotation_is_scipys(turn, border, mode):
    image = picture(25, 34)
    y, x, cy, cx = _grid(image)
    ours = ladder_of(geometry.rotation, image, turn=turn, border=border)
    for out, degrees in zip(ours, geometry.ROTATION_DEGREES[spec.ANY_SIZE], strict=True):
        angle = np.deg2rad(degrees if turn == "counterclockwise" else -degrees)
        row = cy + np.cos(angle) * (y - cy) + np.sin(angle) * (x - cx)
        column = cx - np.sin(angle) * (y - cy) + np.cos(angle) * (x - cx)
        np.testing.assert_allclose(out, _read(image, row, column, mode), atol=2e-5)


def test_whole_pixels_move_exactly():
    image = picture(24, 30)
    out = np.asarray(jax.jit(geometry.translate)(image, np.float32(3.0), np.float32(-5.0)))
    np.testing.assert_array_equal(out[3:, :-5], image[:-3, 5:])
    np.testing.assert_array_equal(out[:3, :-5], image[3:0:-1, 5:])


def test_translation_goes_its_distance():
    image, key = picture(30, 41), jax.random.key(3)
    angle = float(jax.random.uniform(key, (), np.float32, 0.0, 2.0 * np.pi))
    y, x, *_ = _grid(image)
    ours = ladder_of(geometry.translation, image, key)
    for out, share in zip(ours, geometry.TRANSLATION_SHARE[spec.ANY_SIZE], strict=True):
        row, column = y - 30 * share * np.sin(angle), x - 30 * share * np.cos(angle)
        np.testing.assert_allclose(out, _read(image, row, column), atol=1e-5)


@pytest.mark.parametrize("direction", ["in", "out"])
def test_scale_is_scipys(direction):
    image = picture(22, 27)
    y, x, cy, cx = _grid(image)
    ours = ladder_of(geometry.scale, image, direction=direction)
    for out, factors in zip(ours, geometry.SCALE_FACTOR[spec.ANY_SIZE], strict=True):
        factor = factors[direction == "out"]
        np.testing.assert_allclose(out, _read(image, cy + (y - cy) / factor, cx + (x - cx) / factor), atol=1e-5)


@pytest.mark.parametrize("motion", ["pan", "vibration"])
def test_rolling_shutter_moves_each_row_by_its_time(motion):
    image, key = picture(28, 33), jax.random.key(8)
    angle, phase = np.asarray(jax.random.uniform(key, (2,), np.float32, 0.0, 2.0 * np.pi), float)
    y, x, *_ = _grid(image)
    time = (y + 0.5) / 28
    ours = ladder_of(geometry.rolling_shutter, image, key, motion=motion)
    for out, share in zip(ours, geometry.ROLLING_SHUTTER_SHARE[spec.ANY_SIZE], strict=True):
        moved = 28 * share * (time - 0.5 if motion == "pan" else 0.5 * np.sin(6 * np.pi * time + phase))
        expected = _read(image, y - moved * np.sin(angle), x - moved * np.cos(angle))
        np.testing.assert_allclose(out, expected, atol=2e-5)
