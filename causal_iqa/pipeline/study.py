"""The main job: from a config to the score table, the alignment numbers and what to expect of them."""

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from causal_iqa import _checks, backbones, data, degradations, images, metrics, quality
from causal_iqa.pipeline import program, store
from causal_iqa.pipeline.config import NetworkChoice, StudyConfig, fingerprint

_PERFORMANCE_FIELDS = ("correct", "p_true", "confidence")
_ANCHOR_BATCH = 32
_BATCH = 32
# Room for the images of all conditions twice, and for the arrays of one degradation and of the networks' first layers.
_COPIES, _SCRATCH_IMAGES = 2, 120


class Execution(NamedTuple):
    """How a study runs; nothing here changes a number.

    Attributes:
      batch_size: images per step over all devices, worked off in blocks that fit memory_gb.
      memory_gb: what a block may use per device; None: a quarter of the machine's memory, or 60 % of an accelerator's.
      num_devices: of the local devices; None: all.
      workers: decoding threads.
      download: whether TFDS may download.
    """

    batch_size: int | None = None
    memory_gb: float | None = None
    num_devices: int | None = None
    workers: int = 2
    download: bool = False


DEFAULT_EXECUTION = Execution()


@dataclasses.dataclass(frozen=True)
class Study:
    """A study with everything opened and checked, ready to run."""

    config: StudyConfig
    source: data.Source
    indices: np.ndarray
    image_size: int
    networks: Mapping[str, backbones.Network]
    feature_backbones: Mapping[str, backbones.Network]
    views: tuple[program.View, ...]
    scorers: tuple[program.Scorer, ...]
    anchors: Mapping[str, Any]  # kind, ids and classes of the anchors, JSON values
    witnesses: Mapping[str, Any]
    fingerprint: str
    details: Mapping[str, Any]

    @property
    def num_parts(self) -> int:
        """Parts of the score table."""
        return math.ceil(len(self.indices) / store.PART_IMAGES)


def load_network(choice: NetworkChoice) -> backbones.Network:
    """Loads a network of the study from its file, or its packaged weights; InputError when that cannot be."""
    if choice.path is None:
        return backbones.load_packaged(choice.architecture)
    return backbones.load(choice.architecture, choice.path)


def _open_judged(config: StudyConfig, download: bool) -> data.Source:
    return data.open_source(
        config.dataset, split=config.split, data_dir=config.data_dir, classes=config.classes, download=download
    )


def _open_anchors(config: StudyConfig, source: data.Source, download: bool) -> data.Source:
    dataset = config.anchor_dataset or config.dataset
    split = config.anchor_split
    if split is None and config.anchor_dataset is None:
        split = "train" if dataset.split(":")[0] != "folder" else config.split
    anchor_source = data.open_source(
        dataset,
        split=split,
        data_dir=config.anchor_data_dir or config.data_dir,
        classes=config.classes,
        download=download,
    )
    if anchor_source.class_names != source.class_names:
        raise _checks.InputError(
            f"anchor_dataset: {anchor_source.name} has other classes than {source.name} "
            f"({len(anchor_source.class_names)} against {len(source.class_names)}, or in another order)"
        )
    return anchor_source


def _image_size(config: StudyConfig, source: data.Source, networks: Mapping[str, backbones.Network]) -> int:
    if config.image_size is not None:
        return config.image_size
    if source.image_shape is not None:
        return min(source.image_shape)
    return max(network.preprocessing.size for network in networks.values())


def _check_classes(source: data.Source, networks: Mapping[str, backbones.Network]) -> None:
    for name, network in networks.items():
        if network.num_classes != len(source.class_names):
            raise _checks.InputError(
                f"network {name}: it has {network.num_classes} classes, {source.name} has {len(source.class_names)} "
                "(--classes gives a folder the network's full class list)"
            )


def _views(
    config: StudyConfig,
    image_size: int,
    networks: Mapping[str, backbones.Network],
    feature_backbones: Mapping[str, backbones.Network],
) -> tuple[program.View, ...]:
    at_task = config.score_at == "task"
    by_side: dict[int, list[str]] = {}
    for name, network in networks.items():
        by_side.setdefault(network.preprocessing.size if at_task else image_size, []).append(name)
    return tuple(
        program.View(
            side,
            tuple(names),
            {
                name: program.backbone_side(backbone.preprocessing, side, at_task)
                for name, backbone in feature_backbones.items()
            },
        )
        for side, names in sorted(by_side.items())
    )


