"""From encoded bytes to uint8 RGB, whatever the file's mode. The one place of the package where images are decoded.

Conventions: transparency is composited over white; 16-bit values v become round(v * 255 / 65535); colour profiles are
not applied; of an animation the first frame is taken. A file is decoded at its full resolution, so the pixels do not
depend on the size asked for later.
"""

import io
import struct
from typing import BinaryIO

import numpy as np
import PIL.Image

from causal_iqa.data.sources import UnreadableImage

# Formats Pillow decodes without a helper program. JPEG takes in MPO, what many cameras write.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")

_EXIF_ORIENTATION = 0x0112

# EXIF 2.32, tag 274: what turns the stored image upright.
_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}

_DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, PIL.Image.DecompressionBombError)


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


def _orientation(image: PIL.Image.Image) -> int:
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # A broken EXIF block says nothing; the pixels are still good.
        return 1
    return value if isinstance(value, int) else 1


def decode(data: bytes, id: str, *, orient: bool = True) -> np.ndarray:
    """Decodes one image.

    Args:
      data: the encoded file: JPEG, PNG, WebP, BMP, GIF or TIFF.
      id: names the image in an error.
      orient: whether the EXIF orientation is applied.

    Returns:
      uint8 [H, W, 3], sRGB, writable.

    Raises:
      UnreadableImage: when the file is empty, truncated, not an image, or of a mode that cannot be shown.
    """
    if not data:
        raise UnreadableImage(id, "the file is empty")
    try:
        with PIL.Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            image.load()
            rgb = to_rgb(image)
            turn = _UPRIGHT.get(_orientation(image)) if orient else None
            return np.array(rgb.transpose(turn) if turn is not None else rgb)
    except PIL.UnidentifiedImageError:
        raise UnreadableImage(id, f"not a {', '.join(_FORMATS)} image") from None
    except _DECODING_ERRORS as error:
        raise UnreadableImage(id, " ".join(str(error).split()) or type(error).__name__) from error


def upright_size(file: BinaryIO) -> tuple[int, int] | None:
    """Returns (height, width) of the upright image from the file's header, None when the header cannot be read."""
    try:
        with PIL.Image.open(file, formats=_FORMATS) as image:
            width, height = image.size
            return (width, height) if 5 <= _orientation(image) <= 8 else (height, width)
    except _DECODING_ERRORS:
        return None
