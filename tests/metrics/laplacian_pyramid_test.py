"""NLPD against its authors' code."""

import jax
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from causal_iqa import images, metrics
from tests.golden import photographs


def _grey_pair(seed, height, width, sigma):
    """Reference and image as uint8 [H, W], and as the package reads them."""
    reference = photographs.photograph(seed, height, width)
    parts = [part[..., 1] for part in (reference, photographs.noisy(reference, seed, sigma))]
    return parts, [images.from_uint8(np.repeat(part[..., None], 3, axis=-1)) for part in parts]


def _nlpd_loop(x, y):
    """NLP_dist.m in float64: imfilter(symmetric), zeros between, conv2 with the printed filters."""
    taps = np.outer([0.05, 0.25, 0.4, 0.25, 0.05], [0.05, 0.25, 0.4, 0.25, 0.05])
    printed = {
        0: [[0, 0, 0.1011, 0, 0], [0, 0.1493, 0, 0.1460, 0.0072], [0, 0, 0.1015, 0, 0]],
        1: [[0, 0, 0.0757, 0, 0], [0, 0.1986, 0, 0.1846, 0], [0, 0, 0.0837, 0, 0]],
        2: [[0, 0, 0.0477, 0, 0], [0, 0.2138, 0, 0.2243, 0], [0, 0, 0.0467, 0, 0]],
        3: [[0, 0, 0, 0, 0], [0, 0.2503, 0, 0.2616, 0], [0, 0, 0, 0, 0]],
        4: [[0, 0, 0, 0, 0], [0, 0.2598, 0, 0.2552, 0], [0, 0, 0, 0, 0]],
        5: [[0, 0, 0, 0, 0], [0, 0.2215, 0, 0.0717, 0], [0, 0, 0, 0, 0]],
    }
    distances, sides = [], (x, y)
    for level, sigma in enumerate((0.0248, 0.0185, 0.0179, 0.0191, 0.0220, 0.2782)):
        low = [scipy.ndimage.correlate(v, taps, mode="reflect")[::2, ::2] for v in sides]
        bands = sides
        if level < 5:
            bands = []
            for v, small in zip(sides, low, strict=True):
                spread = np.zeros((2 * small.shape[0] + 4, 2 * small.shape[1] + 4))
                spread[::2, ::2] = 4 * np.pad(small, 1, mode="edge")
                expanded = scipy.signal.convolve2d(spread, taps, mode="same")
                bands.append(v - expanded[2 : 2 + v.shape[0], 2 : 2 + v.shape[1]])
        normal = [b / (sigma + scipy.signal.convolve2d(np.abs(b), printed[level], mode="same")) for b in bands]
        distances.append(np.sqrt(np.mean((normal[0] - normal[1]) ** 2)))
        sides = low
    return np.mean(distances)


@pytest.mark.parametrize("sigma", [0.01, 0.2])
def test_nlpd_as_the_authors_code(sigma):
    parts, pair = _grey_pair(5, 45, 66, sigma)
    np.testing.assert_allclose(jax.jit(metrics.nlpd)(*pair), _nlpd_loop(*(p / 255.0 for p in parts)), rtol=2e-6)
