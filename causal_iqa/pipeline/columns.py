"""Score columns: the definition of each, the inputs that it reads, and the function that computes it."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import _reads, backbones, metrics, quality
from causal_iqa.backbones import Params
from causal_iqa.pipeline import former_names
from causal_iqa.pipeline.views import View


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of scores. What it means is in its fields; its name and `str` are made of them, by `Column.of`.

    Attributes:
      name: name of the column in the score table.
      metric: name in the report; several columns of one metric differ in the view they read.
      family: full_reference, no_reference, label_free, task_guided or feature_reference.
      higher_is_better: direction of quality.
      side: side in pixels at which it is scored.
      networks: the networks it is meant for.
      passport: all facts that define the numbers, JSON values; "reads" says which image it reads, and how,
        "reads_beside" names its other inputs.
      formula: what is computed: a row of `metrics.TABLE` or `quality.TABLE`, or a metric of files.
      backbones: through whose features, read as one; none for a conventional metric.
      anchors: the number of anchors where the witness is fitted on the first of them only; None: all.
      view: what tells its view from another of the same study, "@32px"; empty where there is one.
    """

    name: str
    metric: str
    family: str
    higher_is_better: bool
    side: int
    networks: tuple[str, ...]
    passport: Mapping[str, Any]
    formula: str = ""
    backbones: tuple[str, ...] = ()
    anchors: int | None = None
    view: str = ""

    def __post_init__(self) -> None:
        if not self.formula:
            object.__setattr__(self, "formula", self.metric)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(
        cls,
        formula: str,
        family: str,
        higher_is_better: bool,
        view: View,
        passport: Mapping[str, Any],
        *,
        backbones: tuple[str, ...] = (),
        anchors: int | None = None,
        is_one_of_several: bool = False,
    ) -> "Column":
        """Makes a column and its name of what it means.

        Args:
          formula: what is computed.
          family: family of the metric.
          higher_is_better: direction of quality.
          view: the view on which it is scored.
          passport: all facts that define the numbers, JSON values.
          backbones: the backbones with the features that it reads.
          anchors: the number of the first anchors that the witness is fitted on; None: all.
          is_one_of_several: whether the study has further views, so that the name says which.

        Returns:
          The column, e.g. `stages_free@A+B[m=50]@24px`.
        """
        through = f"@{joined_name(backbones)}" if backbones else ""
        metric = f"{formula}{through}{count_variant(anchors)}"
        suffix = view.suffix if is_one_of_several else ""
        return cls(
            f"{metric}{suffix}",
            metric,
            family,
            higher_is_better,
            view.side,
            view.networks,
            passport,
            formula,
            backbones,
            anchors,
            suffix,
        )

    @property
    def reads_beside(self) -> tuple[str, ...]:
        """Identifiers of its inputs in addition to the judged image; by the family where none is recorded."""
        return _reads.ordered(self.passport.get("reads_beside", _reads.OF_FAMILY[self.family]))

    def record(self) -> dict[str, Any]:
        """Returns the passport with the column's own fields, from which `from_record` makes the column; JSON."""
        own = {"metric": self.metric, "family": self.family, "higher_is_better": self.higher_is_better}
        meant = {"formula": self.formula, "backbones": list(self.backbones), "first_anchors": self.anchors}
        return {**self.passport, **own, **meant, "view": self.view, "side": self.side, "networks": list(self.networks)}

    @classmethod
    def from_record(cls, name: str, record: Mapping[str, Any]) -> "Column":
        """Inverse of `record`.

        Args:
          name: name of the column.
          record: record that is stored with the scores.

        Returns:
          The column.

        Raises:
          KeyError: when a field is missing.
        """
        fields = {key: record[key] for key in ("metric", "family", "higher_is_better", "side")}
        found = cls(name, **fields, networks=tuple(record["networks"]), passport=record)
        if "formula" not in record:
            return dataclasses.replace(found, **former_names.column(name, record["metric"], record.get("backbone")))
        meant = {"formula": record["formula"], "anchors": record["first_anchors"], "view": record["view"]}
        return dataclasses.replace(found, backbones=tuple(record["backbones"]), **meant)


class ProgramState(NamedTuple):
    """The parameters that a program reads, trees of arrays by name; a witness's name is its `witness_key`."""

    networks: Mapping[str, Params]
    backbones: Mapping[str, Params]
    witnesses: Mapping[str, quality.FittedWitness]
    projections: Mapping[str, np.ndarray | None]


class Seen(NamedTuple):
    """What a scorer may read of one image, through one view; what it does not read may be None or empty."""

    image: jax.Array | None  # float32 [side, side, 3]
    reference: jax.Array | None  # the same of the clean image
    features: Mapping[str, quality.StageFeatures]  # backbone, or several read as one -> its features of `image`
    clean_features: Mapping[str, quality.StageFeatures]  # the same of `reference`; empty where no scorer reads them
    clean_maps: Mapping[str, jax.Array]  # backbone -> deepest inner stage of `reference`; or empty
    label: jax.Array | None  # int scalar; negative: unlabelled
    target: Any  # mask or boxes; () where there are none


