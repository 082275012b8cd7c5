"""Existing degraded images: the tree of `causal-iqa degrade`, ImageNet-C's, or the arrays of CIFAR-10-C.

Folders: <condition>/<severity>/<path of the image>, any ending, or the records of `degrade`. Arrays: <condition>.npy,
uint8 [5 n, H, W, 3], severity after severity, beside labels.npy; the row of an image is the number that ends its id, or
its position in the dataset where ids do not name all rows.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from causal_iqa import _checks, _files, _reading, copies
from causal_iqa.degradations import CLEAN, MAX_SEVERITY, Condition

LABELS, _MANIFEST = "labels.npy", "manifest.json"
_SEVERITY = re.compile(r"\d+(\.\d+)?(\+\d+(\.\d+)?)*")


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
    arrays = [e.name for e in entries if e.is_file() and e.name.endswith(".npy") and e.name != LABELS]
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
        f"images: nothing degraded in {root}; expected <condition>/<severity>/... or <condition>.npy with {LABELS}"
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
    labels = load_array(root / LABELS)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) % MAX_SEVERITY or not len(labels):
        raise _checks.InputError(
            f"images: {root / LABELS} should hold one label a row of the arrays, {MAX_SEVERITY} severities of each "
            f"image; it has the shape {labels.shape} and dtype {labels.dtype}"
        )
    blocks = labels.reshape(MAX_SEVERITY, -1)
    if (blocks != blocks[0]).any():
        raise _checks.InputError(f"images: {root / LABELS} does not repeat the labels for every severity")
    arrays = {}
    for name in found:
        shape, dtype = (one := load_array(root / name)).shape, one.dtype
        if dtype != np.uint8 or len(shape) != 4 or shape[0] != len(labels) or shape[-1] != 3:
            raise _checks.InputError(
                f"images: {root / name}: expected uint8 [{len(labels)}, H, W, 3], got {dtype} {list(shape)}"
            )
        for block in range(MAX_SEVERITY):
            arrays[_condition(name.removesuffix(".npy"), str(block + 1), root)] = (name, block)
    return Tree(root, {}, arrays, np.asarray(blocks[0], np.int64), False, {})


def load_array(path: pathlib.Path) -> np.ndarray:
    """Maps the file of an array into memory; InputError when it cannot be read."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _checks.InputError(f"images: {path} cannot be read: {_reading.reason_of(error)}") from error


def num_rows(tree: Tree) -> int:
    """Returns the number of images of one severity in a tree of arrays."""
    assert tree.labels is not None, "arrays come with labels"
    return len(tree.labels)
