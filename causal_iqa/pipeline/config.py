"""What a study is: one frozen value, checked, that fixes every number it will give."""

import dataclasses
import functools
import json
import types
from collections.abc import Mapping
from typing import Any

from causal_iqa import _checks, backbones, data, degradations, metrics, tasks
from causal_iqa.degradations import CLEAN, Condition
from causal_iqa.pipeline import field_checks, network_choice
from causal_iqa.pipeline.network_choice import NetworkChoice

ANCHOR_KINDS = ("auto", "images", "head", "text")
SCORE_AT = ("task", "image")
DIRECTIONS = ("higher", "lower")
# The architecture of a network that is known by its row in a table of performance alone.
PERFORMANCE_TABLE = "performance_table"
# More of these would fill the memory or never end.
_MOST = {"num_resamples": 100_000, "stability_views": 1000}


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Everything the numbers of a study depend on.

    Attributes:
      dataset: "scenes", "tfds:NAME", "folder:PATH", "images:PATH", "masks:PATH" or "boxes:PATH".
      images: folder of their degraded copies, as `copy_trees.open_tree` reads it; nothing is degraded then, and
        conditions are those of the folder. None: the images are degraded here.
      data_dir: folder of the prepared TFDS datasets.
      split: split of the judged images; None: the source's test split.
      classes: file with one class per line, in label order, for a folder or boxes; the table of values of masks.
      annotations: masks or boxes of the judged images, for "masks:PATH" and "boxes:PATH".
      class_order: order of a folder's class folders without such a file, one of `data.CLASS_ORDERS`; None: "text".
      max_pixels: the most pixels of an image that is decoded; larger ones count as unreadable.
      num_images: judged images; None: all.
      image_size: side in pixels of the images that are degraded; None: the dataset's, or the largest a network wants.
      crop_fraction: side of the central square cut from photos of varying size, as a fraction of the shorter side.
      networks: whose accuracy is to be predicted; with `performance` none are given, and a prepared study has those of
        the table.
      backbones: whose features score quality.
      degradations: names of `degradations.TABLE`, with options in brackets where wanted: "fog", "fog[option=value]".
      severities: severities of each degradation, in (0, 5]; fractions lie between the published ones.
      extra_conditions: further conditions as `degradations.Condition` writes them, e.g. "defocus_blur/2+fog/3".
      family: parameters of all conditions that do not say their own, one of `degradations.FAMILIES`; None: by size.
      quantise: the same for what becomes of fractions of 1/255, one of `degradations.QUANTISE`.
      stored: the same for a last JPEG coding at this quality; None: none. The clean images are neither quantised nor
        stored.
      metrics: names of `metrics.TABLE`, or what `metrics.resolve` makes of files, e.g. "niqe@PATH".
      score_at: "task": quality is scored at each network's input size; "image": at image_size.
      anchors: where anchors come from, one of ANCHOR_KINDS; "auto": images when every judged class has some, else head.
      anchor_dataset: None: the judged dataset.
      anchor_data_dir: None: data_dir.
      anchor_classes: the class list of an anchor folder whose classes are not the judged images'; None: classes.
      anchor_split: None: "train" where the dataset has one, else the judged split.
      num_anchors: the largest number of anchors, taken from the classes in turn.
      anchor_counts: smaller numbers of anchors with which the witness over stages is scored as well.
      degraded_anchors: anchors that are degraded, by conditions that are not the study's, to learn when the witness is
        right; 0: none.
      detectors: whether the out-of-distribution detectors on the witness over stages score as well.
      templates: prompts of text anchors, a row of `backbones.TEMPLATES`.
      class_names: file with a name in words per class, in label order, for text anchors; None: the dataset's own.
      tokenizer: vocabulary of the text towers; None: looked for next to the weight files.
      precision: precision of the layers of networks and backbones, one of `backbones.PRECISIONS`; everything else is
        float32.
      stability_views: passes of every judged network over changed views of every image, for the estimators that ask how
        stable its outputs are; 0: none. Each costs as much as judging does.
      performance: table of what networks reached elsewhere, see `performance.read_table`; None: they are judged.
      performance_name: name of the number in that table, as reports show it.
      performance_direction: "higher" or "lower" is better.
      performance_range: (lowest, highest) that it can be; empty: any.
      task: what networks of masks or boxes are judged by, a row of `tasks.TABLE`; a prepared study has what they name.
      input_size: side in pixels at which those networks see an image, for score_at "task"; None: image_size.
      seed: seed of the choice of images, the degradations and the resamples.
      num_resamples: bootstrap resamples of the images.
      level: confidence level of the intervals.
    """

    dataset: str = "scenes"
    images: str | None = None
    data_dir: str | None = None
    split: str | None = None
    classes: str | None = None
    annotations: str | None = None
    class_order: str | None = None
    max_pixels: int = data.MAX_PIXELS
    num_images: int | None = 300
    image_size: int | None = None
    crop_fraction: float = 0.875
    networks: tuple[NetworkChoice, ...] = ()
    backbones: tuple[NetworkChoice, ...] = ()
    degradations: tuple[str, ...] = degradations.named_set("imagenet_c")
    severities: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0)
    extra_conditions: tuple[str, ...] = ()
    family: str | None = None
    quantise: str = "none"
    stored: int | None = None
    metrics: tuple[str, ...] = metrics.STANDARD
    score_at: str = "task"
    anchors: str = "auto"
    anchor_dataset: str | None = None
    anchor_data_dir: str | None = None
    anchor_classes: str | None = None
    anchor_split: str | None = None
    num_anchors: int = 1000
    anchor_counts: tuple[int, ...] = ()
    degraded_anchors: int = 0
    detectors: bool = False
    templates: str = "short"
    class_names: str | None = None
    tokenizer: str | None = None
    precision: str = "highest"
    stability_views: int = 0
    performance: str | None = None
    performance_name: str = "performance"
    performance_direction: str = "higher"
    performance_range: tuple[float, ...] = ()
    task: str | None = None
    input_size: int | None = None
    seed: int = 0
    num_resamples: int = 1000
    level: float = 0.95

    def __post_init__(self) -> None:
        field_checks.check_types(self)
        self._check_performance()
        for kind, choices in (("networks", self.networks), ("backbones", self.backbones)):
            network_choice.check_network_names(kind, choices)
        for name in self.metrics:
            metrics.check_name(name)
        labels = [degradations.parse_label(label).label for label in self.degradations]
        for severity in self.severities:
            degradations.check_severity(severity)
            if severity == 0:
                raise _checks.InputError("severities: 0 is the clean image, which is always included")
        for kind, values in (("degradations", labels), ("severities", self.severities)):
            if not values and not self.extra_conditions:
                raise _checks.InputError(f"{kind}: expected at least one")
            field_checks.check_unique(kind, values)
        self._check_conditions()
        field_checks.check_unique("metrics", self.metrics)
        if not self.metrics and not self.backbones:
            raise _checks.InputError("metrics: expected at least one metric or backbone")
        _checks.check_choice(self.anchors, ANCHOR_KINDS, "anchors")
        _checks.check_choice(self.templates, backbones.TEMPLATES, "templates")
        _checks.check_choice(self.score_at, SCORE_AT, "score_at")
        _checks.check_choice(self.precision, backbones.PRECISIONS, "precision")
        if self.class_order is not None:
            _checks.check_choice(self.class_order, data.CLASS_ORDERS, "class_order")
        leasts = {"num_images": 2, "image_size": 16, "num_anchors": 2, "num_resamples": 1, "max_pixels": 1}
        for name, least in (leasts | {"input_size": 16}).items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise _checks.InputError(f"{name}: expected at least {least}, got {value}")
        for name, most in _MOST.items():
            if getattr(self, name) > most:
                raise _checks.InputError(f"{name}: expected at most {most}, got {getattr(self, name)}")
        if self.degraded_anchors < 0:
            raise _checks.InputError(f"degraded_anchors: expected at least 0, got {self.degraded_anchors}")
        if self.stability_views < 0 or self.stability_views == 1:
            raise _checks.InputError(f"stability_views: expected 0, or at least 2, got {self.stability_views}")
        field_checks.check_unique("anchor_counts", self.anchor_counts)
        if any(count < 2 for count in self.anchor_counts):
            raise _checks.InputError(f"anchor_counts: expected at least 2 each, got {list(self.anchor_counts)}")
        for name in ("level", "crop_fraction"):
            if not 0 < getattr(self, name) <= 1 or (name == "level" and self.level == 1):
                raise _checks.InputError(f"{name}: expected a number between 0 and 1, got {getattr(self, name)}")
        if not 0 <= self.seed < 2**31:
            raise _checks.InputError(f"seed: expected 0 to {2**31 - 1}, got {self.seed}")

    def _check_performance(self) -> None:
        if self.performance is None:
            if not self.networks:
                raise _checks.InputError("networks: expected at least one (--network=ARCHITECTURE=PATH)")
            if any(choice.architecture == PERFORMANCE_TABLE for choice in self.networks):
                raise _checks.InputError(f"networks: {PERFORMANCE_TABLE} needs --performance=FILE")
            for name in ("performance_name", "performance_direction", "performance_range", "input_size"):
                if getattr(self, name) != field_checks.default(StudyConfig, name):
                    raise _checks.InputError(f"{name}: expected only together with --performance=FILE")
            if self.task is not None:
                _checks.lookup(tasks.TABLE, self.task, "task")
                if self.stability_views:
                    raise _checks.InputError("stability_views: expected 0 for networks of masks or boxes")
            return
        if self.task is not None:
            raise _checks.InputError("task: expected none with --performance=FILE, which says what performance is")
        if any(choice.architecture != PERFORMANCE_TABLE for choice in self.networks):
            raise _checks.InputError(
                f"networks: the performance table names them, so no --network is judged here; got "
                f"{self.networks[0].name}"
            )
        _checks.check_choice(self.performance_direction, DIRECTIONS, "performance_direction")
        if not self.performance_name.strip() or not self.performance_name.isprintable():
            raise _checks.InputError(f"performance_name: expected a word that prints, got {self.performance_name!r}")
        limits = self.performance_range
        if limits and (len(limits) != 2 or not limits[0] < limits[1]):
            raise _checks.InputError(f"performance_range: expected LOWEST,HIGHEST, got {list(limits)}")
        if self.stability_views:
            raise _checks.InputError("stability_views: expected 0 with a performance table, which judges no network")

    def _check_conditions(self) -> None:
        if self.images is not None and (self.family, self.quantise, self.stored) != (None, "none", None):
            raise _checks.InputError("family, quantise, stored: images that are degraded already are taken as they are")
        if self.family is not None:
            _checks.check_choice(self.family, degradations.FAMILIES, "family")
        _checks.check_choice(self.quantise, degradations.QUANTISE, "quantise")
        degradations.check_stored(self.stored)
        field_checks.check_unique("conditions", [condition.name for condition in self.conditions[1:]])
        for condition in self.conditions[1:]:
            if condition.severity == 0:
                raise _checks.InputError(
                    f"condition: {condition.name!r} has severity 0; the clean image is always included"
                )

    @functools.cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """Clean first, then every degradation at every severity, then the extra ones: by what the user calls them."""
        steps = [degradations.parse_label(label) for label in self.degradations]
        single = (Condition([dataclasses.replace(x, severity=s)]) for x in steps for s in self.severities)
        return (Condition(CLEAN, 0.0), *single, *map(Condition.parse, self.extra_conditions))

    @functools.cached_property
    def interventions(self) -> tuple[Condition, ...]:
        """What is done to the images: the conditions with the study's family, quantise and stored filled in."""
        return self._intervened(self.family)

    def interventions_at(self, image_size: int) -> tuple[Condition, ...]:
        """Returns `interventions` for images of a size: parameters of the nearest family where none is near.

        Args:
          image_size: side in pixels of the images that are degraded.
        """
        return self._intervened(family_of(image_size, self.family))

    def _intervened(self, family: str | None) -> tuple[Condition, ...]:
        return (
            self.conditions[0],
            *(
                Condition(
                    condition.steps,
                    family=condition.family or family,
                    quantise=condition.quantise if condition.quantise != "none" else self.quantise,
                    stored=condition.stored or self.stored,
                )
                for condition in self.conditions[1:]
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the config as JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "StudyConfig":
        """Inverse of `to_json`.

        Raises:
          InputError: when a field is unknown or of another type.
        """
        hints = field_checks.type_hints(cls)
        fields = {}
        for name, value in values.items():
            if name not in hints:
                raise _checks.InputError(f"config: unknown field {name!r}; {_checks.closest(name, hints)}")
            if isinstance(hints[name], types.GenericAlias):
                if not isinstance(value, list | tuple):
                    raise _checks.InputError(f"{name}: expected a list, got {value!r}")
                value = tuple(NetworkChoice.from_json(name, x) if isinstance(x, Mapping) else x for x in value)
            fields[name] = value
        return cls(**fields)


def family_of(image_size: int, family: str | None = None) -> str | None:
    """The family of parameters for images of a size: that given, or the nearest where none is near; None: by size."""
    near = degradations.nearest_family(image_size, image_size)
    far = max(degradations.FAMILIES[near] / image_size, image_size / degradations.FAMILIES[near])
    return family or (near if far > degradations.MAX_SIZE_RATIO else None)
