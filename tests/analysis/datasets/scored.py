"""Scored sets whose images have given qualities."""

import numpy as np
import pyarrow as pa

from causal_iqa import pipeline

COLUMNS = (
    pipeline.Column("free@b", "free@b", "label_free", True, 32, (), {}),
    pipeline.Column("noise_sigma", "noise_sigma", "no_reference", False, 32, (), {}),
)


def scored_sets(sets: dict[str, np.ndarray], *, correct: bool = False, features: bool = True) -> pipeline.Scored:
    """Sets whose images have the given qualities; names of images are numbers in two folders."""
    names = tuple(sets)
    quality = np.concatenate(list(sets.values())).astype(np.float32)
    n = len(quality)
    rng = np.random.default_rng(n)
    ids = [f"{'ab'[i % 2]}/{i}.png" for i in range(n)]
    table = {
        "image_id": pa.array(ids, pa.string()),
        "set": pa.array([name for name, own in sets.items() for _ in own], pa.string()),
        "group": pa.array([name[0] for name in ids], pa.string()),
        "label": pa.array(np.full(n, 0 if correct else -1, np.int32)),
        "position": pa.array(np.arange(n)),
        "width": pa.array(np.full(n, 32, np.int32)),
        "height": pa.array(np.full(n, 32, np.int32)),
        "format": pa.array(["PNG"] * n, pa.string()),
        "one_colour": pa.array(np.zeros(n, bool)),
        "look_across": pa.array(rng.integers(1, 2**63, n, dtype=np.uint64)),
        "look_down": pa.array(rng.integers(1, 2**63, n, dtype=np.uint64)),
        "free@b": pa.array(quality, mask=~np.isfinite(quality)),
        "noise_sigma": pa.array(rng.uniform(size=n).astype(np.float32)),
    }
    if correct:
        table["net/correct"] = pa.array((rng.uniform(size=n) < 0.5).astype(np.float32))
    table |= {"cause": pa.nulls(n, pa.string()), "cause_severity": pa.nulls(n, pa.float32())}
    table |= {"cause_probability": pa.nulls(n, pa.float32()), "undefined": pa.nulls(n, pa.string())}
    kept = {"b": tuple(pipeline.Sample(np.arange(len(x)), np.stack([x, x], 1)) for x in sets.values())}
    return pipeline.Scored(
        pa.table(table), COLUMNS, names, tuple(map(len, sets.values())), (), kept if features else {}, 32, 1.0,
        ((),) * len(names),
    )  # fmt: skip
