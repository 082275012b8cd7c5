"""Which images, of what size, in what order: from a source to batches of uint8 [B, S, S, 3].

The size policy, stated once: an image of the wanted square size from a source whose images all have that size passes
untouched, bit for bit. From a source of one other size the central square is resized. Where sizes vary, the central
square of `crop_fraction` (0.875 unless told) of the shorter side is resized. Resizing is Pillow's BILINEAR, which
averages when it shrinks. A source whose `framing` is "whole" has each image stretched to the square without a crop, and
its target with it: masks by the nearest pixel, boxes as fractions of the sides.
"""

import collections
import concurrent.futures
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import PIL.Image

from causal_iqa import _checks
from causal_iqa.data import budget
from causal_iqa.data.sources import UNLABELLED, Example, Source, UnreadableImage

CROP_FRACTION = 0.875
# In place of a fraction: no crop, the whole image.
WHOLE = None
Look = Callable[[int, Example], Any]


class Batch(NamedTuple):
    """Images of one size with what identifies them.

    A slot that is not valid (an unreadable image, or padding of the last batch) repeats a valid one as a whole; in a
    batch without any it is black, with label -1 and an empty id.
    """

    images: np.ndarray  # uint8 [B, S, S, 3], or [B, C, S, S, 3] of a source that gives C pictures of each
    labels: np.ndarray  # int32 [B]
    ids: tuple[str, ...]  # B of them
    valid: np.ndarray  # bool [B]
    skipped: tuple[tuple[str, str], ...]  # (id, reason) of the unreadable images
    targets: Any = ()  # masks int32 [B, T, T], or (boxes float32 [B, M, 4], classes int32 [B, M], -1 in empty slots)
    looks: tuple[Any, ...] = ()  # results of `look` for every valid slot, in order; empty without `look`


def choose(
    source: Source,
    num: int | None,
    *,
    seed: int,
    exclude_ids: Collection[str] = frozenset(),
    balanced: bool = False,
    at_most: bool = False,
    name: str = "num",
) -> np.ndarray:
    """Chooses images at random, reproducibly: with one seed, the first k of a longer choice are the choice of k.

    Args:
      source: the images.
      num: how many; None: all images that are not excluded.
      seed: seed of the choice.
      exclude_ids: ids never chosen, e.g. those being judged when anchors are chosen.
      balanced: whether classes take turns, as long as each has images left. Reads every label; unlabelled images
        are left out.
      at_most: whether fewer images will do where no more are available, even none.
      name: of `num` in an error, where a user calls it otherwise.

    Returns:
      int64 [num], positions in the source.

    Raises:
      InputError: when fewer images are available, or none, and that will not do.

    Examples:
      >>> len(data.choose(data.open_source("scenes"), 5, seed=0))
      5
    """
    if num is not None and num < 1:
        raise _checks.InputError(f"{name}: expected at least one image, got {num}")
    rng = np.random.Generator(np.random.PCG64(seed))
    order = rng.permutation(len(source))
    if balanced:
        order = _take_turns(source, order, rng)
    exclude_ids = frozenset(exclude_ids)
    free = (i for i in order if not exclude_ids or source.id(int(i)) not in exclude_ids)
    chosen = np.fromiter(itertools.islice(free, num), np.int64)
    if chosen.size < (num or 1) and not at_most:
        kind = "labelled " if balanced else ""
        raise _checks.InputError(
            f"{name}: expected {num or 'some'} images of {source.name} (split {source.split}), but only {chosen.size} "
            f"{kind}exist ({len(source)} in all, {len(exclude_ids)} ids excluded)"
        )
    return chosen


def labels_of(source: Source, indices: Sequence[int] | np.ndarray) -> np.ndarray:
    """Reads labels without decoding images.

    Args:
      source: the images.
      indices: positions in it.

    Returns:
      int32 [n], UNLABELLED where the label is unknown or cannot be read.

    Examples:
      >>> data.labels_of(data.open_source("scenes"), [0, 1, 2]).shape
      (3,)
    """
    return np.fromiter((_label(source, int(i)) for i in indices), np.int32, len(indices))


def _label(source: Source, index: int) -> int:
    try:
        return source.label(index)
    except UnreadableImage:
        return UNLABELLED


class LabelledImages(NamedTuple):
    """Images chosen for their labels."""

    indices: np.ndarray  # int64 [num], positions in the source
    num_unlabelled: int  # images that would have been chosen, had they labels


def choose_labelled(source: Source, num: int | None, *, seed: int, name: str = "num") -> LabelledImages:
    """Chooses labelled images as `choose` does; where all are labelled the choice is the same.

    Args:
      source: the images. The function reads no more labels than it needs.
      num: how many; None: all labelled images.
      seed: seed of the choice.
      name: of `num` in an error, where a user calls it otherwise.

    Returns:
      The choice, and how many unlabelled images it passed over.

    Raises:
      InputError: when fewer are labelled, or none.

    Examples:
      >>> len(data.choose_labelled(data.open_source("scenes"), 5, seed=0).indices)
      5
    """
    order = choose(source, None, seed=seed)
    chosen, passed_over = [], 0
    for index in order:
        if num is not None and len(chosen) == num:
            break
        if _label(source, int(index)) == UNLABELLED:
            passed_over += 1
        else:
            chosen.append(index)
    where = f"of {source.name} (split {source.split})"
    if not chosen:
        raise _checks.InputError(
            f"labels: none of the {len(source)} images {where} has one; a network is judged on labelled images"
        )
    if num is not None and len(chosen) < num:
        raise _checks.InputError(
            f"{name}: expected {num} images {where}, but only {len(chosen)} labelled images exist "
            f"({len(source)} in all)"
        )
    return LabelledImages(np.asarray(chosen, np.int64), passed_over)


