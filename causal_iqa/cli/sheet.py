"""Shows every degradation at every severity: a row of pictures for each, mild to severe.

  causal-iqa sheet
  causal-iqa sheet --image=photo.jpg --degradations=camera --output_dir=sheets

Two sheets for each set of degradations: the photograph, and the same at 32 pixels, enlarged without smoothing.
"""

import functools
import io
import pathlib

import jax
import jax.numpy as jnp
import matplotlib.cbook
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from causal_iqa import InputError, _files, data, degradations, images
from causal_iqa.cli import common, flagset, program_cache, progress
from causal_iqa.data import decoding

_SETS = ("imagenet_c", "camera")
# A portrait in the public domain (US Navy) that comes with matplotlib.
_PHOTO = "grace_hopper.jpg"
_LABEL_WIDTH, _HEAD, _GAP, _FONT_SIZE = 138, 18, 2, 12

FLAGS = flagset.FlagSet()

_IMAGE = FLAGS.string("image", None, "Photograph to degrade (default: the one that comes with matplotlib).")
_DEGRADATIONS = FLAGS.several(
    "degradations",
    list(_SETS),
    f"Degradations, comma separated, by name (options in brackets) or set ({', '.join(degradations.SETS)}); sheets "
    "for each set.",
)
_SEVERITIES = FLAGS.several(
    "severities", ["1", "2", "3", "4", "5"], "Severities in [0, 5], comma separated, fractions allowed."
)
_OUTPUT_DIR = FLAGS.string("output_dir", "sheets", "Folder of the sheets.")

FLAGS.group("Pictures")
_IMAGE_SIZE = FLAGS.integer(
    "image_size", 224, "Side in pixels of the photograph when it is degraded; it decides the parameters (--family)."
)
FLAGS.former("side", "image_size")
_SMALL_IMAGE_SIZE = FLAGS.integer("small_image_size", 32, "Side in pixels of the small image, likewise.")
FLAGS.former("small_side", "small_image_size")
_SHOWN = FLAGS.integer("shown", 112, "Side in pixels at which a picture is shown on a sheet.")
_QUALITY = FLAGS.integer("quality", 82, "JPEG quality of the sheets, 1 to 100.")

FLAGS.group("Degradations")
_FAMILY = FLAGS.choice(
    "family", None, list(degradations.FAMILIES), "Parameters of the degradations (default: by the size of each image)."
)
_SEED = FLAGS.integer("seed", 0, "Seed of the degradations.")

FLAGS.group("Machine")
_COMPILATION_CACHE = FLAGS.string("compilation_cache", None, program_cache.WORDS)


def read_image(path: str | None, side: int) -> np.ndarray:
    """Returns a square photograph.

    Args:
      path: path of the image file; None: the photograph that comes with matplotlib.
      side: side in pixels.

    Returns:
      uint8 [side, side, 3].

    Raises:
      InputError: when the file cannot be read.
    """
    if path is None:
        path = str(matplotlib.cbook.get_sample_data(_PHOTO, asfileobj=False))
    try:
        decoded = decoding.read(path, path)
    except data.UnreadableImage as error:
        raise InputError(f"--image: {error}") from error
    return data.fit(decoded, side)


def degrade(label: str, image: jax.Array, severities: tuple[float, ...], family: str | None, seed: int) -> np.ndarray:
    """Puts an image under one degradation at several severities, one draw for all.

    Args:
      label: name of the degradation, options in brackets.
      image: float32 [H, W, 3] in [0, 1].
      severities: K of them.
      family: family of the parameters, or None for the one whose size is nearest to the image's.
      seed: seed of the draw.

    Returns:
      uint8 [K, H, W, 3].
    """
    family = family or degradations.nearest_family(*image.shape[:2])
    graded = degradations.do_graded(degradations.Condition([degradations.parse_label(label)], family=family))
    ladder = jax.jit(jax.vmap(functools.partial(graded, jax.random.key(seed), image)))
    return np.asarray(images.to_uint8(ladder(jnp.asarray(severities, jnp.float32)[:, None])))


