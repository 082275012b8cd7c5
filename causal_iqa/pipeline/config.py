"""What a study is: one frozen value, checked, that fixes every number it will give."""

import collections
import dataclasses
import functools
import json
import math
import numbers
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from causal_iqa import _checks, backbones, data, degradations, metrics, tasks
from causal_iqa.backbones.user import is_reference
from causal_iqa.degradations import CLEAN, Condition

ANCHOR_KINDS = ("auto", "images", "head", "text")
SCORE_AT = ("task", "image")
ALL_NETWORKS = "all"
DIRECTIONS = ("higher", "lower")
# The architecture of a network that is known by its row in a table of performance alone.
PERFORMANCE_TABLE = "performance_table"
# More of these would fill the memory or never end.
_MOST = {"num_resamples": 100_000, "stability_views": 1000}


@dataclasses.dataclass(frozen=True)
class NetworkChoice:
    """A network of a study: the name it has there, its architecture and its weight file (None: the packaged one)."""

    name: str
    architecture: str
    path: str | None = None

    @classmethod
    def parse(cls, text: str) -> "NetworkChoice":
        """Reads ARCHITECTURE=PATH, NAME=ARCHITECTURE=PATH, ARCHITECTURE alone for packaged weights, or NAME=FUNCTION.

        PATH may be an address on the Hugging Face hub, FUNCTION is a user's "package.module:function" or
        "path/to/file.py:function".

        Raises:
          InputError: on anything else.
        """
        parts = text.split("=", 2)
        if not all(parts):
            raise _checks.InputError(f"{text!r}: expected ARCHITECTURE=PATH, NAME=ARCHITECTURE=PATH or NAME=FUNCTION")
        if len(parts) == 1:
            name = parts[0].rsplit(":", 1)[-1] if is_reference(parts[0]) else parts[0]
            return cls(name, parts[0], None)
        if len(parts) == 2 and is_reference(parts[1]):
            return cls(parts[0], parts[1], None)
        if len(parts) == 2:
            return cls(parts[0], parts[0], parts[1])
        return cls(*parts)

    @classmethod
    def from_json(cls, kind: str, values: Mapping[str, Any]) -> "NetworkChoice":
        """Makes the choice of its fields; InputError names the kind of network where they are others."""
        fields = _type_hints(cls)
        if not {"name", "architecture"} <= set(values) <= set(fields):
            raise _checks.InputError(f"{kind}: expected {', '.join(fields)}, got {dict(values)!r}")
        found = cls(**values)
        check_types(found)
        return found


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """Everything the numbers of a study depend on.

    Attributes:
      dataset: "scenes", "tfds:NAME", "folder:PATH", "images:PATH", "masks:PATH" or "boxes:PATH".
      images: folder of their degraded copies, as `given_copies.open_tree` reads it; nothing is degraded then, and
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
        check_types(self)
        self._check_performance()
        for kind, choices in (("networks", self.networks), ("backbones", self.backbones)):
            check_network_names(kind, choices)
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
            check_unique(kind, values)
        self._check_conditions()
        check_unique("metrics", self.metrics)
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
        check_unique("anchor_counts", self.anchor_counts)
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
                if getattr(self, name) != _default(StudyConfig, name):
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
        check_unique("conditions", [condition.name for condition in self.conditions[1:]])
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
        hints = _type_hints(cls)
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


def degradation_details(config: StudyConfig, image_size: int) -> dict[str, Any]:
    """Says what defines the conditions of a study.

    Args:
      config: the study.
      image_size: side in pixels of the images that are degraded.

    Returns:
      {"family", "quantise", "stored", "conditions": what is done, "passports": of the degradations, "remarks": lines
      that a user should read}, JSON values.

    Raises:
      InputError: when texture files are missing.
    """
    interventions = config.interventions_at(image_size)
    for condition in interventions:
        degradations.do_graded(condition)  # Refuses missing texture files now, not after minutes.
    specs = {step.name: degradations.TABLE[step.name] for condition in config.conditions for step in condition.steps}
    by_size = any(set(spec.parameters) & set(degradations.FAMILIES) for spec in specs.values())
    near = degradations.nearest_family(image_size, image_size)
    families = {condition.family or near for condition in interventions[1:]} if by_size else set()
    remarks = []
    if by_size and any(
        one.family != other.family for one, other in zip(interventions, config.interventions, strict=True)
    ):
        remarks.append(
            f"degradations: no parameters are published for images of about {image_size} pixels; those of {near} are "
            f"taken, published for {degradations.FAMILIES[near]} pixels (--family chooses others)"
        )
    return {
        "family": ", ".join(sorted(families)) or None,
        "quantise": config.quantise,
        "stored": config.stored,
        "conditions": [condition.to_json() for condition in interventions],
        "passports": {name: spec.passport() for name, spec in specs.items()},
        "remarks": remarks,
    }


def check_types(config: Any) -> None:
    """Raises InputError unless every field of a dataclass has the type that it is declared with.

    A whole number serves as a float, True and False as no number, and floats are finite.
    """
    for name, hint in _type_hints(type(config)).items():
        value = getattr(config, name)
        if not _is_of(value, hint):
            expected = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else hint
            raise _checks.InputError(f"{name}: expected {expected}, got {value!r}")


_type_hints = functools.cache(typing.get_type_hints)


def _default(config: type, name: str) -> Any:
    return next(field.default for field in dataclasses.fields(config) if field.name == name)


def _is_of(value: Any, hint: Any) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_is_of(value, one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_is_of(one, typing.get_args(hint)[0]) for one in value)
    if hint in (int, float):
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return is_whole or (hint is float and isinstance(value, float) and math.isfinite(value))
    return isinstance(value, hint)


def check_unique(kind: str, names: Iterable[Any], mend: str = "give each once") -> None:
    """Raises InputError when a name is given twice."""
    twice = sorted(str(name) for name, count in collections.Counter(names).items() if count > 1)
    if twice:
        raise _checks.InputError(f"{kind}: {', '.join(twice)} given twice; {mend}")


def check_network_names(kind: str, choices: Sequence[NetworkChoice]) -> None:
    """Raises InputError unless the networks have different names that can stand in the name of a column."""
    check_unique(kind, [choice.name for choice in choices], "NAME=ARCHITECTURE=PATH names two of one kind")
    for choice in choices:
        if choice.name == ALL_NETWORKS or set(choice.name) & set("/@+") or not choice.name.isprintable():
            raise _checks.InputError(
                f"{kind}: {choice.name!r} cannot be a name; choose one of characters that print, without /, @ and +"
            )
