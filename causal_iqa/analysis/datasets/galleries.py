"""Which images to show: the worst, the best and typical ones of a set or group."""

from typing import NamedTuple

import numpy as np


class Gallery(NamedTuple):
    """Rows of images to show, of a set, or of a group of it.

    Attributes:
      set: its name.
      group: its name; None: the whole set.
      worst: rows by rising quality.
      typical: rows next to the median.
      best: rows by falling quality.
    """

    set: str
    group: str | None
    worst: tuple[int, ...]
    typical: tuple[int, ...]
    best: tuple[int, ...]


def pick(set_name: str, group: str | None, rows: np.ndarray, quality: np.ndarray, *, num: int) -> Gallery:
    """Picks images to show.

    Args:
      set_name: name of the set.
      group: name of the group, None for the whole set.
      rows: int [n], of the images that may be shown.
      quality: [n] of these, NaN where undefined.
      num: number of each kind, at most; no image is shown twice.

    Returns:
      The gallery; a set of few images has fewer of each kind, the worst first.
    """
    defined = np.isfinite(quality)
    ordered = rows[defined][np.argsort(quality[defined], kind="stable")]
    n = len(ordered)
    worst = ordered[: min(num, n)]
    best = ordered[::-1][: min(num, max(0, n - len(worst)))]
    inner = ordered[len(worst) : n - len(best)]
    start = max(0, (len(inner) - num) // 2)
    typical = inner[start : start + num]
    return Gallery(set_name, group, *(tuple(int(i) for i in own) for own in (worst, typical, best)))
