"""Class folders: which files are read, which label each gets, and what the user is told when something is wrong."""

import pathlib

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, data


def _write(path: pathlib.Path, value: int = 0, shape: tuple[int, int] = (6, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.full((*shape, 3), value, np.uint8)).save(path)


@pytest.fixture
def root(tmp_path) -> pathlib.Path:
    _write(tmp_path / "dog" / "b.png", 1)
    _write(tmp_path / "dog" / "a.JPEG", 2)
    _write(tmp_path / "cat" / "deep" / "er" / "c.webp", 3)
    _write(tmp_path / "owl" / "d.BMP", 4)
    _write(tmp_path / "dog" / ".hidden.png")
    _write(tmp_path / ".cache" / "e.png")
    _write(tmp_path / "owl" / ".thumbs" / "f.png")
    _write(tmp_path / "loose.png")
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    return tmp_path


def test_folder_names_are_the_classes_without_a_list(root):
    source = data.open_folder(root)
    assert isinstance(source, data.Source)
    assert source.class_names == ("cat", "dog", "owl")
    assert [source.id(i) for i in range(len(source))] == ["cat/deep/er/c.webp", "dog/a.JPEG", "dog/b.png", "owl/d.BMP"]
    assert [source.label(i) for i in range(len(source))] == [0, 1, 1, 2]
    example = source[2]
    np.testing.assert_array_equal(example.image, np.full((6, 8, 3), 1, np.uint8))
    assert (example.label, example.id) == (1, "dog/b.png")


def test_class_list_fixes_the_labels_of_folders_that_are_there(root):
    listed = root / "classes.txt"
    listed.write_text("\ufeffyak\r\nowl\r\nant\r\ndog\r\ncat\r\n\r\n", encoding="utf-8")
    for classes in (listed, str(listed), ["yak", "owl", "ant", "dog", "cat"]):
        source = data.open_folder(root, classes=classes)
        assert source.class_names == ("yak", "owl", "ant", "dog", "cat")
        assert {source.id(i): source.label(i) for i in range(4)} == {
            "cat/deep/er/c.webp": 4,
            "dog/a.JPEG": 3,
            "dog/b.png": 3,
            "owl/d.BMP": 1,
        }


def test_folder_not_in_the_list_is_named_with_the_closest_class(root):
    with pytest.raises(InputError, match=r"1 of 3 folders.*'owl'.*did you mean owls\?"):
        data.open_folder(root, classes=["cat", "dog", "owls"])
    for i in range(9):
        _write(root / f"extra{i}" / "x.png")
    with pytest.raises(InputError, match=r"9 of 12 folders.*'extra4' and 4 more"):
        data.open_folder(root, classes=["cat", "dog", "owl"])


def test_folder_without_images_needs_no_class(root):
    (root / "annotations").mkdir()
    (root / "annotations" / "boxes.xml").write_text("<xml/>")
    assert len(data.open_folder(root, classes=["cat", "dog", "owl"])) == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "names no class"),
        (b"\n\n", "names no class"),
        (b"cat\n\ndog\nowl\n", "line 2 .* is empty"),
        (b"cat\ndog\ncat\n", "'cat' is on lines 1 and 3"),
        (b"\xff\xfe\x00c", "not a UTF-8 text file"),
    ],
)
def test_bad_class_list(root, content, said):
    (root / "classes.txt").write_bytes(content)
    with pytest.raises(InputError, match=said):
        data.open_folder(root, classes=root / "classes.txt")


def test_missing_class_list(root):
    with pytest.raises(InputError, match=r"classes: cannot read .*none\.txt.*No such file"):
        data.open_folder(root, classes=root / "none.txt")


def test_root_missing_empty_flat_or_a_file(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        data.open_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no labelled image"):
        data.open_folder(tmp_path / "empty")
    (tmp_path / "empty" / "class").mkdir()
    with pytest.raises(InputError, match="no labelled image"):
        data.open_folder(tmp_path / "empty")
    _write(tmp_path / "flat" / "x.png")
    with pytest.raises(InputError, match="lie in no class folder"):
        data.open_folder(tmp_path / "flat")
    with pytest.raises(InputError, match="is not a folder"):
        data.open_folder(tmp_path / "flat" / "x.png")


def test_split_is_a_subfolder(root, tmp_path_factory):
    whole = tmp_path_factory.mktemp("dataset")
    _write(whole / "train" / "cat" / "a.png")
    _write(whole / "validation" / "cat" / "b.png")
    source = data.open_folder(whole, split="validation")
    assert (source.split, source.class_names, source.paths) == ("validation", ("cat",), ("cat/b.png",))
    with pytest.raises(InputError, match=r"no subfolder 'valid'; did you mean validation\?"):
        data.open_folder(whole, split="valid")


def test_unlabelled_images(root):
    source = data.open_images(root)
    assert source.class_names == ()
    assert [source.id(i) for i in range(len(source))] == [
        "cat/deep/er/c.webp",
        "dog/a.JPEG",
        "dog/b.png",
        "loose.png",
        "owl/d.BMP",
    ]
    assert {source.label(i) for i in range(len(source))} == {-1}
    single = data.open_images(root / "loose.png")
    assert (len(single), single.id(0), single[0].label) == (1, "loose.png", -1)
    (root / "void").mkdir()
    with pytest.raises(InputError, match="images: none below"):
        data.open_images(root / "void")
    with pytest.raises(InputError, match="does not exist"):
        data.open_images(root / "nothing.png")


def test_image_shape_is_known_only_when_all_agree(root):
    assert data.open_folder(root).image_shape == (6, 8)
    (root / "dog" / "broken.jpg").write_bytes(b"")
    assert data.open_folder(root).image_shape == (6, 8)
    _write(root / "owl" / "z.png", shape=(8, 6))
    assert data.open_folder(root).image_shape is None


def test_damaged_files_raise_with_their_id(root):
    (root / "cat" / "empty.jpg").write_bytes(b"")
    (root / "cat" / "text.jpg").write_text("hello")
    source = data.open_folder(root)
    for id, reason in (("cat/empty.jpg", "empty"), ("cat/text.jpg", "not a JPEG")):
        with pytest.raises(data.UnreadableImage, match=reason) as raised:
            source[source.paths.index(id)]
        assert raised.value.id == id
    (root / "dog" / "b.png").unlink()
    with pytest.raises(data.UnreadableImage, match="No such file"):
        source[source.paths.index("dog/b.png")]


def test_imagenet_labels_are_the_lines_of_the_list(shared_data):
    listed = shared_data("data", "imagenet_sample", "imagenet_wnids.txt")
    source = data.open_folder(shared_data("data", "imagenet_sample", "validation"), classes=listed)
    lines = listed.read_text().split()
    assert (len(source), len(source.class_names)) == (700, 1000)
    for i in range(len(source)):
        assert lines[source.label(i)] == source.id(i).split("/")[0]
    assert source.image_shape is None
    assert source[5].image.shape == np.asarray(PIL.Image.open(source.root / source.id(5)).convert("RGB")).shape
