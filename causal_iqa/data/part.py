"""Sources made of another one: some of its images, or its images with something beside them."""

import dataclasses

import numpy as np

from causal_iqa.data.sources import Example, Source


class DerivedSource:
    """A source with the name, split, classes and shape of the source from which it is derived, `source`."""

    source: Source

    @property
    def name(self) -> str:
        """Where the images come from."""
        return self.source.name

    @property
    def split(self) -> str | None:
        """The part of the dataset that the source is."""
        return self.source.split

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in label order."""
        return self.source.class_names

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """(height, width) shared by all images."""
        return self.source.image_shape


@dataclasses.dataclass(frozen=True, eq=False)
class Part(DerivedSource):
    """Images of a source by their positions, for instance those that are held out of training.

    Attributes:
      source: the source that holds them.
      indices: int [n], their positions in it.
    """

    source: Source
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Example:
        return self.source[int(self.indices[index])]

    def id(self, index: int) -> str:
        """Returns an image's id."""
        return self.source.id(int(self.indices[index]))

    def label(self, index: int) -> int:
        """Returns an image's label."""
        return self.source.label(int(self.indices[index]))
