"""Trains a small network and writes it as safetensors.

  causal-iqa train --network=scene_cnn_a --output=scene_cnn_a.safetensors
  causal-iqa train --network=scene_features --objective=views --output=scene_features.safetensors
  causal-iqa train --dataset=tfds:cifar10 --data_dir=DIR --network=scene_features --objective=simclr \\
    --output=features.safetensors --checkpoint_dir=checkpoints

Prints the score on held-out images at the end and writes the learning curve next to the weights. Use the file in a
study with --network=NAME=PATH or --backbone=NAME=PATH. A stopped run continues from its last checkpoint when the
command is given again with the same flags.
"""

import contextlib
import dataclasses
import json
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping

from causal_iqa import InputError, backbones, data, report, training
from causal_iqa.backbones.weights import checkpoints
from causal_iqa.cli import common, flagset, program_cache, progress

_DEFAULTS = training.TrainConfig(network="scene_cnn_a")

FLAGS = flagset.FlagSet()

_NETWORK = FLAGS.string(
    "network",
    _DEFAULTS.network,
    f"Network to train: {', '.join(backbones.trainable_names())}.",
)
_OBJECTIVE = FLAGS.choice(
    "objective",
    _DEFAULTS.objective,
    list(training.OBJECTIVES),
    "Train on class labels, or without labels: views (two renderings of a scene), vicreg or simclr (two augmentations "
    "of any image), rotation.",
)
_DATASET = FLAGS.string("dataset", "scenes", "Images: scenes, tfds:NAME or folder:PATH (class folders).")
_DATA_DIR = FLAGS.string("data_dir", None, "Folder of the prepared TFDS datasets.")
_OUTPUT = FLAGS.string("output", None, "File to write, ending in .safetensors.", required=True)
_STEPS = FLAGS.integer("steps", _DEFAULTS.steps, "Optimiser steps.")
_CHECKPOINT_DIR = FLAGS.string("checkpoint_dir", None, "Folder of checkpoints, from which a stopped run continues.")
_TENSORBOARD_DIR = FLAGS.string(
    "tensorboard_dir", None, "Folder for TensorBoard: loss and evaluation (extra tensorboard); none by default."
)

FLAGS.group("Images")
_SPLIT = FLAGS.string(
    "split", None, "Split to train on (default: train; of a folder its subfolder train, or else the folder itself)."
)
_EVALUATION_SPLIT = FLAGS.string(
    "evaluation_split",
    None,
    "Split to evaluate on (default: test; of a folder its subfolder test, val or validation, or else images that are "
    "held out of the training ones).",
)
_CLASSES = FLAGS.string("classes", None, "File with one class per line in label order, for a folder.")
_CLASS_ORDER = FLAGS.choice(
    "class_order",
    None,
    data.CLASS_ORDERS,
    "Order of the class folders without --classes: text (10 before 2) or natural (default: text, with a remark).",
)
_MAX_PIXELS = FLAGS.integer(
    "max_pixels", data.MAX_PIXELS, "Larger images are not decoded and count as unreadable; bounds the memory."
)
_NUM_IMAGES = FLAGS.string("num_images", str(_DEFAULTS.num_images), "Number of training images, or all.")
_NUM_EVALUATION = FLAGS.string("num_evaluation", str(_DEFAULTS.num_evaluation), "Number of evaluation images, or all.")
_IMAGE_SIZE = FLAGS.integer("image_size", None, "Side in pixels that images are resized to (default: the dataset's).")
_PADDING = FLAGS.integer("padding", _DEFAULTS.padding, "Random crops after reflecting this many pixels.")
_FLIP = FLAGS.switch("flip", _DEFAULTS.flip, "Mirror images at random; for classes that do not change in a mirror.")

FLAGS.group("Optimiser")
_BATCH_SIZE = FLAGS.integer("batch_size", _DEFAULTS.batch_size, "Images per step.")
_LEARNING_RATE = FLAGS.number("learning_rate", _DEFAULTS.learning_rate, "Peak learning rate of the schedule.")
_SCHEDULE = FLAGS.choice("schedule", _DEFAULTS.schedule, training.SCHEDULES, "Schedule of the learning rate.")
_LABEL_SMOOTHING = FLAGS.number(
    "label_smoothing", _DEFAULTS.label_smoothing, "Share of the wanted distribution spread evenly over the classes."
)
_WEIGHT_DECAY = FLAGS.number("weight_decay", _DEFAULTS.weight_decay, "Weight decay of AdamW.")
_PRECISION = FLAGS.choice(
    "precision", _DEFAULTS.precision, training.PRECISIONS, "Precision of the passes; parameters stay float32."
)
_SEED = FLAGS.integer("seed", _DEFAULTS.seed, "Seed of the parameters, the order and the augmentation.")
_CHECKPOINT_EVERY = FLAGS.integer("checkpoint_every", 500, "Steps between checkpoints.", lower_bound=1)

