"""The judged images of a study: their source, their classes and size, their choice, and remarks about them."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from causal_iqa import _checks, backbones, data
from causal_iqa.pipeline import performance as tables
from causal_iqa.pipeline.config import PERFORMANCE_TABLE, StudyConfig
from causal_iqa.pipeline.network_choice import NetworkChoice


def open_source(config: StudyConfig, download: bool) -> data.Source:
    """Opens the source of the judged images."""
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


def image_size(config: StudyConfig, source: data.Source, networks: Mapping[str, backbones.Network]) -> int:
    """Side in pixels of the images that are degraded: as asked for, the source's own, or the largest input."""
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


def check_classes(source: data.Source, networks: Mapping[str, backbones.Network]) -> None:
    """Raises InputError unless every network predicts the kind of truth that the source has, for as many classes."""
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


def with_task(config: StudyConfig, networks: Mapping[str, backbones.Network]) -> StudyConfig:
    """The config with the performance that networks of masks or boxes name, one for all of them."""
    named = {name: network.task.performance for name, network in networks.items() if network.task is not None}
    if not named:
        return config
    if len(named) < len(networks) or len({str(networks[name].task) for name in named}) > 1:
        shown = ", ".join(f"{name}: {named.get(name, 'accuracy')}" for name in networks)
        raise _checks.InputError(f"networks: their performances differ ({shown}); judge them in runs of their own")
    return dataclasses.replace(config, task=next(iter(named.values())))


def target_size(source: data.Source, networks: Mapping[str, backbones.Network], image_size: int) -> int | None:
    """Side at which masks are read: the side of the predictions, or of the images where only regions need masks."""
    if not hasattr(source, "target_kind"):
        return None
    sides = [network.task.mask_side for network in networks.values() if network.task is not None]
    return max([side for side in sides if side] or [image_size])


def choose(config: StudyConfig, source: data.Source):
    """The config with its networks, a table of performance that is joined, and the judged images."""
    if config.task is not None:
        chosen = data.choose(source, config.num_images, seed=config.seed, name="num_images")
        return config, None, data.LabelledImages(chosen, 0)
    if config.performance is None:
        return config, None, data.choose_labelled(source, config.num_images, seed=config.seed, name="num_images")
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


def remarks(source: data.Source, indices: np.ndarray, num_unlabelled: int) -> list[str]:
    """What to say of the judged images before they are judged."""
    found = list(data.remarks(source))
    if num_unlabelled:
        found.append(f"{num_unlabelled} images are left out for having no label: a network is judged on labelled ones")
    copies = data.copies(source, indices, source, indices)
    if copies:
        found.append(f"{len(copies)} judged images are copies of others among them, e.g. {' = '.join(copies[0])}")
    return found


def anchor_remarks(anchor_source: data.Source, source: data.Source, copies: Sequence[tuple[str, str]]) -> list[str]:
    """What to say of the anchors."""
    own = () if anchor_source.name == source.name else data.remarks(anchor_source)
    found = [f"anchors: {line}" for line in own]
    if copies:
        found.append(
            f"anchors: {len(copies)} are copies of judged images, e.g. {' = '.join(copies[0])}; scores of those "
            "are too high: remove one of each pair"
        )
    return found
