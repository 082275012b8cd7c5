"""Output folders for tests, made in milliseconds: scores drawn from the images' names, nothing compiled."""

import pathlib
import zlib

import numpy as np

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
