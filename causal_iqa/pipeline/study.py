"""The main job: from a config to the score table, the alignment numbers and what to expect of them."""

import collections
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from causal_iqa import _checks, backbones, data
from causal_iqa.pipeline import (
    degraded_anchors,
    given_copies,
    inputs,
    measured,
    parts,
    provenance,
    rows,
    scorers,
    store,
)
from causal_iqa.pipeline import performance as tables
from causal_iqa.pipeline.anchors import (
    anchor_kind,
    choose_anchors,
    fit_on_heads,
    fit_on_images,
    fit_without_classes,
    has_head,
    not_finite_remarks,
    read_anchors,
    with_text_anchors,
)
from causal_iqa.pipeline.columns import Column
from causal_iqa.pipeline.config import PERFORMANCE_TABLE, NetworkChoice, StudyConfig, degradation_details
from causal_iqa.pipeline.execution import DEFAULT_EXECUTION, Execution, check_execution, choose_block, local_devices
from causal_iqa.pipeline.means import mean_over_networks
from causal_iqa.pipeline.views import View, backbone_side, enlarged_for

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
        """Names everything that the numbers depend on."""
        return self.provenance.fingerprint

    @property
    def num_parts(self) -> int:
        """Parts of the score table."""
        return math.ceil(len(self.indices) / store.PART_IMAGES)


def load_network(choice: NetworkChoice) -> backbones.Network:
    """Loads a network of the study: its file, packaged weights or a user's function; InputError when it cannot be."""
    return backbones.open_network(choice.architecture, choice.path)


def load_backbone(choice: NetworkChoice, precision: str = "highest") -> backbones.Network:
    """Loads a backbone of the study likewise; InputError also when it gives no features."""
    backbone = in_precision(load_network(choice), precision)
    backbones.check_features(backbone, choice.name)
    return backbone


def in_precision(network: backbones.Network, precision: str) -> backbones.Network:
    """Returns the network in a precision of `backbones.PRECISIONS`; InputError when it fails or is not finite there."""
    network = backbones.with_precision(network, precision)
    backbones.check_network(network)
    return network


def _open_judged(config: StudyConfig, download: bool) -> data.Source:
    return data.open_source(
        config.dataset,
        split=config.split,
        data_dir=config.data_dir,
        classes=config.classes,
        download=download,
        class_order=config.class_order,
        max_pixels=config.max_pixels,
        annotations=config.annotations,
    )


def _image_size(config: StudyConfig, source: data.Source, networks: Mapping[str, backbones.Network]) -> int:
    if config.image_size is not None:
        return config.image_size
    if source.image_shape is not None:
        return min(source.image_shape)
    if config.performance is not None:
        raise _checks.InputError(
            "image_size: give --image_size, the side in pixels of the images that are degraded: those here differ in "
            "size, and a table of performance does not say what its networks see"
        )
    return max(network.preprocessing.size for network in networks.values())


def _check_classes(source: data.Source, networks: Mapping[str, backbones.Network]) -> None:
    for name, network in networks.items():
        kind = None if network.task is None else network.task.spec.kind
        have = getattr(source, "target_kind", None)
        classes: tuple[str, ...] = getattr(source, "target_classes", ())
        if kind != have:
            raise _checks.InputError(
                f"network {name}: it predicts {kind or 'classes'}, {source.name} has {have or 'classes'} as its truth"
            )
        if kind and network.num_classes != len(classes):
            raise _checks.InputError(
                f"network {name}: it predicts {network.num_classes} classes, {source.name} has {len(classes)}"
            )
        if not kind and network.num_classes != len(source.class_names):
            raise _checks.InputError(
                f"network {name}: it has {network.num_classes} classes, {source.name} has {len(source.class_names)} "
                "(--classes gives a folder the network's full class list)"
            )


def _views(
    config: StudyConfig,
    image_size: int,
    networks: Mapping[str, backbones.Network],
    feature_backbones: Mapping[str, backbones.Network],
    num_classes: int,
) -> tuple[View, ...]:
    at_task = config.score_at == "task"
    if config.performance is not None:
        side = config.input_size if at_task and config.input_size else image_size
        return (_view(side, config, image_size, feature_backbones, num_classes),)
    # One view for the networks that see one and the same image.
    seen: dict[tuple[int, str | None], list[str]] = {}
    for name, network in networks.items():
        side = network.preprocessing.size if at_task else image_size
        interpolation = network.preprocessing.interpolation if side != image_size else None
        seen.setdefault((side, interpolation), []).append(name)
    return tuple(
        dataclasses.replace(
            _view(side, config, image_size, feature_backbones, num_classes),
            networks=tuple(names),
            interpolation=interpolation,
        )
        for (side, interpolation), names in sorted(seen.items(), key=lambda item: (item[0][0], item[0][1] or ""))
    )


