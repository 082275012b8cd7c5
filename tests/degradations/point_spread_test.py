"""Camera shake and astigmatism: kernels by loops, convolution by SciPy."""

import math

import jax
import numpy as np
import pytest
from scipy import ndimage

from causal_iqa._checks import InputError
from causal_iqa.degradations import _point_spread as point_spread
from causal_iqa.degradations import spec
from tests.degradations.linear import decode, encode, ladder_of
from tests.degradations.scenes import picture


@pytest.mark.parametrize(("border", "mode"), [("reflect", "mirror"), ("edge", "nearest")])
def test_convolution_is_scipys(border, mode):
    image = picture(19, 26)
    kernel = np.random.default_rng(0).uniform(size=(9, 9)).astype(np.float32)
    kernel /= kernel.sum()
    ours = jax.jit(lambda image, kernel: point_spread.convolve(image, kernel, border=border))(image, kernel)
    expected = np.stack([ndimage.convolve(image[..., c].astype(float), kernel, mode=mode) for c in range(3)], axis=-1)
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_convolution_refuses():
    with pytest.raises(ValueError, match=r"odd side.*\(4, 4\)"):
        point_spread.convolve(picture(16, 16), np.ones((4, 4), np.float32))
    with pytest.raises(InputError, match="border"):
        point_spread.convolve(picture(16, 16), np.ones((3, 3), np.float32), border="wrap")


def test_path_kernel_by_loops():
    path = np.random.default_rng(1).uniform(-4, 4, (10, 2)).astype(np.float32)
    expected = np.zeros((11, 11))
    for down, right in path.astype(float):
        y, x = math.floor(down), math.floor(right)
        for dy, wy in ((0, 1 - (down - y)), (1, down - y)):
            for dx, wx in ((0, 1 - (right - x)), (1, right - x)):
                expected[5 + y + dy, 5 + x + dx] += wy * wx / len(path)
    ours = np.asarray(point_spread.path_kernel(path, 5))
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    grid = np.arange(-5, 6)
    np.testing.assert_allclose([(ours.sum(1) * grid).sum(), (ours.sum(0) * grid).sum()], path.mean(0), atol=1e-5)


def test_shake_paths():
    paths = np.asarray(jax.jit(jax.vmap(point_spread.shake_path))(jax.random.split(jax.random.key(0), 200)))
    np.testing.assert_allclose(paths.mean(axis=1), 0.0, atol=1e-5)
    np.testing.assert_allclose(np.hypot(paths[..., 0], paths[..., 1]).max(axis=1), 1.0, rtol=1e-5)
    steps = np.diff(paths, axis=1)
    # Inertia: successive steps agree, but for the rare reversals.
    reversed_ = (steps[:, 1:] * steps[:, :-1]).sum(axis=-1) < 0
    assert 0.02 < reversed_.mean() < 0.2
    # No direction is preferred.
    assert np.abs(np.corrcoef(steps.reshape(-1, 2).T)[0, 1]) < 0.1


def test_ellipse_kernel_has_the_moments_of_an_ellipse():
    grid = np.arange(-14, 15)
    y, x = grid[:, None], grid[None, :]
    for angle in (0.0, 0.6, math.pi / 2):
        kernel = np.asarray(point_spread.ellipse_kernel(np.float32([10.0, 4.0]), angle, 14))
        assert kernel.min() >= 0 and kernel.sum() == pytest.approx(1.0, abs=1e-5)
        along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
        # Of an even ellipse with half axis a the variance along it is a^2 / 4.
        assert (kernel * along**2).sum() == pytest.approx(10.5**2 / 4, rel=0.02)
        assert (kernel * across**2).sum() == pytest.approx(4.5**2 / 4, rel=0.04)
        assert (kernel * along * across).sum() == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("name", ["camera_shake", "astigmatism"])
def test_blur_happens_in_linear_light(name):
    image, key = picture(30, 41), jax.random.key(9)
    ours = ladder_of(getattr(point_spread, name), image, key, severities=[5])[0]
    if name == "camera_shake":
        radius = 30 * point_spread.CAMERA_SHAKE_RADIUS[spec.ANY_SIZE][4]
        kernel = point_spread.path_kernel(np.float32(radius) * point_spread.shake_path(key), 3)
    else:
        angle = jax.random.uniform(key, (), np.float32, 0.0, np.pi)
        axes = 30 * np.float32(point_spread.ASTIGMATISM_AXES[spec.ANY_SIZE][4])
        kernel = point_spread.ellipse_kernel(axes, angle, 3)
    linear = decode(image)
    blurred = np.stack(
        [ndimage.convolve(linear[..., c], np.asarray(kernel, float), mode="mirror") for c in range(3)], -1
    )
    np.testing.assert_allclose(ours, encode(blurred), atol=1e-5)
