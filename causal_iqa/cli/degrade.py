"""Writes degraded copies of a dataset: ImageNet-C, COCO-C or camera conditions of your own images.

  causal-iqa degrade --images=photos --output_dir=photos_c --parameters=imagenet_c
  causal-iqa degrade --images=tfds:cifar10 --data_dir=DIR --split=test --parameters=cifar_c \\
    --degradations=imagenet_c15 --output_dir=cifar10_c

A copy lies at OUT/<condition>/<severity>/<same relative path>; manifest.parquet and manifest.json record how each was
made. Images keep their size. An interrupted run continues when the command is given again with the same flags. With
--runner=NAME a pipeline of Apache Beam (extra beam) writes the copies; Beam's own flags follow after "--".
"""

from collections.abc import Sequence

from causal_iqa import InputError, backbones, copies, data, degradations
from causal_iqa.cli import common, flagset, program_cache, progress

_D = copies.CopyConfig(images="", parameters="imagenet_c")

FLAGS = flagset.FlagSet()
# Beam's own, after "--".
TAKES_ARGUMENTS = True

_IMAGES = FLAGS.string(
    "images", None, "Folder with images at any depth, an image, a .txt file of paths, or tfds:NAME.", required=True
)
_OUTPUT_DIR = FLAGS.string("output_dir", None, "Folder of the copies.", required=True)
_DEGRADATIONS = FLAGS.several(
    "degradations",
    ["imagenet_c"],
    f"Degradations, comma separated, by name (options in brackets) or set ({', '.join(degradations.SETS)}).",
)
_SEVERITIES = FLAGS.several(
    "severities", ["1", "2", "3", "4", "5"], "Severities in (0, 5], comma separated, fractions allowed."
)
_PARAMETERS = FLAGS.choice(
    "parameters",
    None,
    list(copies.PARAMETERS),
    "Published set of parameters, whatever the size of the images; --family of align and sheet calls them "
    f"{', '.join(copies.PARAMETERS.values())}.",
)
_FORMAT = FLAGS.choice("format", _D.format, copies.FORMATS, "Format of the copies.")
_QUALITY = FLAGS.integer("quality", None, "Quality of JPEG (default: 95) and WebP (default: lossless), 1 to 100.")

FLAGS.group("Images")
_DATA_DIR = FLAGS.string("data_dir", None, "Folder of the prepared TFDS datasets.")
_SPLIT = FLAGS.string("split", None, "Split of a TFDS dataset (default: its test split).")
_BOXES = FLAGS.string(
    "boxes",
    None,
    "The images' boxes, a COCO JSON file or a folder of YOLO text or VOC XML; written in that form for each condition, "
    "moved where the picture is.",
)
_MASKS = FLAGS.string(
    "masks",
    None,
    "Folder of PNG masks with the images' names: moved ones are written where a condition moves the picture.",
)
_CLEAN = FLAGS.switch("clean", False, "Write the clean images, too, as OUT/clean/0.")
_SIDE_FILES = FLAGS.choice(
    "side_files", _D.side_files, copies.SIDE_FILES, "Other files in the folder (labels, lists): linked, or left out."
)
_MAX_PIXELS = FLAGS.integer(
    "max_pixels", data.MAX_PIXELS, "Larger images are not decoded and count as unreadable; bounds the memory."
)

FLAGS.group("Conditions")
_CONDITION = FLAGS.repeated(
    "condition",
    "A further condition, e.g. --condition='defocus_blur/2+gaussian_noise/3'; its steps happen in this order; repeat "
    "for more.",
)
_QUANTISE = FLAGS.choice(
    "quantise",
    _D.quantise,
    degradations.QUANTISE,
    "Fractions of 8-bit levels: none and round give the nearest level, truncate cuts off as the code of ImageNet-C.",
)
_STORED = FLAGS.integer(
    "stored",
    None,
    f"JPEG quality (4:2:0) in which a degraded image is coded before the copy is stored; the released ImageNet-C has "
    f"{degradations.IMAGENET_C_QUALITY}.",
)
_SEED = FLAGS.integer("seed", _D.seed, "Seed of the degradations.")

