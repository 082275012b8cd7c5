"""Files by path, and arrays."""

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, data


def _image(path, seed=0, size=(20, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def test_files_by_path_and_arrays(tmp_path):
    _image(tmp_path / "a.png", 2)
    source = data.open_files([str(tmp_path / "a.png")])
    assert source[0].image.shape == (12, 20, 3) and source.format(0) == "PNG"
    with pytest.raises(InputError, match="given twice"):
        data.open_files(["x.png", "x.png"])
    half = np.full((3, 5, 3), 0.5, np.float32)
    found = data.open_arrays([half, np.zeros((2, 2, 3), np.uint8)], labels=[4, -1])
    assert found[0].image.dtype == np.uint8 and int(found[0].image[0, 0, 0]) == 128 and found.label(0) == 4
    assert found.image_shape is None
    for wrong, error in (
        ([], ValueError),
        ([np.zeros((4, 4))], ValueError),
        ([half * 3], ValueError),
        ([half.astype(np.int32)], TypeError),
        ([half * np.nan], ValueError),
    ):
        with pytest.raises(error, match="images: "):
            data.open_arrays(wrong)
