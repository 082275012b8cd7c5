"""Degraded copies of a folder of photographs against imagecorruptions, from a cold start (the bench extra).

  python -m benchmarks.degrade --photos=DIR --json=PATH

Ours is the command `causal-iqa degrade` in a process of its own, with an empty compilation cache: start, compilation,
decoding, degrading and writing. The peer is called as its users call it, photograph by photograph, in as many
processes, decodes and writes with the same library and settings, and compiles nothing, so a share of the photographs
is enough and is scaled by pixels. The peer's photographs are done in two halves, before and after ours. Seconds of the
processors are given beside those of the clock, as other programs may hold the machine.

A second run of ours, with the compiled programs of the first, says what more photographs cost at the most (its start
and the tracing of the programs are part of it), and gives the projection to 10,000 photographs of these sizes.
"""

import concurrent.futures
import functools
import importlib.metadata
import io
import json
import multiprocessing
import os
import pathlib
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import PIL.Image
from absl import app, flags

from causal_iqa import _files, degradations
from tests import peers

_PHOTOS = flags.DEFINE_string("photos", None, "Folder of photographs.", required=True)
_JSON = flags.DEFINE_string("json", None, "Where the figures go.")
_DEGRADATIONS = flags.DEFINE_list("degradations", ["imagenet_c15"], "Names or sets.")
_PEER_EVERY = flags.DEFINE_integer("peer_every", 32, "The peer does every so manieth photograph.")
_PROCESSES = flags.DEFINE_integer("processes", 2, "Of both sides.")
_QUALITY = flags.DEFINE_integer("quality", 95, "JPEG quality of both sides; 0: PNG, at zlib's fastest level.")
_WARM = flags.DEFINE_bool("warm", True, "Whether ours also runs with the compiled programs of its first run.")
_MANY = 10_000

_SEVERITIES = (1, 2, 3, 4, 5)


def timed(run: Callable[[], Any]) -> dict[str, float]:
    """Runs something in child processes; seconds of the clock and of the processors."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    start, before = time.perf_counter(), spent()
    run()
    return {"wall_s": time.perf_counter() - start, "cpu_s": spent() - before}


def ours(photos: pathlib.Path, out: pathlib.Path, names: Sequence[str]) -> None:
    """Runs the command; its folder of compiled programs, beside its output, is empty the first time."""
    command = [sys.executable, "-m", "experiments.degrade", f"--images={photos}", f"--output_dir={out}"]
    command += [f"--degradations={','.join(names)}", "--parameters=imagenet_c", "--quantise=truncate"]
    command += [f"--num_processes={_PROCESSES.value}", f"--compilation_cache={out.parent / 'programs'}"]
    command += ["--format=jpeg", f"--quality={_QUALITY.value}"] if _QUALITY.value else ["--format=png"]
    cold = {key: value for key, value in os.environ.items() if "COMPILATION_CACHE" not in key}
    subprocess.run(command, env=cold, check=True, stdout=subprocess.DEVNULL)


def peer_photo(names: Sequence[str], out: pathlib.Path, quality: int, path: pathlib.Path) -> dict[str, float]:
    """One photograph under all conditions of the peer, written; processor seconds of each degradation."""
    package = peers.imagecorruptions_peer()
    pixels, spent = np.asarray(PIL.Image.open(path).convert("RGB")), {}
    for name in names:
        start = time.process_time()
        for severity in _SEVERITIES:
            degraded = PIL.Image.fromarray(np.asarray(package.corrupt(pixels, severity, name), np.uint8))
            content = io.BytesIO()
            if quality:
                degraded.save(content, "JPEG", quality=quality)
            else:
                degraded.save(content, "PNG", compress_level=1)
            target = out / name / str(severity) / path.with_suffix(".jpg" if quality else ".png").name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.getvalue())
        spent[name] = time.process_time() - start
    return spent


def peer(paths: Sequence[pathlib.Path], out: pathlib.Path, names: Sequence[str]) -> dict[str, float]:
    """All given photographs by the peer, in as many processes as ours; processor seconds of each degradation."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(_PROCESSES.value, mp_context=context) as pool:
        each = list(pool.map(functools.partial(peer_photo, names, out, _QUALITY.value), paths))
    return {name: sum(one[name] for one in each) for name in names}


def pixels_of(paths: Sequence[pathlib.Path]) -> int:
    """Pixels of photographs in all."""
    return sum(int(np.prod(PIL.Image.open(path).size)) for path in paths)


def main(_: list[str]) -> None:
    """Times both in turn and writes the figures."""
    names = tuple(
        name
        for given in _DEGRADATIONS.value
        for name in (degradations.named_set(given) if given in degradations.SETS else (given,))
    )
    photos = pathlib.Path(_PHOTOS.value)
    paths = sorted(path for path in photos.iterdir() if path.is_file())
    some = paths[:: _PEER_EVERY.value]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        halves, by_name = [], dict.fromkeys(names, 0.0)

        def peer_half(which: int) -> None:
            for name, seconds in peer(some[which::2], work / "peer", names).items():
                by_name[name] += seconds

        halves.append(timed(lambda: peer_half(0)))
        found["ours"] = timed(lambda: ours(photos, work / "ours", names))
        print("ours", found["ours"], flush=True)
        shutil.rmtree(work / "ours")
        if _WARM.value:
            found["ours_warm"] = timed(lambda: ours(photos, work / "ours", names))
            print("ours, compiled before", found["ours_warm"], flush=True)
        halves.append(timed(lambda: peer_half(1)))
    share = pixels_of(paths) / pixels_of(some)
    found["peer"] = {kind: sum(half[kind] for half in halves) * share for kind in ("wall_s", "cpu_s")}
    found["peer_cpu_s_by_degradation"] = {name: round(seconds * share, 1) for name, seconds in by_name.items()}
    found["ratio"] = {kind: found["peer"][kind] / found["ours"][kind] for kind in ("wall_s", "cpu_s")}
    # The released peer's glass blur is a Python loop that hides the rest.
    without = found["peer"]["cpu_s"] - found["peer_cpu_s_by_degradation"].get("glass_blur", 0.0)
    found["cpu_ratio_without_the_peers_glass_blur"] = without / found["ours"]["cpu_s"]
    if _WARM.value:
        more = _MANY / len(paths)
        many = {kind: found["ours"][kind] + (more - 1) * found["ours_warm"][kind] for kind in found["ours"]}
        found[f"projection_to_{_MANY}_of_these_sizes"] = {
            "ours": many,
            "peer": {kind: found["peer"][kind] * more for kind in many},
            "ratio": {kind: found["peer"][kind] * more / many[kind] for kind in many},
            "cpu_ratio_without_the_peers_glass_blur": without * more / many["cpu_s"],
        }
    found |= {
        "photographs": len(paths),
        "sizes": len({PIL.Image.open(path).size for path in paths}),
        "peer_photographs": len(some),
        "peer_version": importlib.metadata.version("imagecorruptions"),
        "conditions": len(names) * len(_SEVERITIES),
        "stored": f"JPEG {_QUALITY.value}" if _QUALITY.value else "PNG, level 1",
        "machine": {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()},
        "processes": _PROCESSES.value,
    }
    print(json.dumps(found, indent=1))
    if _JSON.value:
        _files.write_text(_JSON.value, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
