"""Most apparent distortion against a float64 transcription of the authors' definitions, block by block."""

import jax
import numpy as np
import pytest

from causal_iqa import images, metrics
from causal_iqa.metrics import most_apparent
from tests.golden import photographs

# Minutes of compilation: run by `pytest -m slow`.
pytestmark = pytest.mark.slow


def _blocks(x, size):
    """Blocks of size x size, 4 pixels apart, as [rows, columns, size^2]."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size))[::4, ::4]
    return windows.reshape(*windows.shape[:2], -1)


def _inside(cells, height, width):
    """Each block's value at its first 4 x 4 pixels, without the margin of 16 (and one more at the end)."""
    return np.kron(cells, np.ones((4, 4)))[16 : height - 17, 16 : width - 17]


def _detection(a, b):
    height, width = a.shape
    x, y = np.meshgrid(np.arange(width) - width / 2 + 0.5, np.arange(height) - height / 2 + 0.5)
    plane = (x + 1j * y) / width * 64
    frequency = np.abs(plane) / (0.15 * np.cos(4 * np.angle(plane)) + 0.85)
    csf = 2.6 * (0.0192 + 0.114 * frequency) * np.exp(-((0.114 * frequency) ** 1.1))
    csf[frequency < 7.8909] = 0.9809

    def seen(grey):
        spectrum = np.fft.fftshift(np.fft.fft2(0.02874 * grey ** (2.2 / 3)))
        return np.fft.ifft2(np.fft.ifftshift(spectrum * csf)).real

    reference, error = seen(a), seen(b) - seen(a)
    mean, deviation = _blocks(reference, 16).mean(axis=-1), _blocks(error, 16).std(axis=-1, ddof=1)
    quarter = _blocks(reference, 8).std(axis=-1, ddof=1)
    rows, columns = mean.shape
    masking = np.min([quarter[r : r + rows, c : c + columns] for r in (0, 1) for c in (0, 1)], axis=0)
    with np.errstate(divide="ignore"):
        of_reference, of_error = np.log(masking / mean), np.log(deviation / mean)
    of_error[mean < 0.5] = -np.inf
    visibility = np.maximum(0, of_error - np.maximum(of_reference, -5))
    local = np.lib.stride_tricks.sliding_window_view((a - b) ** 2, (16, 16)).mean(axis=(2, 3))[9:, 9:]
    visibility = _inside(visibility, height, width)
    return 200 * np.sqrt(np.mean((visibility * local[: visibility.shape[0], : visibility.shape[1]]) ** 2))


def _shape(response):
    values = _blocks(np.abs(response), 16)
    d = values - values.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.mean(d**2, axis=-1))
    return d.std(axis=-1, ddof=1), np.mean(d**3, axis=-1) / spread**3, np.mean(d**4, axis=-1) / spread**4


def _appearance(a, b):
    height, width = a.shape
    y, x = np.meshgrid(*((np.arange(n) - n / 2) / (n / 2) for n in a.shape), indexing="ij")
    radius, centre = np.hypot(x, y), tuple(int(n / 2 + 1.5) - 1 for n in a.shape)
    radius[centre] = 1
    theta, total = np.arctan2(-y, x), 0.0
    for orientation in np.arange(4) * np.pi / 4:
        sine = np.sin(theta) * np.cos(orientation) - np.cos(theta) * np.sin(orientation)
        cosine = np.cos(theta) * np.cos(orientation) + np.sin(theta) * np.sin(orientation)
        spread = np.exp(-(np.arctan2(sine, cosine) ** 2) / (2 * (np.pi / 6) ** 2))
        for scale, weight in enumerate((0.5, 0.75, 1, 5, 6)):
            radial = np.exp(-(np.log(radius / (2 / 3 ** (scale + 1))) ** 2) / (2 * np.log(0.55) ** 2))
            radial[centre] = 0
            transfer = np.fft.fftshift(radial * spread)
            ours, theirs = (_shape(np.fft.ifft2(np.fft.fft2(v) * transfer)) for v in (a, b))
            total += weight / 13.25 * sum(k * np.abs(p - q) for k, p, q in zip((1, 2, 1), ours, theirs, strict=True))
    return np.sqrt(np.mean(_inside(total, height, width) ** 2))


@pytest.mark.parametrize("sigma", [0.03, 0.2])
def test_mad_is_the_blend_of_detection_and_appearance(sigma):
    reference = photographs.photograph(2, 67, 74)
    a, b = (part[..., 1] for part in (reference, photographs.noisy(reference, 2, sigma)))
    detection, appearance = (f(a.astype(np.float64), b.astype(np.float64)) for f in (_detection, _appearance))
    share = 1 / (1 + np.exp(-2.55 / 3.35) * detection ** (1 / (np.log(10) * 3.35)))

    def parts(x, y):
        greys = [metrics._filters.grey_levels(v) for v in (x, y)]
        return metrics.mad(x, y), most_apparent._detection(*greys), most_apparent._appearance(*greys)

    ours = jax.jit(parts)(*(images.from_uint8(np.repeat(v[..., None], 3, axis=-1)) for v in (a, b)))
    expected = appearance ** (1 - share) * detection**share, detection, appearance
    np.testing.assert_allclose(ours, expected, rtol=2e-5)
