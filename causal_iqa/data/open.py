"""One way in: a dataset named on the command line becomes a source."""

import os
from collections.abc import Sequence

from causal_iqa import _checks
from causal_iqa.data import budget, folder, tfds_source
from causal_iqa.data.sources import Source

SCHEMES = ("scenes", "tfds", "folder")


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
) -> Source:
    """Opens the images that a dataset specification names.

    Args:
      spec: "scenes" (the embedded default), "tfds:NAME" (NAME/CONFIG and NAME:VERSION too) or "folder:PATH".
      split: part of the dataset; None: the scenes' test split, the default of `open_tfds`, the folder itself.
      data_dir: where prepared TFDS datasets lie; for tfds only.
      classes: the class list; for folders only, see `open_folder`.
      download: whether a missing TFDS dataset may be downloaded.
      seed: of the scenes.
      class_order: of a folder's class folders, see `open_folder`.
      max_pixels: the most pixels of an image that is decoded; all threads together decode no more at a time.

    Returns:
      The source.

    Raises:
      InputError: when the scheme is unknown or the images cannot be opened.
    """
    scheme, _, rest = spec.partition(":")
    if scheme not in SCHEMES:
        raise _checks.InputError(
            f"dataset: unknown kind {scheme!r} in {spec!r}; expected scenes, tfds:NAME or folder:PATH; "
            f"{_checks.closest(scheme, SCHEMES)}"
        )
    if scheme == "scenes":
        if rest:
            raise _checks.InputError(f"dataset: scenes takes no {rest!r}; choose the part by the split")
        from causal_iqa.data import scenes

        return scenes.SceneSource(split=split or "test", seed=seed)
    if not rest:
        raise _checks.InputError(
            f"dataset: {spec!r} names nothing after {scheme!r}; expected scenes, tfds:NAME or folder:PATH"
        )
    if scheme == "tfds":
        return tfds_source.open_tfds(rest, data_dir=data_dir, split=split, download=download, max_pixels=max_pixels)
    return folder.open_folder(rest, classes=classes, split=split, class_order=class_order, max_pixels=max_pixels)
