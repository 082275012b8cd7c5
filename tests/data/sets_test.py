"""Sets of images by name, lists of paths, arrays, and the facts about an image."""

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, data


def _image(path, seed=0, size=(20, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(path)


def test_a_name_is_split_off_unless_the_whole_is_a_path(tmp_path):
    assert data.split_name("field=photos/march") == ("field", "photos/march")
    assert data.split_name("photos/march") == (None, "photos/march")
    assert data.split_name("photos/a=b") == (None, "photos/a=b"), "a slash before the mark: a path"
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert data.split_name(str(odd)) == (None, str(odd))
    for wrong in ("", "field="):
        with pytest.raises(InputError, match="images: "):
            data.split_name(wrong)


def test_sets_have_names_groups_and_remarks(tmp_path):
    for name in ("a/0.png", "a/deep/1.png", "b/2.png", "3.png"):
        _image(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.md").write_text("")
    first, second = data.open_sets([f"old={tmp_path / 'photos'}", str(tmp_path / "photos")])
    assert (first.name, second.name) == ("old", "photos")
    ids = [first.source.id(i) for i in range(4)]
    assert [first.group(i, name) for i, name in enumerate(ids)] == ["", "a", "a", "b"]
    assert first.remarks == ("passed over: 1 .md",)
    with pytest.raises(InputError, match="two sets are called 'x'"):
        data.open_sets([f"x={tmp_path / 'photos'}"] * 2)
    twice = data.open_sets([str(tmp_path / "photos")] * 2)
    assert [one.name for one in twice] == ["photos", "photos 2"]


def test_class_folders_give_labels_and_groups(tmp_path):
    for name in ("cat/0.png", "dog/1.png"):
        _image(tmp_path / name)
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    for found in (
        data.open_sets([f"folder:{tmp_path}"])[0],
        data.open_sets([str(tmp_path)], classes=str(tmp_path / "classes.txt"))[0],
    ):
        assert [found.group(i, found.source.id(i)) for i in range(2)] == ["cat", "dog"]
    assert [found.source.label(i) for i in range(2)] == [1, 0]


def test_a_list_of_paths_is_read_in_order_each_once(tmp_path):
    _image(tmp_path / "b.png", 1)
    _image(tmp_path / "a.png", 2)
    listing = tmp_path / "some.txt"
    listing.write_text(f"# chosen\n{tmp_path / 'b.png'}\n\na.png\na.png\nreadme.md\nmissing.png\n")
    (found,) = data.open_sets([str(listing)])
    ids = [found.source.id(i) for i in range(len(found.source))]
    assert ids == [str(tmp_path / "b.png"), "a.png", "missing.png"]
    assert "1 paths are listed more than once" in found.remarks[0] and "readme.md" in found.remarks[1]
    np.testing.assert_array_equal(found.source[1].image, np.asarray(PIL.Image.open(tmp_path / "a.png")))
    with pytest.raises(data.UnreadableImage):
        found.source[2]
    listing.write_text("readme.md\n")
    with pytest.raises(InputError, match="lists no image"):
        data.open_sets([str(listing)])
