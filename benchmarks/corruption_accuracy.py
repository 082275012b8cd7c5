"""Accuracy under the 19 x 5 corruptions, ours against the original code, on real networks (the bench extra).

  python -m benchmarks.corruption_accuracy --task=cifar --num_images=2000 --cache_dir=DIR --json=PATH
  python -m benchmarks.corruption_accuracy --task=imagenet --num_images=700 --cache_dir=DIR --json=PATH

cifar: CIFAR ResNet-20, 32 and 44 on CIFAR-10 test images under the parameters of CIFAR-10-C; the originals are those
of `benchmarks.hendrycks`. imagenet: MobileNets on the ImageNet sample at 224 pixels; the originals: imagecorruptions,
but for elastic_transform, which is another one there. Both sides truncate to 8 bits. What the networks say of the
originals is kept in --cache_dir, so a run that was stopped goes on. On two quiet cores: half an hour and an hour.
"""

import functools
import json
import pathlib
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from absl import app, flags

from benchmarks import hendrycks
from causal_iqa import _files, backbones, data, degradations, images
from tests import peers, shared

_TASK = flags.DEFINE_enum("task", "cifar", ["cifar", "imagenet"], "Which networks and images.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 2000, "Images, at most.")
_ONLY = flags.DEFINE_list("networks", None, "Names among those of the task (default: all of them).")
_DEGRADATIONS = flags.DEFINE_list("degradations", ["imagenet_c"], "Names or sets of the 19.")
_CACHE_DIR = flags.DEFINE_string("cache_dir", None, "Folder of the finished originals (default: none is kept).")
_JSON = flags.DEFINE_string("json", None, "Where the figures go.")
_LIMIT = flags.DEFINE_float("limit", 2.0, "Points of difference above which a condition is listed.")

_BLOCK = 100
_SEED = 0
_FAMILY = {"cifar": "cifar32", "imagenet": "imagenet224"}
_NETWORKS = {
    "cifar": {
        "cifar_resnet20": "cifar10/resnet20-12fca82f.th",
        "cifar_resnet32": "cifar10/resnet32-d509ac18.th",
        "cifar_resnet44": "cifar10/resnet44-014dd654.th",
    },
    "imagenet": {
        "mobilenet_v1_025": "imagenet/mobilenet_v1_025_128.safetensors",
        "mobilenet_v1_050": "imagenet/mobilenet_v1_050_160.safetensors",
        "mobilenet_v2_100": "imagenet/mobilenet_v2_100_224_qat.safetensors",
    },
}

Correct = Mapping[str, np.ndarray]  # network -> bool [N]


def read_task(task: str, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images uint8 [N, H, W, 3] and labels int32 [N] of the task."""
    if task == "cifar":
        source = data.open_source("tfds:cifar10", split="test", data_dir=str(shared.ROOT / "data/tfds"))
        side, crop = 32, 1.0
    else:
        folder = shared.ROOT / "data/imagenet_sample"
        classes = str(folder / "imagenet_wnids.txt")
        source = data.open_source(f"folder:{folder / 'validation'}", classes=classes)
        side, crop = 224, data.CROP_FRACTION
    chosen = data.choose(source, min(num, len(source)), seed=_SEED)
    examples = [source[int(i)] for i in chosen]
    pixels = np.stack([data.fit(example.image, side, crop_fraction=crop) for example in examples])
    return pixels, np.asarray([example.label for example in examples], np.int32)


def chosen_networks(task: str) -> dict[str, str]:
    """Returns the networks of the task that were asked for, with their files."""
    known = _NETWORKS[task]
    unknown = sorted(set(_ONLY.value or ()) - set(known))
    if unknown:
        raise app.UsageError(f"--networks: unknown {unknown}; {task} has {sorted(known)}")
    return {name: path for name, path in known.items() if not _ONLY.value or name in _ONLY.value}


def make_judge(task: str) -> Callable[[np.ndarray, np.ndarray], Correct]:
    """Returns `f(pixels uint8 [N, H, W, 3], labels [N])`: which images each network gets right."""
    networks = {
        name: backbones.load(
            name.rsplit("_", 1)[0] if task == "imagenet" else name, str(shared.ROOT / "weights" / path)
        )
        for name, path in chosen_networks(task).items()
    }

    @jax.jit
    def block(params, pixels):
        def one(network, params, pixel):
            image = backbones.to_input(network.preprocessing, images.from_uint8(pixel))
            return network.apply(params, image)[0].argmax()

        return {k: jax.vmap(functools.partial(one, network, params[k]))(pixels) for k, network in networks.items()}

    params = {name: network.params for name, network in networks.items()}

    def judge(pixels, labels):
        parts = [jax.device_get(block(params, part)) for part in _blocks(pixels)]
        return {k: np.concatenate([part[k] for part in parts])[: len(labels)] == labels for k in networks}

    return judge


def _blocks(pixels: np.ndarray) -> list[np.ndarray]:
    """Splits into blocks of one size, the last filled up with repeated images."""
    return list(
        np.resize(pixels, (-(-len(pixels) // _BLOCK) * _BLOCK, *pixels.shape[1:])).reshape(
            -1, _BLOCK, *pixels.shape[1:]
        )
    )


def make_ours(name: str, family: str) -> Callable[[np.ndarray, float], np.ndarray]:
    """Returns `f(pixels uint8 [N, H, W, 3], severity) -> uint8` of ours: one program for all severities."""
    condition = degradations.Condition(name, 1.0, family=family, quantise="truncate")
    graded = degradations.do_graded(condition)

    @jax.jit
    def block(numbers, pixels, severity):
        def one(number, pixel):
            key = jax.random.fold_in(jax.random.key(_SEED), number)
            return images.to_uint8(graded(key, images.from_uint8(pixel), severity[None]))

        return jax.vmap(one)(numbers, pixels)

    def run(pixels, severity):
        parts = [
            np.asarray(block(np.arange(_BLOCK) + _BLOCK * i, part, np.float32(severity)))
            for i, part in enumerate(_blocks(pixels))
        ]
        return np.concatenate(parts)[: len(pixels)]

    return run


def original(task: str, name: str, severity: int, pixels: np.ndarray) -> np.ndarray:
    """Returns uint8 [N, H, W, 3] of the original code; the same at every call."""
    own = hendrycks.CIFAR if task == "cifar" else hendrycks.IMAGENET
    seed = zlib.crc32(f"{name}/{severity}".encode())
    if name in own:
        rngs = [np.random.default_rng((seed, i)) for i in range(len(pixels))]
        return np.stack([hendrycks.corrupt(r, x, name, severity, own) for r, x in zip(rngs, pixels, strict=True)])
    package = peers.imagecorruptions_peer()
    np.random.seed(seed)  # noqa: NPY002 (the peer draws from the global generator)
    return np.stack([package.corrupt(x, severity, name) for x in pixels])


def cached(path: pathlib.Path | None, compute: Callable[[], Correct]) -> Correct:
    """Returns what a file holds, or computes and keeps it."""
    if path is not None and path.exists():
        with np.load(path) as held:
            return dict(held)
    found = compute()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, **found)
        temporary.replace(path)
    return found


def compare(ours: Correct, theirs: Correct) -> dict[str, Any]:
    """Accuracies in percent, their difference, and its standard error (images as pairs), network by network."""
    row = {}
    for name in ours:
        pairs = 100.0 * (ours[name].astype(float) - theirs[name])
        row[name] = {
            "ours": round(100.0 * float(ours[name].mean()), 2),
            "original": round(100.0 * float(theirs[name].mean()), 2),
            "difference": round(float(pairs.mean()), 2),
            "standard_error": round(float(pairs.std() / np.sqrt(len(pairs))), 2),
        }
    return row


def main(_: list[str]) -> None:
    """Runs every condition on both sides, prints a table and writes it."""
    task, family = _TASK.value, _FAMILY[_TASK.value]
    pixels, labels = read_task(task, _NUM_IMAGES.value)
    judge = make_judge(task)
    clean = {name: round(100.0 * float(right.mean()), 2) for name, right in judge(pixels, labels).items()}
    print(f"{task}: {len(labels)} images, clean accuracy {clean}", flush=True)
    names = {m for n in _DEGRADATIONS.value for m in (degradations.named_set(n) if n in degradations.SETS else (n,))}
    # What is kept holds the networks it was made with.
    kept = "-".join([task, str(len(labels)), *sorted(_ONLY.value or ())])
    folder = pathlib.Path(_CACHE_DIR.value) / kept if _CACHE_DIR.value else None
    rows, start = {}, time.perf_counter()
    for name in (name for name in degradations.named_set("imagenet_c") if name in names):
        run = make_ours(name, family)
        for severity in range(1, degradations.MAX_SEVERITY + 1):
            path = folder / f"{name}-{severity}.npz" if folder else None
            compute = functools.partial(lambda n, s: judge(original(task, n, s, pixels), labels), name, severity)
            row = compare(judge(run(pixels, severity), labels), cached(path, compute))
            rows[f"{name}/{severity}"] = row
            shown = "  ".join(f"{x['ours']:6.2f} {x['original']:6.2f} {x['difference']:+6.2f}" for x in row.values())
            print(f"{name + '/' + str(severity):<22} {shown}   {time.perf_counter() - start:6.0f} s", flush=True)
    report(task, len(labels), clean, rows)


def report(task: str, num: int, clean: Mapping[str, float], rows: Mapping[str, Any]) -> None:
    """Prints the summary and the exceptions, and writes everything."""
    differences = {(c, n): x["difference"] for c, row in rows.items() for n, x in row.items()}
    means = {c: round(float(np.mean([x["difference"] for x in row.values()])), 2) for c, row in rows.items()}
    errors = {(c, n): x["standard_error"] for c, row in rows.items() for n, x in row.items()}
    beyond = {f"{c} {n}": [d, errors[c, n]] for (c, n), d in differences.items() if abs(d) > _LIMIT.value}
    summary = {
        "conditions": len(rows),
        "largest_difference": max(differences.values(), key=abs),
        "mean_absolute_difference": round(float(np.mean(np.abs(list(differences.values())))), 3),
        "conditions_beyond_limit_in_mean_over_networks": {c: d for c, d in means.items() if abs(d) > _LIMIT.value},
        "beyond_limit": beyond,
    }
    print(json.dumps(summary, indent=1))
    if _JSON.value:
        content = {"task": task, "num_images": num, "clean": clean, "limit": _LIMIT.value, **summary, "rows": rows}
        _files.write_text(_JSON.value, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
