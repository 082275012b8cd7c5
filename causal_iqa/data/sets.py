"""Sets of images by name: folders, files that list paths, prepared datasets, with groups of their images."""

import collections
import dataclasses
import os
import pathlib
import re
from collections.abc import Sequence

from causal_iqa import _checks, _reading
from causal_iqa.data import budget, folder, formats, names, walk
from causal_iqa.data import open as opening
from causal_iqa.data.sources import UNLABELLED, Source

# What may stand before "=": anything that is no path.
_NAME = re.compile(r"[^=/\\\0]{1,60}")
_LISTS = (".txt", ".lst", ".list")
_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Images under one name.

    Attributes:
      name: name of the set.
      source: source of the images.
      remarks: lines that a user should read before the images are used.
    """

    name: str
    source: Source
    remarks: tuple[str, ...] = ()

    def group(self, index: int, image_id: str) -> str:
        """Returns the class of an image where it has one, else the first folder of its id; "" without either."""
        label = self.source.label(index)
        if label != UNLABELLED and self.source.class_names:
            return self.source.class_names[label]
        first, slash, _ = image_id.partition("/")
        return first if slash else ""


def split_name(text: str) -> tuple[str | None, str]:
    """Splits NAME=SOURCE; a text that exists as a path is a source as a whole.

    Args:
      text: SOURCE or NAME=SOURCE.

    Returns:
      (name or None, source).

    Raises:
      InputError: when either side is empty.

    Examples:
      >>> split_name("field=photos/march")
      ('field', 'photos/march')
    """
    name, mark, rest = text.partition("=")
    if not mark or os.path.lexists(text):
        if not text:
            raise _checks.InputError("images: expected SOURCE or NAME=SOURCE, got nothing")
        return None, text
    if _NAME.fullmatch(name) is None:
        return None, text
    if not rest:
        raise _checks.InputError(f"images: {text!r} names nothing after '='")
    return name, rest


def open_sets(
    texts: Sequence[str],
    *,
    data_dir: str | None = None,
    split: str | None = None,
    classes: str | None = None,
    class_order: str | None = None,
    max_pixels: int = budget.MAX_PIXELS,
    download: bool = False,
) -> tuple[ImageSet, ...]:
    """Opens sets of images.

    Args:
      texts: SOURCE or NAME=SOURCE each. A source is a folder with images at any depth, an image, a file that lists
        paths (ending in .txt, .lst or .list), "tfds:NAME", "folder:PATH" (class folders: images with labels) or
        "scenes".
      data_dir: folder of the prepared TFDS datasets.
      split: split of a TFDS dataset or of the scenes.
      classes: file with one class per line in label order; with it, folders are class folders.
      class_order: order of class folders without such a file.
      max_pixels: the most pixels of an image that is decoded.
      download: whether TFDS may download.

    Returns:
      The sets, in order; a set without a name has that of its folder, file or dataset.

    Raises:
      InputError: when there is none, two have one name, or a source cannot be opened.

    Examples:
      >>> [one.name for one in data.open_sets(["rendered=scenes"])]
      ['rendered']
    """
    if not texts:
        raise _checks.InputError("images: expected at least one SOURCE or NAME=SOURCE")
    found: list[ImageSet] = []
    for text in texts:
        given, spec = split_name(text)
        source = _open(spec, data_dir, split, classes, class_order, max_pixels, download)
        name = given or _own_name(spec, source, [one.name for one in found])
        if name in [one.name for one in found]:
            raise _checks.InputError(f"images: two sets are called {name!r}; write NAME=SOURCE with another name")
        found.append(ImageSet(name, source, tuple(getattr(source, "remarks", ()))))
    return tuple(found)


def _open(spec, data_dir, split, classes, class_order, max_pixels, download) -> Source:
    scheme = spec.partition(":")[0]
    if scheme in opening.SCHEMES and (":" in spec or spec == "scenes") and not os.path.exists(spec):
        is_folder = scheme == "folder"
        return opening.open_source(
            spec,
            split=split,
            data_dir=None if is_folder else data_dir,
            classes=classes if is_folder else None,
            download=download,
            class_order=class_order if is_folder else None,
            max_pixels=max_pixels,
        )
    path = pathlib.Path(spec).expanduser()
    if path.suffix.lower() in _LISTS and path.is_file():
        return open_listing(path, max_pixels=max_pixels)
    if classes is not None and path.is_dir():
        return folder.open_folder(spec, classes=classes, class_order=class_order, max_pixels=max_pixels)
    return folder.open_images(spec, max_pixels=max_pixels)


def _own_name(spec: str, source: Source, taken: Sequence[str]) -> str:
    scheme, mark, rest = spec.partition(":")
    path = rest if mark and scheme in opening.SCHEMES else spec
    name = names.text_of(pathlib.PurePath(path.rstrip("/") or "/").name or "images").replace("=", "_")
    if name not in taken:
        return name
    number = 2
    while f"{name} {number}" in taken:
        number += 1
    return f"{name} {number}"


def open_listing(path: str | os.PathLike[str], *, max_pixels: int = budget.MAX_PIXELS) -> folder.FolderSource:
    """Opens the images that a file lists, one path a line; empty lines and lines that begin with # are passed over.

    Args:
      path: path of the list, UTF-8. Paths in it are absolute or relative to its folder.
      max_pixels: see `open_folder`.

    Returns:
      The source; ids are the paths as listed, in the order of the list, without repetition.

    Raises:
      InputError: when the list cannot be read or names no image.

    Examples:
      >>> import pathlib, tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     Image.new("RGB", (8, 8)).save(f"{folder}/a.png")
      ...     _ = pathlib.Path(folder, "chosen.txt").write_text("a.png\\n")
      ...     source = data.open_listing(f"{folder}/chosen.txt")
      >>> len(source)
      1
    """
    budget.check_max_pixels(max_pixels)
    path = pathlib.Path(path).expanduser()
    try:
        with _reading.open_regular(path) as file:
            lines = file.read().decode("utf-8", "surrogateescape").splitlines()
    except OSError as error:
        raise _checks.InputError(f"images: {str(path)!r} cannot be read: {_reading.reason_of(error)}") from error
    listed = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    paths = list(dict.fromkeys(listed))
    others = [one for one in paths if not formats.is_image(one)]
    images = [one for one in paths if formats.is_image(one)]
    if not images:
        raise _checks.InputError(
            f"images: {str(path)!r} lists no image: expected one path a line, got {listed[:1] or 'an empty file'}"
        )
    remarks = []
    if len(listed) > len(paths):
        remarks.append(f"{path.name}: {len(listed) - len(paths)} paths are listed more than once and read once")
    if others:
        shown = ", ".join(others[:_SHOWN])
        remarks.append(f"{path.name}: {len(others)} lines are no images by their ending and passed over, e.g. {shown}")
    return _of_files(f"list:{path}", path.parent, images, max_pixels, remarks)


def open_files(paths: Sequence[str], *, max_pixels: int = budget.MAX_PIXELS) -> folder.FolderSource:
    """Opens image files by their paths.

    Args:
      paths: absolute, or relative to the working directory; whatever their endings.
      max_pixels: see `open_folder`.

    Returns:
      The source; ids are the paths as given, in order.

    Raises:
      InputError: when there is none, or one is given twice.

    Examples:
      >>> data.open_files(["a.png", "b.png"]).id(1)
      'b.png'
    """
    budget.check_max_pixels(max_pixels)
    if not paths:
        raise _checks.InputError("images: expected at least one path")
    twice = [path for path, num in collections.Counter(paths).items() if num > 1]
    if twice:
        raise _checks.InputError(f"images: {twice[0]!r} is given twice")
    return _of_files("files", pathlib.Path(), paths, max_pixels, ())


def _of_files(
    name: str, root: pathlib.Path, paths: Sequence[str], max_pixels: int, remarks: Sequence[str]
) -> folder.FolderSource:
    return folder.FolderSource(
        name=names.text_of(name),
        root=root,
        paths=tuple(map(names.text_of, paths)),
        labels=(UNLABELLED,) * len(paths),
        class_names=(),
        max_pixels=max_pixels,
        passed_over=walk.NOTHING,
        remarks=tuple(remarks),
    )
