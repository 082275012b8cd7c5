"""How well does each quality metric predict the performance of these networks, under changing imaging conditions?

  causal-iqa align
  causal-iqa align --dataset=tfds:cifar10 --data_dir=DIR --network=cifar_resnet32=FILE \\
    --backbone=cifar_resnet20=FILE --num_images=1000 --output_dir=results/cifar10

  causal-iqa align --dataset=images:photos --image_size=352 --performance=iou.csv --performance_name=IoU

Without --dataset the study runs on scenes rendered here, with small networks that come with the library. An interrupted
run continues where it stopped when the command is given again with the same flags.
"""

import dataclasses
import pathlib
from typing import Any

from causal_iqa import InputError, backbones, data, degradations, pipeline
from causal_iqa.analysis import findings
from causal_iqa.cli import at_hand, common, flagset, hosts, listing, program_cache, progress, running_study
from causal_iqa.degradations import Condition
from causal_iqa.pipeline import copy_trees
from causal_iqa.report import study as study_report

_D = pipeline.StudyConfig(networks=(pipeline.NetworkChoice("default", "default"),))
_SCENE_NETWORKS = ("scene_cnn_a", "scene_cnn_b", "scene_cnn_c")

FLAGS = flagset.FlagSet()

_DATASET = FLAGS.string(
    "dataset",
    _D.dataset,
    "Judged images: scenes, tfds:NAME, folder:PATH (class folders), images:PATH (no classes), or masks:PATH "
    "or boxes:PATH with --annotations.",
)
_DATA_DIR = FLAGS.string("data_dir", None, "Folder of the prepared TFDS datasets.")
_NETWORK = FLAGS.repeated(
    "network",
    "Network whose accuracy is predicted, repeat for more: ARCHITECTURE=PATH, NAME=ARCHITECTURE=PATH, or your own as "
    "NAME=package.module:function or NAME=file.py:function. PATH may be hf://OWNER/REPOSITORY@REVISION/FILE.",
)
_BACKBONE = FLAGS.repeated(
    "backbone",
    "Network whose features score quality, written like --network, or none; repeat for more (default: one that is "
    "installed).",
)
_METRICS = FLAGS.several(
    "metrics", ["standard"], "Conventional metrics by name, comma separated, or standard, or all (see --list_metrics)."
)
_DEGRADATIONS = FLAGS.several(
    "degradations",
    ["imagenet_c"],
    "Degradations, comma separated, by name (options in brackets, NAME[OPTION=VALUE]) or set: imagenet_c (the 19 of "
    "ImageNet-C and CIFAR-10-C), imagenet_c15 (the 15 of the benchmark proper), camera (all others), all.",
)
_SEVERITIES = FLAGS.several(
    "severities", ["1", "2", "3", "4", "5"], "Severities in (0, 5], comma separated, fractions allowed."
)
_NUM_IMAGES = FLAGS.string("num_images", str(_D.num_images), "Number of judged images, or all.")
_OUTPUT_DIR = FLAGS.string("output_dir", None, "Folder of the results (default: results/DATASET-ID).")

FLAGS.group("Judged images")
_SPLIT = FLAGS.string("split", None, "Split of the judged images (default: the dataset's test split).")
_CLASSES = FLAGS.string(
    "classes",
    None,
    "File with one class per line in label order, for a folder dataset or boxes; for masks a table value, name, label.",
)
_ANNOTATIONS = FLAGS.string(
    "annotations",
    None,
    "Ground truth: for masks:PATH a folder of PNG files, for boxes:PATH COCO JSON or a folder of YOLO text or VOC XML.",
)
_CLASS_ORDER = FLAGS.choice(
    "class_order",
    None,
    list(data.CLASS_ORDERS),
    "Order of the class folders without --classes: text (10 before 2) or natural (default: text, with a remark).",
)
_IMAGE_SIZE = FLAGS.integer(
    "image_size", None, "Side in pixels of the images that are degraded (default: the dataset's, or the largest input)."
)
_CROP_FRACTION = FLAGS.number(
    "crop_fraction", _D.crop_fraction, "Central square cut from photos of varying size, fraction of the shorter side."
)

FLAGS.group("Performance measured elsewhere")
_PERFORMANCE = FLAGS.string(
    "performance",
    None,
    "CSV or Parquet with the columns image_id, condition (clean, fog/3), network, performance and, for images that "
    "belong together, group; in place of --network.",
)
_PERFORMANCE_NAME = FLAGS.string(
    "performance_name", _D.performance_name, "Name of the measure, e.g. IoU, F1, error in mm."
)
_PERFORMANCE_DIRECTION = FLAGS.choice(
    "performance_direction",
    _D.performance_direction,
    list(pipeline.DIRECTIONS),
    "Whether higher or lower values are better.",
)
_PERFORMANCE_RANGE = FLAGS.several(
    "performance_range", [], "LOWEST,HIGHEST that it can be; 0,1 shows it in per cent (default: not known)."
)
_INPUT_SIZE = FLAGS.integer(
    "input_size",
    None,
    "Side in pixels at which those networks see an image; quality is scored at this side (default: --image_size).",
)