def _anchor_kind(config: StudyConfig, study_labels: np.ndarray, anchor_labels: np.ndarray, heads: bool) -> str:
    if config.anchors == "text":
        raise _checks.InputError("anchors: text needs a backbone with a text tower, and none of these has one")
    if config.anchors != "auto":
        return config.anchors
    covered = np.isin(np.unique(study_labels), anchor_labels).all()
    return "images" if covered or not heads else "head"


class AnchorImages(NamedTuple):
    """Clean labelled images that a witness is fitted on: pixels uint8 [m, S, S, 3], labels int32 [m], ids."""

    pixels: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]


def _choose_anchors(config: StudyConfig, source: data.Source, indices: np.ndarray, download: bool):
    """Anchor source and positions; judged images are excluded by id wherever the anchors come from the same dataset."""
    anchor_source = _open_anchors(config, source, download)
    judged = {source.id(int(i)) for i in indices} if anchor_source.name == source.name else set()
    available = sum(anchor_source.id(i) not in judged for i in range(len(anchor_source)))
    num = min(config.num_anchors, available)
    if num < 2:
        return anchor_source, np.zeros(0, np.int64)
    return anchor_source, data.choose(anchor_source, num, seed=config.seed, exclude_ids=judged, balanced=True)


def read_anchors(
    source: data.Source, chosen: np.ndarray, image_size: int, crop_fraction: float = data.CROP_FRACTION
) -> AnchorImages:
    """Reads anchor images; unreadable ones are left out.

    Args:
      source: where they come from.
      chosen: positions in the source.
      image_size: side in pixels.
      crop_fraction: central square cut from photos of varying size, fraction of the shorter side.

    Returns:
      The anchors.

    Raises:
      InputError: when none is left.
    """
    rows = list(data.batches(source, chosen, batch_size=_ANCHOR_BATCH, size=image_size, crop_fraction=crop_fraction))
    if not any(row.valid.any() for row in rows):
        raise _checks.InputError(
            f"anchors: no image of {source.name} is left as an anchor, all are judged or unreadable; judge fewer, give "
            "--anchor_dataset, or use --anchors=head with a backbone that has a head for these classes"
        )
    pixels = np.concatenate([row.images[row.valid] for row in rows])
    labels = np.concatenate([row.labels[row.valid] for row in rows])
    ids = tuple(name for row in rows for name, valid in zip(row.ids, row.valid, strict=True) if valid)
    return AnchorImages(pixels, labels, ids)


def _anchor_features(backbone: backbones.Network, pixels: np.ndarray, view_side: int, side: int) -> np.ndarray:
    def one(params, image):
        view = program.resized(images.from_uint8(image), view_side)
        return program.features_of(backbone, params, view, side)

    apply = jax.jit(jax.vmap(one, in_axes=(None, 0)))
    padded = np.concatenate([pixels, pixels[:1].repeat(-len(pixels) % _ANCHOR_BATCH, axis=0)])
    chunks = padded.reshape(-1, _ANCHOR_BATCH, *pixels.shape[1:])
    return np.concatenate([np.asarray(apply(backbone.params, chunk)) for chunk in chunks])[: len(pixels)]