@dataclasses.dataclass(frozen=True)
class Scorer:
    """A column with its function.

    Attributes:
      column: what it computes.
      fn: the function, of the program's parameters and one image as its view shows it -> scalar.
      view: name of the view it reads.
      reads_clean_features: whether it reads the backbones' features of the clean image.
      reads_target: whether it reads the image's target and the maps of the clean image.
      backbone: the backbone with the features that it reads, `joined_name` of several; None: it reads the images.
      witness: `witness_key` of the witness that it reads; None: none.
    """

    column: Column
    fn: Callable[[ProgramState, Seen], jax.Array]
    view: str
    reads_clean_features: bool = False
    reads_target: bool = False
    backbone: str | None = None
    witness: str | None = None


def metric_scorer(spec: metrics.MetricSpec, view: View, *, is_one_of_several: bool = False) -> Scorer:
    """Makes the column of a conventional metric.

    Args:
      spec: specification of the metric.
      view: the view on which it is scored.
      is_one_of_several: whether the column's name contains the view that it reads.

    Returns:
      The scorer; NaN throughout, with the reason in its passport, when the side is below the metric's smallest.
    """
    passport = {
        **spec.passport(),
        "side": view.side,
        "reads": {"image": _image_of(view)},
        "reads_beside": ["clean_image"] if spec.family == "full_reference" else [],
    }
    if view.side < spec.smallest_side:
        passport["undefined"] = f"images of {view.side} pixels are below the smallest side, {spec.smallest_side}"

        def fn(state: ProgramState, seen: Seen) -> jax.Array:
            return jnp.asarray(jnp.nan, jnp.float32)
    else:

        def fn(state: ProgramState, seen: Seen) -> jax.Array:
            assert seen.image is not None, "shown to every scorer of pixels"
            return metrics.evaluate(spec, seen.reference, seen.image)

    column = Column.of(
        spec.name, spec.family, spec.higher_is_better, view, passport, is_one_of_several=is_one_of_several
    )
    return Scorer(column, fn, view.name)


def quality_scorer(
    name: str,
    view: View,
    parts: Mapping[str, backbones.Network],
    details: Mapping[str, Any],
    *,
    anchors: int | None = None,
    is_one_of_several: bool = False,
) -> Scorer:
    """Makes the column of a new metric.

    Args:
      name: a row of `quality.TABLE`.
      view: the view on which it is scored.
      parts: the backbones whose features it reads, by name, several as one.
      details: details of the anchors and weights, JSON values for the passport.
      anchors: the number of the first anchors that its witness is fitted on; None: all.
      is_one_of_several: whether the column's name says which view it reads.

    Returns:
      The scorer; its witness is `state.witnesses[witness_key(...)]`, for a metric that has one.
    """
    spec = quality.TABLE[name]
    backbone = joined_name(parts)
    key = witness_key(spec.fitted, backbone, view.name, count_variant(anchors))

    def fn(state: ProgramState, seen: Seen) -> jax.Array:
        clean = seen.clean_features[backbone] if spec.needs_reference else None
        witness = None if spec.witness == "none" else state.witnesses[key]
        return quality.evaluate(spec, witness, seen.features[backbone], seen.label, clean)

    reads = {
        "image": _image_of(view),
        "clean_image": spec.needs_reference,
        "label": spec.needs_label,
        "backbones": {part: view.reads(part, network, spec.reads) for part, network in parts.items()},
    }
    passport = {
        **spec.passport(),
        "undefined": f"the features of {backbone} are not finite",
        "backbone": backbone,
        "side": view.side,
        "reads": reads,
        "reads_beside": list(spec.reads_beside(details.get("anchors", "images"))),
        **details,
    }
    found = Column.of(
        name,
        spec.family,
        spec.higher_is_better,
        view,
        passport,
        backbones=tuple(parts),
        anchors=anchors,
        is_one_of_several=is_one_of_several,
    )
    read = None if spec.witness == "none" else key
    return Scorer(found, fn, view.name, spec.needs_reference, backbone=backbone, witness=read)


def _image_of(view: View) -> dict[str, Any]:
    return {"side": view.side, "interpolation": view.interpolation or "none"}


def joined_name(names: Iterable[str]) -> str:
    """The name of several backbones read as one."""
    return "+".join(names)


def count_variant(count: int | None) -> str:
    """The variant of a witness fitted on the first `count` anchors; None: on all."""
    return "" if count is None else f"[m={count}]"


def witness_key(witness: str, backbone: str, view: str, variant: str = "") -> str:
    """The name of a fitted witness in the program's state; `view` is a view's name."""
    return f"{witness}@{backbone}@{view}{variant}"


class Output(NamedTuple):
    """A column that is no score: an output of a network or a backbone for every image.

    Attributes:
      owner: the network or backbone.
      field: its kind, e.g. "correct" or "features".
      view: the mark that tells the view from others of the same study, see `Column`.
    """

    owner: str
    field: str
    view: str = ""

    def __str__(self) -> str:
        return f"{self.owner}{self.view}/{self.field}"

    def record(self) -> dict[str, str]:
        """Returns the fields as JSON values."""
        return self._asdict()
