"""How good are these images for a network, which are poor, and which accuracy can be expected? It needs no labels.

  causal-iqa score --images=DIR
  causal-iqa score --images=train=DIR --images=field=DIR --map=results/align-run --output_dir=results/field
  causal-iqa score --images=tfds:cifar10 --data_dir=DIR --backbone=cifar_resnet20=FILE --map=results/align-run

Without --backbone quality is read by EfficientNet-Lite0 where it is installed (pip install 'causal-iqa[imagenet]'). The
folder gets report.html, scores.parquet (a row per image), summary.json and the paths below the threshold. An
interrupted run continues where it stopped when the command is given again with the same flags.

With --runner=NAME a pipeline of Apache Beam (extra beam) scores the images; Beam's own flags follow after "--":

  causal-iqa score --images=DIR --runner=DirectRunner -- --direct_num_workers=2 --direct_running_mode=multi_processing
"""

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from causal_iqa import InputError, _files, _score, backbones, beam, data, pipeline
from causal_iqa.analysis import datasets
from causal_iqa.cli import common, flagset, program_cache, progress
from causal_iqa.pipeline import scoring
from causal_iqa.report import dataset_files, dataset_words

_D = scoring.ScoringConfig()

FLAGS = flagset.FlagSet()
# Beam's own, after "--".
TAKES_ARGUMENTS = True

_IMAGES = FLAGS.repeated(
    "images",
    "Images as SOURCE or NAME=SOURCE; repeat for more sets. A source is a folder with images at any depth, an image, a "
    ".txt file that lists paths, tfds:NAME, or folder:PATH (class folders, with labels).",
    required=True,
)
_MAP = FLAGS.string(
    "map", None, "Folder of a finished run of align: its map from score to correctness gives expected accuracies."
)
_OUTPUT_DIR = FLAGS.string("output_dir", None, "Folder of the results (default: results/score-SET-ID).")
_BACKBONE = FLAGS.repeated(
    "backbone",
    "Network whose features score quality, ARCHITECTURE=PATH or NAME=ARCHITECTURE=PATH, or ARCHITECTURE alone for "
    "weights that are installed, or none; repeat for more (default: EfficientNet-Lite0 where it is installed).",
)
_NETWORK = FLAGS.repeated(
    "network", "Network whose actual accuracy is measured where images have labels, written like --backbone."
)
_METRICS = FLAGS.several(
    "metrics", ["all"], "No-reference metrics by name, comma separated, or all. Empty: none, with a backbone."
)
_ACCURACY = FLAGS.number(
    "accuracy", None, "Wanted accuracy between 0 and 1: the threshold of the score that reaches it."
)
_THRESHOLD = FLAGS.number(
    "threshold", None, "Score below which images are listed (default: chosen; the report says how)."
)

FLAGS.group("Images")
_DATA_DIR = FLAGS.string("data_dir", None, "Folder of the prepared TFDS datasets.")
_SPLIT = FLAGS.string("split", None, "Split of a TFDS dataset (default: its test split).")
_LABELS = FLAGS.string(
    "labels", None, "File with one class per line in label order: folders are class folders, and images have labels."
)
_REFERENCE = FLAGS.string("reference", None, "Name of the set that others are compared with (default: the first).")
_IMAGE_SIZE = FLAGS.integer(
    "image_size",
    None,
    "Side in pixels at which images are scored (default: their own where all are square and of one size, else "
    f"{scoring.DEFAULT_SIZE}: photos are cropped and resized to it).",
)
_CROP_FRACTION = FLAGS.number(
    "crop_fraction", _D.crop_fraction, "Central square cut from photos of varying size, fraction of the shorter side."
)

FLAGS.group("Anchors of the new metrics")
_ANCHORS = FLAGS.choice(
    "anchors",
    _D.anchors,
    scoring.ANCHOR_KINDS,
    "Anchors that the scores compare with: images of --anchor_dataset, or the class vectors of the backbone's own "
    "head; auto: images where there is an --anchor_dataset, else head for what the extra imagenet installs.",
)
_ANCHOR_DATASET = FLAGS.string(
    "anchor_dataset", None, "Clean labelled images of the task: scenes, tfds:NAME or folder:PATH (class folders)."
)
_ANCHOR_DATA_DIR = FLAGS.string("anchor_data_dir", None, "Folder of the prepared TFDS datasets for the anchors.")
_ANCHOR_SPLIT = FLAGS.string(
    "anchor_split", None, "Split of the anchor images (default: train; for a folder, the whole folder)."
)
_ANCHOR_CLASSES = FLAGS.string(
    "anchor_classes", None, "File with one class per line in label order, for an anchor folder."
)
FLAGS.former("classes", "anchor_classes")
_CLASS_ORDER = FLAGS.choice(
    "class_order",
    None,
    list(data.CLASS_ORDERS),
    "Order of the class folders without --labels or --anchor_classes: text (10 before 2) or natural (default: text, "
    "with a remark).",
)
_NUM_ANCHORS = FLAGS.integer("num_anchors", _D.num_anchors, "Number of anchor images, at most.")
_DEGRADED_ANCHORS = FLAGS.integer(
    "degraded_anchors",
    _D.degraded_anchors,
    "Number of anchor images that are degraded, to learn when the witness is right (success_free, rank_free), 250 for "
    "instance; 0: none.",
)

