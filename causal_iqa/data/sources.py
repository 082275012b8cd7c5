"""What a source of images is: random access to decoded examples, with ids and labels that cost no decoding."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

# The label of an image whose class the source does not know.
UNLABELLED = -1


class Example(NamedTuple):
    """One image with its label, UNLABELLED where the source knows none, and its target where the task has one."""

    image: np.ndarray  # uint8 [H, W, 3], sRGB
    label: int
    id: str
    target: Any = None  # `annotated.Target`


class UnreadableImage(ValueError):
    """An image that cannot be decoded: skipped and reported by the batcher, never fatal to a run."""

    def __init__(self, id: str, reason: str):
        """Keeps the values for the report.

        Args:
          id: the image's id or path.
          reason: why it cannot be read, on one line.
        """
        super().__init__(id, reason)
        self.id = id
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.id}: {self.reason}"


@runtime_checkable
class Source(Protocol):
    """Random access to images; every source of this room has this shape.

    A source may have further members, which are used where they exist: `batch(indices) -> list[Example]` when it makes
    many images faster together than one after the other; `place(index)`, a value that tells a stored image from all
    others (`identity.place`); `encoded_size(index)` and `content(index)`, size and digest of the encoded image
    (`identity.copies`); `remarks`, lines that a user should read before the images are used; `framing`, "whole" where
    whole images are stretched to a square (`batches`), and `target_kind` where examples have targets; `stacked = (C,)`
    and `framed(index, frame)` where it gives C pictures of each image, brought to one size by `frame(image)`.

    Attributes:
      name: where the images come from, e.g. "tfds:cifar10".
      split: the part of the dataset, None where there are no parts.
      class_names: the classes in label order; empty when unlabelled.
      image_shape: (height, width) shared by all images, None when sizes vary.
    """

    @property
    def name(self) -> str: ...

    @property
    def split(self) -> str | None: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def image_shape(self) -> tuple[int, int] | None: ...

    def __len__(self) -> int:
        """Returns the number of images."""
        ...

    def __getitem__(self, index: int) -> Example:
        """Returns example `index` in [0, len); raises UnreadableImage when its image cannot be decoded."""
        ...

    def id(self, index: int) -> str:
        """Returns the id of an image without decoding it; ids are unique within a source."""
        ...

    def label(self, index: int) -> int:
        """Returns the label of an image without decoding it, UNLABELLED when unknown."""
        ...


def examples(source: Source, indices: Iterable[int]) -> list[Example]:
    """Returns some images of a source, decoded; the same for every source.

    Args:
      source: any.
      indices: indices of the images, each in [0, len(source)).

    Raises:
      UnreadableImage: when one cannot be decoded.

    Examples:
      >>> from causal_iqa import data
      >>> [one.image.shape for one in data.examples(data.open_source("scenes"), range(2))]
      [(48, 48, 3), (48, 48, 3)]
    """
    chosen = list(indices)
    many = getattr(source, "batch", None)
    return many(chosen) if many is not None else [source[index] for index in chosen]


def remarks(source: Source) -> tuple[str, ...]:
    """Returns what a user should read before a source's images are used, line by line.

    Args:
      source: any.

    Examples:
      >>> data.remarks(data.open_source("scenes"))
      ()
    """
    return tuple(getattr(source, "remarks", ()))
