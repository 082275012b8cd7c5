"""Which files are images: endings, the format of each, and the library that reads it.

Every format is listed that Pillow decodes by itself. Left out are those it only recognises (BUFR, GRIB, HDF5, MPEG,
WMF) and PostScript, which it hands to another program. HEIC and HEIF are read with the extra `formats`.
"""

import functools
import importlib.util
import types
from collections.abc import Mapping

import PIL.features
import PIL.Image

# Recognised by their content, whatever the ending. JPEG takes in MPO, what many cameras write.
COMMON = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF", "HEIF", "JPEG2000")

_ENDINGS_OF = {
    "JPEG": ".jpg .jpeg .jpe .jfif .mpo",
    "PNG": ".png .apng",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "GIF": ".gif",
    "TIFF": ".tif .tiff",
    "AVIF": ".avif .avifs",
    "HEIF": ".heic .heif .hif .heics .heifs",
    "JPEG2000": ".jp2 .j2k .j2c .jpc .jpf .jpx",
    "BLP": ".blp",
    "CUR": ".cur",
    "DCX": ".dcx",
    "DDS": ".dds",
    "DIB": ".dib",
    "FITS": ".fit .fits",
    "FLI": ".fli .flc",
    "FTEX": ".ftc .ftu",
    "GBR": ".gbr",
    "ICNS": ".icns",
    "ICO": ".ico",
    "IM": ".im",
    "MSP": ".msp",
    "PCD": ".pcd",
    "PCX": ".pcx",
    "PIXAR": ".pxr",
    "PPM": ".ppm .pgm .pbm .pnm .pfm",
    "PSD": ".psd",
    "QOI": ".qoi",
    "SGI": ".sgi .rgb .rgba .bw",
    "SUN": ".ras",
    "TGA": ".tga .icb .vda .vst",
    "XBM": ".xbm",
    "XPM": ".xpm",
}
# Ending -> format of Pillow.
ENDINGS: Mapping[str, str] = types.MappingProxyType(
    {ending: name for name, endings in _ENDINGS_OF.items() for ending in endings.split()}
)
# Files of these may hold several pictures that are each other's equals; the first is read.
SEVERAL_FRAMES = frozenset(
    ending
    for name in ("GIF", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "DCX", "FLI")
    for ending in _ENDINGS_OF[name].split()
)
_BLOCK_BYTES = 2**26
_MENDS = {
    "AVIF": "needs Pillow 11.3 or later: pip install -U pillow",
    "HEIF": "needs the extra `formats`: pip install 'causal_iqa[formats]'",
    "JPEG2000": "needs Pillow with OpenJPEG: pip install -U pillow",
    "WEBP": "needs Pillow with libwebp: pip install -U pillow",
}
_FEATURES = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}


def ending_of(name: str) -> str:
    """Returns the ending of a file's name in lower case, with its dot; "" for a name without an ending."""
    stem, dot, ending = name.rpartition(".")
    return f".{ending.lower()}" if dot and stem and "/" not in ending else ""


def is_image(name: str) -> bool:
    """Whether a file of this name is read as an image here: by its ending, and whether something reads the format."""
    format = ENDINGS.get(ending_of(name))
    return format is not None and is_readable(format)


def mend(ending: str) -> str | None:
    """Names the package that files of an ending need; None when none is missing, or none would help."""
    format = ENDINGS.get(ending)
    return None if format is None or is_readable(format) else _MENDS.get(format, "needs another Pillow")


@functools.cache
def is_readable(format: str) -> bool:
    """Whether the installed packages read a format of Pillow."""
    if format == "HEIF":
        return importlib.util.find_spec("pillow_heif") is not None
    load_plugins()
    feature = _FEATURES.get(format)
    return format in PIL.Image.OPEN and (feature is None or bool(PIL.features.check(feature)))


@functools.cache
def load_plugins() -> None:
    """Makes every installed format known to Pillow, and has it give memory back."""
    PIL.Image.init()
    # Blocks of Pillow's default size, 16 MiB, stay with the thread that freed them: every thread would keep the size of
    # its largest image. What is above 32 MiB the C library returns to the system.
    PIL.Image.core.set_block_size(_BLOCK_BYTES)
    if importlib.util.find_spec("pillow_heif") is not None:
        import pillow_heif  # pyright: ignore[reportMissingImports]

        pillow_heif.register_heif_opener()


def tried(name: str) -> tuple[str, ...]:
    """The formats that a file may have: its ending's first, then the common ones.

    Formats without a mark of their own (TGA and others) are only tried on files with their ending, because a damaged
    photo could be mistaken for such a file.

    Args:
      name: name of the file, or an id that ends like one.

    Returns:
      Formats of Pillow.
    """
    own = ENDINGS.get(ending_of(name))
    return COMMON if own is None or own in COMMON else (own, *COMMON)
