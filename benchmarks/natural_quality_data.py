"""Data of the natural-quality study: traffic signs, two networks trained on them, features of a backbone that was not.

Everything is kept in a cache folder, a file a step, so that a run that was stopped goes on. Files are named by step,
not by all settings: give a changed study an empty folder.
"""

import functools
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import harness
from causal_iqa import _keys, backbones, data, degradations, images, metrics, training
from causal_iqa.degradations import Condition
from causal_iqa.pipeline import scoring

SIDE, NETWORK_SIDE = 48, 32
# Backbone -> side in pixels that it reads.
BACKBONES = {"efficientnet_lite0": 112, "efficientnet_lite2": 160}
NETWORKS = ("small_vgg5", "small_vgg8")
STEPS, BATCH = 1000, 64
# What a camera on the road does to a sign; chosen before any result was seen.
CONDITIONS = (
    "low_resolution",
    "low_light",
    "motion_blur",
    "defocus_blur",
    "contrast",
    "iso_noise",
    "exposure_error",
    "fog",
    "brightness",
    "jpeg_compression",
)
FAMILY = "tiny64"
_CHUNK = 64
_LARGEST = float(np.finfo(np.float16).max)


class Crops(NamedTuple):
    """Crops with what the study knows of them."""

    pixels: np.ndarray  # uint8 [n, SIDE, SIDE, 3]
    labels: np.ndarray  # int [n]
    ids: np.ndarray  # text [n]
    tracks: np.ndarray  # text [n]: class and track; empty for test crops


def _in_chunks(function, *arrays) -> np.ndarray:
    """Calls a compiled function on chunks of one size."""
    n = len(arrays[0])
    whole = -(-n // _CHUNK) * _CHUNK
    arrays = tuple(x[np.arange(whole) % n] for x in arrays)
    parts = [jax.device_get(function(*(x[i : i + _CHUNK] for x in arrays))) for i in range(0, whole, _CHUNK)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:n], *parts)


def kept(cache: pathlib.Path, name: str, make):
    """Returns the arrays of a step, from the cache where it holds them."""
    path = cache / f"{name}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        arrays = make()
        harness.save_arrays(path, arrays)
        print(f"{name}: made", flush=True)
    with np.load(path) as file:
        return {key: file[key] for key in file.files}


def open_crops(root: pathlib.Path, split: str) -> data.Source:
    """Opens the training or the test crops."""
    return data.open_source(f"folder:{root / split}", split=None, classes=str(root / "classes.txt"))


def read_crops(root: pathlib.Path, split: str, cache: pathlib.Path) -> Crops:
    """Reads all crops of a split at SIDE pixels."""

    def make():
        source = open_crops(root, split)
        rows = list(data.batches(source, np.arange(len(source)), batch_size=256, size=SIDE, crop_fraction=1.0))
        ids = np.asarray([name for row in rows for name, ok in zip(row.ids, row.valid, strict=True) if ok])
        return {
            "pixels": np.concatenate([row.images[row.valid] for row in rows]),
            "labels": np.concatenate([row.labels[row.valid] for row in rows]),
            "ids": ids,
        }

    found = kept(cache, f"crops_{split}", make)
    if split == "train":
        tracks = np.asarray([name.rsplit("_", 1)[0] for name in found["ids"]])
    else:
        tracks = np.full(len(found["ids"]), "")
    return Crops(found["pixels"], found["labels"], found["ids"], tracks)


def held_out_tracks(crops: Crops, *, share: float = 0.2, seed: int = 0) -> np.ndarray:
    """Which training crops are of tracks held out, the same share of the tracks of every class; bool [n]."""
    draw = np.random.default_rng(seed)
    held: list[str] = []
    for label in np.unique(crops.labels):
        tracks = np.unique(crops.tracks[crops.labels == label])
        held += list(draw.permutation(tracks)[: max(1, round(share * len(tracks)))])
    return np.isin(crops.tracks, held)


