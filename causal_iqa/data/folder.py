"""Images in folders: one folder per class, or unlabelled files."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Sequence

from causal_iqa import _checks
from causal_iqa.data import decoding
from causal_iqa.data.sources import Example, UnreadableImage

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp")

_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class FolderSource:
    """Image files on disk, in sorted order; `open_folder` and `open_images` build it.

    Attributes:
      name: "folder:PATH" as given.
      root: the folder that ids are relative to.
      paths: ids, i.e. paths relative to the root with forward slashes.
      labels: one class index per path, -1 where unknown.
      class_names: the classes in label order; empty when unlabelled.
      split: the subfolder read, None when the root itself is.
    """

    name: str
    root: pathlib.Path
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    split: str | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Example:
        id = self.id(index)
        return Example(decoding.decode(self._read(id), id), self.label(index), id)

    def id(self, index: int) -> str:
        """Returns the path relative to the root."""
        return self.paths[index]

    def label(self, index: int) -> int:
        """Returns the class of the folder the image lies in."""
        return self.labels[index]

    @functools.cached_property
    def image_shape(self) -> tuple[int, int] | None:
        """(height, width) when all readable images agree, else None; reads headers until two disagree."""
        found = None
        for path in self.paths:
            try:
                with open(self.root / path, "rb") as file:
                    shape = decoding.upright_size(file)
            except OSError:
                continue
            if shape is not None and found is not None and shape != found:
                return None
            found = found or shape
        return found

    def _read(self, id: str) -> bytes:
        try:
            return (self.root / id).read_bytes()
        except OSError as error:
            raise UnreadableImage(id, error.strerror or str(error)) from error


def read_classes(path: str | os.PathLike) -> tuple[str, ...]:
    """Reads a class list: one class per line, label = line number from 0.

    Args:
      path: a UTF-8 text file.

    Returns:
      The class names in label order.

    Raises:
      InputError: when the file is missing, empty, not text, or has an empty line or a class twice.
    """
    try:
        names = [line.strip() for line in pathlib.Path(path).read_text("utf-8-sig").rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a UTF-8 text file"
        raise _checks.InputError(f"classes: cannot read {os.fspath(path)!r}: {reason}") from error
    return _check_classes(names, os.fspath(path))


def _check_classes(names: Sequence[str], origin: str) -> tuple[str, ...]:
    names = tuple(names)
    if not names:
        raise _checks.InputError(f"classes: {origin!r} names no class; write one class per line")
    lines: dict[str, int] = {}
    for line, name in enumerate(names, 1):
        if not name:
            raise _checks.InputError(f"classes: line {line} of {origin!r} is empty; it would shift every later label")
        if name in lines:
            raise _checks.InputError(f"classes: {name!r} is on lines {lines[name]} and {line} of {origin!r}")
        lines[name] = line
    return names


def _is_image(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(EXTENSIONS)


def _image_files(folder: pathlib.Path) -> list[pathlib.Path]:
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [pathlib.Path(parent, name) for name in files if _is_image(name)]
    return found


def _check_folder(root: str | os.PathLike, split: str | None) -> pathlib.Path:
    path = pathlib.Path(root).expanduser()
    if not path.exists():
        raise _checks.InputError(f"folder: {os.fspath(root)!r} does not exist")
    if not path.is_dir():
        raise _checks.InputError(f"folder: {os.fspath(root)!r} is not a folder")
    if split is None:
        return path
    parts = [entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    if split not in parts:
        raise _checks.InputError(
            f"split: {os.fspath(root)!r} has no subfolder {split!r}; {_checks.closest(split, parts)} "
            "(leave the split out when the class folders lie directly in it)"
        )
    return path / split


def open_folder(
    root: str | os.PathLike, *, classes: str | os.PathLike | Sequence[str] | None = None, split: str | None = None
) -> FolderSource:
    """Opens a folder with one subfolder per class; images may lie at any depth below their class folder.

    Hidden files and files with other extensions are passed over; so are images that lie in no class folder.

    Args:
      root: the folder.
      classes: the class list in label order, or a file with one class per line. Folders of some classes may be
        absent. None: the sorted folder names are the classes.
      split: a subfolder of the root that holds the class folders; None: the root does.

    Returns:
      The source; ids are paths relative to the root (within the split).

    Raises:
      InputError: when the root is missing or holds no image, or a folder with images is not in the class list.
    """
    path = _check_folder(root, split)
    folders = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if classes is None:
        names = tuple(folders)
    elif isinstance(classes, str | os.PathLike):
        names = read_classes(classes)
    else:
        names = _check_classes(classes, "the given list")
    files = {folder: _image_files(path / folder) for folder in folders}
    label_of = {name: label for label, name in enumerate(names)}
    unknown = [folder for folder in folders if files[folder] and folder not in label_of]
    if unknown:
        shown = ", ".join(map(repr, unknown[:_SHOWN])) + (
            f" and {len(unknown) - _SHOWN} more" * (len(unknown) > _SHOWN)
        )
        raise _checks.InputError(
            f"classes: {len(unknown)} of {len(folders)} folders of {str(path)!r} not in the class list: {shown}; "
            f"for {unknown[0]!r} {_checks.closest(unknown[0], names)}"
        )
    found = sorted(
        (file.relative_to(path).as_posix(), label_of[folder]) for folder in folders for file in files[folder]
    )
    if not found:
        flat = any(entry.is_file() and _is_image(entry.name) for entry in path.iterdir())
        mend = "its images lie in no class folder" if flat else f"expected class folders with {' '.join(EXTENSIONS)}"
        raise _checks.InputError(f"folder: no labelled image below {str(path)!r}: {mend}")
    ids, labels = zip(*found, strict=True)
    return FolderSource(f"folder:{os.fspath(root)}", path, ids, labels, names, split)


def open_images(path: str | os.PathLike) -> FolderSource:
    """Opens unlabelled images: one file, or all below a folder; every label is -1.

    Args:
      path: an image file or a folder.

    Returns:
      The source, sorted by path; ids are relative to the folder.

    Raises:
      InputError: when the path is missing or holds no image.
    """
    given = pathlib.Path(path).expanduser()
    if given.is_file():
        return FolderSource(f"images:{os.fspath(path)}", given.parent, (given.name,), (-1,), ())
    root = _check_folder(path, None)
    ids = tuple(sorted(file.relative_to(root).as_posix() for file in _image_files(root)))
    if not ids:
        raise _checks.InputError(f"images: none below {os.fspath(path)!r}; expected {' '.join(EXTENSIONS)}")
    return FolderSource(f"images:{os.fspath(path)}", root, ids, (-1,) * len(ids), ())
