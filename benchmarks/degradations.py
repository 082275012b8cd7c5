"""Degradations against imagecorruptions, one by one and as the 19 x 5 sweep, in one run (the bench extra).

  python -m benchmarks.degradations --json=PATH

First the outputs are compared, then both sides are timed in turn on the same images, with the parameters of 224 pixels,
the only ones the peer has: all 5 severities of one degradation, milliseconds per image. The peer is called as its users
call it, image by image; ours is one compiled program over images and severities. Compilation is timed apart, and peak
memory in processes of their own. On an accelerator the throughput of the sweep and its share of the memory bandwidth
follow.
"""

import functools
import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from absl import app, flags

from benchmarks import harness
from causal_iqa import _files, data, degradations, images
from causal_iqa.data import scenes
from causal_iqa.degradations import TABLE, Condition
from tests import peers

_JSON = flags.DEFINE_string("json", None, "Where the figures go.")
_SIDES = flags.DEFINE_list("sides", ["224", "32"], "Sides of the images in pixels.")
_IMAGES = flags.DEFINE_list("images", ["8", "64"], "Images in one run, for each of the sides.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Counted runs of each side.")
_ONLY = flags.DEFINE_list("only", ["all"], "Degradations or sets; the sweep is their sum.")
_PHOTOS = flags.DEFINE_string("photos", None, "Folder of photographs (default: rendered scenes).")
_BANDWIDTH = flags.DEFINE_float("bandwidth_gbs", 4800.0, "Memory bandwidth of the accelerator in GB/s (H200: 4800).")
_MEMORY = flags.DEFINE_bool("memory", True, "Measure the peak memory of both, in processes of their own.")
_CHILD = flags.DEFINE_enum(
    "child", None, ["ours", "peer", "none"], "What a process of its own runs; set by the parent."
)

_SEVERITIES = (1.0, 2.0, 3.0, 4.0, 5.0)
_FAMILY = "imagenet224"
# The peer's elastic transform is another corruption than that of the paper; ours has both.
_AS_PEER = {"elastic_transform": {"definition": "imagecorruptions"}}
# dB by which the damage of the two may differ beyond what chance explains. Ours draws the frost that the peer reads
# from five files, follows ImageMagick in motion blur, and Hendrycks in fog at sizes that are no power of two.
_LOOSER = {"frost": 3.0, "motion_blur": 1.5, "snow": 1.5, "fog": 2.0}
_CLOSE = 0.5
_EQUAL = 40.0


def read_images(side: int, num: int) -> np.ndarray:
    """Returns uint8 [num, side, side, 3]: photographs of --photos, or rendered scenes."""
    if _PHOTOS.value is None:
        return np.stack([example.image for example in scenes.SceneSource(size=side).batch(list(range(num)))])
    source = data.open_images(_PHOTOS.value)
    return np.stack([data.fit(source[i].image, side) for i in range(num)])


def make_ours(name: str, options: dict[str, Any] | None = None, family: str | None = _FAMILY) -> Callable[..., Any]:
    """Returns the jitted `f(key, pixels uint8 [N, H, W, 3]) -> uint8 [N, 5, H, W, 3]`, truncated as the peer does."""
    condition = Condition(name, 1.0, options=options or {}, family=family, quantise="truncate")
    graded = degradations.do_graded(condition)
    severities = np.asarray(_SEVERITIES, np.float32)[:, None]

    def one(key, pixels):
        image = images.from_uint8(pixels)
        return images.to_uint8(jax.vmap(functools.partial(graded, key, image))(severities))

    def program(key, pixels):
        keys = jax.random.split(key, len(pixels))
        return jax.vmap(one)(keys, pixels)

    return jax.jit(program)


