"""Which likely causes, and which groups, the difference of expected accuracy between two sets comes from."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from causal_iqa.analysis import attribution

NONE = "none"
FEWEST_IMAGES = 20


def attribute(
    tables: Sequence[pa.Table],
    expected: Sequence[np.ndarray],
    *,
    level: float,
    seed: int,
) -> attribution.Attribution | None:
    """Attributes the difference of the mean expected correctness of two sets.

    Every image counts for its likeliest cause alone. Groups are a part where both sets have groups of the same names.

    Args:
      tables: of the first and the second set, with columns cause and group.
      expected: correctness expected of each image, [n] and [m], NaN where undefined.
      level: confidence level of the intervals.
      seed: seed of the resamples.

    Returns:
      The parts of the second less the first; None where fewer than 20 images of a set have both a cause and an
      expected correctness.
    """
    causes = [np.asarray(table["cause"].to_pylist(), object) for table in tables]
    known = [np.isfinite(e) & (c != None) for e, c in zip(expected, causes, strict=True)]  # noqa: E711
    if min(int(rows.sum()) for rows in known) < FEWEST_IMAGES:
        return None
    causes = [c[rows] for c, rows in zip(causes, known, strict=True)]
    names = (NONE, *sorted({str(name) for one in causes for name in one} - {NONE}))
    groups = [
        np.asarray(t["group"].to_pylist(), object)[rows].astype(str) for t, rows in zip(tables, known, strict=True)
    ]
    shared = set(groups[0]) & set(groups[1])
    sets = [
        attribution.SetOfImages(
            np.clip(e[rows], 0.0, 1.0), attribution.likely_causes(c.tolist(), names), g if len(shared) > 1 else None
        )
        for e, rows, c, g in zip(expected, known, causes, groups, strict=True)
    ]
    return attribution.attribute(*sets, names, level=level, seed=seed)
