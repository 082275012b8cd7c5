"""How images are scored without labels or references: the config, and everything opened and checked."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from causal_iqa import _checks, backbones, data, metrics
from causal_iqa.backbones.weights import installed
from causal_iqa.pipeline import anchors, degraded_anchors, fitting, loading, rows, scorers
from causal_iqa.pipeline.columns import Scorer, metric_scorer
from causal_iqa.pipeline.config import CLEAN, Condition
from causal_iqa.pipeline.execution import DEFAULT_EXECUTION, Execution, check_execution
from causal_iqa.pipeline.field_checks import check_unique
from causal_iqa.pipeline.network_choice import NetworkChoice, check_network_names
from causal_iqa.pipeline.views import View, backbone_side, enlarged_for

NO_REFERENCE = tuple(name for name, spec in metrics.TABLE.items() if not spec.needs_reference)
ANCHOR_KINDS = ("auto", "images", "head")
DEFAULT_SIZE = 224


@dataclasses.dataclass(frozen=True)
class ScoringConfig:
    """Everything the scores depend on, beside the images.

    Attributes:
      images: sets of images, SOURCE or NAME=SOURCE each, as `data.open_sets` reads them.
      data_dir: folder of the prepared TFDS datasets.
      split: split of a TFDS dataset that is scored.
      labels: file with one class per line in label order: folders are then class folders, and images have labels.
      metrics: names of NO_REFERENCE, or specifications of files for `metrics.resolve`.
      backbones: backbones with features that also score quality.
      networks: networks to be judged; where images have labels, their accuracy is measured.
      anchors: "images": the witness compares with the images of anchor_dataset; "head": with the class vectors of the
        backbone's own classifier; "auto": images where there is an anchor_dataset, else head
        for the networks that the extra imagenet installs.
      anchor_dataset: "scenes", "tfds:NAME" or "folder:PATH".
      anchor_data_dir: folder of its prepared TFDS datasets.
      anchor_split: None: "train", and for a folder the folder itself.
      classes: file with one class per line, for an anchor folder.
      class_order: order of class folders without such a file, one of `data.CLASS_ORDERS`; None: "text".
      max_pixels: the most pixels of an image that is decoded; larger ones count as unreadable.
      num_anchors: the largest number of anchors, taken from the classes in turn.
      degraded_anchors: anchor images that are degraded to learn when the witness is right; 0: none.
      image_size: side in pixels at which images are scored; None: their own where all are square and equal, else 224.
      crop_fraction: central square cut from photos of varying size, fraction of the shorter side.
      precision: precision of the networks' layers, one of `backbones.PRECISIONS`; everything else is float32.
      seed: seed of the choice of anchors and of every resample.
    """

    images: tuple[str, ...] = ()
    data_dir: str | None = None
    split: str | None = None
    labels: str | None = None
    metrics: tuple[str, ...] = NO_REFERENCE
    backbones: tuple[NetworkChoice, ...] = ()
    networks: tuple[NetworkChoice, ...] = ()
    anchors: str = "auto"
    anchor_dataset: str | None = None
    anchor_data_dir: str | None = None
    anchor_split: str | None = None
    classes: str | None = None
    class_order: str | None = None
    max_pixels: int = data.MAX_PIXELS
    num_anchors: int = 1000
    degraded_anchors: int = 0
    image_size: int | None = None
    crop_fraction: float = data.CROP_FRACTION
    precision: str = "highest"
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.images, str):
            raise TypeError(f"images: expected a tuple of sources, got the text {self.images!r}")
        for name in self.metrics:
            metrics.check_name(name)
            if name in metrics.TABLE and metrics.TABLE[name].needs_reference:
                raise _checks.InputError(
                    f"metrics: {name} compares with a pristine image, and there is none here; choose from "
                    f"{', '.join(NO_REFERENCE)}"
                )
        check_unique("metrics", self.metrics)
        check_network_names("backbones", self.backbones)
        check_network_names("networks", self.networks)
        _checks.check_choice(self.anchors, ANCHOR_KINDS, "anchors")
        _checks.check_choice(self.precision, backbones.PRECISIONS, "precision")
        if self.backbones and self.anchors == "images" and self.anchor_dataset is None:
            raise _checks.InputError(
                "anchors: a backbone needs clean labelled images to compare with: give --anchor_dataset, or "
                "--anchors=head where the backbone is a classifier"
            )
        for name, least in (
            ("image_size", 16),
            ("num_anchors", 2),
            ("seed", 0),
            ("max_pixels", 1),
            ("degraded_anchors", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise _checks.InputError(f"{name}: expected at least {least}, got {value}")
        if not 0 < self.crop_fraction <= 1:
            raise _checks.InputError(f"crop_fraction: expected a number between 0 and 1, got {self.crop_fraction}")

    def to_json(self) -> dict[str, Any]:
        """Returns the config as JSON values."""
        found = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scoring:
    """Sets of images and how they are scored; everything opened and checked.

    Attributes:
      config: what was asked for.
      sets: sets of images.
      work: what is computed; its source and indices are those of no set.
      remarks: lines that a user should read before scoring begins.
    """

    config: ScoringConfig
    sets: tuple[data.ImageSet, ...]
    work: rows.Work
    remarks: tuple[str, ...] = ()

    @property
    def num_images(self) -> int:
        """Images of all sets."""
        return sum(len(one.source) for one in self.sets)


def open_config_sets(config: ScoringConfig) -> tuple[data.ImageSet, ...]:
    """Opens the sets that a config names; InputError for anything missing or contradictory."""
    return data.open_sets(
        config.images,
        data_dir=config.data_dir,
        split=config.split,
        classes=config.labels,
        class_order=config.class_order,
        max_pixels=config.max_pixels,
    )


def _image_size(config: ScoringConfig, sets: Sequence[data.ImageSet]) -> int:
    if config.image_size is not None:
        return config.image_size
    shapes = set()
    for one in sets:
        shapes.add(one.source.image_shape)
        if None in shapes or len(shapes) > 1:
            return DEFAULT_SIZE
    shape = shapes.pop()
    return shape[0] if shape[0] == shape[1] and shape[0] >= 16 else DEFAULT_SIZE


def _anchor_images(
    config: ScoringConfig, sets: Sequence[data.ImageSet], image_size: int, crop_fraction: float
) -> tuple[anchors.AnchorImages, int, dict[str, Any]]:
    assert config.anchor_dataset is not None, "asked for where there are anchors"
    is_folder = config.anchor_dataset.startswith("folder:")
    source = data.open_source(
        config.anchor_dataset,
        split=config.anchor_split or (None if is_folder else "train"),
        data_dir=config.anchor_data_dir,
        classes=config.classes,
        class_order=config.class_order,
        max_pixels=config.max_pixels,
    )
    excluded = frozenset().union(*(data.shared_ids(source, one.source, range(len(one.source))) for one in sets))
    chosen = data.choose(
        source, config.num_anchors, seed=config.seed, exclude_ids=excluded, balanced=True, at_most=True
    )
    read = anchors.read_anchors(source, chosen if chosen.size >= 2 else chosen[:0], image_size, crop_fraction)
    details = {"anchors": "images", "num_anchors": len(read.ids), "anchor_dataset": source.name}
    return read, len(source.class_names), details


def _kind(config: ScoringConfig) -> str:
    if config.anchors != "auto":
        return config.anchors
    if config.anchor_dataset is not None:
        return "images"
    # A head may be a projection of self-supervised training, which only its user can tell from classes.
    others = [choice.name for choice in config.backbones if choice.architecture not in installed.PACKAGES]
    if others:
        raise _checks.InputError(
            f"anchors: backbone {others[0]} needs clean labelled images to compare with: give --anchor_dataset, or "
            "--anchors=head where the backbone is a classifier"
        )
    return "head"


def _witnesses(config, sets, view, feature_backbones) -> tuple[dict[str, Any], dict[str, dict[str, Any]], list[str]]:
    """Witnesses, the passport entry about the anchors for each backbone, and remarks about the anchors."""
    if not feature_backbones:
        return {}, {}, []
    if _kind(config) == "images":
        read, num_classes, details = _anchor_images(config, sets, view.side, config.crop_fraction)
        degraded = degraded_anchors.choose(config.degraded_anchors, (), view.side)
        if degraded.num:
            details["degraded"] = degraded.record()
        witnesses, notes = fitting.fit_on_images(
            read, num_classes, [view], feature_backbones, degraded=degraded, seed=config.seed
        )
        remarks = fitting.not_finite_remarks(notes, len(read.ids))
        return witnesses, dict.fromkeys(feature_backbones, details), remarks
    witnesses, details = {}, {}
    for name, backbone in feature_backbones.items():
        witnesses |= fitting.fit_on_heads(backbone.num_classes, [view], {name: backbone})
        details[name] = {"anchors": "head", "num_anchors": backbone.num_classes}
    return witnesses, details, []


def _scorers(config: ScoringConfig, view, feature_backbones, anchors, witnesses) -> tuple[Scorer, ...]:
    found = [metric_scorer(spec, view) for spec in scorers.resolve_metrics(config.metrics)]
    for name, network in feature_backbones.items():
        said = dict(anchors[name])
        degraded = said.pop("degraded", {})
        details = {
            "weights_sha256": {name: network.weights_sha256},
            "precision": {name: network.precision},
            **said,
        }
        found += scorers.of_backbone(
            view, name, {name: network}, details, witnesses, families=("label_free",), degraded=degraded
        )
    return tuple(found)


def load_judged(config: ScoringConfig, sets: Sequence[data.ImageSet]) -> dict[str, backbones.Network]:
    """Loads the judged networks; InputError where a set has labels of other classes."""
    networks = {
        choice.name: loading.in_precision(loading.load_network(choice), config.precision) for choice in config.networks
    }
    for name, network in networks.items():
        if network.task is not None:
            raise _checks.InputError(f"network {name}: score judges classifiers only; causal-iqa align judges others")
        for one in sets:
            if one.source.class_names and network.num_classes != len(one.source.class_names):
                raise _checks.InputError(
                    f"network {name}: it has {network.num_classes} classes, the set {one.name} has "
                    f"{len(one.source.class_names)} (--labels gives folders the network's full class list)"
                )
    return networks


def work_of(
    image_size: int,
    crop_fraction: float,
    num_images: int,
    views: tuple[View, ...],
    networks: Mapping[str, backbones.Network],
    feature_backbones: Mapping[str, backbones.Network],
    found: tuple[Scorer, ...],
    witnesses: Mapping[str, Any],
    sets: Sequence[data.ImageSet],
) -> rows.Work:
    """Makes the work of a scoring: one condition, the clean one."""
    return rows.Work(
        source=sets[0].source,
        indices=np.arange(num_images),
        image_size=image_size,
        crop_fraction=crop_fraction,
        interventions=(Condition(CLEAN, 0.0),),
        networks=networks,
        feature_backbones=feature_backbones,
        views=views,
        scorers=found,
        witnesses=witnesses,
    )


def remarks_of(sets: Sequence[data.ImageSet]) -> list[str]:
    """The sets' remarks, with their names where there are several sets."""
    return [line if len(sets) == 1 else f"{one.name}: {line}" for one in sets for line in one.remarks]


