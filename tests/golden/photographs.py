"""Photograph-like test images from numpy alone, so that a peer's environment can make the same pixels."""

import numpy as np


def photograph(seed: int, height: int, width: int) -> np.ndarray:
    """Returns uint8 [height, width, 3]: a shaded ground, soft waves, and a few hard-edged coloured discs."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    image = np.empty((height, width, 3))
    for c in range(3):
        a, b = rng.uniform(-0.3, 0.3, 2)
        image[..., c] = rng.uniform(0.35, 0.65) + a * x + b * y
    for _ in range(4):
        u, v = rng.normal(0.0, 12.0, 2)
        wave = np.sin(2.0 * np.pi * (u * x + v * y) + rng.uniform(0.0, 6.0))
        image += 0.07 * wave[..., None] * rng.uniform(0.3, 1.0, 3)
    for _ in range(5):
        centre_y, centre_x = rng.uniform(0.0, 1.0, 2)
        inside = (y - centre_y) ** 2 + (x - centre_x) ** 2 < rng.uniform(0.05, 0.2) ** 2
        image[inside] = 0.5 * image[inside] + 0.5 * rng.uniform(0.0, 1.0, 3)
    return np.round(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)


def noisy(image: np.ndarray, seed: int, sigma: float) -> np.ndarray:
    """Returns uint8 of the same shape with Gaussian noise of `sigma` in units of the data range."""
    noise = np.random.default_rng(seed).normal(0.0, 255.0 * sigma, image.shape)
    return np.round(np.clip(image + noise, 0.0, 255.0)).astype(np.uint8)


# name: (seed, height, width, noise), shared by the scripts that make golden values and the tests that read them.
CASES = {"square": (1, 48, 48, 0.05), "wide": (2, 37, 61, 0.15), "tall": (3, 96, 55, 0.02)}


def case(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns (reference, image) of one case, uint8."""
    seed, height, width, sigma = CASES[name]
    reference = photograph(seed, height, width)
    return reference, noisy(reference, 100 + seed, sigma)