FLAGS.group("Scores")
_METRIC = FLAGS.repeated(
    "metric", "One more metric that reads files, e.g. niqe@MODEL or brisque@LIBSVM_MODEL; repeat for more."
)
_PRECISION = FLAGS.choice(
    "precision",
    _D.precision,
    backbones.PRECISIONS,
    "Precision of the networks' layers: highest is float32 in full, default what an accelerator does fastest with "
    "it, bfloat16 half the memory; metrics and statistics are float32 in any case.",
)
_QUALITY = FLAGS.string("quality", None, "Score that stands for quality (default: a label-free one, else piqe).")
_LEVEL = FLAGS.number("level", 0.95, "Level of the intervals, between 0 and 1.")
_SEED = FLAGS.integer("seed", _D.seed, "Seed of the choice of anchors and of the resamples.")
_OUTPUT = FLAGS.string("output", None, "One more file of the scores, ending in .csv or .parquet.")

FLAGS.group("Machine")
_BATCH_SIZE = FLAGS.integer("batch_size", None, "Images per step (default: what fits the memory).")
_MEMORY_GB = FLAGS.number("memory_gb", None, "Memory in GB that a step may use per device (default: a quarter).")
_NUM_DEVICES = FLAGS.integer(
    "num_devices", None, "Local devices to use (default: all; a CPU has one per core, at most 8)."
)
_WORKERS = FLAGS.integer("workers", 2, "Threads that decode images.")
_COMPILATION_CACHE = FLAGS.string("compilation_cache", None, program_cache.WORDS)
_MAX_PIXELS = FLAGS.integer(
    "max_pixels", data.MAX_PIXELS, "Larger images are not decoded and count as unreadable; bounds the memory."
)

FLAGS.group("Sets beyond one machine (docs/scale.md)")
_RUNNER = FLAGS.string("runner", None, common.RUNNER_WORDS)
_REPORT = FLAGS.switch(
    "report",
    True,
    "Read all scores back and write the report, scores.parquet and the summary; --noreport leaves the parts in scores/ "
    "and writes totals.json, for sets that are too large for the memory of one machine.",
)


def config_from_flags(chosen: tuple[pipeline.NetworkChoice, ...]) -> scoring.ScoringConfig:
    """Turns the flags into one config.

    Args:
      chosen: the backbones that were given or chosen.
    """
    return scoring.ScoringConfig(
        images=tuple(_IMAGES.value),
        data_dir=_DATA_DIR.value,
        split=_SPLIT.value,
        labels=_LABELS.value,
        metrics=(scoring.NO_REFERENCE if _METRICS.value == ["all"] else tuple(_METRICS.value)) + tuple(_METRIC.value),
        backbones=chosen,
        networks=tuple(pipeline.NetworkChoice.parse(text) for text in _NETWORK.value),
        anchors=_ANCHORS.value,
        anchor_dataset=_ANCHOR_DATASET.value,
        anchor_data_dir=_ANCHOR_DATA_DIR.value,
        anchor_split=_ANCHOR_SPLIT.value,
        classes=_ANCHOR_CLASSES.value,
        class_order=_CLASS_ORDER.value,
        max_pixels=_MAX_PIXELS.value,
        num_anchors=_NUM_ANCHORS.value,
        degraded_anchors=_DEGRADED_ANCHORS.value,
        image_size=_IMAGE_SIZE.value,
        crop_fraction=_CROP_FRACTION.value,
        precision=_PRECISION.value,
        seed=_SEED.value,
    )


def _chosen_backbones() -> tuple[tuple[pipeline.NetworkChoice, ...], str]:
    given = list(_BACKBONE.value)
    if given == [_score.NONE]:
        return (), ""
    if _score.NONE in given:
        raise InputError(f"--backbone: {_score.NONE} stands alone, got {', '.join(given)}")
    if given or _MAP.value is not None:
        return tuple(pipeline.NetworkChoice.parse(text) for text in given), ""
    return _score.default_backbones()


def _request() -> datasets.Request:
    request = datasets.Request(
        _QUALITY.value, _REFERENCE.value, _THRESHOLD.value, _ACCURACY.value, _LEVEL.value, _SEED.value
    )
    _score.check_values(request)
    return request


