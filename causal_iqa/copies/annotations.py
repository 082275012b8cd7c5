"""Boxes and masks of the clean images, moved to where the copies of a tree show their objects."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from causal_iqa import _checks, _files, data
from causal_iqa.copies import geometry, moving, names, writing
from causal_iqa.degradations import Condition

# Beside the conditions of a tree.
FOLDER = "annotations"


@dataclasses.dataclass(frozen=True)
class Moved:
    """What was written.

    Attributes:
      files: number of files.
      gone: boxes of which nothing is left in some copy.
      without: images of the tree that have no boxes or mask.
    """

    files: int
    gone: int
    without: tuple[str, ...]


def write_annotations(
    job: writing.Job,
    output_dir: str | os.PathLike[str],
    *,
    boxes: str | os.PathLike[str] | None = None,
    masks: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Moved:
    """Writes boxes and masks for the copies of a tree: OUT/annotations/<condition>/<severity>.json and .../<image>.png.

    Boxes are written for every condition, under the names of the copies; those of geometric conditions are moved as
    `move_boxes` does, and what nothing is left of is dropped. Polygons are not moved and left out. Masks are written
    for geometric conditions alone, moved as `move_mask` does: under all others those of the clean images fit.

    Args:
      job: as `write` was given.
      output_dir: the tree.
      boxes: COCO JSON file of the clean images.
      masks: folder of PNG files with the names of the images, whole numbers.
      progress: called with (conditions done, conditions in all).

    Returns:
      What was written.

    Raises:
      InputError: when a file cannot be read or written, or no image has annotations.

    Examples:
      >>> import pathlib, tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     for name in ("photos", "masks"):
      ...         (pathlib.Path(folder) / name).mkdir()
      ...     Image.new("RGB", (8, 8)).save(f"{folder}/photos/a.png")
      ...     Image.new("L", (8, 8)).save(f"{folder}/masks/a.png")
      ...     config = copies.CopyConfig(f"{folder}/photos", degradations=("translation",), severities=(1.0,))
      ...     job = copies.prepare(config, f"{folder}/out")
      ...     copies.write_annotations(job, f"{folder}/out", masks=f"{folder}/masks").files
      1
    """
    folder = pathlib.Path(output_dir) / FOLDER
    coco = None if boxes is None else _read_coco(boxes)
    known = {} if masks is None else _mask_files(pathlib.Path(masks))
    ids = [job.source.id(i) for i in range(len(job.source))]
    by_id = {} if coco is None else _joined(coco["images"], ids)
    without = [
        id for id in ids
        if (coco is not None and id not in by_id) or (masks is not None and _stem(id) not in known)
    ]  # fmt: skip
    if len(without) == len(ids):
        raise _checks.InputError(
            f"{'boxes' if coco is not None else 'masks'}: none of the {len(ids)} images is named there, e.g. {ids[0]}"
        )
    files, gone = 0, 0
    conditions = job.config.conditions
    for done, condition in enumerate(conditions):
        if coco is not None:
            moved, lost = _moved_coco(job, condition, coco, by_id, ids)
            _write(folder / f"{names.folder_of(condition)}.json", json.dumps(moved).encode())
            files, gone = files + 1, gone + lost
        if known and geometry.moves(condition):
            for place, id in enumerate(ids):
                if _stem(id) in known:
                    mask = _mask(known[_stem(id)], id)
                    own = moving.move_mask(mask, condition, seed=job.config.seed, image_id=id)
                    name = f"{os.path.splitext(job.outputs[place])[0]}.png"
                    _write(folder / names.folder_of(condition) / name, names.encode_mask(own))
                    files += 1
        if progress:
            progress(done + 1, len(conditions))
    return Moved(files, gone, tuple(without))


def _write(path: pathlib.Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _files.OutputError(f"output_dir: {path.parent} cannot be made ({error.strerror})") from error
    _files.write_atomically(path, content)


def _stem(id: str) -> str:
    return os.path.splitext(id)[0]


def _mask_files(root: pathlib.Path) -> dict[str, pathlib.Path]:
    found = {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.png"))}
    if not found:
        raise _checks.InputError(f"masks: no .png file in {str(root)!r}")
    return found


def _mask(path: pathlib.Path, id: str) -> np.ndarray:
    try:
        return data.read_mask(path, id)
    except data.UnreadableImage as error:
        raise _checks.InputError(f"masks: {id}: {error.reason}") from error


def _read_coco(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        told = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        images, rows = told["images"], told["annotations"]
        assert all({"id", "file_name"} <= set(one) for one in images)
        assert all({"image_id", "bbox"} <= set(one) and len(one["bbox"]) == 4 for one in rows)
    except OSError as error:
        raise _checks.InputError(f"boxes: {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise _checks.InputError(
            f"boxes: {path} is no COCO JSON file: expected images with id and file_name, and annotations with image_id "
            "and bbox [left, top, width, height]"
        ) from error
    return told


def _joined(images: list[dict[str, Any]], ids: list[str]) -> dict[str, dict[str, Any]]:
    """Image id -> its row of the file: by the whole path, else by the name where no two images share it."""
    rows = {one["file_name"]: one for one in images}
    short = [os.path.basename(id) for id in ids]
    found = {}
    for id, name in zip(ids, short, strict=True):
        row = rows.get(id) or (rows.get(name) if short.count(name) == 1 else None)
        if row is not None:
            found[id] = row
    return found


def _moved_coco(
    job: writing.Job, condition: Condition, coco: Mapping[str, Any], by_id: Mapping[str, Any], ids: list[str]
) -> tuple[dict[str, Any], int]:
    """The file of a condition, and how many boxes are gone."""
    of_image: dict[Any, list[dict[str, Any]]] = {}
    for row in coco["annotations"]:
        of_image.setdefault(row["image_id"], []).append(row)
    images, annotations, gone = [], [], 0
    moves = bool(geometry.moves(condition))
    for place, id in enumerate(ids):
        if id not in by_id:
            continue
        row = by_id[id]
        images.append({**row, "file_name": job.outputs[place]})
        own = [{k: v for k, v in one.items() if k != "segmentation"} for one in of_image.get(row["id"], [])]
        given = np.asarray([one["bbox"] for one in own], np.float64).reshape(-1, 4)
        corners = np.concatenate([given[:, :2], given[:, :2] + given[:, 2:]], axis=1)
        if moves and len(own):
            height, width = writing.size_of(job.source, place)
            corners = moving.move_boxes(corners, height, width, condition, seed=job.config.seed, image_id=id)
        for one, (left, top, right, bottom) in zip(own, corners.tolist(), strict=True):
            if np.isnan(left):
                gone += 1
                continue
            box = [left, top, right - left, bottom - top]
            annotations.append({**one, "bbox": box, "area": box[2] * box[3]} if moves else one)
    rest = {name: value for name, value in coco.items() if name not in ("images", "annotations")}
    return {**rest, "images": images, "annotations": annotations}, gone