def train_networks(root: pathlib.Path, cache: pathlib.Path, crops: Crops, held: np.ndarray, *, steps: int = STEPS):
    """Trains the judged networks on the tracks that are not held out; returns {name: parameters}."""
    found = {}
    source = open_crops(root, "train")
    position = {source.id(i): i for i in range(len(source))}
    rows = np.asarray([position[name] for name in crops.ids])
    for seed, name in enumerate(NETWORKS):
        path = cache / f"{name}_{steps}.safetensors"
        if not path.exists():
            config = training.TrainConfig(
                network=name, num_images=int((~held).sum()), num_evaluation=int(held.sum()), image_size=NETWORK_SIDE,
                steps=steps, batch_size=BATCH, learning_rate=3e-3, padding=2, seed=seed,
            )  # fmt: skip
            parts = data.Part(source, rows[~held]), data.Part(source, rows[held])
            result = training.train(config, *parts, progress=False)
            training.save(str(path), config, result, {"dataset": "gtsrb"})
            print(name, result.evaluation, flush=True)
        found[name] = backbones.load(name, path).params
    return found


@functools.partial(jax.jit, static_argnames="name")
def _judge(params, pixels, name):
    module = backbones.trainable(name).module(43)
    seen = jax.vmap(lambda x: images.resize(images.from_uint8(x), NETWORK_SIDE, NETWORK_SIDE))(pixels)
    return jax.nn.softmax(module.apply({"params": params}, seen)[0])


def judged(networks, pixels: np.ndarray) -> np.ndarray:
    """Probabilities of every class by every network, float32 [networks, n, 43]."""
    return np.stack([_in_chunks(lambda x, p=p, n=n: _judge(p, x, n), pixels) for n, p in networks.items()])


@functools.partial(jax.jit, static_argnames="name")
def _degrade(keys, pixels, severities, name):
    apply = degradations.do_graded(Condition(name, 0.0, family=FAMILY))
    one = lambda args: images.to_uint8(apply(args[0], images.from_uint8(args[1]), args[2][None]))  # noqa: E731
    return jax.lax.map(one, (keys, pixels, severities))


def degraded(seed: int, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every image under one condition drawn at random, at a severity drawn evenly from 0 to 5.

    Returns:
      (uint8 pixels, int index of the condition, float severity).
    """
    draw = np.random.default_rng(seed)
    which, severities = draw.integers(0, len(CONDITIONS), len(pixels)), draw.uniform(0, 5, len(pixels))
    keys = jax.random.split(_keys.named(seed, "degraded crops"), len(pixels))
    out = pixels.copy()
    for i, name in enumerate(CONDITIONS):
        rows = np.flatnonzero(which == i)
        one = functools.partial(_degrade, name=name)
        out[rows] = _in_chunks(one, keys[rows], pixels[rows], severities[rows].astype(np.float32))
    return out, which, severities


@functools.cache
def _backbone(name: str, side: int):
    network = backbones.load(name, input_size=side)

    @jax.jit
    def run(params, pixels):
        def one(image):
            image = images.resize(images.from_uint8(image), side, side)
            logits, stages = network.apply(params, image)
            pooled = {"logits": logits}
            for stage, value in stages.items():
                flat = value.reshape(-1, value.shape[-1])
                pooled[stage] = flat[0] if len(flat) == 1 else jnp.concatenate([flat.mean(0), flat.std(0)])
            # Deviations of some channels exceed what 16 bits hold.
            return {f"{name}/{k}": jnp.clip(v, -_LARGEST, _LARGEST).astype(jnp.float16) for k, v in pooled.items()}

        return jax.vmap(one)(pixels)

    return network, run


def features(pixels: np.ndarray, name: str) -> dict:
    """Pooled features of every stage of a backbone: means and deviations over places.

    Args:
      pixels: uint8 [n, SIDE, SIDE, 3].
      name: a row of BACKBONES.

    Returns:
      {backbone/stage: float16 [n, d]}.
    """
    network, run = _backbone(name, BACKBONES[name])
    return _in_chunks(lambda x: run(network.params, x), pixels)


@functools.cache
def _statistics(names: tuple[str, ...]):
    return jax.jit(
        lambda pixels: jax.lax.map(lambda x: metrics.evaluate_all(names, None, images.from_uint8(x)), pixels)
    )


def conventional(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Every no-reference metric that is defined at this size, higher is better."""
    names = tuple(n for n in scoring.NO_REFERENCE if metrics.TABLE[n].smallest_side <= SIDE)
    found = _in_chunks(_statistics(names), pixels)
    return {n: v if metrics.TABLE[n].higher_is_better else -v for n, v in found.items()}
