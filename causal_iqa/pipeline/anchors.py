"""Anchor images: which there are, which are chosen, and how they are read."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from causal_iqa import _checks, data
from causal_iqa.pipeline.config import StudyConfig

ANCHOR_BATCH = 32


class AnchorImages(NamedTuple):
    """Clean labelled images that a witness is fitted on: pixels uint8 [m, S, S, 3], labels int32 [m], ids."""

    pixels: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]


def _open_anchors(config: StudyConfig, source: data.Source, download: bool) -> data.Source:
    dataset = config.anchor_dataset or config.dataset
    split = config.anchor_split
    if split is None and config.anchor_dataset is None:
        split = "train" if dataset.split(":")[0] != "folder" else config.split
    anchor_source = data.open_source(
        dataset,
        split=split,
        data_dir=config.anchor_data_dir or config.data_dir,
        classes=config.anchor_classes or config.classes,
        download=download,
        class_order=config.class_order,
        max_pixels=config.max_pixels,
    )
    if source.class_names and anchor_source.class_names != source.class_names:
        raise _checks.InputError(
            f"anchor_dataset: {anchor_source.name} has other classes than {source.name} "
            f"({len(anchor_source.class_names)} against {len(source.class_names)}, or in another order)"
        )
    return anchor_source


def choose_anchors(
    config: StudyConfig, source: data.Source, indices: np.ndarray, download: bool
) -> tuple[data.Source, np.ndarray]:
    """Chooses anchor images, classes in turn; images that are judged are excluded by id.

    Args:
      config: says where from and how many.
      source: the judged images.
      indices: those that are judged.
      download: whether TFDS may download.

    Returns:
      (source of the anchors, positions in it); no positions when nothing is left.

    Raises:
      InputError: when the anchors cannot be opened or have other classes.
    """
    anchor_source = _open_anchors(config, source, download)
    return anchor_source, choose_others(anchor_source, source, indices, config.num_anchors, seed=config.seed)


def choose_others(
    anchor_source: data.Source, source: data.Source, indices: Sequence[int] | np.ndarray, num: int, *, seed: int
) -> np.ndarray:
    """Chooses images of one source, classes in turn, that are none of the images of another.

    Args:
      anchor_source: where the images come from.
      source: the other source.
      indices: positions in it.
      num: the largest number of anchors.
      seed: seed of the choice.

    Returns:
      int64, positions in the first source; none when fewer than two are left.
    """
    excluded = data.shared_ids(anchor_source, source, indices)
    chosen = data.choose(anchor_source, num, seed=seed, exclude_ids=excluded, balanced=True, at_most=True)
    return chosen if chosen.size >= 2 else chosen[:0]


def anchor_kind(config: StudyConfig, study_labels: np.ndarray, anchor_labels: np.ndarray, heads: bool) -> str:
    """Decides between images and heads, when the config leaves it open.

    Args:
      config: may say which.
      study_labels: labels of the judged images.
      anchor_labels: labels of the images that could serve.
      heads: whether every backbone has a head for these classes.

    Returns:
      "images", "head" or "text".
    """
    if config.anchors != "auto":
        return config.anchors
    covered = np.isin(np.unique(study_labels), anchor_labels).all()
    return "images" if covered or not heads else "head"


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
    rows = list(data.batches(source, chosen, batch_size=ANCHOR_BATCH, size=image_size, crop_fraction=crop_fraction))
    if not any(row.valid.any() for row in rows):
        raise _checks.InputError(
            f"anchors: no image of {source.name} is left as an anchor, all are judged or unreadable; judge fewer, give "
            "--anchor_dataset, or use --anchors=head with a backbone that has a head for these classes"
        )
    pixels = np.concatenate([row.images[row.valid] for row in rows])
    labels = np.concatenate([row.labels[row.valid] for row in rows])
    ids = tuple(name for row in rows for name, valid in zip(row.ids, row.valid, strict=True) if valid)
    return AnchorImages(pixels, labels, ids)
