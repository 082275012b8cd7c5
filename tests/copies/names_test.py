"""Names of copies: folders, files, and content that decodes to the same pixels."""

import io

import numpy as np
import PIL.Image
import pytest

from causal_iqa import data
from causal_iqa.copies import names
from causal_iqa.degradations import Condition

_PIXELS = np.random.default_rng(0).integers(0, 256, (7, 9, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", ["fog/3", "defocus_blur+fog/2+3.5", "scale[direction=in]/1", "clean/0"])
def test_folders_name_their_condition(name):
    label, severity = name.rsplit("/", 1)
    parts = zip(label.split("+"), severity.split("+"), strict=True)
    condition = Condition.parse("+".join(f"{a}/{b}" for a, b in parts))
    assert names.folder_of(condition) == name


def test_a_slash_in_an_option_makes_no_folder():
    condition = Condition.parse("frost[textures=/a%b/c]/2")
    folder = names.folder_of(condition)
    assert folder.count("/") == 1
    assert names.degradation_of(folder.split("/")[0]) == "frost[textures=/a%b/c]"


class _Ids:
    def __init__(self, *ids):
        self._ids = ids

    def id(self, index):
        return self._ids[index]


def _named(format, *ids):
    source: data.Source = _Ids(*ids)  # pyright: ignore[reportAssignmentType]
    return names.output_names(source, range(len(ids)), format)


def test_images_that_differ_in_their_ending_keep_it():
    assert _named("png", "a.bmp", "a.png", "d/b.jpg") == ["a.bmp.png", "a.png.png", "d/b.png"]
    assert _named("jpeg", "a.png") == ["a.jpg"] and _named("array_record", "a.png", "a.bmp") == ["a.png", "a.bmp"]


def test_ids_lead_nowhere_else():
    assert _named("array_record", "/etc/x", "../../y", "a/../b", "..", "z\0") == ["etc/x", "y", "a/b", "_", "z_"]


@pytest.mark.parametrize(("format", "quality"), [("png", None), ("webp", None), ("jpeg", 95), ("webp", 90)])
def test_content_is_of_its_format_and_without_loss_where_asked(format, quality):
    content = names.encode(_PIXELS, format, quality)
    image = PIL.Image.open(io.BytesIO(content))
    assert image.format == format.upper() and names.encode(_PIXELS, format, quality) == content
    if quality is None:
        np.testing.assert_array_equal(np.asarray(image), _PIXELS)


@pytest.mark.parametrize("most", [0, 255, 256, 65535])
def test_masks_keep_their_numbers(most):
    mask = np.array([[0, most]])
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(io.BytesIO(names.encode_mask(mask)))), mask)
