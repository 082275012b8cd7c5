"""Existing degraded images: the tree of `causal-iqa degrade`, ImageNet-C's, or the arrays of CIFAR-10-C.

Folders: <condition>/<severity>/<path of the image>, any ending, or the records of `degrade`. Arrays: <condition>.npy,
uint8 [5 n, H, W, 3], severity after severity, beside labels.npy; the row of an image is the number that ends its id, or
its position in the dataset where ids do not name all rows.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from causal_iqa import _checks, _files, _reading, copies, data
from causal_iqa.data import decoding, formats, names
from causal_iqa.degradations import CLEAN, MAX_SEVERITY, Condition

_LABELS, _MANIFEST = "labels.npy", "manifest.json"
_NUMBER = re.compile(r"(\d+)(\.\w+)?$")
_SEVERITY = re.compile(r"\d+(\.\d+)?(\+\d+(\.\d+)?)*")
# Endings tried for a copy after that of the image.
_ENDINGS = (".png", ".jpg", ".JPEG", ".jpeg", ".webp", ".bmp")


@dataclasses.dataclass(frozen=True)
class Tree:
    """Degraded images on disk.

    Attributes:
      root: the folder.
      folders: condition -> its folder relative to the root; empty for arrays.
      arrays: condition -> (name of the file, which fifth of it); empty for folders.
      labels: labels of the rows of one severity; None for folders.
      has_clean: whether it also holds the clean images.
      details: the conditions in its manifest, JSON values.
      records: reader of its copies where they are records; None for files.
    """

    root: pathlib.Path
    folders: Mapping[Condition, str]
    arrays: Mapping[Condition, tuple[str, int]]
    labels: np.ndarray | None
    has_clean: bool
    details: Mapping[str, Any]
    records: copies.RecordReader | None = None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The degraded conditions, in the order of their names."""
        return tuple(self.folders or self.arrays)

    @property
    def clean_spec(self) -> str:
        """The clean images as `data.open_source` takes them; InputError when there are none."""
        if not self.has_clean:
            raise _checks.InputError(
                f"images: {self.root} holds no clean images ({CLEAN}/0); say by --dataset which images were degraded"
            )
        if self.records is not None:
            raise _checks.InputError(
                f"images: {self.root} holds records; say by --dataset which images were degraded, e.g. "
                f"--dataset=tfds:{CLEAN}/0 --data_dir={self.root}"
            )
        clean = self.root / CLEAN / "0"
        # Without class folders the images have no labels, which a table of performance does not need.
        kind = "images" if any(entry.is_file() for entry in _sorted_entries(clean)) else "folder"
        return f"{kind}:{clean}"


def open_tree(path: str | os.PathLike[str]) -> Tree:
    """Looks at a folder of degraded images; opens none.

    Args:
      path: path of the folder.

    Returns:
      The tree.

    Raises:
      InputError: when the layout is none of those known, or several at once, naming what does not fit.
    """
    root = pathlib.Path(path).expanduser()
    entries = _sorted_entries(root)
    arrays = [e.name for e in entries if e.is_file() and e.name.endswith(".npy") and e.name != _LABELS]
    folders = [e.name for e in entries if e.is_dir() and e.name != copies.ANNOTATIONS]
    if arrays and folders:
        raise _checks.InputError(
            f"images: {root} holds arrays ({arrays[0]}) and folders ({folders[0]}); expected one of the two layouts"
        )
    if arrays:
        return _array_tree(root, arrays)
    if folders:
        return _folder_tree(root, folders)
    raise _checks.InputError(
        f"images: nothing degraded in {root}; expected <condition>/<severity>/... or <condition>.npy with {_LABELS}"
    )


