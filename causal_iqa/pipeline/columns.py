"""Score columns: what each one is, what it reads, and the function that computes it."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from causal_iqa import _reads, backbones, metrics, quality
from causal_iqa.pipeline.views import View


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of scores.

    Attributes:
      name: in the score table.
      metric: in the report; several columns of one metric differ in the view they read.
      family: full_reference, no_reference, label_free or task_guided.
      higher_is_better: direction of quality.
      side: side in pixels at which it is scored.
      networks: the networks it is meant for.
      passport: everything that defines the numbers, JSON values; "reads" says which image it reads, and how,
        "reads_beside" what else.
    """

    name: str
    metric: str
    family: str
    higher_is_better: bool
    side: int
    networks: tuple[str, ...]
    passport: Mapping[str, Any]

    @property
    def reads_beside(self) -> tuple[str, ...]:
        """Identifiers of what it reads beside the judged image; by the family where nothing more exact is recorded."""
        return _reads.ordered(self.passport.get("reads_beside", _reads.OF_FAMILY[self.family]))

    def record(self) -> dict[str, Any]:
        """Returns the passport with the column's own fields in it: all that `from_record` needs, JSON values."""
        own = {"metric": self.metric, "family": self.family, "higher_is_better": self.higher_is_better}
        return {**self.passport, **own, "side": self.side, "networks": list(self.networks)}

    @classmethod
    def from_record(cls, name: str, record: Mapping[str, Any]) -> "Column":
        """Inverse of `record`.

        Args:
          name: name of the column.
          record: as stored beside the scores.

        Returns:
          The column.

        Raises:
          KeyError: when a field is missing.
        """
        fields = {key: record[key] for key in ("metric", "family", "higher_is_better", "side")}
        return cls(name, **fields, networks=tuple(record["networks"]), passport=record)


@dataclasses.dataclass(frozen=True)
class Scorer:
    """A column with its function `(state, view, reference, features, clean_features, label) -> scalar`.

    Attributes:
      column: what it computes.
      fn: the function.
      view: name of the view it reads.
      reads_clean_features: whether it reads the backbones' features of the clean image.
      reads_target: whether it is given the image's target in place of its label.
      backbone: whose features it reads, `joined_name` of several; None: it reads the images.
      witness: `witness_key` of the one it reads; None: none.
    """

    column: Column
    fn: Callable[..., jax.Array]
    view: str
    reads_clean_features: bool = False
    reads_target: bool = False
    backbone: str | None = None
    witness: str | None = None


def metric_scorer(spec: metrics.MetricSpec, view: View, suffix: str = "") -> Scorer:
    """Makes the column of a conventional metric.

    Args:
      spec: specification of the metric.
      view: on which it is scored.
      suffix: suffix of the column's name, after the metric's.

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

        def fn(state, seen, reference, features, clean_features, label):
            return jnp.float32(jnp.nan)
    else:

        def fn(state, seen, reference, features, clean_features, label):
            return metrics.evaluate(spec, reference, seen)

    name = f"{spec.name}{suffix}"
    column = Column(name, spec.name, spec.family, spec.higher_is_better, view.side, view.networks, passport)
    return Scorer(column, fn, view.name)


def quality_scorer(
    name: str,
    backbone: str,
    view: View,
    parts: Mapping[str, backbones.Network],
    column: str,
    details: Mapping[str, Any],
    variant: str = "",
) -> Scorer:
    """Makes the column of a new metric.

    Args:
      name: a row of `quality.TABLE`.
      backbone: whose features it reads; several read as one have their joined name.
      view: on which it is scored.
      parts: the backbones that `backbone` consists of, by name.
      column: its name in the table.
      details: details of the anchors and weights, JSON values for the passport.
      variant: variant of the witness, e.g. "[m=50]"; stands in the metric's name.

    Returns:
      The scorer; its witness is `state["witnesses"][witness_key(...)]`, for a metric that has one.
    """
    spec = quality.TABLE[name]
    key = witness_key(spec.witness, backbone, view.name, variant)

    def fn(state, seen, reference, features, clean_features, label):
        clean = clean_features[backbone] if spec.needs_reference else None
        witness = None if spec.witness == "none" else state["witnesses"][key]
        return quality.evaluate(spec, witness, features[backbone], label, clean)

    reads = {
        "image": _image_of(view),
        "clean_image": spec.needs_reference,
        "label": spec.needs_label,
        "backbones": {part: view.reads(part, network, spec.reads) for part, network in parts.items()},
    }
    beside = list(spec.reads_beside(details.get("anchors", "images")))
    passport = {
        **spec.passport(),
        "undefined": f"the features of {backbone} are not finite",
        "backbone": backbone,
        "side": view.side,
        "reads": reads,
        "reads_beside": beside,
        **details,
    }
    metric = f"{name}@{backbone}{variant}"
    found = Column(column, metric, spec.family, spec.higher_is_better, view.side, view.networks, passport)
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