def fit_on_images(
    anchors: AnchorImages,
    num_classes: int,
    views: Sequence[program.View],
    feature_backbones: Mapping[str, backbones.Network],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fits every witness on anchor images.

    Args:
      anchors: the images.
      num_classes: of the task.
      views: resolutions at which quality is scored.
      feature_backbones: name -> network that gives features.

    Returns:
      ({"WITNESS@BACKBONE@SIDE": witness}, {"BACKBONE@SIDE": what leave-one-out chose, JSON values}).
    """
    witnesses, notes = {}, {}
    for view in views:
        for name, side in view.backbone_sides.items():
            features = _anchor_features(feature_backbones[name], anchors.pixels, view.side, side)
            fitted = quality.Anchors(features, anchors.labels, num_classes)
            witnesses[f"plain@{name}@{view.side}"] = quality.fit_witness(fitted)
            witnesses[f"regularised@{name}@{view.side}"], choice = quality.fit_regularised_witness(fitted)
            notes[f"{name}@{view.side}"] = choice._asdict()
    return witnesses, notes


def fit_on_heads(
    num_classes: int, views: Sequence[program.View], feature_backbones: Mapping[str, backbones.Network]
) -> dict[str, Any]:
    """Takes the class vectors of the backbones' own heads as anchors.

    Args:
      num_classes: of the task.
      views: resolutions at which quality is scored.
      feature_backbones: name -> network that gives features.

    Returns:
      {"WITNESS@BACKBONE@SIDE": witness}.

    Raises:
      InputError: when a backbone has no head for so many classes.
    """
    witnesses = {}
    for name, backbone in feature_backbones.items():
        if backbone.head() is None or backbone.num_classes != num_classes:
            raise _checks.InputError(
                f"anchors: backbone {name} has no head for these {num_classes} classes; use --anchors=images"
            )
        kernel, bias = backbone.head()
        fitted = quality.fit_class_vectors(quality.ClassVectors(np.asarray(kernel).T, np.asarray(bias)))
        for view in views:
            for witness in quality.WITNESSES:
                witnesses[f"{witness}@{name}@{view.side}"] = fitted
    return witnesses


def _scorers(config: StudyConfig, views, feature_backbones, anchors: Mapping[str, Any]) -> tuple[program.Scorer, ...]:
    scorers = []
    for view in views:
        suffix = f"@{view.side}px" if len(views) > 1 else ""
        for name in config.metrics:
            scorers.append(program.metric_scorer(name, view.side, f"{name}{suffix}", view.networks))
        for backbone, side in view.backbone_sides.items():
            details = {
                "backbone_side": side,
                "anchors": anchors["kind"],
                "num_anchors": anchors["num"],
                "weights_sha256": feature_backbones[backbone].weights_sha256,
            }
            for name in quality.TABLE:
                column = f"{name}@{backbone}{suffix}"
                scorers.append(program.quality_scorer(name, backbone, view.side, column, view.networks, details))
    return tuple(scorers)


def prepare(config: StudyConfig, execution: Execution = DEFAULT_EXECUTION) -> Study:
    """Opens and checks everything a study needs, and fits the witnesses on the anchors.

    Args:
      config: the study.
      execution: how it runs.

    Returns:
      The study, ready to run.

    Raises:
      InputError: for anything missing, unreadable or contradictory, naming it and the mend.
    """
    check_execution(execution)
    networks = {choice.name: load_network(choice) for choice in config.networks}
    feature_backbones = {choice.name: load_network(choice) for choice in config.backbones}
    source = _open_judged(config, execution.download)
    _check_classes(source, networks)
    indices = data.choose(source, config.num_images, seed=config.seed)
    image_size = _image_size(config, source, networks)
    views = _views(config, image_size, networks, feature_backbones)
    # Before the anchors, which take time.
    choose_block(image_size, views, len(config.conditions), execution, local_devices(execution)[0])
    num_classes = len(source.class_names)

    anchors, witnesses, notes = {"kind": "none", "num": 0}, {}, {}
    if feature_backbones:
        heads = all(b.head() is not None and b.num_classes == num_classes for b in feature_backbones.values())
        anchor_source, chosen = _choose_anchors(config, source, indices, execution.download)
        labels = np.asarray([source.label(int(i)) for i in indices])
        anchor_labels = np.asarray([anchor_source.label(int(i)) for i in chosen])
        kind = _anchor_kind(config, labels, anchor_labels, heads)
        if kind == "images":
            read = read_anchors(anchor_source, chosen, image_size, config.crop_fraction)
            witnesses, notes = fit_on_images(read, num_classes, views, feature_backbones)
            anchors = {"kind": kind, "num": len(read.ids), "dataset": anchor_source.name, "split": anchor_source.split}
            anchors |= {"classes": len(np.unique(read.labels)), "chosen_by_leave_one_out": notes}
        else:
            witnesses = fit_on_heads(num_classes, views, feature_backbones)
            anchors = {"kind": kind, "num": num_classes}

    every = {
        **{f"network {k}": v for k, v in networks.items()},
        **{f"backbone {k}": v for k, v in feature_backbones.items()},
    }
    details = {
        "dataset": {"name": source.name, "split": source.split, "num_classes": num_classes, "size": len(source)},
        "image_size": image_size,
        "degradation_family": degradations.family_for(image_size, image_size),
        "networks": {name: network.passport() for name, network in every.items()},
        "anchors": anchors,
    }
    return Study(
        config=config,
        source=source,
        indices=indices,
        image_size=image_size,
        networks=networks,
        feature_backbones=feature_backbones,
        views=views,
        scorers=_scorers(config, views, feature_backbones, anchors),
        anchors=anchors,
        witnesses=witnesses,
        fingerprint=fingerprint(config, {name: network.weights_sha256 for name, network in every.items()}),
        details=details,
    )


def _memory_bytes(device: jax.Device, memory_gb: float | None) -> float:
    if memory_gb is not None:
        return memory_gb * 1e9
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return 0.6 * stats["bytes_limit"]
    return 0.25 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def choose_block(
    image_size: int, views: Sequence[program.View], num_conditions: int, execution: Execution, device: jax.Device
) -> int:
    """Chooses how many images a device works on at a time: program.BLOCK_IMAGES unless memory demands fewer.

    Args:
      image_size: side in pixels of the images that are degraded.
      views: resolutions at which quality is scored.
      num_conditions: conditions of every image.
      execution: gives memory_gb.
      device: whose memory it is.

    Returns:
      Images per block.

    Raises:
      InputError: when not even one image fits the memory.
    """
    largest = max([image_size, *(s for view in views for s in (view.side, *view.backbone_sides.values()))])
    per_image = 12 * (_COPIES * num_conditions * image_size**2 + _SCRATCH_IMAGES * largest**2)
    budget = _memory_bytes(device, execution.memory_gb)
    block = program.BLOCK_IMAGES
    while block > 1 and block * per_image > budget:
        block //= 2
    if block * per_image > budget:
        raise _checks.InputError(
            f"memory_gb: one image of {image_size} pixels under {num_conditions} conditions takes "
            f"{per_image / 1e9:.1f} GB, {budget / 1e9:.1f} are allowed; give more, fewer conditions or --image_size"
        )
    return block


def choose_batch(study: Study, execution: Execution, devices: Sequence[jax.Device]) -> tuple[int, int]:
    """Chooses how many images go through the program at once.

    Args:
      study: gives the image size and the number of conditions.
      execution: an explicit batch size is rounded up to whole blocks on every device.
      devices: that share the batch.

    Returns:
      (images per step over all devices, images per block). Blocks are smaller than program.BLOCK_IMAGES only where
      memory demands it.

    Raises:
      InputError: when not even one image fits the memory.
    """
    block = choose_block(study.image_size, study.views, len(study.config.conditions), execution, devices[0])
    slots = block * len(devices)
    size = min(execution.batch_size or _BATCH, store.PART_IMAGES, len(study.indices))
    return math.ceil(size / slots) * slots, block


def run(
    study: Study,
    output: store.Store,
    execution: Execution = DEFAULT_EXECUTION,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> store.ScoreTable:
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
    """
    parts = range(study.num_parts)
    pending = [number for number in parts if not output.has_part(number)]
    total = len(study.indices)

    def size_of(number):
        return min(store.PART_IMAGES, total - number * store.PART_IMAGES)

    done = total - sum(size_of(number) for number in pending)
    if progress:
        progress(done, total)
    if pending:
        step, batch_size = _make_step(study, execution)
        passports = {scorer.column.name: scorer.column.record() for scorer in study.scorers}
        for number in pending:
            first = number * store.PART_IMAGES
            chosen = study.indices[first : first + store.PART_IMAGES]
            ids, labels, rows, skipped = [], [], [], []
            for batch in data.batches(
                study.source,
                chosen,
                batch_size=batch_size,
                size=study.image_size,
                crop_fraction=study.config.crop_fraction,
                workers=execution.workers,
            ):
                skipped.extend(batch.skipped)
                ids.extend(name for name, valid in zip(batch.ids, batch.valid, strict=True) if valid)
                labels.extend(batch.labels[batch.valid])
                rows.append({name: values[:, batch.valid] for name, values in step(batch).items()})
                done += int(batch.valid.sum()) + len(batch.skipped)
                if progress:
                    progress(done, total)
            columns = {name: np.concatenate([row[name] for row in rows], axis=1) for name in rows[0]}
            output.write_part(
                number, ids, np.asarray(labels, np.int32), study.config.conditions, columns, skipped, passports
            )
    return output.read(study.num_parts, study.config.conditions)


def local_devices(execution: Execution) -> list[jax.Device]:
    """Returns the devices to work on; InputError when there are fewer than asked for."""
    devices = jax.local_devices()
    if execution.num_devices is not None and execution.num_devices > len(devices):
        raise _checks.InputError(f"num_devices: {execution.num_devices} asked for, {len(devices)} here")
    return devices[: execution.num_devices]


def check_execution(execution: Execution) -> None:
    """Raises InputError unless every count is positive and so many devices are here."""
    for name in ("batch_size", "memory_gb", "num_devices", "workers"):
        value = getattr(execution, name)
        if value is not None and value <= 0:
            raise _checks.InputError(f"{name}: expected a positive number, got {value}")
    local_devices(execution)


def _make_step(study: Study, execution: Execution) -> tuple[Callable[[data.Batch], dict[str, np.ndarray]], int]:
    devices = local_devices(execution)
    batch_size, block = choose_batch(study, execution, devices)
    compiled = program.make_program(
        seed=study.config.seed,
        conditions=study.config.conditions,
        networks=study.networks,
        feature_backbones=study.feature_backbones,
        views=study.views,
        scorers=study.scorers,
        devices=devices,
    )
    state = {
        "networks": {name: network.params for name, network in study.networks.items()},
        "backbones": {name: network.params for name, network in study.feature_backbones.items()},
        "witnesses": dict(study.witnesses),
    }
    mesh = jax.sharding.Mesh(np.asarray(devices), ("images",))
    state = jax.device_put(state, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))

    slots = block * len(devices)

    def step(batch):
        salts = np.asarray([program.stable_hash(name) for name in batch.ids], np.uint32)
        # All blocks are dispatched before the first result is fetched, so the devices do not wait for the host.
        blocks = [
            compiled(state, batch.images[i : i + slots], batch.labels[i : i + slots], salts[i : i + slots])
            for i in range(0, len(salts), slots)
        ]
        return {name: np.concatenate([np.asarray(block[name]) for block in blocks], axis=1) for name in blocks[0]}

    return step, batch_size


