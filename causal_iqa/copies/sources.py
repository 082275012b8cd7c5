"""What is copied: a folder, one image, a list of files or a TFDS dataset; and the files beside the images."""

import collections
import os
import pathlib
from collections.abc import Iterator

from causal_iqa import _checks, _reading, data
from causal_iqa.copies.config import CopyConfig
from causal_iqa.data import names

LISTS = (".txt", ".lst")


def open_source(config: CopyConfig) -> data.Source:
    """Opens the images that are to be copied.

    Args:
      config: names them.

    Returns:
      The source; ids of files are paths relative to the folder, or to the folder that all listed files have in common.

    Raises:
      InputError: when there are none, or they cannot be opened.
    """
    if config.images.startswith("tfds:"):
        return data.open_source(
            config.images, split=config.split, data_dir=config.data_dir, max_pixels=config.max_pixels
        )
    if config.split is not None or config.data_dir is not None:
        raise _checks.InputError("split, data_dir: only for images of the form tfds:NAME")
    path = config.images.removeprefix("folder:")
    if pathlib.Path(path).suffix.lower() in LISTS and os.path.isfile(os.path.expanduser(path)):
        return _open_list(pathlib.Path(path).expanduser(), config.max_pixels)
    return data.open_images(path, max_pixels=config.max_pixels)


def _open_list(path: pathlib.Path, max_pixels: int) -> data.FolderSource:
    try:
        lines = [line.strip() for line in _reading.read_text(path).splitlines()]
    except (OSError, ValueError) as error:
        raise _checks.InputError(f"images: {str(path)!r} cannot be read: {_reading.reason_of(error)}") from error
    files = [os.path.normpath(path.parent.absolute() / os.path.expanduser(line)) for line in lines if line]
    if not files:
        raise _checks.InputError(f"images: the list {str(path)!r} names no file; expected one path a line")
    twice = [file for file, count in collections.Counter(files).items() if count > 1]
    if twice:
        raise _checks.InputError(f"images: the list {str(path)!r} names {len(twice)} files twice, e.g. {twice[0]!r}")
    root = os.path.commonpath([os.path.dirname(file) for file in files])
    relative = sorted(os.path.relpath(file, root) for file in files)
    return data.FolderSource(
        name=names.text_of(f"images:{path}"),
        root=pathlib.Path(root),
        paths=tuple(map(names.text_of, relative)),
        labels=(data.UNLABELLED,) * len(relative),
        class_names=(),
        max_pixels=max_pixels,
    )


def side_files(source: data.Source) -> Iterator[tuple[str, str]]:
    """Lists the files of a copied folder that are no images: labels, lists, descriptions.

    Args:
      source: source of the images.

    Yields:
      (path relative to the folder, absolute path), as `os` gives them. None for lists, single images and TFDS.
    """
    if not isinstance(source, data.FolderSource) or not source.passed_over.endings:
        return
    root = os.fspath(source.root)
    images = set(map(names.name_of, source.paths))
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, root)
            if not name.startswith(".") and relative not in images and os.path.isfile(path):
                yield relative, os.path.abspath(path)
