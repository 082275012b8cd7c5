"""NIQE, BRISQUE and PIQE in float64 numpy, written as the original MATLAB code computes: the oracle of the tests.

Filters are SciPy's, moments plain sums, E[x^2] - E[x]^2 as there, and MATLAB's resize by its general formula.
"""

import numpy as np
import scipy.ndimage
import scipy.special

_SHAPES = np.arange(200, 10001) / 1000
_GAMMA = scipy.special.gamma
_RATIO = _GAMMA(2 / _SHAPES) ** 2 / (_GAMMA(1 / _SHAPES) * _GAMMA(3 / _SHAPES))


def grey(image: np.ndarray) -> np.ndarray:
    """rgb2gray of uint8 [H, W, 3]."""
    weights = np.linalg.inv([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.106, 1.703]])[0]
    return np.floor(image @ weights + 0.5)


def local(x: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Local mean and deviation under the Gaussian window; `mode` is SciPy's."""
    window = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    window /= window.sum()

    def mean(z):
        return scipy.ndimage.correlate1d(scipy.ndimage.correlate1d(z, window, 0, mode=mode), window, 1, mode=mode)

    mu = mean(x)
    return mu, np.sqrt(np.abs(mean(x * x) - mu * mu))


def normalise(x: np.ndarray, mode: str) -> np.ndarray:
    """(x - mean) / (deviation + 1)."""
    mu, sigma = local(x, mode)
    value = (x - mu) / (sigma + 1)
    return np.where(np.abs(value) < 1e-9, 0.0, value)


def halve(x: np.ndarray) -> np.ndarray:
    """imresize(x, 0.5) by its general formula: bicubic kernel stretched by 2, mirrored indices, weights normalised."""

    def cubic(t):
        t = np.abs(t)
        near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
        return np.where(t <= 1, near, np.where(t <= 2, far, 0.0))

    for axis in (0, 1):
        length = x.shape[axis]
        out = -(-length // 2)
        u = np.arange(1, out + 1) / 0.5 + 0.5 * (1 - 1 / 0.5)
        index = np.floor(u - 4)[:, None] + np.arange(10)
        weights = 0.5 * cubic(0.5 * (u[:, None] - index))
        weights /= weights.sum(1, keepdims=True)
        mirror = np.concatenate([np.arange(length), np.arange(length)[::-1]])
        index = mirror[np.mod(index.astype(int) - 1, 2 * length)]
        x = np.einsum("ok,ok...->o...", weights, np.moveaxis(x, axis, 0)[index])
        x = np.moveaxis(x, 0, axis)
    return x


def asymmetric(x: np.ndarray) -> tuple[float, float, float]:
    """(shape, left, right) of an asymmetric generalised Gaussian by moments, nearest on the grid."""
    left, right = np.sqrt(np.mean(x[x < 0] ** 2)), np.sqrt(np.mean(x[x > 0] ** 2))
    skew = left / right
    ratio = np.mean(np.abs(x)) ** 2 / np.mean(x**2)
    ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    return _SHAPES[np.argmin((_RATIO - ratio) ** 2)], left, right


def niqe_features(x: np.ndarray) -> list[float]:
    """18 features of one block."""
    shape, left, right = asymmetric(x.ravel())
    scale = np.sqrt(_GAMMA(1 / shape) / _GAMMA(3 / shape))
    found = [shape, (left + right) / 2 * scale]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = asymmetric((x * np.roll(x, shift, (0, 1))).ravel())
        scale = np.sqrt(_GAMMA(1 / shape) / _GAMMA(3 / shape))
        found += [shape, (right - left) * scale * _GAMMA(2 / shape) / _GAMMA(1 / shape), left * scale, right * scale]
    return found


def niqe_blocks(image: np.ndarray) -> np.ndarray:
    """[blocks, 36] of uint8 [H, W, 3]."""
    height, width = (side // 96 * 96 for side in image.shape[:2])
    x, parts = grey(image)[:height, :width], []
    for side in (96, 48):
        v = normalise(x, "nearest")
        corners = [(r, c) for r in range(0, v.shape[0], side) for c in range(0, v.shape[1], side)]
        parts.append([niqe_features(v[r : r + side, c : c + side]) for r, c in corners])
        x = halve(x)
    return np.concatenate(parts, axis=1)


def niqe(image: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    """The score by the pseudo-inverse, as published."""
    blocks = niqe_blocks(image)
    own = np.cov(blocks.T) if len(blocks) > 1 else np.zeros_like(covariance)
    off = mean - blocks.mean(axis=0)
    return float(np.sqrt(off @ np.linalg.pinv((covariance + own) / 2) @ off))


def brisque_features_of(v: np.ndarray) -> list[float]:
    """18 features of normalised luma."""
    found = [_SHAPES[np.argmin(np.abs(1 / _RATIO - np.mean(v**2) / np.mean(np.abs(v)) ** 2))], np.mean(v**2)]
    for shift in ((0, 1), (1, 0), (1, 1), (-1, 1)):
        shape, left, right = asymmetric((v * np.roll(v, shift, (0, 1))).ravel())
        scale = np.sqrt(_GAMMA(1 / shape) / _GAMMA(3 / shape))
        mean = (right - left) * scale * _GAMMA(2 / shape) / _GAMMA(1 / shape)
        found += [shape, mean, left**2, right**2]
    return found


def brisque_features(image: np.ndarray) -> np.ndarray:
    """[36] of uint8 [H, W, 3]."""
    x = grey(image)
    return np.array(
        brisque_features_of(normalise(x, "constant")) + brisque_features_of(normalise(halve(x), "constant"))
    )


def regress(vectors: np.ndarray, weights: np.ndarray, gamma: float, rho: float, x: np.ndarray) -> float:
    """A radial support vector regression."""
    return float(weights @ np.exp(-gamma * np.square(vectors - x).sum(axis=1)) - rho)


def piqe(image: np.ndarray) -> float:
    """PIQE, a loop over blocks."""
    x = grey(image)
    x = np.pad(x, [(0, -side % 16) for side in x.shape], mode="edge")
    v = normalise(np.floor(255 * x / x.max() + 0.5), "nearest")
    distortion, active = 0.0, 0
    for r in range(0, v.shape[0], 16):
        for c in range(0, v.shape[1], 16):
            block = v[r : r + 16, c : c + 16]
            variance = block.var(ddof=1)
            if variance <= 0.1:
                continue
            active += 1
            edges = (block[0], block[-1], block[:, 0], block[:, -1])
            if min(edge[k : k + 6].std(ddof=1) for edge in edges for k in range(11)) < 0.1:
                distortion += 1 - variance
            contrast = block[:, 7:9].std(ddof=1) / np.delete(block, [7, 9], axis=1).std(ddof=1)
            sigma = np.sqrt(variance)
            if sigma > 2 * abs(sigma - contrast) / max(sigma, contrast):
                distortion += variance
    return 100 * (distortion + 1) / (active + 1)
