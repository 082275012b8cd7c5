"""Images with masks or with boxes: the truth of tasks that are no classification.

Images and truths are stretched to a square as a whole, so that no object is cut. They have no label of their own; what
lies in them is each example's target.
"""

import csv
import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import PIL.Image

from causal_iqa import _checks, _reading
from causal_iqa.data import box_files, folder, walk
from causal_iqa.data.classes import read_classes
from causal_iqa.data.sources import Example, UnreadableImage

_SHOWN_VALUES = 5
# Of a class table: the values of a mask, and their labels; no label: what the value marks counts for nothing.
_COLUMNS = ("value", "name", "label")
UNKNOWN = -1


class Target(NamedTuple):
    """The truth of one image: a mask int16 [H, W], UNKNOWN where it is not known, or objects."""

    mask: np.ndarray | None = None
    boxes: box_files.Boxes | None = None


class MaskTable(NamedTuple):
    """What the values of masks mean: int16 [256] label of every value, UNKNOWN to be ignored; which are listed."""

    label: np.ndarray
    listed: np.ndarray
    class_names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class AnnotatedSource:
    """Images of a folder with their targets; `open_masks` and `open_boxes` build it.

    Attributes:
      name: "masks:PATH" or "boxes:PATH" as given.
      images: the images, unlabelled.
      target_kind: "masks" or "boxes".
      target_classes: names in label order.
      truths: id -> file of its mask, or its objects.
      table: table of the masks' values.
      remarks: lines that a user should read before the images are used.
    """

    name: str
    images: folder.FolderSource
    target_kind: str
    target_classes: tuple[str, ...]
    truths: Mapping[str, pathlib.Path | box_files.Boxes]
    table: MaskTable | None
    remarks: tuple[str, ...]
    split: str | None = None
    class_names: tuple[str, ...] = ()
    # How images become squares, see `batches`.
    framing: str = "whole"

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """(height, width) that all images share, else None."""
        return self.images.image_shape

    @property
    def most_boxes(self) -> int:
        """The most objects of an image."""
        return max((len(one.classes) for one in self.truths.values() if isinstance(one, box_files.Boxes)), default=0)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Example:
        example = self.images[index]
        return example._replace(target=self.target(index, example.image.shape[:2]))

    def target(self, index: int, shape: tuple[int, int] | None = None) -> Target:
        """Returns the truth of an image.

        Args:
          index: index of the image.
          shape: (height, width) that a mask must have; None: any.

        Raises:
          UnreadableImage: when its mask cannot be read.
          InputError: when its mask has another size, or values without a class.
        """
        found = self.truths[self.id(index)]
        if not isinstance(found, pathlib.Path):
            return Target(boxes=found)
        values = read_mask(found, self.id(index))
        if shape is not None and values.shape != shape:
            raise _checks.InputError(
                f"masks: {found.name} is {values.shape[1]} x {values.shape[0]} pixels, its image {self.id(index)} "
                f"{shape[1]} x {shape[0]} (1 such mask so far)"
            )
        assert self.table is not None, "masks come with the table of their values"
        return Target(mask=self.table.label[values])

    def id(self, index: int) -> str:
        """Returns the path of the image below its folder."""
        return self.images.id(index)

    def label(self, index: int) -> int:
        """Returns that there is no class."""
        return self.images.label(index)

    def file(self, index: int) -> pathlib.Path:
        """Returns the file of an image."""
        return self.images.file(index)

    def place(self, index: int) -> tuple:
        """Returns what tells the image from all others."""
        return self.images.place(index)

    def encoded_size(self, index: int) -> int:
        """Returns the size of the image's file in bytes."""
        return self.images.encoded_size(index)

    def content(self, index: int) -> bytes:
        """Returns a digest of the encoded image."""
        return self.images.content(index)


