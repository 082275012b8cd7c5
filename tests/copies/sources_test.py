"""What is copied: folders, lists of files, and the files beside the images."""

import dataclasses
import io
import os

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, copies
from causal_iqa.copies import sources


def _read(path):
    return np.asarray(PIL.Image.open(path).convert("RGB"))


def test_lists_of_files(photos, tmp_path):
    given = tmp_path / "list.txt"
    given.write_text(f"{photos}/deep/er/b.jpg\n\n{photos}/a.png\n")
    config = copies.CopyConfig(
        images=str(given),
        degradations=("contrast",),
        severities=(1.0,),
        parameters="cifar_c",
        format="jpeg",
        quality=30,
    )
    copies.write(copies.prepare(config, tmp_path / "out"), tmp_path / "out")
    expected = copies.degrade(_read(photos / "a.png"), "contrast/1", image_id="a.png", parameters="cifar_c")
    out = io.BytesIO()
    PIL.Image.fromarray(expected).save(out, "JPEG", quality=30)
    assert (tmp_path / "out/contrast/1/a.jpg").read_bytes() == out.getvalue()
    assert (tmp_path / "out/contrast/1/deep/er/b.jpg").exists()
    given.write_text(f"{photos}/a.png\n{os.path.relpath(photos, tmp_path)}/a.png\n")
    with pytest.raises(InputError, match="names 1 files twice"):
        copies.prepare(config, tmp_path / "out")


def test_side_files_are_those_that_are_no_images_and_not_hidden(config, photos, tmp_path):
    found = list(sources.side_files(sources.open_source(config)))
    assert found == [(os.path.join("deep", "labels.txt"), str(photos / "deep" / "labels.txt"))]
    one = sources.open_source(dataclasses.replace(config, images=str(photos / "a.png")))
    assert list(sources.side_files(one)) == []


@pytest.mark.parametrize(
    ("content", "message"), [("", "names no file"), ("\n\n", "names no file"), (b"\xff\xfe\x00", "cannot be read")]
)
def test_a_list_that_is_none(config, tmp_path, content, message):
    path = tmp_path / "list.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        sources.open_source(dataclasses.replace(config, images=str(path)))


def test_splits_are_of_tfds_alone(config):
    with pytest.raises(InputError, match="only for images of the form tfds:NAME"):
        sources.open_source(dataclasses.replace(config, split="test"))
