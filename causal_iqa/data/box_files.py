"""Boxes of images from COCO JSON, YOLO text and VOC XML: one small reader each, all into one form."""

import json
import math
import pathlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from causal_iqa import _checks, _reading

FORMATS = {".json": "COCO JSON", ".txt": "YOLO text", ".xml": "VOC XML"}
# How far outside its image a box may reach, as a fraction of the side: annotators and roundings do, by a pixel.
_SLACK = 0.01


class Boxes(NamedTuple):
    """Objects of one image: boxes float32 [n, 4], left, top, right, bottom as fractions of the sides; classes int32."""

    boxes: np.ndarray
    classes: np.ndarray


NOTHING = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int32))


class BoxFile(NamedTuple):
    """What annotation files say.

    Attributes:
      class_names: names of the classes in label order.
      of_image: name of the image's file without its ending, or with it in COCO, -> objects.
      with_ending: whether the names have their endings.
      remarks: lines that a user should read.
      sizes: name -> (height, width) in pixels that the annotations are for, where the format says it.
    """

    class_names: tuple[str, ...]
    of_image: Mapping[str, Boxes]
    with_ending: bool
    remarks: tuple[str, ...]
    sizes: Mapping[str, tuple[float, float]]


def read_boxes(path: pathlib.Path, class_names: Sequence[str] | None) -> BoxFile:
    """Reads boxes in the format that the files' endings tell.

    Args:
      path: a COCO JSON file, or a folder of YOLO text or of VOC XML files.
      class_names: names of the classes in label order; None takes those of the COCO file, ordered by id; the other
        formats need them.

    Returns:
      The boxes.

    Raises:
      InputError: in one line, for a file that cannot be read, a class that is not listed, or a box that is none or lies
        outside its image; it names the first and says how many there are.

    Examples:
      >>> import json, pathlib, tempfile
      >>> boxes = [{"image_id": 1, "category_id": 7, "bbox": [1, 1, 4, 4]}]
      >>> files, classes = [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}], [{"id": 7, "name": "cat"}]
      >>> content = {"images": files, "annotations": boxes, "categories": classes}
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     file = pathlib.Path(folder, "boxes.json")
      ...     _ = file.write_text(json.dumps(content))
      ...     found = data.read_boxes(file, None)
      >>> found.class_names
      ('cat',)
    """
    path = pathlib.Path(path).expanduser()
    try:
        if path.is_file():
            endings = {path.suffix}
        else:
            endings = {file.suffix for file in path.iterdir() if file.suffix in FORMATS and file.is_file()}
    except OSError as error:
        raise _checks.InputError(f"annotations: {path} cannot be read: {_reading.reason_of(error)}") from error
    if len(endings) != 1 or not endings <= set(FORMATS):
        kinds = ", ".join(f"{name} ({ending})" for ending, name in FORMATS.items())
        raise _checks.InputError(
            f"annotations: expected one kind of {kinds} in {path}, got {', '.join(sorted(endings)) or 'none'}"
        )
    ending = endings.pop()
    if ending == ".json":
        return _read_coco(path, class_names)
    if class_names is None:
        raise _checks.InputError(
            f"annotations: {FORMATS[ending]} needs --classes=FILE, one class a line in label order"
        )
    files = sorted(path.glob(f"*{ending}")) if path.is_dir() else [path]
    unknown, sizes = [], {}
    if ending == ".txt":
        rows = [(file.stem, *row) for file in files for row in _yolo_rows(file, len(class_names), unknown)]
    else:
        rows = [(file.stem, *row) for file in files for row in _voc_rows(file, class_names, unknown, sizes)]
    _refuse_classes(unknown, path, len(class_names))
    return BoxFile(tuple(class_names), _gathered(rows, [file.stem for file in files], path), False, (), sizes)


def _text(file: pathlib.Path) -> str:
    try:
        with _reading.open_regular(file) as opened:
            return opened.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _checks.InputError(f"annotations: {file} cannot be read: {_reading.reason_of(error)}") from error


def _gathered(rows: Sequence[tuple], names: Sequence[str], path: pathlib.Path) -> dict[str, Boxes]:
    """Rows (image, class, left, top, right, bottom) by image; refuses boxes that are none."""
    values = np.array([row[1:] for row in rows], np.float64).reshape(-1, 5)
    low, high = values[:, 1:3], values[:, 3:5]
    for bad, what in (
        (~np.isfinite(values).all(axis=1), "is not finite"),
        ((high <= low).any(axis=1), "has no area"),
        ((low < -_SLACK).any(axis=1) | (high > 1 + _SLACK).any(axis=1), "lies outside its image"),
    ):
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            corners = ", ".join(f"{value:.3f}" for value in values[first, 1:])
            raise _checks.InputError(
                f"annotations: box ({corners}) of {rows[first][0]} in {path} {what} ({int(bad.sum())} such boxes)"
            )
    places: dict[str, list[int]] = {name: [] for name in names}
    for place, row in enumerate(rows):
        places[row[0]].append(place)
    clipped = np.clip(values[:, 1:], 0.0, 1.0).astype(np.float32)
    return {
        name: Boxes(clipped[own], values[own, 0].astype(np.int32)) if own else NOTHING for name, own in places.items()
    }