def make_peer(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the peer's `f(pixels uint8 [N, H, W, 3]) -> uint8 [N, 5, H, W, 3]`, image by image."""
    package = peers.imagecorruptions_peer()

    def run(pixels):
        rows = [[package.corrupt(image, int(s), name) for s in _SEVERITIES] for image in pixels]
        return np.asarray(rows)

    return run


def psnr(a: np.ndarray, b: np.ndarray, axis: Any = None) -> np.ndarray:
    """Peak signal-to-noise ratio of 8-bit images in dB, at most 99."""
    error = np.mean((np.asarray(a, np.float64) - np.asarray(b, np.float64)) ** 2, axis=axis)
    return 10 * np.log10(255.0**2 / np.maximum(error, 255.0**2 * 10**-9.9))


def agreement(name: str, ours: np.ndarray, peer: np.ndarray, clean: np.ndarray) -> dict[str, float]:
    """Compares two degraded stacks; raises AssertionError where they are not the same corruption.

    Args:
      name: name of the degradation.
      ours: uint8 [N, 5, H, W, 3].
      peer: the same.
      clean: uint8 [N, H, W, 3].

    Returns:
      {"psnr": of one to the other for deterministic ones, "damage_db": largest difference of the mean PSNR to clean}.
    """
    damage = np.stack([psnr(x, clean[:, None], axis=(2, 3, 4)) for x in (ours, peer)])
    difference = np.abs(np.diff(damage.mean(axis=1), axis=0))[0]
    error = np.sqrt(damage.var(axis=1, ddof=1).sum(axis=0) / len(clean))
    found = {"damage_db": float(difference.max())}
    if not TABLE[name].stochastic:
        found["psnr"] = float(psnr(ours, peer, axis=(2, 3, 4)).min())
        if found["psnr"] < _EQUAL:
            raise AssertionError(f"{name}: expected at least {_EQUAL} dB between ours and the peer, got {found}")
    elif (difference > _LOOSER.get(name, _CLOSE) + 3 * error).any():
        raise AssertionError(f"{name}: expected damage within {_LOOSER.get(name, _CLOSE)} dB, got {difference}")
    return found


def compile_seconds(program: Callable[..., Any], *arguments: Any) -> tuple[Callable[..., Any], float]:
    """Compiles anew, and returns the executable and how long it took."""
    start = time.perf_counter()
    return program.lower(*arguments).compile(), time.perf_counter() - start


def bench_side(side: int, num: int, names: Sequence[str]) -> tuple[list[harness.Row], dict[str, Any]]:
    """Times every degradation at one size.

    Args:
      side: in pixels.
      num: images in one run.
      names: names of degradations.

    Returns:
      (rows with the peer, the sweep last; figures that have no peer).
    """
    key, pixels = jax.random.key(0), read_images(side, num)
    peer_name = f"imagecorruptions {importlib.metadata.version('imagecorruptions')}"
    rows, own, checks, compiled_s = [], {}, {}, {}
    for name in names:
        has_peer = TABLE[name].published
        program, seconds = compile_seconds(make_ours(name, _AS_PEER.get(name)), key, pixels)
        compiled_s[name] = round(seconds, 2)
        ours = functools.partial(program, key, pixels)
        if not has_peer:
            own[name] = round(harness.median_ms(ours, images=len(pixels), rounds=_ROUNDS.value), 3)
            print(f"{name:<20} {side:>3} px   ours {own[name]:8.3f} ms   compile {seconds:.1f} s", flush=True)
            continue
        np.random.seed(0)  # noqa: NPY002 (the peer draws from the global generator)
        peer = functools.partial(make_peer(name), pixels)
        checks[name] = agreement(name, np.asarray(ours()), peer(), pixels)
        row = harness.compare(
            name,
            f"{side} px",
            ours,
            peer,
            peer_name=peer_name,
            images=len(pixels),
            rounds=_ROUNDS.value,
        )
        rows.append(row)
        print(
            f"{name:<20} {side:>3} px   ours {row.ours_ms:8.3f} ms   peer {row.peer_ms:9.3f} ms   x {row.ratio:7.1f}   "
            f"compile {seconds:.1f} s   {checks[name]}",
            flush=True,
        )
    published = [row.name for row in rows]
    if rows:
        # The released peer's glass blur is a Python loop that would hide the rest; its unreleased version compiles it.
        others = [row for row in rows if row.name != "glass_blur"]
        sums = [_sum("sweep but glass_blur", others)] if others else []
        rows = [*rows, *sums, _sum(f"sweep of {len(rows)} x 5", rows)]
    figures = {
        "ours_ms_without_peer": own,
        "agreement": checks,
        "compile_s": compiled_s,
        "compile_s_sweep": round(sum(compiled_s[name] for name in published), 1),
        "slower_than_peer": [row.name for row in rows if row.ratio < 1 and row.name in TABLE],
    }
    return rows, figures


def _sum(name: str, rows: Sequence[harness.Row]) -> harness.Row:
    ours, peer = sum(row.ours_ms for row in rows), sum(row.peer_ms for row in rows)
    return harness.Row(name, rows[0].size, ours, rows[0].peer, peer)


def by_size(side: int, num: int, names: Sequence[str]) -> float:
    """Milliseconds per image of the sweep with the parameters of the images' own size, and Hendrycks's elastic."""
    key, pixels = jax.random.key(0), read_images(side, num)
    programs = [make_ours(name, family=None) for name in names if TABLE[name].published]
    return sum(
        harness.median_ms(functools.partial(p, key, pixels), images=len(pixels), rounds=_ROUNDS.value) for p in programs
    )


def throughput(side: int, names: Sequence[str]) -> dict[str, float]:
    """Image-conditions per second of the sweep on the accelerator, and its share of the memory bandwidth."""
    key, pixels = jax.random.key(0), jax.device_put(np.resize(read_images(side, 8), (64, side, side, 3)))
    programs = [make_ours(name) for name in names if TABLE[name].published]
    seconds = sum(harness.median_ms(functools.partial(p, key, pixels), images=1, rounds=5) for p in programs) / 1e3
    rate = len(pixels) * len(programs) * len(_SEVERITIES) / seconds
    # At the least every image is read and every result written once, in 8 bits.
    moved = (len(pixels) * len(programs) * (1 + len(_SEVERITIES))) * side * side * 3
    return {"image_conditions_per_s": rate, "bandwidth_share": moved / seconds / (1e9 * _BANDWIDTH.value)}


def peak_memory(side: int, num: int) -> dict[str, float]:
    """Peak resident megabytes of a process that runs the sweep once, less those of one that only imports."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}
    peaks = {}
    for who in ("none", "ours", "peer"):
        command = [sys.executable, "-m", "benchmarks.degradations", f"--child={who}", f"--sides={side}"]
        command += [f"--images={num}"] + ([f"--photos={_PHOTOS.value}"] if _PHOTOS.value else [])
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        peaks[who] = float(done.stdout.split()[-1])
    return {who: round(peaks[who] - peaks["none"], 1) for who in ("ours", "peer")} | {"imports": peaks["none"]}


def run_child(side: int, num: int, who: str) -> None:
    """Runs the sweep of one side once and prints this process's peak memory in megabytes."""
    pixels = read_images(side, num)
    peers.imagecorruptions_peer()
    jax.block_until_ready(jax.numpy.zeros(1))
    for name in degradations.named_set("imagenet_c"):
        if who == "ours":
            jax.block_until_ready(make_ours(name)(jax.random.key(0), pixels))
        elif who == "peer":
            make_peer(name)(pixels)
    # Not getrusage: its peak is inherited from the parent.
    print(int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) / 1024)


