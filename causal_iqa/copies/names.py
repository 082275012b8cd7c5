"""Where a copy lies: OUT/<condition>/<severity>/<relative path of the image>, and how its pixels are stored."""

import collections
import io
import os
import pathlib
import urllib.parse
from collections.abc import Sequence

import numpy as np
import PIL.Image

from causal_iqa import data
from causal_iqa.data import names
from causal_iqa.degradations import CLEAN, Condition

ENDINGS = {"png": ".png", "webp": ".webp", "jpeg": ".jpg"}
# zlib at its fastest: noise does not compress, and the higher levels cost several times the degradation.
_PNG_LEVEL = 1


def folder_of(condition: Condition) -> str:
    """Returns the folder of a condition, e.g. "fog/3", "defocus_blur+gaussian_noise/2+3", "clean/0".

    Options stand in brackets behind the name; a slash in them is written %2F. How the result is kept (family, quantise,
    stored) is the same for a whole tree and stands in its manifest.

    Examples:
      >>> folder_of(Condition.parse("defocus_blur/2+gaussian_noise/3"))
      'defocus_blur+gaussian_noise/2+3'
    """
    if not condition.steps:
        return f"{CLEAN}/0"
    name = "+".join(step.label for step in condition.steps).replace("%", "%25").replace("/", "%2F")
    return f"{name}/{'+'.join(f'{severity:g}' for severity in condition.severities)}"


def degradation_of(folder: str) -> str:
    """Inverse of what `folder_of` does to the name of a degradation.

    Examples:
      >>> degradation_of("frost[textures=a%2Fb]")
      'frost[textures=a/b]'
    """
    return urllib.parse.unquote(folder)


def output_names(source: data.Source, indices: Sequence[int], format: str) -> list[str]:
    """Names the copies of images: their relative paths with the ending of the format.

    Args:
      source: source of the images.
      indices: positions in it.
      format: a key of ENDINGS, or another: nothing is a file of its own, and the names are those of the images.

    Returns:
      Paths relative to the folder of a condition. Where two images differ in nothing but their ending, both keep it
      before the new one: "a.bmp.png".
    """
    own = [_safe(names.name_of(source.id(i))) for i in indices]
    if format not in ENDINGS:
        return own
    stems = [os.path.splitext(name)[0] for name in own]
    counts = collections.Counter(stems)
    return [(name if counts[stem] > 1 else stem) + ENDINGS[format] for name, stem in zip(own, stems, strict=True)]


def _safe(name: str) -> str:
    """A relative path that leads nowhere else: ids of other sources than folders may be any text."""
    parts = [part for part in pathlib.PurePosixPath(name).parts if part not in ("/", "..", ".")]
    return "/".join(parts).replace("\0", "_") or "_"


def encode_mask(mask: np.ndarray) -> bytes:
    """Stores a mask of whole numbers as PNG, of 8 bits where they fit, else of 16."""
    out = io.BytesIO()
    wide = mask.max(initial=0) > 255
    PIL.Image.fromarray(mask.astype(np.uint16 if wide else np.uint8)).save(out, format="PNG")
    return out.getvalue()


def encode(pixels: np.ndarray, format: str, quality: int | None) -> bytes:
    """Stores an image.

    Args:
      pixels: uint8 [H, W, 3].
      format: a key of ENDINGS.
      quality: quality of JPEG (chroma 4:2:0) or WebP; None: without loss.

    Returns:
      The content of the file, the same for the same pixels and versions of Pillow and its libraries.
    """
    out = io.BytesIO()
    how = {
        "png": {"compress_level": _PNG_LEVEL},
        "webp": {"lossless": True, "method": 2} if quality is None else {"quality": quality},
        "jpeg": {"quality": quality},
    }
    PIL.Image.fromarray(pixels).save(out, format.upper(), **how[format])
    return out.getvalue()
