"""Performance of masks and boxes beside torchmetrics and pycocotools: largest differences, and time.

  python -m benchmarks.task_performance --json=PATH

Needs torch, torchmetrics and pycocotools besides the library. Draws are those of the golden values, of many seeds.
"""

import json
import time
from collections.abc import Callable

import jax
import numpy as np
from absl import app, flags, logging

from causal_iqa import _files, tasks
from tests.golden import task_performance as golden

_SEEDS = flags.DEFINE_integer("seeds", 50, "Draws of each kind.", lower_bound=1)
_JSON = flags.DEFINE_string("json", None, "Where the figures go.")
_SLOTS = 16


def _timed(fn: Callable[[], object]) -> tuple[object, float]:
    start = time.perf_counter()
    found = jax.block_until_ready(fn())
    return found, time.perf_counter() - start


def ours(seed: int, functions: dict[str, Callable]) -> dict[str, np.ndarray]:
    """What this library says of a draw, under the names of the golden values."""
    pixels = functions["pixels"](*golden.drawn_masks(seed))
    found = {name: np.asarray(getattr(tasks, name)(pixels)) for name in ("pixel_accuracy", "mean_iou", "dice")}
    found["set_mean_iou"] = np.asarray(tasks.mean_iou(jax.tree.map(lambda x: x.sum(axis=0), pixels)))[None]
    images = [golden.padded(one, _SLOTS) for one in golden.drawn_boxes(seed)]
    given = [np.stack(part) for part in zip(*images, strict=True)]
    detections, truth = tasks.Detections(*given[:3]), given[3:]
    found["average_precision"] = np.asarray(functions["precision"](detections, *truth))
    matches = functions["match"](detections, *truth)
    num_true = np.bincount(truth[1][truth[1] >= 0], minlength=golden.CLASSES)
    found["set_average_precision"] = tasks.set_average_precision(*matches[:3], num_true)
    return found


def main(_: list[str]) -> None:
    """Draws -> both sides -> largest differences and times."""
    functions = {
        "pixels": jax.jit(jax.vmap(lambda p, t: tasks.class_pixels(p, t, num_classes=golden.CLASSES))),
        "precision": jax.jit(jax.vmap(lambda d, t, c: tasks.average_precision(d, t, c, num_classes=golden.CLASSES))),
        "match": jax.jit(jax.vmap(tasks.match_boxes)),
    }
    ours(0, functions)
    differences: dict[str, float] = {}
    seconds = np.zeros(2)
    for seed in range(_SEEDS.value):
        found, own = _timed(lambda seed=seed: ours(seed, functions))
        peer, theirs = _timed(lambda seed=seed: golden.golden(seed))
        seconds += own, theirs
        for name, values in peer.items():
            expected = np.array([np.nan if value is None else value for value in values], np.float64)
            got = np.asarray(found[name], np.float64)
            if not np.array_equal(np.isnan(got), np.isnan(expected)):
                raise AssertionError(f"{name}, seed {seed}: undefined in different places, {got} and {expected}")
            differences[name] = max(differences.get(name, 0.0), float(np.nanmax(np.abs(got - expected))))
    figures = {"differences": differences, "seeds": _SEEDS.value, "ours_s": seconds[0], "peers_s": seconds[1]}
    logging.info("%s", json.dumps(figures, indent=1))
    if _JSON.value:
        _files.write_text(_JSON.value, json.dumps(figures, indent=1) + "\n")
    if max(differences.values()) > 1e-6:
        raise AssertionError(f"differences above 1e-6: {differences}")


if __name__ == "__main__":
    app.run(main)
