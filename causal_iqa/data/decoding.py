"""From encoded bytes to uint8 RGB, whatever the file's mode. The one place of the package where images are decoded.

Conventions: transparency is composited over white; 16-bit values v become round(v * 255 / 65535); colour profiles are
not applied; of a file with several frames the first is taken. A file is decoded at its full resolution, so the pixels
do not depend on the size asked for later.
"""

import contextlib
import io
import os
import struct
import zlib
from typing import BinaryIO

import numpy as np
import PIL.Image

from causal_iqa import _reading
from causal_iqa.data import budget, formats
from causal_iqa.data.sources import UnreadableImage

_EXIF_ORIENTATION = 0x0112

# EXIF 2.32, tag 274: what turns the stored image upright.
_UPRIGHT = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x, 1),
}

# What Pillow's decoders raise for damaged files; found by mutating files of every format (benchmarks.fuzz_images).
_PARSING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    MemoryError,
    PIL.Image.DecompressionBombError,
)

# Rows of about so many pixels are converted at once.
_STRIP_PIXELS = 2**22
# The largest file is as large as the largest image of four 16-bit channels without compression.
_BYTES_PER_PIXEL = 8
_HEADER_BYTES = 2**16
# Files of this size are decoded alone: some decoders read them as a whole, before anything is known of the image.
_LARGE_FILE = 2**26


def to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Converts a Pillow image of any mode to RGB, by the conventions of this module.

    Args:
      image: mode 1, L, LA, P, PA, RGB, RGBA, CMYK, YCbCr, LAB, HSV, I;16*, I (16-bit values, as older Pillow opens
        16-bit PNG) or F (values in [0, 1]).

    Returns:
      The image in mode RGB.

    Raises:
      ValueError: when the values of mode I or F leave the stated range, so that their white is unknown.
    """
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image).astype(np.float64)
        white = 1.0 if image.mode == "F" else 65535.0
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= white):
            raise ValueError(f"mode {image.mode} with values outside [0, {white:g}]: save it with 8 or 16 bits")
        return PIL.Image.fromarray(np.rint(values * (255.0 / white)).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = PIL.Image.new("RGBA", image.size, (255, 255, 255, 255))
        return PIL.Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _pixels(image: PIL.Image.Image) -> np.ndarray:
    """The image as uint8 [H, W, 3], writable; strip by strip, so that it is in memory twice at the most."""
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // width)
    if rows >= height:
        return np.array(to_rgb(image))
    out = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        out[top : top + rows] = np.asarray(to_rgb(image.crop((0, top, width, min(top + rows, height)))))
    return out


def _orientation(image: PIL.Image.Image) -> int:
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _PARSING_ERRORS:  # A broken EXIF block says nothing; the pixels are still good.
        return 1
    return value if isinstance(value, int) else 1


def _open(file: BinaryIO, name: str) -> PIL.Image.Image:
    """Reads a header. Pillow's own `open` has one limit of pixels for the whole process, and warns below it."""
    formats.load_plugins()
    prefix = file.read(16)
    for format in formats.tried(name):
        factory, accept = PIL.Image.OPEN.get(format, (None, None))
        if factory is None or not (accept is None or accept(prefix) is True):
            continue
        file.seek(0)
        try:
            return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue  # Another format with the same mark, as in Pillow.
    raise PIL.UnidentifiedImageError(_what_it_is_not(name))


def _what_it_is_not(name: str) -> str:
    ending = formats.ending_of(name)
    missing = formats.mend(ending)
    if missing:
        return f"{ending} {missing}"
    return f"not a {', '.join(format for format in formats.tried(name) if formats.is_readable(format))} image"


def decode(data: bytes | BinaryIO, id: str, *, orient: bool = True, max_pixels: int = budget.MAX_PIXELS) -> np.ndarray:
    """Decodes one image.

    Args:
      data: the encoded file or its content, in a format of `formats.tried(id)`.
      id: names the image in an error; its ending names the format when it is not one of `formats.COMMON`.
      orient: whether the EXIF orientation is applied.
      max_pixels: the most pixels that are decoded; threads that decode at the same time share it.

    Returns:
      uint8 [H, W, 3], sRGB, writable.

    Raises:
      UnreadableImage: when the file is empty, truncated, not an image, too large, or of a mode that cannot be shown.
    """
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if not size:
        raise UnreadableImage(id, "the file is empty")
    largest = max_pixels * _BYTES_PER_PIXEL + _HEADER_BYTES
    if size > largest:
        raise UnreadableImage(id, f"{size} bytes are more than the {largest} of the budget (max_pixels)")
    try:
        with contextlib.ExitStack() as work:
            alone = size > _LARGE_FILE
            if alone:
                work.enter_context(budget.spend(max_pixels, max_pixels))
            image = work.enter_context(_open(file, id))
            width, height = image.size
            if width * height > max_pixels:
                raise UnreadableImage(
                    id, f"{width} x {height} pixels are more than the budget of {max_pixels} (max_pixels)"
                )
            if not alone:
                work.enter_context(budget.spend(width * height, max_pixels))
            return _decoded(image, orient)
    except UnreadableImage:
        raise
    except _PARSING_ERRORS as error:
        raise UnreadableImage(id, " ".join(str(error).split()) or type(error).__name__) from error


def _decoded(image: PIL.Image.Image, orient: bool) -> np.ndarray:
    if not min(image.size):
        raise ValueError(f"{image.size[0]} x {image.size[1]} pixels")
    image.load()
    turn = _UPRIGHT.get(_orientation(image)) if orient else None
    pixels = _pixels(image)
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def read(path: str | os.PathLike[str], id: str, *, max_pixels: int = budget.MAX_PIXELS) -> np.ndarray:
    """Reads and decodes one image file.

    Args:
      path: path of the file; only regular files are opened.
      id: names the image in an error.
      max_pixels: see `decode`.

    Returns:
      uint8 [H, W, 3], sRGB, writable.

    Raises:
      UnreadableImage: when it cannot be read or decoded.
    """
    try:
        file = _reading.open_regular(path)
    except OSError as error:
        raise UnreadableImage(id, _reading.reason_of(error)) from error
    with file:
        return decode(file, id, max_pixels=max_pixels)


def upright_size(file: BinaryIO, name: str = "") -> tuple[int, int] | None:
    """Returns (height, width) of the upright image from the file's header, None when the header cannot be read."""
    try:
        with _open(file, name) as image:
            width, height = image.size
            return (width, height) if 5 <= _orientation(image) <= 8 else (height, width)
    except _PARSING_ERRORS:
        return None


def format_of(file: BinaryIO, name: str = "") -> str | None:
    """Returns the format of an encoded image, e.g. "JPEG", by the mark at its beginning; None for an unknown one.

    Args:
      file: the encoded image, at its beginning.
      name: name of the file; its ending names the format of files that have no mark.
    """
    formats.load_plugins()
    prefix = file.read(16)
    for format in formats.tried(name):
        factory, accept = PIL.Image.OPEN.get(format, (None, None))
        if factory is not None and (accept is None or accept(prefix) is True):
            return format
    return None


def has_several_frames(file: BinaryIO, name: str = "") -> bool:
    """Whether the file's header tells of more frames than one."""
    try:
        with _open(file, name) as image:
            return bool(getattr(image, "is_animated", False))
    except _PARSING_ERRORS:
        return False
