"""What the precision of the networks' layers changes: scores, accuracies and the three correlations.

  python -m benchmarks.precision --json=precision.json
  python -m benchmarks.precision --dataset=tfds:cifar10 --data_dir=DIR --network=cifar_resnet32=FILE \\
    --backbone=cifar_resnet20=FILE

One study in every precision, on the same images and degradations. On a CPU `default` is what `highest` is, and bfloat16
products are computed in float32 from rounded numbers.
"""

import json
import os
import pathlib
import platform
import sys
import tempfile
from typing import Any

import jax
import numpy as np
from absl import app, flags

from causal_iqa import _files, alignment, backbones, pipeline

_DATASET = flags.DEFINE_string("dataset", "scenes", "Judged images, as align takes them.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of the prepared TFDS datasets.")
_CLASSES = flags.DEFINE_string("classes", None, "Class list of a folder.")
_NETWORK = flags.DEFINE_multi_string("network", ["scene_cnn_a", "scene_cnn_b"], "Judged networks, as align takes them.")
_BACKBONE = flags.DEFINE_multi_string("backbone", ["scene_features"], "Backbones, likewise.")
_DEGRADATIONS = flags.DEFINE_list(
    "degradations", ["gaussian_noise", "defocus_blur", "contrast", "jpeg_compression"], ""
)
_SEVERITIES = flags.DEFINE_list("severities", ["1", "3", "5"], "Of each.")
_NUM_IMAGES = flags.DEFINE_integer("num_images", 128, "Judged images.")
_NUM_ANCHORS = flags.DEFINE_integer("num_anchors", 500, "Anchor images.")
_PRECISIONS = flags.DEFINE_list("precisions", list(backbones.PRECISIONS), "Compared with the first.")
_JSON = flags.DEFINE_string("json", None, "File to write.")

_NUMBERS = {
    "between": alignment.between,
    "within": lambda q, m: alignment.within(q, m).rho,
    "pooled": alignment.pooled,
}


def _table(precision: str, folder: str) -> tuple[pipeline.ScoreTable, Any]:
    config = pipeline.StudyConfig(
        dataset=_DATASET.value,
        data_dir=_DATA_DIR.value,
        classes=_CLASSES.value,
        networks=tuple(pipeline.NetworkChoice.parse(text) for text in _NETWORK.value),
        backbones=tuple(pipeline.NetworkChoice.parse(text) for text in _BACKBONE.value),
        degradations=tuple(_DEGRADATIONS.value),
        severities=tuple(float(text) for text in _SEVERITIES.value),
        metrics=("ssim",),
        num_images=_NUM_IMAGES.value,
        num_anchors=_NUM_ANCHORS.value,
        precision=precision,
    )
    study = pipeline.prepare(config)
    output = pipeline.Store(pathlib.Path(folder) / precision, config, study.provenance, study.details)
    return pipeline.run(study, output), study


def _found(table: pipeline.ScoreTable, study: Any) -> dict[str, Any]:
    columns = [scorer.column for scorer in study.scorers]
    names = [choice.name for choice in study.config.networks]
    scores, performance = pipeline.quality_and_performance(columns, table, names)
    clean = [condition.severity for condition in table.conditions].index(0.0)
    rhos = {
        metric: {number: float(of(by["all"], performance["all"])) for number, of in _NUMBERS.items()}
        for metric, by in scores.items()
    }
    return {
        "accuracy_clean": {name: float(np.mean(table.columns[f"{name}/correct"][clean])) for name in names},
        "accuracy_degraded": {name: float(np.mean(performance[name])) for name in names},
        "rhos": rhos,
        "columns": {column.name: table.columns[column.name] for column in columns},
        "correct": {name: table.columns[f"{name}/correct"] for name in names},
    }


def main(_: list[str]) -> None:
    """Runs the study in every precision and prints what differs."""
    with tempfile.TemporaryDirectory() as folder:
        found = {precision: _found(*_table(precision, folder)) for precision in _PRECISIONS.value}
    first = found[_PRECISIONS.value[0]]
    rows: dict[str, Any] = {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "device": jax.devices()[0].device_kind,
        "first": _PRECISIONS.value[0],
    }
    for precision, one in found.items():
        changed = {name: float(np.mean(one["correct"][name] != first["correct"][name])) for name in one["correct"]}
        scores = {}
        for name, values in one["columns"].items():
            other, spread = first["columns"][name], np.nanstd(first["columns"][name])
            difference = np.abs(values - other)
            scores[name] = {
                "largest": float(np.nanmax(difference) / spread),
                "median": float(np.nanmedian(difference) / spread),
            }
        rows[precision] = {
            "accuracy_clean": one["accuracy_clean"],
            "accuracy_degraded": one["accuracy_degraded"],
            "predictions_that_change": changed,
            "score_difference_over_standard_deviation": scores,
            "rhos": one["rhos"],
            "largest_change_of_rho": max(
                abs(one["rhos"][metric][number] - first["rhos"][metric][number])
                for metric in one["rhos"]
                for number in _NUMBERS
                if np.isfinite(first["rhos"][metric][number])
            ),
        }
    text = json.dumps(rows, indent=1)
    print(text)
    if _JSON.value:
        _files.write_text(_JSON.value, text + "\n")


if __name__ == "__main__":
    sys.exit(app.run(main))