def read_mask_table(path: str | os.PathLike[str]) -> MaskTable:
    """Reads what the values of masks mean.

    Args:
      path: CSV with the columns value (0 to 255), name and label (from 0; empty: pixels of this value are ignored).
        Several values may share a label, whose name is then that of the first.

    Returns:
      The table.

    Raises:
      InputError: for another form, a value twice, or labels that leave one out.

    Examples:
      >>> import pathlib, tempfile
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     file = pathlib.Path(folder, "values.csv")
      ...     _ = file.write_text("value,name,label\\n0,sky,0\\n7,road,1\\n255,unknown,\\n")
      ...     table = data.read_mask_table(file)
      >>> table.class_names, int(table.label[7])
      (('sky', 'road'), 1)
    """
    try:
        with _reading.open_regular(path) as file:
            rows = list(csv.DictReader(file.read().decode("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _checks.InputError(f"classes: {path} cannot be read: {_reading.reason_of(error)}") from error
    if not rows or not set(_COLUMNS) <= set(rows[0]):
        raise _checks.InputError(
            f"classes: expected a table of masks with the columns {', '.join(_COLUMNS)} in {path}, got "
            f"{', '.join(map(str, rows[0])) if rows else 'no rows'}"
        )
    label, listed, names = np.full(256, UNKNOWN, np.int16), np.zeros(256, bool), {}
    for number, row in enumerate(rows, 2):
        try:
            value, own = int(row["value"]), row["label"].strip()
            own = UNKNOWN if own == "" else int(own)
            if not 0 <= value < 256 or own < UNKNOWN or listed[value]:
                raise ValueError
        except (ValueError, AttributeError, TypeError) as error:
            raise _checks.InputError(
                f"classes: line {number} of {path}: expected a new value from 0 to 255 and a label from 0 or none, got "
                f"{row['value']!r} and {row['label']!r}"
            ) from error
        label[value], listed[value] = own, True
        if own >= 0:
            names.setdefault(own, row["name"])
    if sorted(names) != list(range(len(names))) or not names:
        raise _checks.InputError(f"classes: expected labels 0 to {len(names) - 1} without a gap in {path}")
    return MaskTable(label, listed, tuple(names[one] for one in range(len(names))))


def read_mask(path: pathlib.Path, id: str) -> np.ndarray:
    """Reads a mask.

    Args:
      path: PNG or another format without loss, one value a pixel (modes L, P and 1).
      id: names the image in an error.

    Returns:
      uint8 [H, W].

    Raises:
      UnreadableImage: when it cannot be read, or has several channels.

    Examples:
      >>> import pathlib, tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     Image.fromarray(np.tri(2, dtype=np.uint8)).save(path := pathlib.Path(folder) / "mask.png")
      ...     data.read_mask(path, "mask").tolist()
      [[1, 0], [1, 1]]
    """
    try:
        with PIL.Image.open(path) as opened:
            if opened.mode not in ("L", "P", "1"):
                raise UnreadableImage(
                    id, f"its mask {path.name} has the mode {opened.mode}, expected one value a pixel"
                )
            return np.asarray(opened, np.uint8)
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, UnreadableImage):
            raise
        raise UnreadableImage(id, f"its mask {path.name} cannot be read: {_reading.reason_of(error)}") from error


def open_masks(
    images: str | os.PathLike[str],
    masks: str | os.PathLike[str],
    classes: str | os.PathLike[str] | MaskTable,
    *,
    max_pixels: int,
) -> AnnotatedSource:
    """Opens images with PNG masks of the same names in another folder. Images without a mask are left out and counted.

    Args:
      images: folder of images, of any depth.
      masks: folder in which the mask of a/b.jpg is a/b.png, one value a pixel.
      classes: see `read_mask_table`.
      max_pixels: the most pixels of an image that is decoded.

    Returns:
      The source.

    Raises:
      InputError: in one line, when nothing joins, or masks have another size or values without a class; it names the
        first and says how many there are. Every mask is read for that.

    Examples:
      >>> import pathlib, tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     for name in ("images", "masks"):
      ...         pathlib.Path(folder, name).mkdir()
      ...     Image.new("RGB", (8, 6)).save(f"{folder}/images/1.png")
      ...     Image.new("L", (8, 6), 1).save(f"{folder}/masks/1.png")
      ...     _ = pathlib.Path(folder, "values.csv").write_text("value,name,label\\n0,sky,0\\n1,road,1\\n")
      ...     source = data.open_masks(
      ...         f"{folder}/images", f"{folder}/masks", f"{folder}/values.csv", max_pixels=10**6
      ...     )
      ...     example = source[0]
      >>> len(source), example.image.shape
      (1, (6, 8, 3))
    """
    table = classes if isinstance(classes, MaskTable) else read_mask_table(classes)
    source = folder.open_images(images, max_pixels=max_pixels)
    root = pathlib.Path(masks).expanduser()
    truths = {id: root / pathlib.PurePosixPath(id).with_suffix(".png") for id in source.paths}
    kept, remarks = _joined(source, truths, lambda path: path.is_file(), f"mask in {root}")
    truths = {id: truths[id] for id in kept.paths}
    found = AnnotatedSource(f"masks:{os.fspath(images)}", kept, "masks", table.class_names, truths, table, remarks)
    _check_masks(found, truths, table.listed)
    return found


def _check_masks(source: AnnotatedSource, files: Mapping[str, pathlib.Path], listed: np.ndarray) -> None:
    """Reads every mask, so that what is wrong shows before a study."""
    odd, sizes, num_pixels = [], [], 0
    for index in range(len(source)):
        path = files[source.id(index)]
        try:
            values = read_mask(path, source.id(index))
        except UnreadableImage:
            continue  # Reported when its turn comes.
        unlisted = np.bincount(values.reshape(-1), minlength=256)[~listed]
        if unlisted.any():
            odd.append((path.name, int(np.flatnonzero(~listed)[unlisted.argmax()])))
            num_pixels += int(unlisted.sum())
        shape = _upright_shape(source, index)
        if shape is not None and shape != values.shape:
            sizes.append((path.name, values.shape, shape))
    if odd:
        raise _checks.InputError(
            f"masks: {odd[0][0]} has the value {odd[0][1]}, which the table of classes does not list ({len(odd)} such "
            f"masks, {num_pixels} pixels)"
        )
    if sizes:
        name, have, want = sizes[0]
        raise _checks.InputError(
            f"masks: {name} is {have[1]} x {have[0]} pixels, its image {want[1]} x {want[0]} ({len(sizes)} such masks)"
        )


def _upright_shape(source: AnnotatedSource, index: int) -> tuple[int, int] | None:
    from causal_iqa.data import decoding

    try:
        with _reading.open_regular(source.file(index)) as file:
            return decoding.upright_size(file, source.id(index))
    except OSError:
        return None


def open_boxes(
    images: str | os.PathLike[str],
    annotations: str | os.PathLike[str],
    classes: str | os.PathLike[str] | Sequence[str] | None = None,
    *,
    max_pixels: int,
) -> AnnotatedSource:
    """Opens images with boxes from COCO JSON, YOLO text or VOC XML. Images without any are left out and counted.

    Args:
      images: folder of images, of any depth.
      annotations: see `box_files.read_boxes`; an image joins by the name of its file.
      classes: file with one class a line in label order, or the classes; None: the classes of the COCO file.
      max_pixels: the most pixels of an image that is decoded.

    Returns:
      The source.

    Raises:
      InputError: when nothing joins, images have another shape than their annotations say, and from
        `box_files.read_boxes`. An image of another size and the same aspect will do.

    Examples:
      >>> import json, pathlib, tempfile
      >>> from PIL import Image
      >>> boxes = [{"image_id": 1, "category_id": 7, "bbox": [1, 1, 4, 4]}]
      >>> files, classes = [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}], [{"id": 7, "name": "cat"}]
      >>> content = {"images": files, "annotations": boxes, "categories": classes}
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     Image.new("RGB", (8, 8)).save(f"{folder}/a.png")
      ...     _ = pathlib.Path(folder, "boxes.json").write_text(json.dumps(content))
      ...     source = data.open_boxes(folder, f"{folder}/boxes.json", max_pixels=10**6)
      >>> len(source)
      1
    """
    names = read_classes(classes) if isinstance(classes, str | os.PathLike) else classes
    read = box_files.read_boxes(pathlib.Path(annotations), names)
    source = folder.open_images(images, max_pixels=max_pixels)

    def name_of(id: str) -> str:
        path = pathlib.PurePosixPath(id)
        if read.with_ending:
            return id if id in read.of_image else path.name
        return path.stem

    truths = {id: read.of_image.get(name_of(id)) for id in source.paths}
    kept, remarks = _joined(source, truths, lambda found: found is not None, f"annotation in {annotations}")
    boxes = {id: found for id in kept.paths if (found := truths[id]) is not None}
    found = AnnotatedSource(
        f"boxes:{os.fspath(images)}", kept, "boxes", read.class_names, boxes, None, (*read.remarks, *remarks)
    )
    _check_shapes(found, {id: read.sizes.get(name_of(id)) for id in kept.paths}, annotations)
    return found


def _check_shapes(
    source: AnnotatedSource,
    sizes: Mapping[str, tuple[float, float] | None],
    annotations: str | os.PathLike[str],
) -> None:
    """Refuses images of another aspect than their boxes are for, a pixel aside: turned or cropped since."""
    odd = []
    for index in range(len(source)):
        said = sizes[source.id(index)]
        shape = _upright_shape(source, index) if said is not None else None
        if said is not None and shape is not None and abs(said[0] * shape[1] - said[1] * shape[0]) > max(*said, *shape):
            odd.append((source.id(index), said, shape))
    if odd:
        name, said, shape = odd[0]
        raise _checks.InputError(
            f"annotations: {os.fspath(annotations)} says {said[1]:g} x {said[0]:g} pixels for {name}, the image has "
            f"{shape[1]} x {shape[0]} ({len(odd)} such images)"
        )


def _joined(source: folder.FolderSource, truths: Mapping, there, what: str):
    """The images that have a truth, and remarks about the others."""
    kept = tuple(id for id in source.paths if there(truths[id]))
    lost = [id for id in source.paths if not there(truths[id])]
    if not kept:
        raise _checks.InputError(f"annotations: no image of {source.name} has a {what}; its first is {source.paths[0]}")
    said = (f"{len(lost)} images have no {what} and are left out, first {lost[0]}",) if lost else ()
    labels = (source.labels[0],) * len(kept)
    return dataclasses.replace(source, paths=kept, labels=labels, passed_over=walk.NOTHING), (*source.remarks, *said)
