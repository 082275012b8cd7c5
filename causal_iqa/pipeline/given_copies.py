"""Images of a study joined with degraded copies of them that exist already, in a tree of `copy_trees`."""

import functools
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from causal_iqa import _checks, data
from causal_iqa.data import decoding, formats, names
from causal_iqa.degradations import Condition
from causal_iqa.pipeline.copy_trees import LABELS, Tree, load_array, num_rows

_NUMBER = re.compile(r"(\d+)(\.\w+)?$")
# Endings tried for a copy after that of the image.
_ENDINGS = (".png", ".jpg", ".JPEG", ".jpeg", ".webp", ".bmp")


class WithCopies(data.DerivedSource):
    """A source of clean images that reads their degraded copies along: images are [C, S, S, 3], clean first.

    Everything else of the clean source is passed through.
    """

    def __init__(self, source: data.Source, tree: Tree, conditions: Sequence[Condition]):
        """Joins images and copies.

        Args:
          source: source of the clean images.
          tree: tree of the copies.
          conditions: clean first.
        """
        self.source, self.tree, self.conditions = source, tree, tuple(conditions)
        self.stacked = (len(self.conditions),)
        self._arrays = {name: load_array(tree.root / name) for name in {name for name, _ in tree.arrays.values()}}
        # Side of copies that are central squares of larger clean images, as those of ImageNet-C are.
        self.side_of_squares: int | None = None
        # Whether rows of arrays are positions in the source, whose ids do not say them.
        self.rows_are_positions = tree.labels is not None and _rows_are_positions(source, tree)

    def __getattr__(self, name: str) -> Any:
        if name in ("source", "batch"):
            raise AttributeError(name)
        return getattr(self.source, name)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> data.Example:
        return self.source[index]

    def id(self, index: int) -> str:
        """Returns the id of an image."""
        return self.source.id(index)

    def label(self, index: int) -> int:
        """Returns the label of an image."""
        return self.source.label(index)

    def framed(self, index: int, frame: Callable[[np.ndarray], np.ndarray]) -> data.Example:
        """Reads an image under all conditions.

        Args:
          index: index of the image.
          frame: brings uint8 [H, W, 3] to the size of the study.

        Returns:
          The example, its image uint8 [C, size, size, 3].

        Raises:
          UnreadableImage: when it or a copy is missing or cannot be read.
          InputError: when a copy is of another size than the clean image.
        """
        example = self.source[index]
        whole, side = example.image, self.side_of_squares
        if side is not None and whole.shape[:2] != (side, side):
            # A network receives the whole copy, which is not cropped again.
            whole = data.fit(whole, side, crop_fraction=data.CROP_FRACTION)
            size = len(frame(whole))
            frame = functools.partial(data.fit, size=size, crop_fraction=1.0)
        found = [frame(whole)]
        for condition in self.conditions[1:]:
            pixels = self._copy(index, example.id, condition)
            if pixels.shape != whole.shape:
                raise _checks.InputError(
                    f"images: {example.id!r} has {pixels.shape[0]} x {pixels.shape[1]} pixels under {condition} and "
                    f"{example.image.shape[0]} x {example.image.shape[1]} clean; expected the images that were degraded"
                )
            found.append(frame(pixels))
        return example._replace(image=np.stack(found))

    def row(self, index: int) -> int:
        """Returns the row of an image among those of one severity of the arrays."""
        return int(index) if self.rows_are_positions else row_of(self.source.id(int(index)), self.tree)

    def _copy(self, index: int, id: str, condition: Condition) -> np.ndarray:
        if condition in self.tree.arrays:
            name, block = self.tree.arrays[condition]
            return np.asarray(self._arrays[name][block * num_rows(self.tree) + self.row(index)])
        max_pixels = getattr(self.source, "max_pixels", data.MAX_PIXELS)
        path = self.path(id, condition)
        if path is None:
            raise data.UnreadableImage(id, f"no copy under {condition}")
        try:
            if self.tree.records is not None:
                content = self.tree.records.content(self.tree.folders[condition], id)
                assert content is not None, "its place is known"
                return decoding.decode(content, id, orient=False, max_pixels=max_pixels)
            return decoding.read(path, path.name, max_pixels=max_pixels)
        except data.UnreadableImage as error:
            raise data.UnreadableImage(id, f"its copy under {condition}: {error.reason}") from error

    def path(self, id: str, condition: Condition) -> pathlib.Path | None:
        """Returns the file that holds a copy, None where there is none."""
        if self.tree.records is not None:
            place = self.tree.records.place(self.tree.folders[condition], id)
            return None if place is None else self.tree.root / place[0]
        name = names.name_of(id)
        stem, ending = os.path.splitext(name)
        folder = self.tree.root / self.tree.folders[condition]
        for candidate in (name, *(base + e for base in (name, stem) for e in (ending, *_ENDINGS) if e)):
            if os.path.isfile(folder / candidate) and formats.is_image(candidate):
                return folder / candidate
        return None


def row_of(id: str, tree: Tree) -> int:
    """Returns the row of an image within one severity: the number at the end of its id; else InputError."""
    found = _NUMBER.search(id)
    if found is None or int(found[1]) >= num_rows(tree):
        raise _checks.InputError(
            f"images: {id!r} names no row of {tree.root}: expected an id that ends in a number below {num_rows(tree)}"
        )
    return int(found[1])


