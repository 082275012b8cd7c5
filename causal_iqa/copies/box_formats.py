"""Boxes of clean images as files of COCO JSON, YOLO text or VOC XML, and the same files for the copies of a condition.

What a format says beside its boxes (categories, names, poses) is kept. COCO's segmentations are moved with the picture
and become run lengths, as a moved outline is no polygon of the file's own corners any more.
"""

import collections
import json
import os
import pathlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from causal_iqa import _checks, _reading
from causal_iqa.copies import geometry, moving, outlines
from causal_iqa.degradations import Condition


class Copies(NamedTuple):
    """The copies of one condition.

    Attributes:
      condition: the condition.
      seed: seed of the degradations.
      ids: ids of the images.
      names: name of each copy, or of its record.
      stems: name of a file beside each copy, without ending.
      size: place of an image -> (height, width), zeros where it cannot be read.
    """

    condition: Condition
    seed: int
    ids: Sequence[str]
    names: Sequence[str]
    stems: Sequence[str]
    size: Callable[[int], tuple[int, int]]


class File(NamedTuple):
    """One file: path behind the folder of the condition, content, and boxes of which nothing is left in the copies."""

    ending: str
    content: bytes
    gone: int


class Boxes(Protocol):
    """Boxes of some images in one format."""

    known: frozenset[str]

    def check(self, condition: Condition) -> None:
        """Raises an InputError for annotations that the condition would have to move and this library cannot move."""
        ...

    def moved(self, copies: Copies) -> Iterator[File]:
        """Yields the files for the copies of a condition."""
        ...


def open_boxes(path: str | os.PathLike[str], ids: Sequence[str]) -> Boxes:
    """Opens boxes in the format that the endings tell.

    Args:
      path: COCO JSON file, or a folder of YOLO text or VOC XML files with the names of the images.
      ids: ids of the images.

    Returns:
      The boxes; `known` holds the ids that they speak of.

    Raises:
      InputError: when they cannot be read, or are of no such format, or of several.
    """
    path = pathlib.Path(path).expanduser()
    if not path.is_dir():
        return _Coco(path, ids)
    found: dict[str, dict[str, pathlib.Path]] = {".txt": {}, ".xml": {}}
    for file in sorted(path.rglob("*")):
        if file.suffix in found and file.is_file():
            found[file.suffix][file.relative_to(path).with_suffix("").as_posix()] = file
    kinds = {ending: _by_id(files, ids) for ending, files in found.items()}
    joined = {ending: files for ending, files in kinds.items() if files}
    if len(joined) > 1:
        raise _checks.InputError(f"boxes: {path} holds YOLO text (.txt) and VOC XML (.xml); expected one of the two")
    if not joined:
        number = sum(map(len, found.values()))
        raise _checks.InputError(
            f"boxes: none of the {number} .txt and .xml files in {path} has the name of an image, e.g. "
            f"{_stem(ids[0])}.txt; expected a COCO JSON file, or a folder of YOLO text or VOC XML files"
        )
    ending, files = joined.popitem()
    return _Yolo(files) if ending == ".txt" else _Voc(files)


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _by_id(files: Mapping[str, pathlib.Path], ids: Sequence[str]) -> dict[str, pathlib.Path]:
    """Image id -> its file: by the whole path without ending, else by the name where no two images share it."""
    stems = [os.path.basename(_stem(id)) for id in ids]
    count = collections.Counter(stems)
    found = {
        id: files.get(_stem(id)) or (files.get(name) if count[name] == 1 else None)
        for id, name in zip(ids, stems, strict=True)
    }
    return {id: file for id, file in found.items() if file is not None}


def _text(file: pathlib.Path) -> str:
    try:
        with _reading.open_regular(file) as opened:
            return opened.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _checks.InputError(f"boxes: {file} cannot be read: {_reading.reason_of(error)}") from error


def _moved(corners: np.ndarray, copies: Copies, place: int) -> np.ndarray:
    """Boxes [N, 4] in pixels on the copy; NaN where nothing is left."""
    height, width = copies.size(place)
    return moving.move_boxes(corners, height, width, copies.condition, seed=copies.seed, image_id=copies.ids[place])


def _refuse_empty(corners: np.ndarray, file: pathlib.Path | str) -> None:
    bad = ~(corners[:, 2:] > corners[:, :2]).all(axis=1)
    if bad.any():
        first = ", ".join(f"{value:g}" for value in corners[np.flatnonzero(bad)[0]])
        raise _checks.InputError(f"boxes: box ({first}) of {file} has no area ({int(bad.sum())} such boxes)")