FLAGS.group("Machine")
_COMPILATION_CACHE = FLAGS.string("compilation_cache", None, program_cache.WORDS)
_NUM_PROCESSES = FLAGS.integer("num_processes", None, "Processes (default: one per core).", lower_bound=1)
_RUNNER = FLAGS.string("runner", None, common.RUNNER_WORDS)


def config_from_flags() -> copies.CopyConfig:
    """Turns the flags into one config."""
    return copies.CopyConfig(
        images=_IMAGES.value,
        data_dir=_DATA_DIR.value,
        split=_SPLIT.value,
        degradations=tuple(
            label
            for name in _DEGRADATIONS.value
            for label in (degradations.named_set(name) if name in degradations.SETS else (name,))
        ),
        severities=common.numbers(_SEVERITIES.value, "severities"),
        extra_conditions=tuple(_CONDITION.value),
        parameters=_PARAMETERS.value,
        quantise=_QUANTISE.value,
        stored=_STORED.value,
        clean=_CLEAN.value,
        format=_FORMAT.value,
        quality=_QUALITY.value,
        side_files=_SIDE_FILES.value,
        seed=_SEED.value,
        max_pixels=_MAX_PIXELS.value,
    )


def _written(config: copies.CopyConfig, job: copies.Job, arguments: Sequence[str]) -> list[copies.Part]:
    """Writes copies, then boxes and masks, and prints what was left out."""
    stage = f"{len(config.conditions)} conditions of {len(job.source)} images"
    if _RUNNER.value is not None:
        from causal_iqa import beam

        with progress.stage(f"{stage} by {_RUNNER.value}"):
            parts = beam.write_copies(job, _OUTPUT_DIR.value, runner=_RUNNER.value, arguments=arguments)
    else:
        with progress.stage(stage, "copies") as tell:
            parts = copies.write(
                job, _OUTPUT_DIR.value, num_processes=_NUM_PROCESSES.value or backbones.cores(), progress=tell
            )
    unreadable = sorted({one for part in parts for one in part.unreadable})
    common.print_skipped(unreadable, len(job.source) - len(unreadable), "copied")
    if len(unreadable) == len(job.source):
        raise InputError(f"images: none of the {len(job.source)} can be read")
    if _BOXES.value or _MASKS.value:
        with progress.stage("boxes and masks", "conditions") as tell:
            moved = copies.write_annotations(
                job, _OUTPUT_DIR.value, boxes=_BOXES.value, masks=_MASKS.value, progress=tell
            )
        print(f"boxes and masks: {moved.files} files in {_OUTPUT_DIR.value}/{copies.ANNOTATIONS}")
        if moved.gone:
            print(f"{moved.gone} boxes lie outside their copies and are left out there")
        if moved.without:
            print(f"{len(moved.without)} images have no boxes or masks, the first is {moved.without[0]}")
    return parts


def main(argv: list[str]) -> None:
    """Flags -> config -> copies and their manifest."""
    arguments = common.runner_arguments(argv, _RUNNER.value)
    if _RUNNER.value is not None and _NUM_PROCESSES.value is not None:
        raise InputError("num_processes: with --runner the runner decides how many workers it has; leave one out")
    if _RUNNER.value is not None:
        from causal_iqa import beam  # It imports all that `score` needs.

        beam.options(_RUNNER.value, arguments)  # Refuses what Beam would before anything takes time.
    config = config_from_flags()
    program_cache.keep(_COMPILATION_CACHE.value)
    common.check_writable(f"{_OUTPUT_DIR.value}/degrade.json", "output_dir")
    with progress.stage("looking at the images"):
        job = copies.prepare(config, _OUTPUT_DIR.value)
    if _BOXES.value or _MASKS.value:
        copies.check_annotations(job, boxes=_BOXES.value, masks=_MASKS.value)
    for line in job.remarks:
        print(line)
    with copies.hold(_OUTPUT_DIR.value):
        parts = _written(config, job, arguments)
    print(f"{sum(len(part.copies) for part in parts)} copies: {_OUTPUT_DIR.value}")
