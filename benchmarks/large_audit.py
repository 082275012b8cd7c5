"""Time and memory of the audit of a million rows: python -m benchmarks.large_audit --folder=DIR --json=PATH

Scores a few rendered scenes, and fills a run of 10,450 images under 96 conditions (1,003,200 rows) with their rows,
drawn with replacement and moved by a little noise. Its audit runs as a process of its own. A folder that is filled
already is audited again.
"""

import dataclasses
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import tqdm
from absl import app, flags

from causal_iqa import _files, pipeline

_FOLDER = flags.DEFINE_string("folder", None, "Where the run goes, some 500 MB.", required=True)
_IMAGES = flags.DEFINE_integer("images", 10_450, "Images of the run.", lower_bound=64)
_SCORED = flags.DEFINE_integer("scored", 48, "Images that are scored.", lower_bound=2)
_JSON = flags.DEFINE_string("json", None, "Where the figures go.")
_NOISE = 0.01
_NETWORKS, _BACKBONE = ("scene_cnn_a", "scene_cnn_b", "scene_cnn_c"), "scene_features"


def fill(folder: pathlib.Path, num_images: int, num_scored: int) -> None:
    """Writes the run: real columns of a few images, drawn anew for all others."""
    networks = tuple(map(pipeline.NetworkChoice.parse, _NETWORKS))
    backbones = (pipeline.NetworkChoice.parse(_BACKBONE),)
    # The train split is the one with so many images.
    chosen = pipeline.StudyConfig(networks=networks, backbones=backbones, split="train", anchor_split="test")
    few, many = (pipeline.prepare(dataclasses.replace(chosen, num_images=count)) for count in (num_scored, num_images))
    passports = {scorer.column.name: scorer.column.record() for scorer in many.scorers}
    with tempfile.TemporaryDirectory() as temporary:
        store = pipeline.Store(pathlib.Path(temporary) / "few", few.config, few.provenance, few.details)
        table = pipeline.run(few, store)
    rng = np.random.default_rng(0)
    output = pipeline.Store(folder, many.config, many.provenance, many.details)
    ids = many.provenance.images.ids
    scores = {scorer.column.name for scorer in many.scorers}
    with output.locked():
        for number in tqdm.trange(output.num_parts(len(ids)), desc="parts"):
            own = ids[number * pipeline.PART_IMAGES : (number + 1) * pipeline.PART_IMAGES]
            drawn = rng.integers(len(table.image_ids), size=len(own))
            kept = {**table.columns, **table.vectors}
            columns = {name: np.asarray(values)[:, drawn] for name, values in kept.items()}
            for name in scores & set(columns):
                spread = np.nanstd(columns[name]) or 1.0
                columns[name] = columns[name] + _NOISE * spread * rng.normal(size=columns[name].shape)
            output.write_part(number, own, table.labels[drawn], many.config.conditions, columns, (), passports)


def main(_: list[str]) -> None:
    """Fills the run where it is not there, and times its audit."""
    folder = pathlib.Path(_FOLDER.value)
    if not (folder / "config.json").exists():
        fill(folder, _IMAGES.value, _SCORED.value)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "experiments.audit", f"--run={folder}"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "images": _IMAGES.value,
        "rows": _IMAGES.value * 96,
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_gigabytes": round(after.ru_maxrss / 2**20, 2),
        "cores": len(os.sched_getaffinity(0)),
    }
    print(json.dumps(figures))
    if _JSON.value:
        _files.write_text(_JSON.value, json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    app.run(main)
