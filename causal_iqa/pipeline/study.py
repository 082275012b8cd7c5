"""The main job: from a config to a prepared study."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from causal_iqa import _checks, data
from causal_iqa.pipeline import (
    copy_trees,
    degraded_anchors,
    given_copies,
    inputs,
    judged_images,
    loading,
    measured,
    provenance,
    rows,
    scorers,
)
from causal_iqa.pipeline import performance as tables
from causal_iqa.pipeline.anchors import anchor_kind, choose_anchors, read_anchors
from causal_iqa.pipeline.conditions import degradation_details
from causal_iqa.pipeline.config import PERFORMANCE_TABLE, StudyConfig
from causal_iqa.pipeline.execution import DEFAULT_EXECUTION, Execution, check_execution, choose_block, local_devices
from causal_iqa.pipeline.fitting import (
    fit_on_heads,
    fit_on_images,
    fit_without_classes,
    has_head,
    not_finite_remarks,
    with_text_anchors,
)
from causal_iqa.pipeline.views import views_of

# The steps of `prepare`, in order.
PREPARATION = ("weights", "images", "anchors and witnesses")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study(rows.Work):
    """A study with everything opened and checked, ready to run.

    Attributes:
      config: the study.
      anchors: kind, number and origin of the anchors, JSON values.
      provenance: what its numbers depend on.
      details: what its folder records with the config, JSON values.
      performance: what a user's table says of the judged images; None: networks are judged here.
    """

    config: StudyConfig
    anchors: Mapping[str, Any]
    provenance: provenance.Provenance
    details: Mapping[str, Any]
    performance: tables.Joined | None = None

    @property
    def fingerprint(self) -> str:
        """A name for all inputs on which the numbers depend."""
        return self.provenance.fingerprint


def _fit_witnesses(config, source, indices, image_size, views, feature_backbones, execution):
    """What the anchors are, as JSON values, the witnesses fitted on them, and the listing of the anchor images."""
    if not feature_backbones:
        return {"kind": "none", "num": 0}, {}, provenance.Listing()
    num_classes = len(source.class_names)
    if not num_classes and config.anchor_dataset is None:
        return fit_without_classes(config, views, feature_backbones)
    anchor_source, chosen = choose_anchors(config, source, indices, execution.download)
    if num_classes:
        labels, anchor_labels = data.labels_of(source, indices), data.labels_of(anchor_source, chosen)
        heads = all(has_head(backbone, num_classes) for backbone in feature_backbones.values())
        kind = anchor_kind(config, labels, anchor_labels, heads)
    else:  # The anchors' own classes, which the judged images need not have.
        num_classes, kind = len(anchor_source.class_names), "images" if config.anchors == "auto" else config.anchors
    if kind in ("head", "text"):
        found = {"kind": kind, "num": num_classes} | ({"templates": config.templates} if kind == "text" else {})
        return found, fit_on_heads(num_classes, views, feature_backbones), provenance.Listing()
    listing = inputs.list_images(anchor_source, chosen)
    read = read_anchors(anchor_source, chosen, image_size, config.crop_fraction)
    for count in config.anchor_counts:
        if count >= len(read.ids):
            raise _checks.InputError(f"anchor_counts: expected fewer than the {len(read.ids)} anchors, got {count}")
    degraded = _degraded_anchors(config, image_size)
    witnesses, notes = fit_on_images(
        read,
        num_classes,
        views,
        feature_backbones,
        config.anchor_counts,
        degraded=degraded,
        detectors=config.detectors,
        seed=config.seed,
    )
    copies = data.copies(anchor_source, chosen, source, indices)
    found = {
        "kind": kind,
        "num": len(read.ids),
        "copies_of_judged": len(copies),
        "remarks": judged_images.anchor_remarks(anchor_source, source, copies)
        + not_finite_remarks(notes, len(read.ids)),
        "dataset": anchor_source.name,
        "split": anchor_source.split,
        "classes": len(np.unique(read.labels)),
        "chosen_by_leave_one_out": notes,
        **({"degraded": degraded.record()} if degraded.num else {}),
    }
    return found, witnesses, listing


def _degraded_anchors(config: StudyConfig, image_size: int) -> degraded_anchors.DegradedAnchors:
    studied = {step.name for condition in config.conditions for step in condition.steps}
    return degraded_anchors.choose(
        config.degraded_anchors,
        studied,
        image_size,
        family=config.family,
        quantise=config.quantise,
        stored=config.stored,
    )


def prepare(
    config: StudyConfig,
    execution: Execution = DEFAULT_EXECUTION,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> Study:
    """Opens and checks everything a study needs, and fits the witnesses on the anchors.

    Args:
      config: the study.
      execution: how it runs.
      progress: called with the name of each of PREPARATION when it begins, 0 and 1.

    Returns:
      The study, ready to run.

    Raises:
      InputError: for anything missing, unreadable or contradictory, naming it and the mend.

    Examples:
      >>> network = pipeline.NetworkChoice("net", "scene_cnn_a")
      >>> config = pipeline.StudyConfig(
      ...     num_images=2, networks=(network,), metrics=("mse",), degradations=("contrast",), severities=(3.0,)
      ... )
      >>> study = pipeline.prepare(config)
      >>> len(study.indices), study.image_size, list(study.networks)
      (2, 48, ['net'])
    """
    tell = progress or (lambda step, done, total: None)
    check_execution(execution)
    tell(PREPARATION[0], 0, 1)
    conventional = scorers.resolve_metrics(config.metrics)
    networks = {
        choice.name: loading.in_precision(loading.load_network(choice), config.precision)
        for choice in config.networks
        if choice.architecture != PERFORMANCE_TABLE
    }
    feature_backbones = {choice.name: loading.load_backbone(choice, config.precision) for choice in config.backbones}
    tell(PREPARATION[1], 0, 1)
    source = judged_images.open_source(config, execution.download)
    judged_images.check_classes(source, networks)
    config = judged_images.with_task(config, networks)
    loaded = feature_backbones
    if config.anchors == "text":
        feature_backbones = with_text_anchors(config, source.class_names, feature_backbones)
    config, table, (indices, num_unlabelled) = judged_images.choose(config, source)
    image_size = judged_images.image_size(config, source, networks)
    views = views_of(config, image_size, networks, feature_backbones, len(source.class_names))
    joined = None
    if config.images is not None:
        joined = given_copies.join(source, copy_trees.open_tree(config.images), config.conditions, indices)
    conditions = given_copies.details(joined) if joined else degradation_details(config, image_size)
    # Before the anchors, which take time.
    choose_block(image_size, views, len(config.conditions), execution, local_devices(execution)[0])
    judged = inputs.list_images(source, indices)
    stamp = {"degraded images": given_copies.stamp(joined, indices)} if joined else {}
    tell(PREPARATION[2], 0, 1)
    anchors, witnesses, listing = _fit_witnesses(
        config, source, indices, image_size, views, feature_backbones, execution
    )
    every = {
        **{f"network {k}": v for k, v in networks.items()},
        **{f"backbone {k}": v for k, v in feature_backbones.items()},
    }
    details = {
        "dataset": {
            "name": source.name,
            "split": source.split,
            "num_classes": len(source.class_names),
            "size": len(source),
            "unlabelled": num_unlabelled,
            "remarks": judged_images.remarks(source, indices, num_unlabelled),
        },
        "image_size": image_size,
        "degradations": conditions,
        "networks": {name: network.passport() for name, network in every.items()},
        "anchors": anchors,
        "performance": measured.measure_of(config).as_dict(),
    }
    told = () if table is None else table.remarks
    return Study(
        config=config,
        source=source,
        indices=indices,
        image_size=image_size,
        crop_fraction=config.crop_fraction,
        interventions=config.interventions_at(image_size),
        networks=networks,
        feature_backbones=feature_backbones,
        views=views,
        scorers=scorers.of_study(
            conventional,
            views,
            feature_backbones,
            anchors,
            witnesses,
            config.anchor_counts,
            labelled=bool(source.class_names),
            regions=hasattr(source, "target_kind"),
        ),
        anchors=anchors,
        witnesses=witnesses,
        remarks=(*details["dataset"]["remarks"], *told, *conditions["remarks"], *anchors.get("remarks", ())),
        seed=config.seed,
        stability_views=config.stability_views,
        target_size=judged_images.target_size(source, networks, image_size),
        copies=joined,
        provenance=inputs.of_study(
            config, networks, loaded, conventional, source.class_names, image_size, judged, listing, stamp
        ),
        details=details,
        performance=table,
    )
