"""How far a degradation moves what a picture shows.

Grey dots on a grid, 96 pixels a side, and the ground without them, under the same key: what the two differ by is where
the dots went, whatever noise or weather lies on both. The displacement of a dot is that of the centroid of the
difference around its place, at severity 5, under three keys.
"""

import numpy as np

from causal_iqa import copies

_SIDE, _SPACING, _WIDTH = 96, 24, 3.0
_GROUND, _HEIGHT = 110, 60.0
_KEYS = 3


def pictures() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dots and ground, uint8 [S, S, 3], and the places of the dots [n, 2], row and column."""
    y, x = np.mgrid[:_SIDE, :_SIDE]
    middle = np.arange(_SPACING, _SIDE - 1, _SPACING)
    places = np.stack(np.meshgrid(middle, middle, indexing="ij"), -1).reshape(-1, 2)
    field = sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * _WIDTH**2)) for a, b in places)
    dots = np.rint(_GROUND + _HEIGHT * field).astype(np.uint8)
    with_dots, without = (np.repeat(one[..., None], 3, axis=-1) for one in (dots, np.full_like(dots, _GROUND)))
    return with_dots, without, places


def displacement(name: str, severity: float = 5.0) -> tuple[float, float]:
    """Pixels by which the median and the farthest dot moves, of the mean over the keys."""
    dots, ground, places = pictures()
    reach = _SPACING // 2
    found = []
    for key in range(_KEYS):
        how = {"parameters": "imagenet_c", "image_id": str(key)}
        with_dots, without = (copies.degrade(one, f"{name}/{severity:g}", **how) for one in (dots, ground))
        weight = np.abs(with_dots.astype(float) - without).mean(axis=-1)
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        for a, b in places:
            own = weight[a - reach : a + reach + 1, b - reach : b + reach + 1]
            own = np.where(own > 0.25 * max(own.max(), 1.0), own, 0.0)
            found.append((own * y).sum() / max(own.sum(), 1e-9) + 1j * (own * x).sum() / max(own.sum(), 1e-9))
    moved = np.abs(np.asarray(found).reshape(_KEYS, -1))
    return float(np.median(moved)), float(moved.mean(axis=0).max())