def _sorted_entries(root: pathlib.Path) -> list[os.DirEntry]:
    try:
        return sorted((e for e in os.scandir(root) if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise _checks.InputError(f"images: {str(root)!r} cannot be read: {_reading.reason_of(error)}") from error


def _folder_tree(root: pathlib.Path, found: Sequence[str]) -> Tree:
    folders, has_clean = {}, False
    for name in found:
        severities = [entry.name for entry in _sorted_entries(root / name) if entry.is_dir()]
        for severity in severities:
            if not _SEVERITY.fullmatch(severity):
                raise _checks.InputError(
                    f"images: {root / name} holds {severity!r}; expected <condition>/<severity>/..., severities numbers"
                )
            if name == CLEAN:
                has_clean = True
                continue
            folders[_condition(name, severity, root)] = f"{name}/{severity}"
    if not folders:
        raise _checks.InputError(f"images: no <condition>/<severity> below {root}; expected e.g. {found[0]}/1")
    of_records = {condition: copies.is_dataset(root / folder) for condition, folder in folders.items()}
    if any(of_records.values()) and not all(of_records.values()):
        odd = next(folders[condition] for condition, found in of_records.items() if not found)
        raise _checks.InputError(f"images: {root} holds records, but {odd} has none; expected one of the two layouts")
    reader = copies.RecordReader(root) if any(of_records.values()) else None
    return Tree(root, folders, {}, None, has_clean, _manifest(root), reader)


def _manifest(root: pathlib.Path) -> dict[str, Any]:
    try:
        told = _files.read_json(root / _MANIFEST)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _checks.InputError(f"images: {root / _MANIFEST} cannot be read ({error})") from error
    return {name: told[name] for name in ("config", "conditions", "passports", "software") if name in told}


def _condition(folder: str, severity: str, root: pathlib.Path) -> Condition:
    labels, severities = copies.degradation_of(folder).split("+"), severity.split("+")
    if len(severities) != len(labels):
        raise _checks.InputError(f"images: {root / folder} has {len(labels)} steps, its folder {severity!r} others")
    try:
        return Condition.parse("+".join(f"{a}/{b}" for a, b in zip(labels, severities, strict=True)))
    except _checks.InputError as error:
        raise _checks.InputError(f"images: {root / folder}/{severity} is no condition: {error}") from error


def _array_tree(root: pathlib.Path, found: Sequence[str]) -> Tree:
    labels = _load(root / _LABELS)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) % MAX_SEVERITY or not len(labels):
        raise _checks.InputError(
            f"images: {root / _LABELS} should hold one label a row of the arrays, {MAX_SEVERITY} severities of each "
            f"image; it has the shape {labels.shape} and dtype {labels.dtype}"
        )
    blocks = labels.reshape(MAX_SEVERITY, -1)
    if (blocks != blocks[0]).any():
        raise _checks.InputError(f"images: {root / _LABELS} does not repeat the labels for every severity")
    arrays = {}
    for name in found:
        shape, dtype = (one := _load(root / name)).shape, one.dtype
        if dtype != np.uint8 or len(shape) != 4 or shape[0] != len(labels) or shape[-1] != 3:
            raise _checks.InputError(
                f"images: {root / name}: expected uint8 [{len(labels)}, H, W, 3], got {dtype} {list(shape)}"
            )
        for block in range(MAX_SEVERITY):
            arrays[_condition(name.removesuffix(".npy"), str(block + 1), root)] = (name, block)
    return Tree(root, {}, arrays, np.asarray(blocks[0], np.int64), False, {})


def _load(path: pathlib.Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _checks.InputError(f"images: {path} cannot be read: {_reading.reason_of(error)}") from error


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
        self._arrays = {name: _load(tree.root / name) for name in {name for name, _ in tree.arrays.values()}}
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


def num_rows(tree: Tree) -> int:
    """Returns the number of images of one severity in a tree of arrays."""
    assert tree.labels is not None, "arrays come with labels"
    return len(tree.labels)


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
                f"images: {wrong.size} of {len(indices)} labels are not those of {tree.root / _LABELS}, first that of "
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
    """Says what defines the conditions of a study whose images were degraded before.

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
