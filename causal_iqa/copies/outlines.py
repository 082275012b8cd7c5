"""Outlines of objects as COCO stores them, polygons or run lengths, and the regions of pixels that they enclose."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from causal_iqa import _checks

# Lines of a row of pixels when an outline is filled.
_FINE = 4


def filled(outline: Sequence[Sequence[float]] | Mapping[str, Any], height: int, width: int) -> np.ndarray:
    """Fills a segmentation of COCO.

    Args:
      outline: polygons [x, y, x, y, ...] in pixels, or {"counts": run lengths, "size": [H, W]}.
      height: height of the picture in pixels.
      width: width of the picture in pixels.

    Returns:
      float32 [H, W], the share of each pixel that lies within.

    Raises:
      InputError: for run lengths of another size.
    """
    if isinstance(outline, Mapping):
        counts = np.asarray(outline["counts"])
        if list(outline.get("size", [])) != [height, width] or counts.sum() != height * width:
            raise _checks.InputError(
                f"boxes: a segmentation has the size {outline.get('size')}, its image [{height}, {width}]"
            )
        runs = np.repeat(np.arange(len(counts)) % 2, counts)
        return runs.reshape(width, height).T.astype(np.float32)
    total = np.zeros((height, width), np.float32)
    for polygon in outline:
        points = np.asarray(polygon, np.float64).reshape(-1, 2)
        if len(points) > 2:
            total += _coverage(points, height, width)
    return np.minimum(total, 1.0)


def _coverage(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """The share of each pixel within a polygon [n, 2]: exact along rows, from several lines in each of them."""
    found = np.zeros((height, width), np.float32)
    low, high = np.clip([np.floor(points[:, 1].min()), np.ceil(points[:, 1].max())], 0, height).astype(int)
    y = (np.arange(low * _FINE, high * _FINE) + 0.5)[:, None] / _FINE
    if not len(y):
        return found
    (x0, y0), (x1, y1) = points.T, np.roll(points, -1, axis=0).T
    crosses = (y0 <= y) != (y1 <= y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.sort(np.where(crosses, x0 + (y - y0) * (x1 - x0) / (y1 - y0), np.inf), axis=1)
    fine = np.zeros((len(y), width), np.float32)
    # Lines enter and leave in turn; what is never reached enters and leaves at infinity.
    for place in range(int(crosses.sum(axis=1).max())):
        fine += (2 * (place % 2) - 1) * np.clip(at[:, place, None] - np.arange(width), 0.0, 1.0)
    found[low:high] = fine.reshape(high - low, _FINE, width).mean(axis=1)
    return found


def run_lengths(region: np.ndarray) -> dict[str, Any]:
    """Writes a region as COCO's run lengths: column by column, zeros first.

    Args:
      region: bool [H, W].

    Returns:
      {"counts": run lengths, "size": [H, W]}.
    """
    flat = np.asarray(region, bool).T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], ends, [flat.size]]))
    return {"counts": [0] * bool(flat[0]) + counts.tolist(), "size": list(region.shape)}
