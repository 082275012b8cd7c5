"""Images in folders: one folder per class, or unlabelled files."""

import dataclasses
import functools
import hashlib
import os
import pathlib
import stat
from collections.abc import Sequence

from causal_iqa import _checks, _reading
from causal_iqa.data import budget, decoding, formats, names, walk
from causal_iqa.data.classes import CLASS_ORDERS, class_list
from causal_iqa.data.sources import Example, UnreadableImage

_SHOWN = 5
# Headers looked at to say which files have several frames.
_MOST_LOOKED_AT = 256


@dataclasses.dataclass(frozen=True)
class FolderSource:
    """Image files on disk, in sorted order; `open_folder` and `open_images` build it.

    Attributes:
      name: "folder:PATH" as given.
      root: the folder that ids are relative to.
      paths: ids, i.e. paths relative to the root with forward slashes, as `names.text_of` writes them.
      labels: one class index per path, -1 where unknown.
      class_names: the classes in label order; empty when unlabelled.
      split: the subfolder read, None when the root itself is.
      max_pixels: the most pixels of an image that is decoded.
      passed_over: what lies in the folder and is not read.
      remarks: lines that a user should read before the images are used.
    """

    name: str
    root: pathlib.Path
    paths: tuple[str, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    split: str | None = None
    max_pixels: int = budget.MAX_PIXELS
    passed_over: walk.PassedOver = walk.NOTHING
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Example:
        id = self.id(index)
        return Example(decoding.read(self.file(index), id, max_pixels=self.max_pixels), self.label(index), id)

    def id(self, index: int) -> str:
        """Returns the path relative to the root."""
        return self.paths[index]

    def label(self, index: int) -> int:
        """Returns the class of the folder the image lies in."""
        return self.labels[index]

    def file(self, index: int) -> pathlib.Path:
        """Returns the file of an image."""
        return self.root / names.name_of(self.paths[index])

    def place(self, index: int) -> tuple:
        """Returns what tells the file from all others, whatever path leads to it."""
        try:
            status = _reading.stat_of(self.file(index))
        except OSError:
            return "file", os.fspath(self.file(index))
        return "file", status.st_dev, status.st_ino

    def format(self, index: int) -> str | None:
        """Returns the format of a file by the mark at its beginning, e.g. "JPEG"; None for an unknown one."""
        try:
            with _reading.open_regular(self.file(index)) as file:
                return decoding.format_of(file, self.id(index))
        except OSError:
            return None

    def encoded_size(self, index: int) -> int:
        """Returns the size of the file in bytes; raises UnreadableImage when there is none."""
        try:
            return _reading.stat_of(self.file(index)).st_size
        except OSError as error:
            raise UnreadableImage(self.id(index), _reading.reason_of(error)) from error

    def content(self, index: int) -> bytes:
        """Returns a digest of the encoded image; raises UnreadableImage when the file cannot be read."""
        try:
            with _reading.open_regular(self.file(index)) as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError as error:
            raise UnreadableImage(self.id(index), _reading.reason_of(error)) from error

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """(height, width) when all readable images agree, else None; reads headers until two disagree."""
        return self._shape

    @functools.cached_property
    def _shape(self) -> tuple[int, int] | None:
        found = None
        for index in range(len(self)):
            try:
                with _reading.open_regular(self.file(index)) as file:
                    shape = decoding.upright_size(file, self.id(index))
            except OSError:
                continue
            if shape is not None and found is not None and shape != found:
                return None
            found = found or shape
        return found


def _check_folder(root: str | os.PathLike, split: str | None) -> pathlib.Path:
    shown = os.fspath(root)
    try:
        path = pathlib.Path(root).expanduser()
        if not stat.S_ISDIR(_reading.stat_of(path).st_mode):
            raise _checks.InputError(f"folder: {shown!r} is not a folder")
        if split is None:
            return path
        parts = [entry.name for entry in os.scandir(path) if entry.is_dir() and not entry.name.startswith(".")]
    except FileNotFoundError as error:
        raise _checks.InputError(f"folder: {shown!r} does not exist") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: the home folder of an unknown user.
        raise _checks.InputError(f"folder: {shown!r} cannot be read: {_reading.reason_of(error)}") from error
    if split not in parts:
        raise _checks.InputError(
            f"split: {shown!r} has no subfolder {split!r}; {_checks.closest(split, parts)} "
            "(leave the split out when the class folders lie directly in it)"
        )
    return path / split


def _class_folders(path: pathlib.Path, tally: walk.Tally) -> list[str]:
    found = walk.look(os.fspath(path), "", tally)
    if found is None:
        reason = tally.result().named[0][1]
        raise _checks.InputError(f"folder: {os.fspath(path)!r} cannot be read: {reason}")
    for file in found.files:
        tally.add_file(file)
    return sorted(found.folders + found.linked_folders)


def open_folder(
    root: str | os.PathLike,
    *,
    classes: str | os.PathLike | Sequence[str] | None = None,
    split: str | None = None,
    class_order: str | None = None,
    max_pixels: int = budget.MAX_PIXELS,
) -> FolderSource:
    """Opens a folder with one subfolder per class; images may lie at any depth below their class folder.

    Links are followed. Hidden files, files that are no images by their ending, special files and images that lie in no
    class folder are passed over and counted.

    Args:
      root: the folder.
      classes: the class list in label order, or a file with one class per line. Folders of some classes may be
        absent. None: the folder names are the classes.
      split: a subfolder of the root that holds the class folders; None: the root does.
      class_order: order of the folder names, one of CLASS_ORDERS: "text" ("10" before "2") or "natural". None: text,
        with a remark where it matters.
      max_pixels: the most pixels of an image that is decoded; all threads together decode no more at a time.

    Returns:
      The source; ids are paths relative to the root (within the split).

    Raises:
      InputError: when the root is missing or holds no image, or a folder with images is not in the class list.

    Examples:
      >>> import pathlib, tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     for name in ("cat", "dog"):
      ...         pathlib.Path(folder, name).mkdir()
      ...         Image.new("RGB", (8, 8)).save(f"{folder}/{name}/1.png")
      ...     source = data.open_folder(folder)
      >>> len(source), source.class_names
      (2, ('cat', 'dog'))
    """
    budget.check_max_pixels(max_pixels)
    if class_order is not None:
        _checks.check_choice(class_order, CLASS_ORDERS, "class_order")
    path = _check_folder(root, split)
    tally = walk.Tally()
    folders = _class_folders(path, tally)
    class_names, remarks = class_list(classes, folders, class_order)
    # A class may be a link to a folder that another class has, too; within one, every folder is read once.
    files = {folder: walk.image_files(os.fspath(path), [folder], tally) for folder in folders}
    label_of = {name: label for label, name in enumerate(class_names)}
    unknown = [folder for folder in folders if files[folder] and folder not in label_of]
    if unknown:
        shown = ", ".join(map(repr, unknown[:_SHOWN])) + (
            f" and {len(unknown) - _SHOWN} more" * (len(unknown) > _SHOWN)
        )
        raise _checks.InputError(
            f"classes: {len(unknown)} of {len(folders)} folders of {str(path)!r} not in the class list: {shown}; "
            f"for {unknown[0]!r} {_checks.closest(unknown[0], class_names)}"
        )
    found = sorted((file, label_of[folder]) for folder in folders for file in files[folder])
    passed_over = tally.result()
    if not found:
        mend = "its images lie in no class folder" if passed_over.outside else "expected class folders with images"
        raise _checks.InputError(
            "; ".join([f"folder: no labelled image below {str(path)!r}: {mend}", *passed_over.lines()])
        )
    paths, labels = zip(*found, strict=True)
    shown_names = tuple(map(names.text_of, class_names)) if classes is None else class_names
    return _source(
        f"folder:{os.fspath(root)}", path, paths, labels, shown_names, split, max_pixels, passed_over, remarks
    )


def open_images(path: str | os.PathLike, *, max_pixels: int = budget.MAX_PIXELS) -> FolderSource:
    """Opens unlabelled images: one file, or all below a folder; every label is -1.

    Args:
      path: an image file or a folder.
      max_pixels: see `open_folder`.

    Returns:
      The source, sorted by path; ids are relative to the folder.

    Raises:
      InputError: when the path is missing or holds no image.

    Examples:
      >>> import tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     Image.new("RGB", (8, 6)).save(f"{folder}/1.png")
      ...     example = data.open_images(folder)[0]
      >>> example.image.shape, example.label
      ((6, 8, 3), -1)
    """
    budget.check_max_pixels(max_pixels)
    name = f"images:{os.fspath(path)}"
    try:
        given = pathlib.Path(path).expanduser()
        mode = _reading.stat_of(given).st_mode
    except FileNotFoundError as error:
        raise _checks.InputError(f"images: {os.fspath(path)!r} does not exist") from error
    except (OSError, RuntimeError) as error:
        raise _checks.InputError(f"images: {os.fspath(path)!r} cannot be read: {_reading.reason_of(error)}") from error
    if not stat.S_ISDIR(mode):
        if not stat.S_ISREG(mode):
            raise _checks.InputError(f"images: {os.fspath(path)!r} is {_reading.kind_of(mode)}, not a file or a folder")
        return _source(name, given.parent, (given.name,), (-1,), (), None, max_pixels, walk.NOTHING, ())
    tally = walk.Tally()
    paths = sorted(walk.image_files(os.fspath(given), [""], tally))
    passed_over = tally.result()
    if not paths:
        raise _checks.InputError("; ".join([f"images: none below {os.fspath(path)!r}", *passed_over.lines()]))
    return _source(name, given, paths, (-1,) * len(paths), (), None, max_pixels, passed_over, ())


def _source(
    name: str,
    root: pathlib.Path,
    paths: Sequence[str],
    labels: Sequence[int],
    class_names: Sequence[str],
    split: str | None,
    max_pixels: int,
    passed_over: walk.PassedOver,
    remarks: tuple[str, ...],
) -> FolderSource:
    return FolderSource(
        name=names.text_of(name),
        root=root,
        paths=tuple(map(names.text_of, paths)),
        labels=tuple(labels),
        class_names=tuple(class_names),
        split=split,
        max_pixels=max_pixels,
        passed_over=passed_over,
        remarks=(*remarks, *_frames(root, paths), *passed_over.lines()),
    )


def _frames(root: pathlib.Path, paths: Sequence[str]) -> tuple[str, ...]:
    """Says of how many files with several frames only the first is read."""
    candidates = [path for path in paths if formats.ending_of(path) in formats.SEVERAL_FRAMES]
    looked_at = candidates[:: max(1, -(-len(candidates) // _MOST_LOOKED_AT))]
    several = []
    for path in looked_at:
        try:
            with _reading.open_regular(root / path) as file:
                if decoding.has_several_frames(file, path):
                    several.append(path)
        except OSError:
            continue  # Reported as unreadable when its turn comes.
    if not several:
        return ()
    most = "" if len(looked_at) == len(candidates) else f" of {len(looked_at)} looked at"
    return (
        f"only the first frame is read of {len(several)} files{most} with several, e.g. {names.text_of(several[0])}",
    )