def _rows_are_positions(source: data.Source, tree: Tree) -> bool:
    """Whether the images are as many as the rows and their ids do not end in the numbers of all rows, each once."""
    if len(source) != num_rows(tree):
        return False
    found = [_NUMBER.search(source.id(index)) for index in range(len(source))]
    return {int(one[1]) for one in found if one is not None} != set(range(len(source)))


def join(source: data.Source, tree: Tree, conditions: Sequence[Condition], indices: np.ndarray) -> WithCopies:
    """Joins a study's images with their copies, and checks what can be checked before they are read.

    Args:
      source: source of the clean images.
      tree: tree of the copies.
      conditions: conditions of the study, clean first.
      indices: the images of the study.

    Returns:
      The source of both.

    Raises:
      InputError: when none of the images has a copy, or labels contradict each other.
    """
    joined = WithCopies(source, tree, conditions)
    if tree.labels is not None:
        rows = np.asarray([joined.row(int(i)) for i in indices])
        ours, theirs = data.labels_of(source, indices), tree.labels[rows]
        # Images without classes have performance from a table, and nothing that could contradict.
        wrong = np.flatnonzero(ours != theirs) if source.class_names else np.zeros(0, int)
        if wrong.size:
            first = source.id(int(indices[wrong[0]]))
            how = "position among the images" if joined.rows_are_positions else "number that ends its id"
            raise _checks.InputError(
                f"images: {wrong.size} of {len(indices)} labels are not those of {tree.root / LABELS}, first that of "
                f"{first!r}: {ours[wrong[0]]} here, {theirs[wrong[0]]} in row {rows[wrong[0]]}, the {how}; expected "
                "the images that were degraded: ids that end in the number of the row, or all "
                f"{num_rows(tree)} in the order of the rows"
            )
    elif all(joined.path(source.id(int(i)), condition) is None for condition in conditions[1:] for i in indices[:8]):
        raise _checks.InputError(
            f"images: no copy of {source.id(int(indices[0]))!r} below {tree.root}; expected e.g. "
            f"{next(iter(tree.folders.values()))}/{source.id(int(indices[0]))} (any ending)"
        )
    else:
        joined.side_of_squares = _side_of_squares(joined, indices)
    return joined


def _side_of_squares(joined: WithCopies, indices: np.ndarray) -> int | None:
    """Side of the copies where the first existing copy is square, and smaller than its clean image."""
    file: Callable[[int], pathlib.Path] | None = getattr(joined.source, "file", None)
    if file is None or joined.tree.records is not None or getattr(joined.source, "framing", None) == "whole":
        return None
    for i in indices[:8]:
        path = joined.path(joined.source.id(int(i)), joined.conditions[1])
        if path is None:
            continue
        with open(path, "rb") as copy, open(file(int(i)), "rb") as clean:
            own, whole = decoding.upright_size(copy, path.name), decoding.upright_size(clean, joined.source.id(int(i)))
        if own is not None and whole is not None and own != whole and own[0] == own[1] <= min(whole):
            return own[0]
        return None
    return None


def stamp(joined: WithCopies, indices: np.ndarray) -> str:
    """Returns a digest of the copies that a study reads: their places, sizes and times of change.

    Args:
      joined: images and copies.
      indices: the images of the study.
    """
    digest = hashlib.sha256()
    if joined.tree.arrays:
        paths = [joined.tree.root / name for name in sorted(joined._arrays)]
    else:
        found = (joined.path(joined.source.id(int(i)), c) for c in joined.conditions[1:] for i in indices)
        # Records share their files.
        paths = list(dict.fromkeys(path for path in found if path is not None))
    for path in paths:
        status = os.stat(path)
        place = os.fsencode(path.relative_to(joined.tree.root))
        digest.update(b"%s %d %d\n" % (place, status.st_size, status.st_mtime_ns))
    return digest.hexdigest()


def details(joined: WithCopies) -> dict[str, Any]:
    """Describes what defines the conditions of a study whose images were degraded before.

    Args:
      joined: images and copies.

    Returns: The result of `config.degradation_details`, with "images", the place of the copies, and "manifest", the
      content of theirs.
    """
    told = json.loads(json.dumps(joined.tree.details))
    family = {one["family"] for one in told.get("conditions", {}).values()}
    layout = "arrays" if joined.tree.arrays else "folders" if joined.tree.records is None else "records"
    remarks = (
        [] if told else [f"images: {joined.tree.root} has no manifest; how its {layout} were made is not recorded"]
    )
    if joined.rows_are_positions:
        remarks.append(
            f"images: the row of an image in {joined.tree.root} is its position in the dataset, as the ids of the "
            "images do not end in the numbers of the rows"
        )
    if (side := joined.side_of_squares) is not None:
        remarks.append(
            f"images: copies are squares of {side} pixels, the clean images are larger: of these the central square of "
            f"{data.CROP_FRACTION:g} of the shorter side is taken, at {side} pixels, as ImageNet-C was made"
        )
    return {
        "images": str(joined.tree.root),
        "family": ", ".join(sorted(filter(None, family))) or None,
        "quantise": None,
        "stored": None,
        "conditions": [condition.to_json() for condition in joined.conditions],
        "passports": told.get("passports", {}),
        "manifest": told,
        "remarks": remarks,
    }
