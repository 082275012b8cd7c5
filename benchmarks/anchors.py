"""Witnesses of many anchors: time, memory and how far those on landmarks are from the exact ones.

  python -m benchmarks.anchors --json=anchors.json

Features are drawn: class means of a few dozen independent directions and noise that is not round, in as many dimensions
as a network has. `exact` compares both fits on the most anchors that the exact one is used for: judged features are
those of further samples, carried off from their class by more and more noise, so that *between* and *within* can be
taken as a study takes them.
"""

import json
import os
import platform
import resource
import sys
import time

import jax
import numpy as np
from absl import app, flags

from causal_iqa import _files, alignment, quality
from causal_iqa.quality import low_rank, witness

_ANCHORS = flags.DEFINE_integer("anchors", 50_000, "Anchors of the timed fit; 0: none.")
_FEATURES = flags.DEFINE_integer("features", 1280, "Dimensions.")
_CLASSES = flags.DEFINE_integer("classes", 1000, "Classes.")
_EXACT = flags.DEFINE_integer("exact", 2000, "Anchors of the comparison with the exact fit; 0: none.")
_EXACT_CLASSES = flags.DEFINE_integer("exact_classes", 100, "Classes of the comparison.")
_RANKS = flags.DEFINE_list("ranks", [], "Numbers of landmarks to choose from (default: those of the library).")
_DIRECTIONS = flags.DEFINE_integer("directions", 48, "Independent directions of the class means.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the features.")
_JSON = flags.DEFINE_string("json", None, "File to write.")

_JUDGED, _LEVELS, _TIMED = 400, 12, 256
# Deviation of the class means; that of the noise goes from .2 to 1.5.
_SIGNAL = 0.12


class _Drawn:
    """Samples of classes in turn."""

    def __init__(self, num_classes: int, seed: int):
        rng = np.random.default_rng(seed)
        basis = rng.normal(size=(_DIRECTIONS.value, _FEATURES.value)) / np.sqrt(_DIRECTIONS.value)
        self.means = (_SIGNAL * rng.normal(size=(num_classes, _DIRECTIONS.value)) @ basis).astype(np.float32)
        self.scale = np.linspace(0.2, 1.5, _FEATURES.value, dtype=np.float32)
        self.rng = rng

    def __call__(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % len(self.means)
        noise = self.rng.standard_normal((count, _FEATURES.value), np.float32)
        noise *= self.scale
        noise += self.means[labels]
        return noise, labels


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _timed_fit() -> dict[str, float]:
    drawn = _Drawn(_CLASSES.value, _SEED.value)
    anchors = witness.Anchors(*drawn(_ANCHORS.value), _CLASSES.value)
    start, cpu = time.perf_counter(), _cpu()
    _, regularised, choice = witness.fit_on_landmarks(anchors, ranks=[int(rank) for rank in _RANKS.value])
    seconds, cpu = time.perf_counter() - start, _cpu() - cpu
    evidence = jax.jit(jax.vmap(quality.evidence, (None, 0)))
    judged, _ = drawn(_TIMED)
    evidence(regularised, judged).block_until_ready()
    start, cpu_start = time.perf_counter(), _cpu()
    for _ in range(8):
        evidence(regularised, judged).block_until_ready()
    return {
        "anchors": _ANCHORS.value,
        "features": _FEATURES.value,
        "classes": _CLASSES.value,
        "fit_seconds": seconds,
        "fit_cpu_seconds": cpu,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "evidence_ms_per_image": 1e3 * (time.perf_counter() - start) / 8 / _TIMED,
        "evidence_cpu_ms_per_image": 1e3 * (_cpu() - cpu_start) / 8 / _TIMED,
        **choice._asdict(),
    }


def _comparison() -> dict[str, float]:
    """Both witnesses on one set of anchors, and what a study would make of their scores."""
    drawn = _Drawn(_EXACT_CLASSES.value, _SEED.value + 1)
    anchors = witness.Anchors(*drawn(_EXACT.value), _EXACT_CLASSES.value)
    _, low, choice = witness.fit_on_landmarks(anchors, ranks=[int(rank) for rank in _RANKS.value])
    exact, expected = witness.fit_regularised_witness(anchors)
    judged, labels = drawn(_JUDGED)
    levels = np.linspace(0.3, 2.5, _LEVELS)[:, None, None]
    moved = judged[None] + levels * drawn.scale * drawn.rng.standard_normal((_LEVELS, *judged.shape), np.float32)
    # Performance: whether a linear classifier that knows the class means is right.
    half = 0.5 * (drawn.means**2).sum(axis=1)
    performance = ((moved @ drawn.means.T - half).argmax(axis=2) == labels).astype(np.float64)
    score = jax.jit(jax.vmap(jax.vmap(quality.share_of_label, (None, 0, 0)), (None, 0, None)))
    scores = {name: np.asarray(score(one, moved, labels), np.float64) for name, one in (("exact", exact), ("low", low))}
    found = {
        "anchors": _EXACT.value,
        "landmarks": choice.landmarks,
        "error": choice.error,
        "exact_error": expected.error,
    }
    for name, of in (("between", alignment.between), ("within", lambda q, m: alignment.within(q, m).rho)):
        found |= {f"{name}_{kind}": float(of(q, performance)) for kind, q in scores.items()}
    return found


def main(_: list[str]) -> None:
    """Measures and prints."""
    if _EXACT.value > low_rank.MOST_EXACT:
        raise app.UsageError(f"--exact: at most {low_rank.MOST_EXACT} anchors are fitted exactly")
    rows = {"machine": platform.platform(), "cores": os.cpu_count()}
    if _ANCHORS.value:
        rows["fit"] = _timed_fit()
    if _EXACT.value:
        rows["comparison"] = _comparison()
    text = json.dumps(rows, indent=1)
    print(text)
    if _JSON.value:
        _files.write_text(_JSON.value, text + "\n")


if __name__ == "__main__":
    sys.exit(app.run(main))