def _take_turns(source: Source, order: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    by_class: dict[int, list[int]] = collections.defaultdict(list)
    for i in order:
        by_class[_label(source, int(i))].append(int(i))
    by_class.pop(UNLABELLED, None)
    queues = [by_class[label] for label in rng.permutation(sorted(by_class))]
    rounds = itertools.zip_longest(*queues)
    return (i for turn in rounds for i in turn if i is not None)


def fit(image: np.ndarray, size: int, *, crop_fraction: float = CROP_FRACTION) -> np.ndarray:
    """Crops the central square and resizes it with Pillow's antialiased BILINEAR.

    Args:
      image: uint8 [H, W, 3].
      size: side of the result in pixels.
      crop_fraction: side of the square over the shorter side, in (0, 1].

    Returns:
      uint8 [size, size, 3]; the image itself when nothing changes.

    Raises:
      ValueError: when size or crop_fraction is out of range.
      TypeError: when the image is not uint8 [H, W, 3].

    Examples:
      >>> data.fit(np.zeros((60, 80, 3), np.uint8), 32).shape
      (32, 32, 3)
    """
    _check_fit(size, crop_fraction)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise TypeError(f"image: expected uint8 [H, W, 3], got {image.dtype} {list(image.shape)}")
    height, width, _ = image.shape
    side = max(1, round(min(height, width) * crop_fraction))
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    if side == size:
        # Not a view of the whole, which would stay in memory as long as the square.
        return square if square.size == image.size else square.copy()
    return np.asarray(PIL.Image.fromarray(square).resize((size, size), PIL.Image.Resampling.BILINEAR))


def _check_fit(size: int, crop_fraction: float) -> None:
    if size < 1:
        raise ValueError(f"size: expected a positive side, got {size}")
    if not 0 < crop_fraction <= 1:
        raise ValueError(f"crop_fraction: expected a number in (0, 1], got {crop_fraction}")


def batches(
    source: Source,
    indices: Sequence[int] | np.ndarray,
    *,
    batch_size: int,
    size: int,
    crop_fraction: float = CROP_FRACTION,
    workers: int = 2,
    prefetch: int = 2,
    target_size: int | None = None,
    look: Look | None = None,
) -> Iterator[Batch]:
    """Reads images in the given order, decoding ahead in threads.

    Args:
      source: the images.
      indices: positions in the source.
      batch_size: images per batch; the last one is padded.
      size: side of the images in pixels, by the policy of this module.
      crop_fraction: fraction of the shorter side, where sizes vary.
      workers: decoding threads.
      prefetch: number of batches that are prepared ahead of the current one.
      target_size: side of masks, where the source has them; None: targets are left out.
      look: called in the decoding thread with an image's position and the image at its full size; what it returns
        comes in `Batch.looks`.

    Returns:
      An iterator of batches. Unreadable images are reported in their batch and left out. Closing or dropping the
      iterator early ends its threads.

    Raises:
      ValueError: when a number is out of range.
      InputError: when two images have the same id.

    Examples:
      >>> source = data.open_source("scenes")
      >>> [batch.images.shape for batch in data.batches(source, range(4), batch_size=2, size=32)]
      [(2, 32, 32, 3), (2, 32, 32, 3)]
    """
    _check_fit(size, crop_fraction)
    for name, value, least in (("batch_size", batch_size, 1), ("workers", workers, 1), ("prefetch", prefetch, 0)):
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")
    fraction = crop_fraction if source.image_shape is None else 1.0
    fraction = WHOLE if getattr(source, "framing", None) == "whole" else fraction
    indices = [int(i) for i in indices]
    chunks = [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]
    targets = _Targets(source, target_size) if target_size and hasattr(source, "target_kind") else None
    return _iterate(source, chunks, batch_size, size, fraction, workers, prefetch, targets, look)


class _Read(NamedTuple):
    """An image, or the reason why it could not be read, and the result of `look`."""

    example: Example | UnreadableImage
    looked: Any = None


def _iterate(source, chunks, batch_size, size, fraction, workers, prefetch, targets, look) -> Iterator[Batch]:
    whole = hasattr(source, "batch")

    def framed(index: int, example: Example) -> _Read:
        looked = None if look is None else look(index, example)
        return _Read(example._replace(image=_framed(example.image, size, fraction)), looked)

    def read_one(index: int) -> _Read:
        with budget.held_until_used():
            try:
                if hasattr(source, "framed"):
                    example, looked = source.framed(index, lambda image: _framed(image, size, fraction)), None
                else:
                    example = source[index]
                    looked = None if look is None else look(index, example)
                    example = example._replace(image=_framed(example.image, size, fraction))
            except UnreadableImage as error:
                return _Read(error)
            target = None if targets is None else targets.fitted(example.target)
            return _Read(example._replace(target=target), looked)

    def read_chunk(chunk: list[int]) -> list[_Read]:
        return [framed(index, example) for index, example in zip(chunk, source.batch(chunk), strict=True)]

    def submit(chunk: list[int]) -> list[concurrent.futures.Future]:
        return [pool.submit(read_chunk, chunk)] if whole else [pool.submit(read_one, index) for index in chunk]

    pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="causal_iqa-data")
    pending: collections.deque = collections.deque()
    seen: dict[str, int] = {}
    try:
        for chunk in chunks:
            pending.append((chunk, submit(chunk)))
            if len(pending) > prefetch:
                yield _next_batch(pending, source, whole, batch_size, size, seen, targets)
        while pending:
            yield _next_batch(pending, source, whole, batch_size, size, seen, targets)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _next_batch(pending, source: Source, whole: bool, batch_size: int, size: int, seen: dict, targets) -> Batch:
    chunk, futures = pending.popleft()
    read = futures[0].result() if whole else [future.result() for future in futures]
    results = [one.example for one in read]
    for index, result in zip(chunk, results, strict=True):
        if isinstance(result, Example):
            _check_label(result, source)
        if seen.setdefault(result.id, index) != index:
            raise _checks.InputError(f"id {result.id!r} names images {seen[result.id]} and {index}; ids must be unique")
    looks = tuple(one.looked for one in read if isinstance(one.example, Example) and one.looked is not None)
    shape = (*getattr(source, "stacked", ()), size, size, 3)
    return _assemble(results, batch_size, shape, targets)._replace(looks=looks)


