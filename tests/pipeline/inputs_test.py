"""What a study depends on is gathered: content of images and files, and the code."""

import dataclasses
import os

import numpy as np
import PIL.Image

import causal_iqa
from causal_iqa import data, pipeline
from causal_iqa.pipeline import inputs, provenance


def test_many_large_files_are_told_apart_by_size_and_time(config, tmp_path):
    source = data.open_folder(tmp_path / "images")
    by_content = inputs.list_images(source, range(10))
    by_time = inputs.list_images(source, range(10), most_bytes=10)
    assert by_content.ids == by_time.ids and not set(by_content.stamps) & set(by_time.stamps)
    os.utime(tmp_path / "images" / "a" / "000.png", ns=(1, 1))
    (tmp_path / "images" / "b" / "004.png").unlink()
    assert inputs.list_images(source, range(9)).stamps == by_content.stamps[:9]
    again = inputs.list_images(source, range(10), most_bytes=10).stamps
    assert [i for i in range(10) if again[i] != by_time.stamps[i]] == [0, 9] and again[9] == inputs.UNREADABLE


def test_the_library_is_known_by_its_code():
    found = inputs.of_library()
    assert set(found) == {"library", "version of JAX", "version of NumPy", "version of Pillow"}
    assert found["library"].startswith(f"{causal_iqa.__version__} ")


def test_every_file_that_a_study_reads_is_in_it(config, tmp_path):
    (tmp_path / "textures").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "textures" / "frost1.png")
    config = dataclasses.replace(config, degradations=(f"frost[textures={tmp_path / 'textures'}]",))
    first = pipeline.prepare(config).provenance
    PIL.Image.fromarray(255 - pixels).save(tmp_path / "textures" / "frost1.png")
    second = pipeline.prepare(config).provenance
    assert first.fingerprint != second.fingerprint
    (changed,) = provenance.differences(first, {}, second, {})
    assert changed == f"the file {tmp_path / 'textures'} changed"