class _Yolo:
    """Lines "class centre_x centre_y width height", relative to the sides."""

    def __init__(self, files: Mapping[str, pathlib.Path]):
        self.known = frozenset(files)
        self._rows = {id: self._read(file) for id, file in files.items()}

    @staticmethod
    def _read(file: pathlib.Path) -> tuple[str, list[str], np.ndarray]:
        text, classes, values = _text(file), [], []
        for number, line in enumerate(text.splitlines(), 1):
            cells = line.split()
            if not cells:
                continue
            try:
                if len(cells) != 5:
                    raise ValueError
                values.append([float(cell) for cell in cells[1:]])
            except ValueError as error:
                raise _checks.InputError(
                    f"boxes: line {number} of {file} is {line.strip()[:60]!r}; expected class, centre x, centre y, "
                    "width, height (outlines and poses are not moved)"
                ) from error
            classes.append(cells[0])
        rows = np.array(values, np.float64).reshape(-1, 4)
        corners = np.concatenate([rows[:, :2] - rows[:, 2:] / 2, rows[:, :2] + rows[:, 2:] / 2], axis=1)
        _refuse_empty(corners, file)
        return text, classes, corners

    def check(self, condition: Condition) -> None:
        """All that such files say is moved."""

    def moved(self, copies: Copies) -> Iterator[File]:
        for place, id in enumerate(copies.ids):
            if id not in self.known:
                continue
            text, classes, corners = self._rows[id]
            height, width = copies.size(place)
            gone = 0
            if geometry.moves(copies.condition) and len(classes) and height and width:
                sides = np.array([width, height, width, height], np.float64)
                own = _moved(corners * sides, copies, place) / sides
                lines = []
                for name, (left, top, right, bottom) in zip(classes, own, strict=True):
                    if np.isnan(left):
                        gone += 1
                        continue
                    numbers = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
                    lines.append(" ".join([name, *(f"{value:.6f}" for value in numbers)]))
                text = "".join(f"{line}\n" for line in lines)
            yield File(f"/{copies.stems[place]}.txt", text.encode(), gone)


class _Voc:
    """Annotations of PASCAL VOC: corners count pixels from 1 and belong to the box."""

    _SIDES = ("xmin", "ymin", "xmax", "ymax")

    def __init__(self, files: Mapping[str, pathlib.Path]):
        self.known = frozenset(files)
        self._files = dict(files)

    def _read(self, id: str) -> tuple[ElementTree.Element, list[tuple[ElementTree.Element, ElementTree.Element]]]:
        """The annotation, and every element in it that has a box, with its parent."""
        file = self._files[id]
        try:
            root = ElementTree.fromstring(_text(file))
            boxed = [(parent, child) for parent in root.iter() for child in parent if child.find("bndbox") is not None]
            for _, child in boxed:
                for side in self._SIDES:
                    float(self._side(child, side))
        except (ElementTree.ParseError, ValueError, TypeError) as error:
            raise _checks.InputError(f"boxes: {file} is no VOC annotation with object/bndbox ({error})") from error
        return root, boxed

    @staticmethod
    def _side(child: ElementTree.Element, side: str) -> str:
        text = child.findtext(f"bndbox/{side}")
        if text is None:
            raise ValueError(f"no bndbox/{side}")
        return text

    def check(self, condition: Condition) -> None:
        """All that such files say is moved."""

    def moved(self, copies: Copies) -> Iterator[File]:
        for place, id in enumerate(copies.ids):
            if id not in self.known:
                continue
            root, boxed = self._read(id)
            name = root.find("filename")
            if name is not None:
                name.text = os.path.basename(copies.names[place])
            gone = 0
            if geometry.moves(copies.condition) and boxed and all(copies.size(place)):
                corners = np.array([[float(self._side(child, side)) for side in self._SIDES] for _, child in boxed])
                shift = np.array([1.0, 1.0, 0.0, 0.0])
                corners -= shift
                _refuse_empty(corners, self._files[id])
                for (parent, child), box in zip(boxed, _moved(corners, copies, place), strict=True):
                    if np.isnan(box[0]):
                        # A part goes with its object.
                        gone += child in list(parent)
                        parent.remove(child)
                        continue
                    for side, value in zip(self._SIDES, box + shift, strict=True):
                        found = child.find(f"bndbox/{side}")
                        assert found is not None, "every side was read"
                        found.text = f"{value:g}"
            yield File(f"/{copies.stems[place]}.xml", ElementTree.tostring(root), gone)


