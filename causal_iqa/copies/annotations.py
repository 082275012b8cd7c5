"""Boxes and masks of the clean images, moved to where the copies of a tree show their objects."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable

import numpy as np

from causal_iqa import _checks, _files, data
from causal_iqa.copies import box_formats, geometry, holding, jobs, moving, names

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
    job: jobs.Job,
    output_dir: str | os.PathLike[str],
    *,
    boxes: str | os.PathLike[str] | None = None,
    masks: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Moved:
    """Writes boxes and masks for the copies of a tree, in the format of the clean ones.

    COCO JSON: OUT/annotations/<condition>/<severity>.json; all others: OUT/annotations/<condition>/<severity>/<image>
    with the ending of the format. Boxes are written for every condition, under the names of the copies; those of
    geometric conditions are moved by `move_boxes`, and boxes that have left the image are dropped. Segmentations of
    COCO move with them and become run lengths. Masks are written for geometric conditions alone, moved as `move_mask`
    does: under all others those of the clean images fit.

    Args:
      job: the job that `write` received.
      output_dir: the tree.
      boxes: COCO JSON file of the clean images, or folder of YOLO text or VOC XML files with their names.
      masks: folder of PNG files with the names of the images, whole numbers.
      progress: called with (conditions done, conditions in all).

    Returns:
      What was written.

    Raises:
      InputError: when a file cannot be read or written, no image has annotations, another run works in the tree, or a
        geometric condition meets keypoints or another thing that is not moved.

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
    with holding.hold(output_dir) as tree:
        return _written(job, tree / FOLDER, boxes, masks, progress)


def _written(
    job: jobs.Job,
    folder: pathlib.Path,
    boxes: str | os.PathLike[str] | None,
    masks: str | os.PathLike[str] | None,
    progress: Callable[[int, int], None] | None,
) -> Moved:
    ids = [job.source.id(i) for i in range(len(job.source))]
    boxed, known, without = _opened(job, ids, boxes, masks)
    files, gone = 0, 0
    # The names of records are those of the images, with their endings.
    stems = [name if job.config.format == "array_record" else _stem(name) for name in job.outputs]
    size = functools.cache(functools.partial(jobs.size_of, job.source))
    conditions = job.config.conditions
    for done, condition in enumerate(conditions):
        place_of = folder / names.folder_of(condition)
        if boxed is not None:
            copies = box_formats.Copies(condition, job.config.seed, ids, job.outputs, stems, size)
            for file in boxed.moved(copies):
                _write(place_of.parent / f"{place_of.name}{file.ending}", file.content)
                files, gone = files + 1, gone + file.gone
        if known and geometry.moves(condition):
            for place, id in enumerate(ids):
                if _stem(id) in known:
                    mask = _mask(known[_stem(id)], id)
                    own = moving.move_mask(mask, condition, seed=job.config.seed, image_id=id)
                    _write(place_of / f"{stems[place]}.png", names.encode_mask(own))
                    files += 1
        if progress:
            progress(done + 1, len(conditions))
    return Moved(files, gone, tuple(without))


def check_annotations(
    job: jobs.Job,
    *,
    boxes: str | os.PathLike[str] | None = None,
    masks: str | os.PathLike[str] | None = None,
) -> None:
    """Checks, before the copies are made, that their boxes and masks can be written.

    Args:
      job: result of `prepare`.
      boxes: see `write_annotations`.
      masks: see `write_annotations`.

    Raises:
      InputError: as `write_annotations`.

    Examples:
      >>> import tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     Image.new("RGB", (8, 8)).save(f"{folder}/a.png")
      ...     config = copies.CopyConfig(folder, degradations=("translation",), severities=(1.0,))
      ...     job = copies.prepare(config, f"{folder}-out")
      ...     try:
      ...         copies.check_annotations(job, boxes=f"{folder}/boxes.json")
      ...     except causal_iqa.InputError as error:
      ...         print("cannot be read" in str(error))
      True
    """
    _opened(job, [job.source.id(i) for i in range(len(job.source))], boxes, masks)


def _opened(
    job: jobs.Job,
    ids: list[str],
    boxes: str | os.PathLike[str] | None,
    masks: str | os.PathLike[str] | None,
) -> tuple[box_formats.Boxes | None, dict[str, pathlib.Path], list[str]]:
    """Boxes, files of masks by the stem of the image, and images without what was asked for."""
    known = {} if masks is None else _mask_files(pathlib.Path(masks))
    boxed = None if boxes is None else box_formats.open_boxes(boxes, ids)
    without = [
        id for id in ids
        if (boxed is not None and id not in boxed.known) or (masks is not None and _stem(id) not in known)
    ]  # fmt: skip
    if len(without) == len(ids):
        raise _checks.InputError(
            f"{'boxes' if boxed is not None else 'masks'}: none of the {len(ids)} images is named in it, e.g. {ids[0]}"
        )
    if boxed is not None:
        for condition in job.config.conditions:
            boxed.check(condition)
    return boxed, known, without


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
