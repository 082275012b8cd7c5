"""Times ours and a peer in turn, in one process, and writes the ratios."""

import dataclasses
import io
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from causal_iqa import _files


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison: milliseconds per image of both, and how many times faster ours is; no peer, no ratio."""

    name: str
    size: str
    ours_ms: float
    peer: str | None = None
    peer_ms: float | None = None

    @property
    def ratio(self) -> float | None:
        """Returns peer / ours."""
        return None if self.peer_ms is None else self.peer_ms / self.ours_ms


def save_arrays(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays as .npz, whole or not at all."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    _files.write_atomically(path, content.getvalue())


# One run of a few milliseconds, after something else had the processor, times its waking up and cold caches.
_LEAST_S = 0.2


def _ms(run: Callable[[], Any]) -> float:
    """Milliseconds of one run: the mean over as many as fill a fifth of a second."""
    start, runs = time.perf_counter(), 0
    while not runs or time.perf_counter() - start < _LEAST_S:
        jax.block_until_ready(run())
        runs += 1
    return 1e3 * (time.perf_counter() - start) / runs


def median_ms(run: Callable[[], Any], *, images: int, rounds: int) -> float:
    """Milliseconds per image of something without a peer: the median of `rounds`, after one run that does not count."""
    jax.block_until_ready(run())
    return statistics.median(_ms(run) / images for _ in range(rounds))


def compare(
    name: str,
    size: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    *,
    peer_name: str,
    images: int,
    rounds: int = 7,
) -> Row:
    """Runs ours and the peer alternately and takes the median of each.

    Args:
      name: what is compared.
      size: size of the input, in words.
      ours: runs our side once; its result is waited for.
      peer: runs the peer once.
      peer_name: name and version.
      images: in one run.
      rounds: counted times of each, after a run that is not; each the mean of as many runs as fill a fifth of a second.

    Returns:
      The row.
    """
    jax.block_until_ready(ours())
    peer()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for side, run in zip(times, (ours, peer), strict=True):
            side.append(_ms(run) / images)
    return Row(name, size, statistics.median(times[0]), peer_name, statistics.median(times[1]))


def write(rows: Sequence[Row], path: str | None) -> None:
    """Prints the rows, and writes them as JSON when a path is given."""
    for row in rows:
        peer = "" if row.peer_ms is None else f"{row.peer + f' {row.peer_ms:8.3f} ms':<36} x {row.ratio:.2f}"
        print(f"{row.name:<20} {row.size:<10} ours {row.ours_ms:8.3f} ms   {peer}")
    ratios = [row.ratio for row in rows if row.ratio is not None]
    geomean = math.exp(statistics.mean(map(math.log, ratios))) if ratios else None
    if ratios:
        print(f"geometric mean of the ratios: {geomean:.2f}")
    if path:
        machine = {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "devices": [str(device) for device in jax.local_devices()],
            "jax": jax.__version__,
            "python": platform.python_version(),
        }
        content = {
            "machine": machine,
            "rows": [dataclasses.asdict(row) | {"ratio": row.ratio} for row in rows],
            "geomean_ratio": geomean,
        }
        _files.write_text(path, json.dumps(content, indent=1) + "\n")
