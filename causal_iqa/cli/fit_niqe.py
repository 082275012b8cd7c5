"""Fits NIQE's pristine model on sharp blocks of real photographs.

  causal-iqa fit-niqe --images=DIR --output=niqe_mine.npz

It prints how many photographs and blocks it used. --metric=niqe@niqe_mine.npz of align and score reads the model.
"""

import io
import json

import jax
import jax.numpy as jnp
import numpy as np

from causal_iqa import InputError, _files, data, images
from causal_iqa.cli import common, flagset, program_cache, progress
from causal_iqa.metrics import _niqe

FLAGS = flagset.FlagSet()

_IMAGES = FLAGS.string(
    "images",
    None,
    "Photographs: a folder with images at any depth, an image, a .txt file that lists paths, tfds:NAME, or folder:PATH "
    "(with --split its subfolder of that name).",
    required=True,
)
FLAGS.former("dataset", "images")
_OUTPUT = FLAGS.string("output", None, "File to write, ending in .npz.", required=True)

FLAGS.group("Photographs")
_DATA_DIR = FLAGS.string("data_dir", None, "Folder of the prepared TFDS datasets.")
_SPLIT = FLAGS.string("split", None, "Split of a TFDS dataset (default: its test split), or subfolder of folder:PATH.")
_NUM_IMAGES = FLAGS.string("num_images", "all", "Number of photographs, or all.")
_MAX_PIXELS = FLAGS.integer(
    "max_pixels", data.MAX_PIXELS, "Larger images are not decoded and count as unreadable; bounds the memory."
)
_BLOCKS = FLAGS.integer(
    "blocks", 12, "Blocks of 96 x 96 pixels that are read in the middle of a photograph, 12 being 3 x 4.", lower_bound=1
)

FLAGS.group("Machine")
_COMPILATION_CACHE = FLAGS.string("compilation_cache", None, program_cache.WORDS)


def _central(pixels: np.ndarray, blocks: int) -> np.ndarray | None:
    """Returns the middle of a photograph, one of two shapes so that two programs do; None when it is too small."""
    height, width = _sides(blocks)
    if pixels.shape[0] > pixels.shape[1]:
        height, width = width, height
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width] if min(top, left) >= 0 else None


def _sides(blocks: int) -> tuple[int, int]:
    """Returns the shorter and the longer side in pixels of what is read of a photograph."""
    short = next(k for k in range(int(blocks**0.5), 0, -1) if blocks % k == 0)
    return _niqe.BLOCK * short, _niqe.BLOCK * (blocks // short)


def main(_: list[str]) -> None:
    """Reads photographs, keeps their sharp blocks, writes mean and covariance."""
    program_cache.keep(_COMPILATION_CACHE.value)
    if not _OUTPUT.value.endswith(".npz"):
        raise InputError(f"--output: expected a name ending in .npz, got {_OUTPUT.value!r}")
    common.check_writable(_OUTPUT.value, "output")
    source = data.open_sets(
        [_IMAGES.value], split=_SPLIT.value, data_dir=_DATA_DIR.value, max_pixels=_MAX_PIXELS.value
    )[0].source
    for line in data.remarks(source):
        print(line)
    limit = common.integer_or_all(_NUM_IMAGES.value, "num_images")
    sharp = jax.jit(_niqe.sharp_features)
    rows, used, small, skipped = [], 0, 0, []
    with progress.stage("fit", "images") as tell:
        for index in range(len(source) if limit is None else min(limit, len(source))):
            try:
                crop = _central(source[index].image, _BLOCKS.value)
            except data.UnreadableImage as error:
                skipped.append((source.id(index), str(error)))
                continue
            if crop is None:
                small += 1
            else:
                values, keep = sharp(images.from_uint8(jnp.asarray(crop)))
                rows.append(np.asarray(values)[np.asarray(keep)])
                used += 1
            tell(index + 1, len(source) if limit is None else min(limit, len(source)))
    common.print_skipped(skipped, used, "used")
    if small:
        short, long = _sides(_BLOCKS.value)
        print(f"left out because smaller than {short} x {long} pixels (--blocks): {small} photographs")
    model = _niqe.fit(np.concatenate(rows) if rows else np.zeros((0, _niqe.FEATURES)))
    content = io.BytesIO()
    np.savez(content, mean=model.mean, covariance=model.covariance)
    _files.write_atomically(_OUTPUT.value, content.getvalue())
    print(json.dumps({"output": _OUTPUT.value, "photographs": used, "blocks": sum(map(len, rows))}))
