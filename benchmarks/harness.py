"""Times ours and a peer in turn, in one process, and writes the ratios."""

import dataclasses
import json
import math
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison: milliseconds per image of both, and how many times faster ours is."""

    name: str
    size: str
    ours_ms: float
    peer: str
    peer_ms: float

    @property
    def ratio(self) -> float:
        """Returns peer / ours."""
        return self.peer_ms / self.ours_ms


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
      size: of the input, in words.
      ours: runs our side once; its result is waited for.
      peer: runs the peer once.
      peer_name: name and version.
      images: in one run.
      rounds: counted runs of each, after one that is not.

    Returns:
      The row.
    """
    jax.block_until_ready(ours())
    peer()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for side, run in zip(times, (ours, peer), strict=True):
            start = time.perf_counter()
            jax.block_until_ready(run())
            side.append(1e3 * (time.perf_counter() - start) / images)
    return Row(name, size, statistics.median(times[0]), peer_name, statistics.median(times[1]))


def write(rows: Sequence[Row], path: str | None) -> None:
    """Prints the rows, and writes them as JSON when a path is given."""
    for row in rows:
        ours, peer = f"ours {row.ours_ms:8.3f} ms", f"{row.peer} {row.peer_ms:8.3f} ms"
        print(f"{row.name:<20} {row.size:<10} {ours}   {peer:<36} x {row.ratio:.2f}")
    geomean = math.exp(statistics.mean(math.log(row.ratio) for row in rows))
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
        pathlib.Path(path).write_text(json.dumps(content, indent=1) + "\n")
