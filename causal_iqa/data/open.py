"""One way in: a dataset named on the command line becomes a source."""

import os
import pathlib
from collections.abc import Sequence

from causal_iqa import _checks
from causal_iqa.data import annotated, budget, folder, tfds_source
from causal_iqa.data.sources import Source

SCHEMES = ("scenes", "tfds", "folder", "images", "masks", "boxes")


def open_source(
    spec: str,
    *,
    split: str | None = None,
    data_dir: str | os.PathLike | None = None,
    classes: str | os.PathLike | Sequence[str] | None = None,
    download: bool = False,
    seed: int = 0,
    class_order: str | None = None,
    max_pixels: int = budget.MAX_PIXELS,
    annotations: str | os.PathLike | None = None,
) -> Source:
    """Opens the images that a dataset specification names.

    Args:
      spec: "scenes" (the embedded default), "tfds:NAME" (NAME/CONFIG and NAME:VERSION too), "folder:PATH" (class
        folders), "images:PATH" (unlabelled, a folder of any depth), "masks:PATH" or "boxes:PATH" (the same with
        annotations).
      split: part of the dataset; None: the scenes' test split, the default of `open_tfds`, the folder itself.
      data_dir: where prepared TFDS datasets lie; for tfds only.
      classes: the class list of a folder, see `open_folder`, or of annotations, see `open_masks` and `open_boxes`.
      download: whether a missing TFDS dataset may be downloaded.
      seed: seed of the scenes.
      class_order: order of a folder's class folders, see `open_folder`.
      max_pixels: the most pixels of an image that is decoded; all threads together decode no more at a time.
      annotations: folder of masks, or files of boxes.

    Returns:
      The source.

    Raises:
      InputError: when the scheme is unknown or the images cannot be opened.

    Examples:
      >>> source = data.open_source("scenes")
      >>> source[0].image.shape, source[0].image.dtype.name
      ((48, 48, 3), 'uint8')
    """
    check_spec(spec)
    scheme, _, rest = spec.partition(":")
    if scheme == "scenes":
        from causal_iqa.data import scenes

        return scenes.SceneSource(split=split or "test", seed=seed)
    if scheme == "tfds":
        return tfds_source.open_tfds(rest, data_dir=data_dir, split=split, download=download, max_pixels=max_pixels)
    if scheme == "images":
        return folder.open_images(rest, max_pixels=max_pixels)
    if scheme in ("masks", "boxes"):
        if annotations is None:
            what = "folder of masks" if scheme == "masks" else "file or folder of boxes"
            raise _checks.InputError(f"annotations: {scheme} need --annotations=PATH, the {what}")
        if scheme == "masks":
            if not isinstance(classes, str | os.PathLike):
                raise _checks.InputError(
                    "classes: masks need --classes=FILE, a table with the columns value, name, label"
                )
            return annotated.open_masks(rest, annotations, classes, max_pixels=max_pixels)
        return annotated.open_boxes(rest, annotations, classes, max_pixels=max_pixels)
    return folder.open_folder(rest, classes=classes, split=split, class_order=class_order, max_pixels=max_pixels)


def check_spec(spec: str, *, name: str = "dataset") -> None:
    """Checks what can be known of a dataset specification before anything is opened.

    Args:
      spec: see `open_source`.
      name: name of the argument, for the message.

    Raises:
      InputError: when the scheme is unknown, names nothing, or a folder does not exist; a path without `folder:` is
        answered with what to write.

    Examples:
      >>> data.check_spec("scenes")
    """
    scheme, _, rest = spec.partition(":")
    if scheme in SCHEMES:
        if scheme == "scenes" and rest:
            raise _checks.InputError(f"{name}: scenes takes no {rest!r}; choose the part by the split")
        if scheme != "scenes" and not rest:
            raise _checks.InputError(
                f"{name}: {spec!r} names nothing after {scheme!r}; expected scenes, tfds:NAME, folder:PATH or "
                "images:PATH"
            )
        if scheme in ("folder", "images", "masks", "boxes") and not pathlib.Path(rest).expanduser().exists():
            raise _checks.InputError(f"{name}: {rest!r} does not exist")
        return
    path = pathlib.Path(spec).expanduser()
    if spec and path.is_dir():
        raise _checks.InputError(f"{name}: {spec!r} is a folder; write --{name}=folder:{spec}")
    if spec and path.exists():
        raise _checks.InputError(f"{name}: {spec!r} is a file; expected scenes, tfds:NAME or folder:PATH")
    if os.sep in spec or spec.startswith("."):
        raise _checks.InputError(
            f"{name}: {spec!r} does not exist; expected scenes, tfds:NAME or folder:PATH of an existing folder"
        )
    raise _checks.InputError(
        f"{name}: unknown kind {scheme!r}, and no folder {spec!r} here; expected scenes, tfds:NAME or folder:PATH; "
        f"{_checks.closest(scheme, SCHEMES)}"
    )