FLAGS.group("Machine")
_COMPILATION_CACHE = FLAGS.string("compilation_cache", None, program_cache.WORDS)


_HELD_OUT_SHARE = 0.2
_EVALUATION_FOLDERS = ("test", "val", "validation")


def _splits() -> tuple[str | None, str | None, bool]:
    """The splits to train and to evaluate on, and whether the evaluation images are held out of the training ones."""
    split, evaluation_split = _SPLIT.value, _EVALUATION_SPLIT.value
    scheme, _, rest = _DATASET.value.partition(":")
    if scheme != "folder":
        return split or "train", evaluation_split or "test", False
    folder = pathlib.Path(rest).expanduser()
    if split is None and (folder / "train").is_dir():
        split = "train"
    if evaluation_split is None and split is not None:
        evaluation_split = next((name for name in _EVALUATION_FOLDERS if (folder / name).is_dir()), None)
    return split, evaluation_split, evaluation_split is None


def _sources(config: training.TrainConfig) -> tuple[training.TrainConfig, data.Source, data.Source]:
    """The run's settings, no more images than there are, and the images to train and to evaluate on."""
    split, evaluation_split, held_out = _splits()
    source = _open(split)
    if not held_out:
        evaluation = _open(evaluation_split)
    else:
        order = data.choose(source, None, seed=config.seed)
        count = max(1, min(config.num_evaluation, int(_HELD_OUT_SHARE * len(order))))
        if len(order) < 2:
            raise InputError(f"dataset: {source.name} has {len(order)} images, expected at least two")
        source, evaluation = data.Part(source, order[count:]), data.Part(source, order[:count])
    given = FLAGS.values
    sizes = {"num_images": len(source), "num_evaluation": len(evaluation)}
    # Only defaults and "all" are reduced: a number that was asked for is refused where there are fewer.
    fewer = {
        name: min(size, getattr(config, name))
        for name, size in sizes.items()
        if not given[name].present or given[name].value == "all"
    }
    return dataclasses.replace(config, **fewer), source, evaluation


def _open(split: str | None) -> data.Source:
    data.check_spec(_DATASET.value)
    scheme, _, rest = _DATASET.value.partition(":")
    if scheme == "folder" and _OBJECTIVE.value != "label":
        # No class is read, so the images may lie at any depth.
        folder = pathlib.Path(rest).expanduser() / (split or "")
        source = data.open_images(str(folder), max_pixels=_MAX_PIXELS.value)
    else:
        source = data.open_source(
            _DATASET.value,
            split=split,
            data_dir=_DATA_DIR.value,
            classes=_CLASSES.value,
            class_order=_CLASS_ORDER.value,
            max_pixels=_MAX_PIXELS.value,
        )
    for line in data.remarks(source):
        print(line)
    return source


@contextlib.contextmanager
def _summaries(folder: str | None) -> Iterator[Callable[[int, Mapping[str, float]], None] | None]:
    """What writes the numbers of a run for TensorBoard; None without a folder."""
    if folder is None:
        yield None
        return
    try:
        import tensorboardX  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(
            "tensorboard_dir: needs the extra tensorboard: pip install 'causal-iqa[tensorboard]'"
        ) from None
    with tensorboardX.SummaryWriter(folder) as writer:

        def write(step: int, numbers: Mapping[str, float]) -> None:
            for name, value in numbers.items():
                writer.add_scalar(name, value, step)
            writer.flush()

        yield write


def main(_: list[str]) -> None:
    """Reads the flags, trains, writes and prints."""
    program_cache.keep(_COMPILATION_CACHE.value)
    names = {field.name for field in dataclasses.fields(training.TrainConfig)}
    given: dict = {name: FLAGS.values[name].value for name in names}
    for name in ("num_images", "num_evaluation"):
        given[name] = common.integer_or_all(given[name], name) or sys.maxsize
    config = training.TrainConfig(**given)
    checkpoints.check_name(_OUTPUT.value)
    common.check_writable(_OUTPUT.value, "output")
    config, source, evaluation = _sources(config)
    with _summaries(_TENSORBOARD_DIR.value) as summary, progress.steps(f"training {config.network}", 3) as tell:
        result = training.train(
            config,
            source,
            evaluation,
            checkpoint_dir=_CHECKPOINT_DIR.value,
            checkpoint_every=_CHECKPOINT_EVERY.value,
            progress=tell,
            summary=summary,
        )
    split, evaluation_split = _splits()[:2]
    notes = {"dataset": _DATASET.value, "split": split or "none", "evaluation_split": evaluation_split or "held out"}
    training.save(_OUTPUT.value, config, result, notes)
    curve = pathlib.Path(_OUTPUT.value).with_suffix(".png")
    report.save(report.learning_curve(result.losses, config.objective, result.evaluation), curve)
    print(json.dumps({"output": _OUTPUT.value, **result.evaluation, "final_loss": float(result.losses[-100:].mean())}))