def main(argv: list[str]) -> None:
    """Flags -> config -> scores -> findings -> report."""
    arguments = common.runner_arguments(argv, _RUNNER.value)
    if _RUNNER.value is not None:
        beam.options(_RUNNER.value, arguments)  # Refuses what Beam would before anything takes time.
    common.one_device_per_core()
    program_cache.keep(_COMPILATION_CACHE.value)
    if _ANCHOR_DATASET.value is not None:
        data.check_spec(_ANCHOR_DATASET.value, name="anchor_dataset")
    output = None if _OUTPUT.value is None else pathlib.Path(_OUTPUT.value)
    if output is not None:
        dataset_files.check_output(output)
    chosen, remark = _chosen_backbones()
    config, request = config_from_flags(chosen), _request()
    execution = pipeline.Execution(
        batch_size=_BATCH_SIZE.value,
        memory_gb=_MEMORY_GB.value,
        num_devices=_NUM_DEVICES.value,
        workers=_WORKERS.value,
    )
    with progress.stage("opening"):
        run = None if _MAP.value is None else pipeline.read_run(_MAP.value)
        work = _score.prepare(config, run, execution)
    _score.check_request(work, request)
    settings = {"map": None if run is None else run.details["fingerprint"], "diagnosis": "all causes"}
    store = pipeline.ScoringStore(_folder(work), work, settings)
    for path in (output, store.folder / dataset_files.PAGE):
        if path is not None:
            common.check_writable(str(path), "output" if path is output else "output_dir")
    with store.locked():
        for line in (*([remark] if remark else []), *work.remarks):
            print(line)
        stamps = _scores(work, store, execution, settings, arguments)
        if not _REPORT.value:
            _print_totals(pipeline.Totals.read(store.folder), work, store)
            return
        with progress.steps("findings") as tell:
            scored = pipeline.read_sets(work, store, stamps)
            found = _score.find(scored, request, run, progress=tell)
            tell("writing the report", 0, 1)
            written = dataset_files.write(
                store.folder, scored, work.sets, found, settings={"config": config.to_json(), **settings}
            )
    if output is not None:
        _write_copy(output, scored, found)
    common.print_skipped(
        [(image_id, reason) for _, image_id, reason in scored.skipped[:20]], scored.table.num_rows, "scored"
    )
    print(f"{dataset_words.count(scored.table.num_rows, 'image')} at {scored.image_size} pixels")
    print(dataset_words.terminal(found.findings, str(store.folder), written))


def _scores(
    work: pipeline.Scoring,
    store: pipeline.ScoringStore,
    execution: pipeline.Execution,
    settings: Mapping[str, Any],
    arguments: Sequence[str],
) -> dict[pipeline.Part, str]:
    """Scores the missing parts, here or by Beam's workers; without a report the folder then has totals.json."""
    if _RUNNER.value is not None:
        with progress.stage(f"{dataset_words.count(work.num_images, 'image')} by {_RUNNER.value}"):
            return beam.score_sets(
                work,
                store,
                execution,
                map=_MAP.value,
                settings=settings,
                runner=_RUNNER.value,
                arguments=arguments,
                with_totals=not _REPORT.value,
            )
    with progress.stage("scores", "images", compiles=True) as tell:
        diagnose = _score.diagnosis(_NUM_DEVICES.value)
        stamps = pipeline.score_sets(work, store, execution, progress=tell, diagnose=diagnose)
    if not _REPORT.value:
        with progress.stage("totals"):
            pipeline.total_parts(work, store, stamps).of_run(store.provenance, stamps.values()).write(store.folder)
    return stamps


def _print_totals(totals: pipeline.Totals, work: pipeline.Scoring, store: pipeline.ScoringStore) -> None:
    metric = datasets.choose([scorer.column for scorer in work.work.scorers], _QUALITY.value)
    for name, own in totals.sets.items():
        read = f"{name}: {dataset_words.count(own.images, 'image')}, {own.unreadable} unreadable"
        if metric in own.scores:
            spread = own.scores[metric]
            read += f"; {metric} {spread.mean:.4g} on average, half of the images above {spread.quantile(0.5):.4g}"
        print(read)
    print(f"parts of the scores: {store.folder / 'scores'}, their totals: {store.folder / pipeline.TOTALS_FILE}")


def _folder(work: pipeline.Scoring) -> pathlib.Path:
    if _OUTPUT_DIR.value:
        return pathlib.Path(_OUTPUT_DIR.value)
    name = re.sub(r"[^\w.-]+", "-", work.sets[0].name)[:40]
    from causal_iqa.pipeline import provenance, scoring_store

    known = provenance.digest_json([scoring_store.provenance_of(work), list(work.config.images), _MAP.value])
    return pathlib.Path("results") / f"score-{name}-{known[:8]}"


def _write_copy(path: pathlib.Path, scored: pipeline.Scored, found: datasets.Found) -> None:
    table = dataset_files.final_table(scored, found.derived)
    if path.suffix == ".csv":
        _files.write_text(path, dataset_files.csv_text(table))
    else:
        _files.write_atomically(path, dataset_files.parquet_bytes(scored, table))
