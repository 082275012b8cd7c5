"""Sheets of degradations: every picture stands where it should and is what the degradation makes of the image."""

import jax
import numpy as np
import PIL.Image
import pytest

from causal_iqa import degradations, images
from tests.experiments.binaries import error_of, run

_FLAGS = (
    "--degradations=contrast,exposure_error[direction=under]",
    "--severities=0,2.5,5",
    "--image_size=64",
    "--shown=64",
)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    PIL.Image.fromarray(coarse).resize((90, 70), PIL.Image.Resampling.BICUBIC).save(path)
    return path


def test_pictures_stand_in_rows_and_columns(photo, tmp_path, capsys):
    run("sheet", f"--image={photo}", f"--output_dir={tmp_path}", *_FLAGS, "--quality=100")
    printed = capsys.readouterr().out.split()
    names = ["degradations_chosen_64.jpg", "degradations_chosen_32.jpg"]
    assert printed == [str(tmp_path / name) for name in names]
    sheet = np.asarray(PIL.Image.open(tmp_path / names[0]).convert("RGB"), np.float32)
    small = np.asarray(PIL.Image.open(tmp_path / names[1]).convert("RGB"), np.float32)
    assert sheet.shape == small.shape
    gap, head, cell = 2, 18, 66
    left = sheet.shape[1] - 4 * cell

    def picture(of, row, column):
        top = head + row * cell
        return of[top : top + cell - gap, left + column * cell :][:, : cell - gap]

    clean = np.asarray(PIL.Image.open(photo).convert("RGB").crop((14, 4, 75, 65)).resize((64, 64), 2), np.float32)
    # Severity 0 is the clean image; what is stored as JPEG differs a little.
    for column in (0, 1):
        assert np.abs(picture(sheet, 0, column) - clean).mean() < 2
    for row, text in enumerate(("contrast/5", "exposure_error[direction=under]/2.5")):
        condition = degradations.Condition.parse(text)
        expected = degradations.do(condition)(jax.random.key(0), images.from_uint8(clean.astype(np.uint8))) * 255
        seen = picture(sheet, row, 3 if condition.severity == 5 else 2)
        assert np.abs(seen - np.asarray(expected)).mean() < 3
        assert np.abs(seen - clean).mean() > 10
    # The image of 32 pixels is shown with squares for pixels.
    squares = picture(small, 0, 0).reshape(32, 2, 32, 2, 3)
    assert squares.std(axis=(1, 3)).mean() < 4 < squares.mean(axis=(1, 3)).std()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--image=none.png"], ["--image", "none.png", "No such file"]),
        (["--degradations=fogg"], ["unknown degradation 'fogg'"]),
        (["--severities=6"], ["severity", "6"]),
        (["--severities=high"], ["--severities", "'high'"]),
        (["--image_size=8"], ["--image_size", "at least 16"]),
        (["--output_dir=/proc/none"], ["output_dir"]),
    ],
)
def test_bad_arguments_end_with_one_line(capsys, arguments, words):
    line = error_of(capsys, "sheet", *arguments)
    assert all(word in line for word in words), line


def test_a_file_that_is_no_image_is_named(capsys, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"no image")
    assert "not a JPEG" in error_of(capsys, "sheet", f"--image={tmp_path / 'photo.jpg'}")
