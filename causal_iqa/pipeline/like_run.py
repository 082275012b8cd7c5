"""Scores images exactly as a finished run scored its own, so that a map learned on the run applies to them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from causal_iqa import _checks, backbones, data
from causal_iqa.pipeline import anchors, degraded_anchors, fitting, loading, scorers, scoring
from causal_iqa.pipeline.columns import Column, Scorer, metric_scorer
from causal_iqa.pipeline.execution import DEFAULT_EXECUTION, Execution, check_execution
from causal_iqa.pipeline.finished import Run
from causal_iqa.pipeline.network_choice import NetworkChoice
from causal_iqa.pipeline.views import View

# What must be the same for a score to mean the same.
_MUST_AGREE = {
    "weights_sha256": "the weights of the backbone",
    "side": "the resolution",
    "reads": "what is read of the image",
    "anchors": "the kind of anchors",
    "num_anchors": "the number of anchors",
    "degraded_anchors": "the anchors that are degraded",
}


def prepare_like(
    run: Run,
    config: scoring.ScoringConfig,
    execution: Execution = DEFAULT_EXECUTION,
    *,
    sets: Sequence[data.ImageSet] | None = None,
) -> scoring.Scoring:
    """Opens and checks all inputs for scoring in the same way as a run.

    Args:
      run: result of `read_run`. Its backbones, anchors, resolution and crop are taken.
      config: the images; metrics in addition to those of the run; networks to judge; backbones only to give the present
        place of the run's weights.
      execution: how it runs.
      sets: already opened; None: those that the config names.

    Returns:
      The scoring.

    Raises:
      InputError: when the run has no score that needs no label and no reference, its backbones or anchors are missing
        or differ, or the config asks for other ones.

    Examples:
      >>> import tempfile
      >>> from PIL import Image
      >>> config = pipeline.StudyConfig(
      ...     num_images=2,
      ...     networks=(pipeline.NetworkChoice("net", "scene_cnn_a"),),
      ...     backbones=(pipeline.NetworkChoice("features", "scene_features"),),
      ...     num_anchors=20,
      ...     degradations=("contrast",),
      ...     severities=(3.0,),
      ...     metrics=("mse",),
      ... )
      >>> study = pipeline.prepare(config)
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     store = pipeline.Store(folder, config, study.provenance, study.details)
      ...     _ = pipeline.run(study, store, pipeline.Execution(num_devices=1))
      ...     Image.new("RGB", (48, 48), "red").save(f"{folder}/red.png")
      ...     scoring = pipeline.ScoringConfig(images=(f"{folder}/red.png",), metrics=())
      ...     work = pipeline.prepare_like(pipeline.read_run(folder), scoring)
      >>> work.num_images, list(work.work.feature_backbones)
      (1, ['features'])
    """
    check_execution(execution)
    _check_asked(run, config)
    sets = scoring.open_config_sets(config) if sets is None else tuple(sets)
    columns = [column for column in run.columns if column.family == "label_free" and "[m=" not in column.metric]
    names = {name for column in columns for name in column.passport["reads"]["backbones"]}
    loaded = {
        choice.name: _load(choice, config, run.config.precision)
        for choice in run.config.backbones
        if choice.name in names
    }
    views = _views(run, columns, loaded)
    witnesses, remarks = _witnesses(run, views, loaded, sets)
    found = _scorers(run, config, columns, views, loaded, witnesses)
    _check_same(run, [scorer.column for scorer in found])
    networks = scoring.load_judged(config, sets)
    image_size = int(run.details["image_size"])
    num_images = sum(len(one.source) for one in sets)
    work = scoring.work_of(
        image_size, run.config.crop_fraction, num_images, views, networks, loaded, found, witnesses, sets
    )
    return scoring.Scoring(config=config, sets=sets, work=work, remarks=(*scoring.remarks_of(sets), *remarks))


def _check_asked(run: Run, config: scoring.ScoringConfig) -> None:
    size = int(run.details.get("image_size", 0))
    if not size:
        raise _checks.InputError(f"map: {run.folder} was written by an older version; run it again")
    if config.image_size not in (None, size):
        raise _checks.InputError(
            f"image_size: the map of {run.folder.name} was learned at {size} pixels, {config.image_size} were asked "
            "for; leave it out"
        )
    if config.crop_fraction not in (data.CROP_FRACTION, run.config.crop_fraction):
        raise _checks.InputError(
            f"crop_fraction: the map of {run.folder.name} was learned with {run.config.crop_fraction:g}, "
            f"{config.crop_fraction:g} was asked for; leave it out"
        )
    own = {choice.name: choice for choice in run.config.backbones}
    for choice in config.backbones:
        if choice.name not in own:
            raise _checks.InputError(
                f"backbone: the map of {run.folder.name} was learned with {', '.join(own) or 'no backbone'}, "
                f"{choice.name} was asked for; leave --backbone out, or give it only to say where the run's weights are"
            )
    kind = run.details.get("anchors", {}).get("kind", "none")
    if config.anchor_dataset is not None or (config.anchors != "auto" and config.anchors != kind):
        raise _checks.InputError(
            f"anchors: the map of {run.folder.name} was learned with its own anchors ({kind}); leave the flags out"
        )


def _load(choice: NetworkChoice, config: scoring.ScoringConfig, precision: str) -> backbones.Network:
    elsewhere = {one.name: one for one in config.backbones}
    return loading.load_backbone(elsewhere.get(choice.name, choice), precision)


def _views(run: Run, columns: Sequence[Column], loaded: Mapping[str, backbones.Network]) -> tuple[View, ...]:
    """The views of the run's columns, from the inputs in their passports; one view where there is no column."""
    by_image: dict[tuple[int, str], list[Column]] = {}
    conventional = [column for column in run.columns if column.family == "no_reference"]
    for column in columns or conventional:
        image = column.passport["reads"]["image"]
        by_image.setdefault((int(image["side"]), str(image["interpolation"])), []).append(column)
    if not by_image:
        raise _checks.InputError(
            f"map: {run.folder} has no score that needs neither a label nor a pristine image; run align with a backbone"
        )
    found = []
    for (side, interpolation), own in by_image.items():
        sides: dict[str, int] = {}
        glances: dict[str, tuple[int, ...]] = {}
        enlarged = []
        for column in own:
            for name, read in column.passport["reads"].get("backbones", {}).items():
                seen = [int(x) for x in read.get("penultimate_at", ())]
                if seen:
                    sides[name] = seen[0]
                    glances[name] = max(glances.get(name, ()), tuple(seen[1:]), key=len)
                if len(read.get("inner_at", {})) > 1 and name not in enlarged:
                    enlarged.append(name)
        found.append(
            View(
                side,
                own[0].networks,
                {name: sides[name] for name in loaded if name in sides},
                {name: own_glances for name, own_glances in glances.items() if own_glances},
                tuple(enlarged),
                None if interpolation == "none" else interpolation,
            )
        )
    return tuple(found)


