"""Which files are images: endings, the formats that are tried, and what is missing."""

import PIL.Image
import pytest

from causal_iqa.data import formats


@pytest.mark.parametrize(
    ("name", "ending"),
    [("a.PNG", ".png"), ("x/y.tar.Jpg", ".jpg"), (".png", ""), ("a", ""), ("x.d/a", ""), ("a.", ".")],
)
def test_endings(name, ending):
    assert formats.ending_of(name) == ending


def test_every_format_of_the_list_is_one_of_pillow():
    formats.load_plugins()
    known = set(PIL.Image.OPEN)
    assert {name for name in formats.ENDINGS.values() if name not in known} <= {"HEIF", "AVIF"}
    assert formats.is_image("a.JPG") and formats.is_image("b.bmp")
    assert not formats.is_image("a.txt") and not formats.is_image("png")


def test_a_format_without_a_mark_is_tried_on_its_own_ending_alone():
    assert formats.tried("a.tga") == ("TGA", *formats.COMMON)
    assert formats.tried("a.png") == formats.tried("a") == formats.COMMON and "TGA" not in formats.COMMON


def test_what_is_missing_is_named(monkeypatch):
    assert formats.mend(".png") is None and formats.mend(".txt") is None
    monkeypatch.setattr(formats, "is_readable", lambda format: False)
    assert "formats" in str(formats.mend(".heic")) and "Pillow" in str(formats.mend(".webp"))
    assert formats.mend(".qoi") == "needs another Pillow" and not formats.is_image("a.png")
