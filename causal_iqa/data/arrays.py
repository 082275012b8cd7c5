"""Images that are in memory already, as a source."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from causal_iqa.data.sources import UNLABELLED, Example


@dataclasses.dataclass(frozen=True, eq=False)
class ArraySource:
    """Arrays as images; `open_arrays` checks them.

    Attributes:
      arrays: uint8 [H, W, 3] or floats [H, W, 3] in [0, 1], sizes may vary.
      labels: one per array, -1 where unknown.
      class_names: the classes in label order; empty when unlabelled.
    """

    arrays: Sequence[np.ndarray] | np.ndarray
    labels: tuple[int, ...]
    class_names: tuple[str, ...] = ()
    name: str = "arrays"
    split: str | None = None

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """(height, width) when all agree, else None."""
        shapes = {np.shape(one)[:2] for one in self.arrays}
        return shapes.pop() if len(shapes) == 1 else None

    def __len__(self) -> int:
        return len(self.arrays)

    def __getitem__(self, index: int) -> Example:
        one = np.asarray(self.arrays[index])
        if one.dtype != np.uint8:
            one = np.rint(np.clip(one, 0.0, 1.0) * 255.0).astype(np.uint8)
        return Example(one, self.labels[index], self.id(index))

    def id(self, index: int) -> str:
        """Returns the position, with as many digits as the last one has."""
        return f"{index:0{len(str(len(self.arrays) - 1))}d}"

    def label(self, index: int) -> int:
        """Returns the label that was given."""
        return self.labels[index]


def open_arrays(
    arrays: Sequence[np.ndarray] | np.ndarray, *, labels: Sequence[int] | None = None, class_names: Sequence[str] = ()
) -> ArraySource:
    """Makes a source of arrays.

    Args:
      arrays: uint8 [H, W, 3], or floats [H, W, 3] in [0, 1]; one or more, a list or an array [N, H, W, 3].
      labels: one per array; None: unlabelled.
      class_names: the classes in label order.

    Returns:
      The source; ids are positions.

    Raises:
      ValueError: when there is none, or an array is no image or its values leave [0, 1], by its position.
      TypeError: for an array of another type.

    Examples:
      >>> len(open_arrays(np.zeros((2, 4, 6, 3), np.uint8)))
      2
    """
    if not len(arrays):
        raise ValueError("images: expected at least one array, got none")
    for place, one in enumerate(arrays):
        shape, dtype = np.shape(one), np.asarray(one).dtype
        if len(shape) != 3 or shape[2] != 3 or not min(shape):
            raise ValueError(f"images: expected [H, W, 3], got shape {list(shape)} at position {place}")
        if dtype != np.uint8 and not np.issubdtype(dtype, np.floating):
            raise TypeError(f"images: expected uint8, or floats in [0, 1], got {dtype} at position {place}")
        if dtype != np.uint8 and not (np.min(one) >= 0 and np.max(one) <= 1):
            raise ValueError(f"images: floats must lie in [0, 1] and be numbers, they do not at position {place}")
    found = (UNLABELLED,) * len(arrays) if labels is None else tuple(int(label) for label in labels)
    if len(found) != len(arrays):
        raise ValueError(f"labels: expected one per image, got {len(found)} for {len(arrays)}")
    return ArraySource(arrays, found, tuple(class_names))