def _view(side, config, image_size, feature_backbones, num_classes) -> View:
    """The view of the networks whose table is given; without classes every classifier looks twice."""
    at_task = config.score_at == "task"
    return View(
        side,
        tuple(choice.name for choice in config.networks),
        {name: backbone_side(backbone.preprocessing, side, at_task) for name, backbone in feature_backbones.items()},
        {
            name: (backbone.preprocessing.size,)
            for name, backbone in feature_backbones.items()
            if at_task and (not num_classes or backbone.num_classes == num_classes)
            if _enlarges(backbone.preprocessing, side)
        },
        enlarged_for(feature_backbones, side, at_task),
        "bilinear" if side != image_size else None,
    )


def _enlarges(preprocessing: backbones.Preprocessing, side: int) -> bool:
    """Whether a backbone that looks at `side` pixels has a larger side of its own that its classifier is better at."""
    return backbone_side(preprocessing, side, at_task=True) < preprocessing.size


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
        read, num_classes, views, feature_backbones, config.anchor_counts, degraded=degraded, seed=config.seed
    )
    copies = data.copies(anchor_source, chosen, source, indices)
    found = {
        "kind": kind,
        "num": len(read.ids),
        "copies_of_judged": len(copies),
        "remarks": _anchor_remarks(anchor_source, source, copies) + not_finite_remarks(notes, len(read.ids)),
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


def _with_task(config: StudyConfig, networks: Mapping[str, backbones.Network]) -> StudyConfig:
    """The config with the performance that networks of masks or boxes name, one for all of them."""
    named = {name: network.task.performance for name, network in networks.items() if network.task is not None}
    if not named:
        return config
    if len(named) < len(networks) or len({str(networks[name].task) for name in named}) > 1:
        shown = ", ".join(f"{name}: {named.get(name, 'accuracy')}" for name in networks)
        raise _checks.InputError(f"networks: their performances differ ({shown}); judge them in runs of their own")
    return dataclasses.replace(config, task=next(iter(named.values())))


def _target_size(source: data.Source, networks: Mapping[str, backbones.Network], image_size: int) -> int | None:
    """Side of the masks that are read: that of the predictions, or the images' where only regions are."""
    if not hasattr(source, "target_kind"):
        return None
    sides = [network.task.mask_side for network in networks.values() if network.task is not None]
    return max([side for side in sides if side] or [image_size])


def _choose(config: StudyConfig, source: data.Source):
    """The config with its networks, a table of performance that is joined, and the judged images."""
    if config.task is not None:
        return config, None, data.LabelledImages(data.choose(source, config.num_images, seed=config.seed), 0)
    if config.performance is None:
        return config, None, data.choose_labelled(source, config.num_images, seed=config.seed)
    table = tables.read_table(config.performance, bounds=config.performance_range)
    networks = tuple(NetworkChoice(name, PERFORMANCE_TABLE) for name in table.network_names)
    every = [source.id(index) for index in range(len(source))]
    listed = set(table.image_ids)
    here = [name for name in every if name in listed]
    if not here:
        raise _checks.InputError(
            f"performance: none of the {len(listed)} images of {table.path} is in {source.name}; its first is "
            f"{table.image_ids[0]!r}, there the first is {every[0]!r}"
        )
    num = None if config.num_images is None else min(config.num_images, len(here))
    indices = data.choose(source, num, seed=config.seed, exclude_ids=set(every) - listed)
    chosen = [source.id(int(index)) for index in indices]
    joined = tables.join(table, chosen, every, config.conditions)
    config = dataclasses.replace(config, networks=networks)
    return config, joined, data.LabelledImages(indices, 0)


def _remarks(source: data.Source, indices: np.ndarray, num_unlabelled: int) -> list[str]:
    """What to say of the judged images before they are judged."""
    found = list(data.remarks(source))
    if num_unlabelled:
        found.append(f"{num_unlabelled} images are left out for having no label: a network is judged on labelled ones")
    copies = data.copies(source, indices, source, indices)
    if copies:
        found.append(f"{len(copies)} judged images are copies of others among them, e.g. {' = '.join(copies[0])}")
    return found


def _anchor_remarks(anchor_source: data.Source, source: data.Source, copies: Sequence[tuple[str, str]]) -> list[str]:
    """What to say of the anchors."""
    own = () if anchor_source.name == source.name else data.remarks(anchor_source)
    found = [f"anchors: {line}" for line in own]
    if copies:
        found.append(
            f"anchors: {len(copies)} are copies of judged images, e.g. {' = '.join(copies[0])}; scores of those "
            "are too high: remove one of each pair"
        )
    return found


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
      >>> config = pipeline.StudyConfig(num_images=20, networks=(network,), metrics=("mse",))
      >>> study = pipeline.prepare(config)  # doctest: +SKIP
    """
    tell = progress or (lambda step, done, total: None)
    check_execution(execution)
    tell(PREPARATION[0], 0, 1)
    conventional = scorers.resolve_metrics(config.metrics)
    networks = {
        choice.name: in_precision(load_network(choice), config.precision)
        for choice in config.networks
        if choice.architecture != PERFORMANCE_TABLE
    }
    feature_backbones = {choice.name: load_backbone(choice, config.precision) for choice in config.backbones}
    tell(PREPARATION[1], 0, 1)
    source = _open_judged(config, execution.download)
    _check_classes(source, networks)
    config = _with_task(config, networks)
    loaded = feature_backbones
    if config.anchors == "text":
        feature_backbones = with_text_anchors(config, source.class_names, feature_backbones)
    config, table, (indices, num_unlabelled) = _choose(config, source)
    image_size = _image_size(config, source, networks)
    views = _views(config, image_size, networks, feature_backbones, len(source.class_names))
    joined = None
    if config.images is not None:
        joined = given_copies.join(source, given_copies.open_tree(config.images), config.conditions, indices)
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
            "remarks": _remarks(source, indices, num_unlabelled),
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
        target_size=_target_size(source, networks, image_size),
        copies=joined,
        provenance=inputs.of_study(
            config, networks, loaded, conventional, source.class_names, image_size, judged, listing, stamp
        ),
        details=details,
        performance=table,
    )


def run(
    study: Study,
    output: store.Store,
    execution: Execution = DEFAULT_EXECUTION,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> parts.ScoreTable:
    """Scores every image under every condition, part by part; parts already there are kept.

    Args:
      study: what to run.
      output: where the parts go.
      execution: how to run.
      progress: called with (images done, images in all), first with what an earlier run left.

    Returns:
      The whole score table.

    Raises:
      InputError: when no image can be read.

    Examples:
      >>> study = pipeline.prepare(config)  # doctest: +SKIP
      >>> table = pipeline.run(study, pipeline.InMemory())  # doctest: +SKIP
    """
    with output.locked():
        _score_missing(study, output, execution, progress)
        return output.read(study.num_parts, study.config.conditions)


def _score_missing(
    study: Study, output: store.Store, execution: Execution, progress: Callable[[int, int], None] | None
) -> None:
    pending = [number for number in range(study.num_parts) if not output.has_part(number)]
    total = len(study.indices)
    done = total - sum(min(store.PART_IMAGES, total - number * store.PART_IMAGES) for number in pending)
    if progress:
        progress(done, total)
    if not pending:
        return
    step, batch_size = rows.make_step(study, execution)
    passports = {scorer.column.name: scorer.column.record() for scorer in study.scorers}
    for number in pending:
        first = number * store.PART_IMAGES
        found = []
        for batch in rows.compute(
            study, study.indices[first : first + store.PART_IMAGES], step, batch_size, execution.workers
        ):
            found.append(batch)
            done += len(batch.ids) + len(batch.skipped)
            if progress:
                progress(done, total)
        part = rows.joined(found)
        columns = dict(part.columns)
        if study.performance is not None and part.ids:
            columns |= tables.columns_of(study.performance, part.ids)
        given = rows.outputs_of(study, [choice.name for choice in study.config.networks], columns)
        output.write_part(
            number, part.ids, part.labels, study.config.conditions, columns, part.skipped, passports, outputs=given
        )


def quality_and_performance(
    study_columns: Sequence[Column],
    table: parts.ScoreTable,
    networks: Sequence[str],
    measure: measured.Measure = measured.ACCURACY,
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Arranges a score table for `alignment.align`: degraded conditions only, higher always better.

    The clean condition is left out: there a full-reference metric compares an image with itself.

    Args:
      study_columns: the score columns.
      table: the finished table.
      networks: names of the judged networks.
      measure: what performance is.

    Returns:
      (metric -> network -> [C, N], network -> [C, N]); networks include "all": mean performance, and where a metric
      was scored at several resolutions, its mean over the networks.

    Examples:
      >>> conditions = tuple(map(degradations.Condition.parse, ("clean", "fog/3")))
      >>> correct = np.array([[1.0, 1.0], [0.0, 1.0]], np.float32)
      >>> columns = {"net/correct": correct, "entropy": np.array([[5.0, 6.0], [3.0, 4.0]], np.float32)}
      >>> table = pipeline.ScoreTable(("a", "b"), np.array([0, 1], np.int32), conditions, columns, {}, (), {})
      >>> quality, performance = pipeline.quality_and_performance((), table, ["net"])  # no score columns
      >>> performance["net"].tolist()  # degraded conditions only
      [[0.0, 1.0]]
    """
    degraded = table._replace(vectors={}).degraded
    own = dict(measured.performance_rows(degraded, networks, measure))
    performance = {**own, "all": mean_over_networks(own)}
    scores: dict[str, dict[str, np.ndarray]] = {}
    for column in study_columns:
        values = degraded.columns[column.name]
        values = values if column.higher_is_better else -values
        scores.setdefault(column.metric, {}).update(dict.fromkeys(column.networks, values))
    resolutions = collections.Counter(column.metric for column in study_columns)
    for metric, by_network in scores.items():
        if resolutions[metric] == 1:
            by_network["all"] = next(iter(by_network.values()))
        else:
            by_network["all"] = np.mean([by_network[name] for name in networks], axis=0)
    return scores, performance