def draw(
    clean: np.ndarray, rows: dict[str, np.ndarray], severities: tuple[float, ...], shown: int, smooth: bool
) -> PIL.Image.Image:
    """Lays out a sheet: a row for each degradation, the clean image first.

    Args:
      clean: uint8 [H, W, 3].
      rows: label -> uint8 [K, H, W, 3].
      severities: K of them.
      shown: side in pixels of a picture on the sheet.
      smooth: whether pictures are resized with smoothing.

    Returns:
      The sheet.
    """
    cell = shown + _GAP
    size = (_LABEL_WIDTH + cell * (len(severities) + 1), _HEAD + cell * len(rows))
    sheet = PIL.Image.new("RGB", size, "white")
    pen = PIL.ImageDraw.Draw(sheet)
    font = PIL.ImageFont.load_default(_FONT_SIZE)
    how = PIL.Image.Resampling.LANCZOS if smooth else PIL.Image.Resampling.NEAREST
    for column, head in enumerate(("clean", *(f"severity {severity:g}" for severity in severities))):
        pen.text((_LABEL_WIDTH + cell * column + shown // 2, _HEAD // 2), head, "black", font, anchor="mm")
    for row, (label, pictures) in enumerate(rows.items()):
        top = _HEAD + cell * row
        pen.text((_LABEL_WIDTH - 6, top + shown // 2), label, "black", font, anchor="rm", align="right")
        for column, picture in enumerate((clean, *pictures)):
            small = PIL.Image.fromarray(picture).resize((shown, shown), how)
            sheet.paste(small, (_LABEL_WIDTH + cell * column, top))
    return sheet


def _sheets(given: list[str]) -> dict[str, tuple[str, ...]]:
    """Name of the sheet -> degradations on it."""
    sheets = {name: degradations.named_set(name) for name in given if name in degradations.SETS}
    others = tuple(name for name in given if name not in sheets)
    others = tuple(degradations.parse_label(name).label for name in others)
    return sheets | ({"chosen": others} if others else {})


def main(_: list[str]) -> None:
    """Flags -> two sheets for each set."""
    program_cache.keep(_COMPILATION_CACHE.value)
    severities = common.numbers(_SEVERITIES.value, "severities")
    for severity in severities:
        degradations.check_severity(severity)
    for name, flag in (("image_size", _IMAGE_SIZE), ("small_image_size", _SMALL_IMAGE_SIZE), ("shown", _SHOWN)):
        if flag.value < 16:
            raise InputError(f"--{name}: expected at least 16 pixels, got {flag.value}")
    sheets = _sheets(_DEGRADATIONS.value)
    common.check_writable(f"{_OUTPUT_DIR.value}/degradations.jpg", "output_dir")
    photo = read_image(_IMAGE.value, _IMAGE_SIZE.value)
    small = data.fit(photo, _SMALL_IMAGE_SIZE.value, crop_fraction=1.0)
    for (name, members), clean in ((item, clean) for item in sheets.items() for clean in (photo, small)):
        with progress.stage(f"{name} at {len(clean)} pixels", "degradations") as tell:
            rows = {}
            for i, member in enumerate(members):
                label = f"{member}\n{degradations.TABLE[degradations.parse_label(member).name].group}"
                rows[label] = degrade(member, images.from_uint8(clean), severities, _FAMILY.value, _SEED.value)
                tell(i + 1, len(members))
        # Small images are enlarged a whole number of times.
        smooth = len(clean) > _SHOWN.value
        shown = _SHOWN.value if smooth else _SHOWN.value // len(clean) * len(clean)
        path = pathlib.Path(_OUTPUT_DIR.value) / f"degradations_{name}_{len(clean)}.jpg"
        content = io.BytesIO()
        draw(clean, rows, severities, shown, smooth).save(content, "JPEG", quality=_QUALITY.value, optimize=True)
        _files.write_atomically(path, content.getvalue())
        print(path)
