"""Output folders for tests, made in milliseconds: scores drawn from the images' names, nothing compiled."""

import pathlib
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
import PIL.Image

from causal_iqa import pipeline
from causal_iqa.pipeline import provenance

NUM_IMAGES, PART_IMAGES = 10, 4
CONFIG = pipeline.StudyConfig(
    networks=(pipeline.NetworkChoice("scene_cnn_a", "scene_cnn_a"),),
    num_images=NUM_IMAGES,
    degradations=("fog",),
    severities=(1.0, 3.0),
    metrics=("entropy",),
)
_IDS = tuple(f"test/{i}" for i in range(NUM_IMAGES))
LISTING = provenance.Listing(_IDS, tuple(i % 3 for i in range(NUM_IMAGES)), ("",) * NUM_IMAGES)
PASSPORTS = {
    "entropy": {
        "metric": "entropy",
        "family": "no_reference",
        "higher_is_better": True,
        "side": 48,
        "networks": ["scene_cnn_a"],
    }
}

# A user's network; what it imports is filled in.
NETWORK = """
import jax.numpy as jnp
from causal_iqa import backbones
from causal_iqa.backbones import user
{imported}

def make():
    def apply(params, image):
        features = image.mean((0, 1))
        return params["scale"] * features[:2], {{"penultimate": features}}

    preprocessing = backbones.Preprocessing(32, 1.0, (0.0,) * 3, (1.0,) * 3, 16)
    return user.make_network("mine", apply, {{"scale": jnp.ones(())}}, preprocessing)
"""


def rows(image_ids, conditions) -> dict[str, np.ndarray]:
    """Columns [C, N] that depend on names alone."""
    names = [[f"{name} {one.name}" for name in image_ids] for one in conditions]
    drawn = np.asarray([[zlib.crc32(name.encode()) % 1000 for name in row] for row in names], np.float32)
    return {"entropy": drawn / 1000, "scene_cnn_a/correct": drawn > 500}


def make_store(folder: pathlib.Path, listing=LISTING, config=CONFIG, parts=None) -> pipeline.Store:
    """The store of a study that needs no network."""
    origin = provenance.Provenance.of({"flags": provenance.digest_json(config.to_json()), **(parts or {})}, listing)
    return pipeline.Store(folder, config, origin, {"dataset": {"size": len(listing.ids)}})


def score(output: pipeline.Store, most: int | None = None) -> int:
    """Writes the parts that are missing, at most so many; returns how many were written."""
    written = 0
    listing, conditions = output.provenance.images, output.config.conditions
    with output.locked():
        for number in range(-(-len(listing.ids) // PART_IMAGES)):
            if written == most:
                break
            if output.has_part(number):
                continue
            own = slice(number * PART_IMAGES, (number + 1) * PART_IMAGES)
            ids, labels = listing.ids[own], np.asarray(listing.labels[own], np.int32)
            output.write_part(number, ids, labels, conditions, rows(ids, conditions), (), PASSPORTS)
            written += 1
    return written


def content(folder: pathlib.Path) -> dict[str, bytes]:
    """Every file of a folder but its lock, by its path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def flips(content: bytes, count: int) -> Iterator[bytes]:
    """The content with one bit flipped, at so many places drawn from its length."""
    rng = np.random.default_rng(len(content))
    for place, bit in zip(rng.integers(0, len(content), count), rng.integers(0, 8, count), strict=True):
        damaged = bytearray(content)
        damaged[place] ^= 1 << bit
        yield bytes(damaged)


def write_images(folder: pathlib.Path, classes: str, numbers: Iterable[int]) -> None:
    """Writes class folders of small images; the content follows from class and number."""
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            pixels = np.random.default_rng([label, number]).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            PIL.Image.fromarray(pixels).save(folder / name / f"{number:03d}.png")