FLAGS.group("Conditions")
_IMAGES = FLAGS.string(
    "images",
    None,
    "Folder of images that are already degraded and are scored unchanged: of causal-iqa degrade, of ImageNet-C "
    "(<condition>/<severity>/...) or of CIFAR-10-C (<condition>.npy, labels.npy). --dataset names their clean images "
    "(default: its clean/0), --degradations and --severities choose among them (default: all).",
)
_CONDITION = FLAGS.repeated(
    "condition",
    "A further condition, e.g. --condition='defocus_blur/2+gaussian_noise/3'; its steps happen in this order; repeat "
    "for more.",
)
_FAMILY = FLAGS.choice(
    "family", None, list(degradations.FAMILIES), "Parameters of the degradations (default: by the size of the images)."
)
_QUANTISE = FLAGS.choice(
    "quantise",
    _D.quantise,
    degradations.QUANTISE,
    "8-bit levels of degraded images: none keeps fractions, round rounds, truncate cuts off like ImageNet-C's code.",
)
_STORED = FLAGS.integer(
    "stored",
    None,
    f"JPEG quality (4:2:0) in which degraded images are stored; ImageNet-C uses {degradations.IMAGENET_C_QUALITY}.",
)

FLAGS.group("Scores")
_METRIC = FLAGS.repeated(
    "metric", "One more metric that reads files, e.g. niqe@MODEL or lpips_alex@ALEXNET,LINEAR; repeat for more."
)
_SCORE_AT = FLAGS.choice(
    "score_at", _D.score_at, pipeline.SCORE_AT, "Score quality at each network's input size, or at image_size."
)
_STABILITY_VIEWS = FLAGS.integer(
    "stability_views",
    _D.stability_views,
    "Number of changed views of every image (mirrored, shifted, slight noise) that every judged network sees too, for "
    "the estimators that ask how stable its outputs are; 0: not at all.",
)

_PRECISION = FLAGS.choice(
    "precision",
    _D.precision,
    backbones.PRECISIONS,
    "Precision of the networks' layers: highest is float32 in full, default what an accelerator does fastest with "
    "it, bfloat16 half the memory; metrics and statistics are float32 in any case.",
)

FLAGS.group("Anchors of the new metrics")
_ANCHORS = FLAGS.choice(
    "anchors",
    _D.anchors,
    pipeline.ANCHOR_KINDS,
    "Anchors that the scores compare with: clean labelled images, the class vectors of the backbone's head, or prompts "
    "of the class names in its text tower; auto: images when every judged class has some, else head.",
)
_ANCHOR_DATASET = FLAGS.string("anchor_dataset", None, "Dataset of the anchor images (default: --dataset).")
_ANCHOR_DATA_DIR = FLAGS.string(
    "anchor_data_dir", None, "Folder of the prepared TFDS datasets for the anchors (default: --data_dir)."
)
_ANCHOR_CLASSES = FLAGS.string("anchor_classes", None, "Class list of an anchor folder (default: --classes).")
_ANCHOR_SPLIT = FLAGS.string(
    "anchor_split", None, "Split of the anchor images (default: train; for a folder, --split)."
)
_NUM_ANCHORS = FLAGS.integer("num_anchors", _D.num_anchors, "Number of anchor images, at most.")
_ANCHOR_COUNTS = FLAGS.several(
    "anchor_counts",
    [],
    "Smaller numbers of anchors with which stages_* is scored too, comma separated, for learning curves.",
)
_DEGRADED_ANCHORS = FLAGS.integer(
    "degraded_anchors",
    _D.degraded_anchors,
    "Number of anchor images that are degraded by conditions which are not the study's, to learn when the witness is "
    "right (success_free, rank_free), 250 for instance; 0: none.",
)
_DETECTORS = FLAGS.switch(
    "detectors",
    _D.detectors,
    "Score with out-of-distribution detectors on the witness over stages as well (gen_free, nnguide_free, fdbd_free, "
    "dknn_free, mahalanobis_*_free), of whole conditions too.",
)
_TEMPLATES = FLAGS.choice(
    "templates", _D.templates, list(backbones.TEMPLATES), "Prompts around the class names, for --anchors=text."
)
_CLASS_NAMES = FLAGS.string(
    "class_names",
    None,
    "File with a name in words per class in label order, for --anchors=text (default: the dataset's).",
)
_TOKENIZER = FLAGS.string(
    "tokenizer", None, "Vocabulary of the text towers, file or folder (default: a file next to the weights)."
)

