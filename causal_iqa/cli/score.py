"""Scores the quality of images, without labels and without references.

  causal-iqa score --images=DIR
  causal-iqa score --images=DIR --backbone=mobilenet_v2=FILE --anchors=head --output=scores.parquet
  causal-iqa score --images=DIR --backbone=cifar_resnet20=FILE --anchor_dataset=tfds:cifar10 \\
    --anchor_data_dir=DIR

Gives one row per image: the no-reference metrics, and with a backbone how much of the task it still finds there.
"""

import pathlib

from causal_iqa import backbones, data, pipeline
from causal_iqa.cli import common, flagset, program_cache, progress
from causal_iqa.pipeline import scoring

_D = scoring.ScoringConfig(images="")

FLAGS = flagset.FlagSet()

_IMAGES = FLAGS.string("images", None, "An image, or a folder with images at any depth.", required=True)
_METRICS = FLAGS.several(
    "metrics", ["all"], "No-reference metrics by name, comma separated, or all. Empty: none, with a backbone."
)
_BACKBONE = FLAGS.repeated(
    "backbone",
    "Network whose features score quality, ARCHITECTURE=PATH or NAME=ARCHITECTURE=PATH, or ARCHITECTURE alone for "
    "weights that come with the library; repeat for more.",
)
_ANCHORS = FLAGS.choice(
    "anchors",
    _D.anchors,
    scoring.ANCHOR_KINDS,
    "What the witness compares with: images of --anchor_dataset, or the class vectors of the backbone's own head.",
)
_ANCHOR_DATASET = FLAGS.string(
    "anchor_dataset", None, "Clean labelled images of the task: scenes, tfds:NAME or folder:PATH (class folders)."
)
_OUTPUT = FLAGS.string("output", "scores.csv", "File to write, ending in .csv or .parquet.")

FLAGS.group("Anchors of the new metrics")
_ANCHOR_DATA_DIR = FLAGS.string("anchor_data_dir", None, "Its folder of prepared TFDS datasets.")
_ANCHOR_SPLIT = FLAGS.string("anchor_split", None, "Its split (default: train; for a folder, the folder).")
_CLASSES = FLAGS.string("classes", None, "File with one class per line in label order, for an anchor folder.")
_CLASS_ORDER = FLAGS.choice(
    "class_order",
    None,
    list(data.CLASS_ORDERS),
    "Order of the class folders without --classes: text (10 before 2) or natural (default: text, with a remark).",
)
_NUM_ANCHORS = FLAGS.integer("num_anchors", _D.num_anchors, "Number of anchor images, at most.")
_SEED = FLAGS.integer("seed", _D.seed, "Seed of the choice of anchors.")

FLAGS.group("Images")
_IMAGE_SIZE = FLAGS.integer(
    "image_size",
    None,
    "Side in pixels at which images are scored (default: their own where all are square and of one size, else "
    f"{scoring.DEFAULT_SIZE}: photos are cropped and resized to it).",
)
_CROP_FRACTION = FLAGS.number(
    "crop_fraction", _D.crop_fraction, "Central square cut from photos of varying size, fraction of the shorter side."
)

FLAGS.group("Scores")
_METRIC = FLAGS.repeated(
    "metric", "One more metric that reads files, e.g. niqe@MODEL or brisque@LIBSVM_MODEL; repeat for more."
)
_PRECISION = FLAGS.choice(
    "precision",
    _D.precision,
    backbones.PRECISIONS,
    "Of the networks' layers: highest is float32 in full, default what an accelerator does fastest with it, bfloat16 "
    "half the memory; metrics and statistics are float32 in any case.",
)

FLAGS.group("Machine")
_MEMORY_GB = FLAGS.number("memory_gb", None, "Memory in GB that a step may use per device (default: a quarter).")
_NUM_DEVICES = FLAGS.integer(
    "num_devices", None, "Local devices to use (default: all; a CPU has one per core, at most 8)."
)
_WORKERS = FLAGS.integer("workers", 2, "Threads that decode images.")
_COMPILATION_CACHE = FLAGS.string("compilation_cache", None, program_cache.WORDS)
_MAX_PIXELS = FLAGS.integer(
    "max_pixels", data.MAX_PIXELS, "Larger images are not decoded and count as unreadable; bounds the memory."
)


def config_from_flags() -> scoring.ScoringConfig:
    """Turns the flags into one config."""
    return scoring.ScoringConfig(
        images=_IMAGES.value,
        metrics=(scoring.NO_REFERENCE if _METRICS.value == ["all"] else tuple(_METRICS.value)) + tuple(_METRIC.value),
        backbones=tuple(pipeline.NetworkChoice.parse(text) for text in _BACKBONE.value),
        anchors=_ANCHORS.value,
        anchor_dataset=_ANCHOR_DATASET.value,
        anchor_data_dir=_ANCHOR_DATA_DIR.value,
        anchor_split=_ANCHOR_SPLIT.value,
        classes=_CLASSES.value,
        class_order=_CLASS_ORDER.value,
        max_pixels=_MAX_PIXELS.value,
        num_anchors=_NUM_ANCHORS.value,
        image_size=_IMAGE_SIZE.value,
        crop_fraction=_CROP_FRACTION.value,
        precision=_PRECISION.value,
        seed=_SEED.value,
    )


def main(_: list[str]) -> None:
    """Flags -> config -> scores, file and summary."""
    common.one_device_per_core()
    program_cache.keep(_COMPILATION_CACHE.value)
    if _ANCHOR_DATASET.value is not None:
        data.check_spec(_ANCHOR_DATASET.value, "anchor_dataset")
    config = config_from_flags()
    output = pathlib.Path(_OUTPUT.value)
    scoring.check_output(output)
    common.check_writable(_OUTPUT.value, "output")
    execution = pipeline.Execution(memory_gb=_MEMORY_GB.value, num_devices=_NUM_DEVICES.value, workers=_WORKERS.value)
    with progress.stage("scores", "images", compiles=True) as tell:
        scores = scoring.score_images(config, execution, progress=tell, announce=print)
    scoring.write_scores(output, scores)
    common.print_skipped(scores.skipped, len(scores.image_ids), "scored")
    print(scoring.summary_table(scores))
    print(f"{len(scores.image_ids)} images at {scores.image_size} pixels: {output}")