def quality_and_performance(
    study_columns: Sequence[program.Column], table: store.ScoreTable, networks: Sequence[str]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Arranges a score table for `alignment.align`: degraded conditions only, higher always better.

    The clean condition is left out: there a full-reference metric compares an image with itself.

    Args:
      study_columns: the score columns.
      table: the finished table.
      networks: names of the judged networks.

    Returns:
      (metric -> network -> [C, N], network -> [C, N]); networks include "all": mean correctness, and where a metric
      was scored at several resolutions, its mean over the networks.
    """
    degraded = np.asarray([condition.severity > 0 for condition in table.conditions])
    correct = {name: table.columns[f"{name}/correct"][degraded] for name in networks}
    performance = {**correct, "all": np.mean(list(correct.values()), axis=0)}
    scores: dict[str, dict[str, np.ndarray]] = {}
    for column in study_columns:
        values = table.columns[column.name][degraded]
        values = values if column.higher_is_better else -values
        scores.setdefault(column.metric, {}).update(dict.fromkeys(column.networks, values))
    for by_network in scores.values():
        distinct = {id(values): values for values in by_network.values()}
        if len(distinct) == 1:
            by_network["all"] = next(iter(distinct.values()))
        else:
            by_network["all"] = np.mean([by_network[name] for name in networks], axis=0)
    return scores, performance


def describe_metrics(names: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Passports of the conventional metrics by name; all of them when no names are given."""
    return {name: metrics.TABLE[name].passport() for name in (names or metrics.TABLE)}
