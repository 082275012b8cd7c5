"""Small pictures for the tests of this room: smooth shading, edges, fine texture and colour, on the 8-bit grid."""

import numpy as np


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A float32 [height, width, 3] picture whose values are multiples of 1 / 255."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    planes = []
    for _ in range(3):
        f, g, p = rng.uniform(3, 12), rng.uniform(3, 12), rng.uniform(0, 6)
        planes.append(0.5 + 0.25 * np.sin(f * x + p) * np.cos(g * y))
    image = np.stack(planes, axis=-1)
    cy, cx = rng.uniform(0.3, 0.6, 2)
    image[(y - cy) ** 2 + (x - cx) ** 2 < 0.2**2] = rng.uniform(0, 1, 3)
    image += 0.06 * rng.standard_normal(image.shape)
    image[: height // 8, : width // 8] = rng.uniform(0, 1)
    return np.clip(np.round(image * 255), 0, 255).astype(np.float32) / np.float32(255)