def _chosen() -> tuple[str, ...]:
    wanted = {m for n in _ONLY.value for m in (degradations.named_set(n) if n in degradations.SETS else (n,))}
    return tuple(name for name in TABLE if name in wanted)


def main(_: list[str]) -> None:
    """Checks, times and writes."""
    sides = [int(side) for side in _SIDES.value]
    if _CHILD.value:
        run_child(sides[0], int(_IMAGES.value[0]), _CHILD.value)
        return
    # Compilation is part of what is measured.
    jax.config.update("jax_enable_compilation_cache", False)
    names, rows, figures = _chosen(), [], {}
    for side, num in zip(sides, map(int, _IMAGES.value), strict=True):
        found, more = bench_side(side, num, names)
        rows += found
        if side != 224 and found:
            more["sweep_ms_by_size"] = by_size(side, num, names)
        if _MEMORY.value:
            more["peak_memory_mb"] = peak_memory(side, num)
        if jax.default_backend() != "cpu":
            more["throughput"] = throughput(side, names)
        figures[f"{side} px"] = more
        print(
            {k: v for k, v in more.items() if k not in ("agreement", "compile_s", "ours_ms_without_peer")}, flush=True
        )
    harness.write(rows, _JSON.value)
    if _JSON.value:
        path = pathlib.Path(_JSON.value)
        _files.write_text(path, json.dumps(json.loads(path.read_text()) | {"figures": figures}, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