FLAGS.group("Statistics")
_SEED = FLAGS.integer("seed", _D.seed, "Seed of the choice of images, the degradations and the resamples.")
_NUM_RESAMPLES = FLAGS.integer("num_resamples", _D.num_resamples, "Bootstrap resamples of the images.")
_LEVEL = FLAGS.number("level", _D.level, "Level of the intervals, between 0 and 1.")

FLAGS.group("Machine")
_BATCH_SIZE = FLAGS.integer("batch_size", None, "Images per step (default: what fits the memory).")
_MEMORY_GB = FLAGS.number("memory_gb", None, "Memory in GB that a step may use per device (default: a quarter).")
_NUM_DEVICES = FLAGS.integer(
    "num_devices", None, "Local devices to use (default: all; a CPU has one per core, at most 8)."
)
_WORKERS = FLAGS.integer("workers", 2, "Threads that decode images.")
_MAX_PIXELS = FLAGS.integer(
    "max_pixels", data.MAX_PIXELS, "Larger images are not decoded and count as unreadable; bounds the memory."
)
_COMPILATION_CACHE = FLAGS.string("compilation_cache", None, program_cache.WORDS)
_DOWNLOAD = FLAGS.switch("download", False, "Let TFDS download and prepare the dataset.")

FLAGS.group("Several processes, on one machine or many (docs/scale.md)")
_COORDINATOR = FLAGS.string(
    "coordinator",
    None,
    "HOST:PORT of the first process, or auto where Slurm, Open MPI, Kubernetes or a TPU pod says it; every process is "
    "given the same flags but for --process_id, and an --output_dir that all of them see.",
)
_NUM_PROCESSES = FLAGS.integer("num_processes", None, "Number of processes that share the run.", lower_bound=1)
_PROCESS_ID = FLAGS.integer(
    "process_id", None, "Which of them this one is, from 0; the first writes the report.", lower_bound=0
)

FLAGS.group("Lists")
_LIST_METRICS = FLAGS.switch("list_metrics", False, "Print the metrics, one line each, and stop.")
_LIST_DEGRADATIONS = FLAGS.switch("list_degradations", False, "Print the degradations, one line each, and stop.")
_FORMAT = FLAGS.choice(
    "format", "table", list(listing.FORMATS), "Format of these lists; json shows the whole definition of each entry."
)


def _dataset() -> str:
    """The clean images that are judged; those beside given copies where no others are named."""
    if _IMAGES.value and not FLAGS.values["dataset"].present:
        return copy_trees.open_tree(_IMAGES.value).clean_spec
    return _DATASET.value


def _judged_networks() -> tuple[pipeline.NetworkChoice, ...]:
    if _PERFORMANCE.value is not None:
        if _NETWORK.value:
            raise InputError("--network: the table of --performance names the networks; give one of the two")
        return ()
    given = _NETWORK.value or (_SCENE_NETWORKS if _dataset() == "scenes" else ())
    return tuple(pipeline.NetworkChoice.parse(text) for text in given)


def _labels(given: list[str]) -> tuple[str, ...]:
    """Names of degradations with the sets written out."""
    return tuple(
        label for name in given for label in (degradations.named_set(name) if name in degradations.SETS else (name,))
    )


def _given(images: str) -> dict[str, Any]:
    """Fields of the config where the images are degraded already: conditions and clean images of the folder."""
    tree = copy_trees.open_tree(images)
    conditions = tree.conditions
    if FLAGS.values["degradations"].present:
        wanted = _labels(_DEGRADATIONS.value)
        conditions = tuple(condition for condition in conditions if condition.degradation in wanted)
    if FLAGS.values["severities"].present:
        severities = common.numbers(_SEVERITIES.value, "severities")
        conditions = tuple(condition for condition in conditions if condition.severity in severities)
    wanted = {str(Condition.parse(text)) for text in _CONDITION.value}
    conditions += tuple(c for c in tree.conditions if str(c) in wanted and c not in conditions)
    if not conditions:
        there = sorted({condition.degradation for condition in tree.conditions})
        raise InputError(f"images: none of the conditions asked for is in {images}; it holds {', '.join(there)}")
    return {
        "images": images,
        "degradations": (),
        "severities": (),
        "extra_conditions": tuple(map(str, conditions)),
    }