def prepare(
    config: ScoringConfig,
    execution: Execution = DEFAULT_EXECUTION,
    *,
    sets: Sequence[data.ImageSet] | None = None,
) -> Scoring:
    """Opens and checks all inputs of scoring.

    Args:
      config: what to score, and how.
      execution: how it runs.
      sets: already opened; None: those that the config names.

    Returns:
      The scoring.

    Raises:
      InputError: for anything missing or contradictory.

    Examples:
      >>> import tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     for i in range(3):
      ...         Image.fromarray(np.full((32, 32, 3), 60 * i, np.uint8)).save(f"{folder}/{i}.png")
      ...     work = pipeline.prepare_scoring(pipeline.ScoringConfig(images=(folder,), metrics=("entropy",)))
      >>> work.num_images, len(work.sets)
      (3, 1)
    """
    check_execution(execution)
    if not config.metrics and not config.backbones:
        raise _checks.InputError("metrics: expected at least one metric or backbone")
    sets = open_config_sets(config) if sets is None else tuple(sets)
    networks = load_judged(config, sets)
    feature_backbones = {choice.name: loading.load_backbone(choice, config.precision) for choice in config.backbones}
    size = _image_size(config, sets)
    sides = {k: backbone_side(b.preprocessing, size, at_task=False) for k, b in feature_backbones.items()}
    view = View(size, tuple(networks), sides, enlarged_for=enlarged_for(feature_backbones, size, at_task=False))
    witnesses, anchor_details, remarks = _witnesses(config, sets, view, feature_backbones)
    found = _scorers(config, view, feature_backbones, anchor_details, witnesses)
    num_images = sum(len(one.source) for one in sets)
    return Scoring(
        config=config,
        sets=sets,
        work=work_of(
            size, config.crop_fraction, num_images, (view,), networks, feature_backbones, found, witnesses, sets
        ),
        remarks=(*remarks_of(sets), *remarks),
    )