class _Coco:
    """One file for all images: boxes left, top, width, height in pixels, outlines as polygons or run lengths."""

    def __init__(self, path: pathlib.Path, ids: Sequence[str]):
        self._told = self._read(path)
        self._path = path
        self._row = self._joined(self._told["images"], ids)
        self.known = frozenset(self._row)
        self._of_image: dict[Any, list[dict[str, Any]]] = {}
        for row in self._told["annotations"]:
            self._of_image.setdefault(row["image_id"], []).append(row)

    @staticmethod
    def _read(path: pathlib.Path) -> dict[str, Any]:
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            images, rows = told["images"], told["annotations"]
            assert all({"id", "file_name"} <= set(one) for one in images)
            assert all({"image_id", "bbox"} <= set(one) and len(one["bbox"]) == 4 for one in rows)
        except OSError as error:
            raise _checks.InputError(f"boxes: {path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise _checks.InputError(
                f"boxes: {path} is no COCO JSON file: expected images with id and file_name, and annotations with "
                "image_id and bbox [left, top, width, height]"
            ) from error
        return told

    @staticmethod
    def _joined(images: list[dict[str, Any]], ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Image id -> its row of the file: by the whole path, else by the name where no two images share it."""
        rows = {one["file_name"]: one for one in images}
        short = collections.Counter(os.path.basename(id) for id in ids)
        found = {}
        for id in ids:
            name = os.path.basename(id)
            row = rows.get(id) or (rows.get(name) if short[name] == 1 else None)
            if row is not None:
                found[id] = row
        return found

    def check(self, condition: Condition) -> None:
        if not geometry.moves(condition):
            return
        for id, row in self._row.items():
            for one in self._of_image.get(row["id"], []):
                outline = one.get("segmentation")
                what = ""
                if one.get("num_keypoints") or any(one.get("keypoints") or ()):
                    what = "keypoints"
                elif isinstance(outline, dict) and not isinstance(outline.get("counts"), list):
                    what = "a segmentation of compressed run lengths"
                if what:
                    raise _checks.InputError(
                        f"boxes: an annotation of {id} in {self._path} has {what}, which "
                        f"{', '.join(geometry.moves(condition))} would have to move; leave it out of the file"
                    )

    def moved(self, copies: Copies) -> Iterator[File]:
        images, annotations, gone = [], [], 0
        moves = bool(geometry.moves(copies.condition))
        self.check(copies.condition)
        for place, id in enumerate(copies.ids):
            if id not in self.known:
                continue
            row = self._row[id]
            images.append({**row, "file_name": copies.names[place]})
            own = self._of_image.get(row["id"], [])
            if not moves or not all(copies.size(place)):
                annotations += own
                continue
            found = self._moved(own, copies, place)
            gone += len(own) - len(found)
            annotations += found
        rest = {name: value for name, value in self._told.items() if name not in ("images", "annotations")}
        yield File(".json", json.dumps({**rest, "images": images, "annotations": annotations}).encode(), gone)

    def _moved(self, own: Sequence[dict[str, Any]], copies: Copies, place: int) -> list[dict[str, Any]]:
        """Annotations of one image, with moved boxes, as far as these are still in the image."""
        given = np.asarray([one["bbox"] for one in own], np.float64).reshape(-1, 4)
        corners = np.concatenate([given[:, :2], given[:, :2] + given[:, 2:]], axis=1)
        _refuse_empty(corners, self._path)
        kept = []
        for one, (left, top, right, bottom) in zip(own, _moved(corners, copies, place).tolist(), strict=True):
            if np.isnan(left):
                continue
            box = [left, top, right - left, bottom - top]
            kept.append({**one, "bbox": box, "area": box[2] * box[3]})
        outlined = [one for one in kept if one.get("segmentation")]
        if outlined:
            height, width = copies.size(place)
            fields = np.stack([outlines.filled(one["segmentation"], height, width) for one in outlined])
            regions = moving.move_regions(fields, copies.condition, seed=copies.seed, image_id=copies.ids[place])
            for one, region in zip(outlined, regions, strict=True):
                one["segmentation"], one["area"] = outlines.run_lengths(region), float(region.sum())
        return kept