def _refuse_classes(unknown: Sequence[tuple[str, object]], path: pathlib.Path, known: int) -> None:
    if unknown:
        name, found = unknown[0]
        raise _checks.InputError(
            f"annotations: class {found!r} of {name} in {path} is none of the {known} listed ({len(unknown)} such "
            "boxes)"
        )


def _yolo_rows(file: pathlib.Path, num_classes: int, unknown: list[tuple[str, object]]) -> list[tuple]:
    """Rows (class, left, top, right, bottom) of lines "class centre_x centre_y width height", all relative.

    Classes that are not listed are added to `unknown`, (where, class).
    """
    rows = []
    for number, line in enumerate(_text(file).splitlines(), 1):
        if not line.strip():
            continue
        cells = line.split()
        try:
            label, x, y, width, height = int(cells[0]), *map(float, cells[1:5])
            if len(cells) != 5:
                raise ValueError
        except (ValueError, TypeError) as error:
            raise _checks.InputError(
                f"annotations: line {number} of {file} is {line.strip()[:60]!r}; expected class, centre x, centre y, "
                "width, height"
            ) from error
        if not 0 <= label < num_classes:
            unknown.append((f"line {number} of {file.name}", label))
        rows.append((label, x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return rows


def _inner(element: ElementTree.Element, path: str) -> str:
    """The text of a part of an element; ValueError where there is none."""
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"no {path}")
    return text


def _voc_rows(
    file: pathlib.Path,
    class_names: Sequence[str],
    unknown: list[tuple[str, object]],
    sizes: dict[str, tuple[float, float]],
) -> list[tuple]:
    """Rows of a VOC annotation: corners count pixels from 1 and belong to the box.

    Classes that are not listed are added to `unknown`, (where, class), the size of the image to `sizes`.
    """
    try:
        root = ElementTree.fromstring(_text(file))
        width, height = (float(_inner(root, f"size/{name}")) for name in ("width", "height"))
        if not (width > 0 and height > 0):
            raise ValueError("a size that is not positive")
        sizes[file.stem] = height, width
        rows = []
        for one in root.findall("object"):
            name = _inner(one, "name").strip()
            left, top, right, bottom = (
                float(_inner(one, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")
            )
            if name not in class_names:
                unknown.append((file.name, name))
                continue
            label = list(class_names).index(name)
            rows.append((label, (left - 1) / width, (top - 1) / height, right / width, bottom / height))
    except (ElementTree.ParseError, AttributeError, ValueError, TypeError) as error:
        if isinstance(error, _checks.InputError):
            raise
        raise _checks.InputError(
            f"annotations: {file} is no VOC annotation with size, object/name and object/bndbox ({error})"
        ) from error
    return rows


def _read_coco(path: pathlib.Path, class_names: Sequence[str] | None) -> BoxFile:
    """Boxes left, top, width, height in pixels; crowds, which are no single objects, are left out and counted."""
    try:
        found = json.loads(_text(path))
        categories = {one["id"]: str(one["name"]) for one in sorted(found["categories"], key=lambda one: one["id"])}
        images = {
            one["id"]: (str(one["file_name"]), float(one["width"]), float(one["height"])) for one in found["images"]
        }
        annotations = [
            (one["image_id"], one["category_id"], *map(float, one["bbox"]))
            for one in found["annotations"]
            if not one.get("iscrowd")
        ]
        crowds = len(found["annotations"]) - len(annotations)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, _checks.InputError):
            raise
        raise _checks.InputError(
            f"annotations: {path} is no COCO file with images, categories and annotations "
            f"({type(error).__name__}: {' '.join(str(error).split())[:80]})"
        ) from error
    names = tuple(class_names) if class_names is not None else tuple(categories.values())
    lost = [one for one in annotations if one[0] not in images]
    if lost:
        raise _checks.InputError(
            f"annotations: image id {lost[0][0]!r} of {path} is not among its images ({len(lost)} such boxes)"
        )
    flat = [name for name, wide, high in images.values() if not (0 < wide < math.inf and 0 < high < math.inf)]
    if flat:
        raise _checks.InputError(
            f"annotations: the size of {flat[0]} in {path} is no width and height ({len(flat)} such images)"
        )
    label_of = {key: names.index(name) for key, name in categories.items() if name in names}
    unknown = [
        (images[image][0], categories.get(category, category))
        for image, category, *_ in annotations
        if category not in label_of
    ]
    _refuse_classes(unknown, path, len(names))
    rows = []
    for image, category, left, top, width, height in annotations:
        name, wide, high = images[image]
        rows.append((name, label_of[category], left / wide, top / high, (left + width) / wide, (top + height) / high))
    sizes = {name: (high, wide) for name, wide, high in images.values()}
    told = (f"annotations: {crowds} crowds of {path} are left out",) if crowds else ()
    return BoxFile(names, _gathered(rows, [name for name, *_ in images.values()], path), True, told, sizes)