def config_from_flags(chosen: at_hand.AtHand) -> pipeline.StudyConfig:
    """Turns the flags into the config of the study, with the backbones that were chosen."""
    config = pipeline.StudyConfig(
        dataset=_dataset(),
        data_dir=_DATA_DIR.value,
        split=_SPLIT.value,
        classes=_CLASSES.value,
        annotations=_ANNOTATIONS.value,
        class_order=_CLASS_ORDER.value,
        max_pixels=_MAX_PIXELS.value,
        num_images=common.integer_or_all(_NUM_IMAGES.value, "num_images"),
        image_size=_IMAGE_SIZE.value,
        crop_fraction=_CROP_FRACTION.value,
        networks=_judged_networks(),
        backbones=chosen.backbones,
        degradations=_labels(_DEGRADATIONS.value),
        severities=common.numbers(_SEVERITIES.value, "severities"),
        extra_conditions=tuple(_CONDITION.value),
        family=_FAMILY.value,
        quantise=_QUANTISE.value,
        stored=_STORED.value,
        metrics=common.metric_names(_METRICS.value) + tuple(_METRIC.value),
        score_at=_SCORE_AT.value,
        anchors=_ANCHORS.value,
        anchor_dataset=_ANCHOR_DATASET.value,
        anchor_data_dir=_ANCHOR_DATA_DIR.value,
        anchor_classes=_ANCHOR_CLASSES.value,
        anchor_split=_ANCHOR_SPLIT.value,
        num_anchors=_NUM_ANCHORS.value,
        anchor_counts=common.integers(_ANCHOR_COUNTS.value, "anchor_counts"),
        degraded_anchors=_DEGRADED_ANCHORS.value,
        detectors=_DETECTORS.value,
        templates=_TEMPLATES.value,
        class_names=_CLASS_NAMES.value,
        tokenizer=_TOKENIZER.value,
        precision=_PRECISION.value,
        stability_views=_STABILITY_VIEWS.value,
        performance=_PERFORMANCE.value,
        performance_name=_PERFORMANCE_NAME.value,
        performance_direction=_PERFORMANCE_DIRECTION.value,
        performance_range=common.numbers(_PERFORMANCE_RANGE.value, "performance_range"),
        input_size=_INPUT_SIZE.value,
        seed=_SEED.value,
        num_resamples=_NUM_RESAMPLES.value,
        level=_LEVEL.value,
    )
    return dataclasses.replace(config, **_given(_IMAGES.value)) if _IMAGES.value else config


def _output_dir(study: pipeline.Study) -> pathlib.Path:
    if _OUTPUT_DIR.value:
        return pathlib.Path(_OUTPUT_DIR.value)
    return pathlib.Path("results") / f"{study.source.name.replace(':', '-').replace('/', '-')}-{study.fingerprint[:8]}"


def main(_: list[str]) -> None:
    """Flags -> config -> study -> table, figures and page."""
    wanted = {"metrics": _LIST_METRICS.value, "degradations": _LIST_DEGRADATIONS.value}
    if any(wanted.values()):
        print("\n".join(listing.text(kind, _FORMAT.value) for kind, said in wanted.items() if said), end="")
        return
    common.one_device_per_core()
    team = hosts.join(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
    program_cache.keep(_COMPILATION_CACHE.value)
    for flag in (_DATASET, _ANCHOR_DATASET):
        if flag.value is not None:
            data.check_spec(flag.value, name=flag.name)
    chosen = at_hand.choose(_BACKBONE.value, _judged_networks(), _dataset())
    config = config_from_flags(chosen)
    execution = pipeline.Execution(
        _BATCH_SIZE.value, _MEMORY_GB.value, _NUM_DEVICES.value, _WORKERS.value, _DOWNLOAD.value
    )
    if _OUTPUT_DIR.value:
        common.check_writable(f"{_OUTPUT_DIR.value}/summary.json", "output_dir")
    study, remark = running_study.prepare(config, execution, chosen.remark)
    config = study.config
    output = pipeline.Store(_output_dir(study), config, study.provenance, study.details)
    if team.index > 0:
        running_study.score_share(study, output, execution, team)
        return
    with output.locked():
        for line in (*([remark] if remark else []), *study.remarks):
            print(line)
        running_study.print_first_look(study, output, execution)
        if team.count > 1:
            team.wait(running_study.BEGUN)
            running_study.score_own(study, output, execution, team)
            with progress.stage("waiting for the other processes"):
                team.wait(running_study.SCORED)
        # What other processes should have left but did not is scored here.
        with progress.stage(f"{len(config.conditions)} conditions", "images", compiles=True) as tell:
            table = pipeline.run(study, output, execution, progress=tell)
        columns = [scorer.column for scorer in study.scorers]
        with progress.steps("analysis", len(findings.PARTS)) as tell:
            found = findings.analyse(config, columns, table, progress=tell)
        with progress.stage("writing the report"):
            samples = pipeline.sample_images(study)
            text = study_report.write(output.folder, config, table, found, study.details, samples=samples)
    team.wait(running_study.REPORTED)
    common.print_skipped(table.skipped, len(table.image_ids), "judged")
    print(text)
    print(f"results: {output.folder} (report.html shows them)")
    if (output.folder / study_report.ERRORS).exists():
        raise InputError(f"parts of the analysis failed; their tracebacks are in {output.folder / study_report.ERRORS}")