def _check_label(example: Example, source: Source) -> None:
    num_classes = len(source.class_names)
    if example.label != UNLABELLED and not 0 <= example.label < (num_classes or np.inf):
        raise _checks.InputError(
            f"label: expected a class from 0 to {num_classes - 1}, or {UNLABELLED} for unlabelled, got {example.label} "
            f"of {example.id!r} in {source.name}"
        )


def _framed(image: np.ndarray, size: int, fraction: float | None) -> np.ndarray:
    return stretch(image, size) if fraction is None else fit(image, size, crop_fraction=fraction)


def stretch(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes a whole image to a square with Pillow's antialiased BILINEAR.

    Args:
      image: uint8 [H, W, 3].
      size: side of the result in pixels.

    Returns:
      uint8 [size, size, 3]; the image itself when nothing changes.
    """
    if image.shape[:2] == (size, size):
        return image
    return np.asarray(PIL.Image.fromarray(image).resize((size, size), PIL.Image.Resampling.BILINEAR))


class _Targets:
    """Targets of one size, so that they can be stacked."""

    def __init__(self, source: Source, size: int):
        self.size, self.most = size, max(1, getattr(source, "most_boxes", 1))
        self.kind = getattr(source, "target_kind", None)

    def fitted(self, target: Any) -> tuple[np.ndarray, ...]:
        if self.kind == "masks":
            image = PIL.Image.fromarray(target.mask.astype(np.int32), mode="I")
            resized = image.resize((self.size, self.size), PIL.Image.Resampling.NEAREST)
            return (np.asarray(resized, np.int32),)
        boxes, classes = np.zeros((self.most, 4), np.float32), np.full(self.most, UNLABELLED, np.int32)
        boxes[: len(target.boxes.classes)], classes[: len(target.boxes.classes)] = target.boxes
        return boxes, classes

    def nothing(self) -> tuple[np.ndarray, ...]:
        """Stands for an image that cannot be read."""
        if self.kind == "masks":
            return (np.full((self.size, self.size), UNLABELLED, np.int32),)
        return np.zeros((self.most, 4), np.float32), np.full(self.most, UNLABELLED, np.int32)


def _assemble(
    results: Sequence[Example | UnreadableImage], batch_size: int, shape: tuple[int, ...], targets: _Targets | None
) -> Batch:
    readable = {slot: result for slot, result in enumerate(results) if isinstance(result, Example)}
    skipped = tuple((result.id, result.reason) for result in results if isinstance(result, UnreadableImage))
    valid = np.isin(np.arange(batch_size), list(readable))
    if not readable:
        images = np.zeros((batch_size, *shape), np.uint8)
        empty = () if targets is None else tuple(np.stack([x] * batch_size) for x in targets.nothing())
        return Batch(images, np.full(batch_size, UNLABELLED, np.int32), ("",) * batch_size, valid, skipped, empty)
    last = max(readable)
    filled = [readable.get(slot, readable[last]) for slot in range(batch_size)]
    return Batch(
        images=np.stack([example.image for example in filled]),
        labels=np.array([example.label for example in filled], np.int32),
        ids=tuple(example.id for example in filled),
        valid=valid,
        skipped=skipped,
        targets=() if targets is None else tuple(map(np.stack, zip(*(e.target for e in filled), strict=True))),
    )
