"""Images of every format, and what may be wrong with files: the material of the fuzz tests."""

import io
import os
import pathlib
import socket
import zlib

import numpy as np
import PIL.Image

from causal_iqa.data import formats

# Ending -> options of Pillow's writer. Formats that Pillow reads but does not write are left out.
_WRITTEN = {
    ".jpg": {"quality": 90},
    ".jpeg": {"progressive": True},
    ".png": {},
    ".apng": {"save_all": True},
    ".webp": {"lossless": True},
    ".bmp": {},
    ".gif": {},
    ".tif": {},
    ".tiff": {"compression": "tiff_lzw"},
    ".avif": {},
    ".jp2": {},
    ".dds": {},
    ".dib": {},
    ".ico": {},
    ".im": {},
    ".msp": {},
    ".pcx": {},
    ".ppm": {},
    ".pgm": {},
    ".qoi": {},
    ".sgi": {},
    ".tga": {"compression": "tga_rle"},
    ".xbm": {},
    ".blp": {},
}
_MODES = {".msp": "1", ".xbm": "1", ".pgm": "L", ".blp": "P"}


def pixels(seed: int, height: int = 24, width: int = 20) -> np.ndarray:
    """A small picture with structure, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    coarse = PIL.Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), PIL.Image.Resampling.BICUBIC))


def encode(ending: str, seed: int = 0) -> bytes:
    """A picture as a file of this ending."""
    image = PIL.Image.fromarray(pixels(seed))
    options = dict(_WRITTEN[ending])
    if "save_all" in options:
        options["append_images"] = [PIL.Image.fromarray(pixels(seed + 1))]
    file = io.BytesIO()
    format = PIL.Image.registered_extensions()[ending]
    image.convert(_MODES.get(ending, "RGB")).save(file, format, **options)
    return file.getvalue()


def endings() -> tuple[str, ...]:
    """The endings that `encode` writes with the Pillow that is installed."""
    formats.load_plugins()
    known = PIL.Image.registered_extensions()
    return tuple(
        ending
        for ending in _WRITTEN
        if formats.is_readable(formats.ENDINGS[ending]) and known.get(ending) in PIL.Image.SAVE
    )


def mutate(rng: np.random.Generator, content: bytes, other: bytes) -> bytes:
    """Damages a file in one of the ways in which files are damaged.

    Args:
      rng: of the damage.
      content: of the file.
      other: of another file, to splice.
    """
    data = bytearray(content)
    kind = rng.integers(8)
    at = int(rng.integers(len(data)))
    head = int(rng.integers(min(len(data), 64)))
    if kind == 0:  # One bit.
        data[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:  # Several bytes, most of them in the header.
        for place in (head, at, int(rng.integers(min(len(data), 256)))):
            data[place] = int(rng.integers(256))
    elif kind == 2:  # Cut off.
        del data[at:]
    elif kind == 3:  # A piece missing.
        del data[at : at + int(rng.integers(1, 64))]
    elif kind == 4:  # A piece twice.
        data[at:at] = data[at : at + int(rng.integers(1, 64))]
    elif kind == 5:  # Extreme numbers in the header.
        extreme = (b"\x00" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x00\x00\x10\x00", b"\x80\x00\x00\x00")
        data[head : head + 4] = extreme[int(rng.integers(len(extreme)))]
    elif kind == 6:  # The end of another file.
        data[at:] = other[min(at, len(other)) :]
    else:  # Zeros, as a disk leaves them.
        data[at : at + 512] = bytes(min(512, len(data) - at))
    return bytes(data)


def _huge_png() -> bytes:
    header = b"\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x02\x00\x00\x00"  # 100,000 squared, RGB.
    chunk = b"IHDR" + header
    body = len(header).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + body + b"\x00\x00\x00\x00IDAT"


def spoil(folder: pathlib.Path, count: int, seed: int) -> set[str]:
    """Puts malformed entries into a folder.

    Args:
      folder: there already.
      count: how many, at least 20: special files, files that are no images, and mutated images.
      seed: of the mutations.

    Returns:
      Their names, as `os` gives them.
    """
    rng = np.random.default_rng(seed)
    contents = {
        "empty.jpg": b"",
        "text.png": b"not an image",
        "page.webp": b"<html><body>404</body></html>",
        "script.gif": b"#!/bin/sh\nexit 1\n",
        "postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n",
        "huge.png": _huge_png(),
        "wrong.tga": encode(".png"),
        "renamed.jpg": encode(".gif"),
        "notes.txt": b"no image",
        "film.mp4": b"\x00\x00\x00\x18ftypmp42",
        "no_ending": b"",
        ".hidden.png": encode(".png"),
        os.fsdecode(b"latin\xe9.png"): encode(".png")[:40],
        "two\nlines.png": b"",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "nowhere.png").symlink_to(folder / "not_there.png")
    (folder / "itself.png").symlink_to("itself.png")
    (folder / "up").symlink_to(folder, target_is_directory=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.png"))
    names = {*contents, "pipe.jpg", "device.png", "nowhere.png", "itself.png", "up", "socket.png"}
    known = endings()
    originals = {ending: encode(ending) for ending in known}
    while len(names) < count:
        ending = known[int(rng.integers(len(known)))]
        other = originals[known[int(rng.integers(len(known)))]]
        name = f"mutated{len(names):04d}{ending}"
        (folder / name).write_bytes(mutate(rng, originals[ending], other))
        names.add(name)
    return names
