"""Which scores a study or a scoring has: its conventional metrics, and the new ones that its witnesses allow."""

import types
from collections.abc import Mapping, Sequence
from typing import Any

from causal_iqa import _checks, backbones, metrics, quality
from causal_iqa.pipeline.columns import (
    Scorer,
    count_variant,
    joined_name,
    metric_scorer,
    quality_scorer,
    witness_key,
)
from causal_iqa.pipeline.field_checks import check_unique
from causal_iqa.pipeline.regions import region_scorers
from causal_iqa.pipeline.views import View


def resolve_metrics(names: Sequence[str]) -> tuple[metrics.MetricSpec, ...]:
    """Makes the conventional metrics of a study; InputError when a file is unfit or two have one name."""
    found = tuple(metrics.resolve(name) for name in names)
    for spec in found:
        if not spec.name.isprintable():
            raise _checks.InputError(f"metrics: {spec.name!r} cannot be the name of a column; rename the file")
    check_unique("metrics", [spec.name for spec in found], "rename one of the files")
    return found


def of_study(
    conventional: Sequence[metrics.MetricSpec],
    views: Sequence[View],
    feature_backbones: Mapping[str, backbones.Network],
    anchors: Mapping[str, Any],
    witnesses: Mapping[str, Any],
    counts: Sequence[int],
    *,
    labelled: bool = True,
    regions: bool = False,
) -> tuple[Scorer, ...]:
    """The scorers of every view: conventional metrics, every backbone, and all backbones as one.

    Args:
      conventional: the metrics.
      views: resolutions at which quality is scored.
      feature_backbones: name -> network that gives features.
      anchors: "kind" and "num" of the anchors, and "degraded" where some are.
      witnesses: `witness_key` -> fitted witness.
      counts: smaller numbers of anchors with which the witness over stages is fitted as well.
      labelled: whether the judged images have labels, so that there are task-guided metrics.
      regions: whether they have masks or boxes, so that objects and background are scored apart.
    """
    families = None if labelled else ("label_free", "feature_reference")
    found = []
    for view in views:
        several = len(views) > 1
        found += [metric_scorer(spec, view, is_one_of_several=several) for spec in conventional]
        if regions:
            found += region_scorers(view, feature_backbones, is_one_of_several=several)
        names = tuple(view.backbone_sides)
        for backbone in names + ((joined_name(names),) if len(names) > 1 else ()):
            own = {name: feature_backbones[name] for name in (names if backbone not in names else (backbone,))}
            details = {
                "anchors": anchors["kind"],
                "num_anchors": anchors.get("of_backbone", {}).get(backbone, anchors["num"]),
                "weights_sha256": {name: network.weights_sha256 for name, network in own.items()},
                "precision": {name: network.precision for name, network in own.items()},
            }
            found += of_backbone(
                view,
                backbone,
                own,
                details,
                witnesses,
                families=families,
                is_one_of_several=several,
                counts=counts,
                degraded=anchors.get("degraded", {}),
            )
    return tuple(found)


def of_backbone(
    view: View,
    backbone: str,
    parts: Mapping[str, backbones.Network],
    details: Mapping[str, Any],
    witnesses: Mapping[str, Any],
    *,
    families: Sequence[str] | None = None,
    is_one_of_several: bool = False,
    counts: Sequence[int] = (),
    degraded: Mapping[str, Any] = types.MappingProxyType({}),
) -> list[Scorer]:
    """The new metrics through one backbone, or several read as one, for which there is a witness.

    Args:
      view: the view on which quality is scored.
      backbone: its name, `joined_name` of several.
      parts: name -> network of each.
      details: details of the passports, JSON values.
      witnesses: `witness_key` -> fitted witness.
      families: families of the metrics; None: all.
      is_one_of_several: whether the columns' names say which view they read.
      counts: smaller numbers of anchors with which the witness over stages is fitted as well.
      degraded: which anchors were degraded, and how, for the passports of the scores that rest on them.
    """
    found = []
    for name, spec in quality.TABLE.items():
        if families is not None and spec.family not in families:
            continue
        for count in (None, *counts):
            variant = count_variant(count)
            if spec.witness == "none":
                there = backbone in view.backbone_sides
            else:
                key = witness_key(spec.fitted, backbone, view.name, variant)
                there = key in witnesses and spec.is_fitted(witnesses[key])
            if there and (count is None or not spec.needs_reference):
                own = details if count is None else {**details, "num_anchors": count}
                if spec.witness in ("success", "ranks"):
                    own = {**own, "degraded_anchors": degraded}
                found.append(quality_scorer(name, view, parts, own, anchors=count, is_one_of_several=is_one_of_several))
    return found