def _witnesses(
    run: Run, views: tuple[View, ...], loaded: Mapping[str, backbones.Network], sets: Sequence[data.ImageSet]
) -> tuple[dict[str, Any], list[str]]:
    """The run's witnesses, fitted anew on its anchors."""
    if not loaded:
        return {}, []
    kind = run.details["anchors"]["kind"]
    num_classes = int(run.details["dataset"]["num_classes"])
    if kind == "head":
        return fitting.fit_on_heads(num_classes, views, loaded), []
    if kind != "images":
        raise _checks.InputError(f"map: {run.folder} has anchors of {kind}, which score cannot make again")
    config = run.config
    source = data.open_source(
        config.anchor_dataset or config.dataset,
        split=run.details["anchors"]["split"],
        data_dir=config.anchor_data_dir or config.data_dir,
        classes=config.classes,
        class_order=config.class_order,
        max_pixels=config.max_pixels,
    )
    place = {source.id(index): index for index in range(len(source))}
    missing = [name for name in run.anchors.ids if name not in place]
    if missing:
        raise _checks.InputError(
            f"map: {len(missing)} of the {len(run.anchors.ids)} anchors of {run.folder.name} are not in {source.name}, "
            f"e.g. {missing[0]}"
        )
    chosen = np.asarray([place[name] for name in run.anchors.ids], np.int64)
    read = anchors.read_anchors(source, chosen, int(run.details["image_size"]), config.crop_fraction)
    recorded = run.details["anchors"].get("degraded")
    degraded = degraded_anchors.DegradedAnchors.from_record(recorded) if recorded else degraded_anchors.NONE
    witnesses, notes = fitting.fit_on_images(
        read, num_classes, views, loaded, degraded=degraded, detectors=config.detectors, seed=config.seed
    )
    remarks = fitting.not_finite_remarks(notes, len(read.ids))
    for one in sets:
        shared = data.shared_ids(one.source, source, chosen)
        if shared:
            remarks.append(
                f"{one.name}: {len(shared)} images are anchors of the map's run, e.g. {min(shared)}; their scores are "
                "too high"
            )
    return witnesses, remarks


def _scorers(run, config, columns, views, loaded, witnesses) -> tuple[Scorer, ...]:
    """The run's label-free scores under the run's names, and no-reference metrics at every view."""
    found: list[Scorer] = []
    wanted = list(dict.fromkeys(config.metrics))
    specs = [spec for spec in scorers.resolve_metrics(wanted) if not spec.needs_reference]
    wanted_columns = {column.name for column in columns}
    for view in views:
        several = len(views) > 1
        found += [metric_scorer(spec, view, is_one_of_several=several) for spec in specs]
        names = tuple(view.backbone_sides)
        joined = scorers.joined_name(names)
        for backbone in (*names, *((joined,) if len(names) > 1 else ())):
            parts = {name: loaded[name] for name in (names if backbone == joined else (backbone,))}
            details = {
                "anchors": run.details["anchors"]["kind"],
                "num_anchors": run.details["anchors"]["num"],
                "weights_sha256": {name: network.weights_sha256 for name, network in parts.items()},
                "precision": {name: network.precision for name, network in parts.items()},
            }
            made = scorers.of_backbone(
                view,
                backbone,
                parts,
                details,
                witnesses,
                families=("label_free",),
                is_one_of_several=several,
                degraded=run.details["anchors"].get("degraded", {}),
            )
            found += [scorer for scorer in made if scorer.column.name in wanted_columns]
    return tuple(found)


def _check_same(run: Run, made: Sequence[Column]) -> None:
    there = {column.name: column for column in run.columns}
    for column in made:
        if column.name not in there:
            continue
        before, now = there[column.name].record(), column.record()
        for field, words in _MUST_AGREE.items():
            if before.get(field) != now.get(field):
                raise _checks.InputError(
                    f"map: {words} of {column.name} differ: {before.get(field)!r} in {run.folder.name}, "
                    f"{now.get(field)!r} here"
                )
