"""Class folders: which files are read, which label each gets, and what the user is told when something is wrong."""

import os
import pathlib
import socket

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


def test_every_format_with_an_ending_is_read_and_the_rest_is_counted(root):
    for name in ("a.tiff", "b.GIF", "c.jp2", "d.tga", "e.ppm"):
        _write(root / "cat" / name, 7)
    for name in ("x.mp4", "y.mp4", "README", "z.TXT"):
        (root / "cat" / name).write_text("")
    source = data.open_folder(root)
    for name in ("a.tiff", "b.GIF", "c.jp2", "d.tga", "e.ppm"):
        index = source.paths.index(f"cat/{name}")
        np.testing.assert_array_equal(source[index].image, np.full((6, 8, 3), 7, np.uint8))
    assert source.passed_over.endings == {".txt": 2, ".mp4": 2, "": 1}
    assert (source.passed_over.hidden, source.passed_over.outside, source.passed_over.named) == (3, 1, ())
    assert data.remarks(source) == (
        "passed over: 2 .mp4, 2 .txt, 1 without an ending, 1 images in no class folder, 3 hidden",
    )
    assert data.open_images(root).passed_over.endings == {".txt": 2, ".mp4": 2, "": 1}


def test_heic_without_its_reader_is_counted_with_the_mend(root, monkeypatch):
    monkeypatch.setattr("causal_iqa.data.formats.is_readable", lambda format: format != "HEIF")
    (root / "cat" / "phone.HEIC").write_bytes(b"x")
    lines = data.open_folder(root).passed_over.lines()
    assert lines[0].startswith("passed over: 1 .txt, 1 .heic") or lines[0].startswith("passed over: 1 .heic, 1 .txt")
    assert lines[1] == ".heic needs the extra `formats`: pip install 'causal_iqa[formats]'"
    for other in ("deep/er/c.webp",):
        (root / "cat" / other).unlink()
    (root / "only").mkdir()
    (root / "only" / "a.heic").write_bytes(b"x")
    with pytest.raises(InputError, match=r"none below.*1 \.heic.*causal_iqa\[formats\]"):
        data.open_images(root / "only")


def test_several_frames_are_said_and_the_first_is_read(root):
    frames = [PIL.Image.fromarray(np.full((6, 8, 3), value, np.uint8)) for value in (10, 200)]
    for name in ("two.gif", "two.tiff", "two.webp", "two.apng"):
        frames[0].save(root / "cat" / name, save_all=True, append_images=frames[1:], lossless=True)
    source = data.open_folder(root)
    said = "only the first frame is read of 4 files with several, e.g. cat/two.apng"
    assert said in data.remarks(source)
    for name in ("two.gif", "two.tiff", "two.webp", "two.apng"):
        np.testing.assert_array_equal(source[source.paths.index(f"cat/{name}")].image, np.full((6, 8, 3), 10))


@pytest.fixture
def unprivileged(root):
    """Whoever runs the tests may not read everything."""
    if os.geteuid() != 0:
        yield
        return
    for folder in (root, *root.parents[:3]):
        folder.chmod(0o755)
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_folder_without_permission_is_named(root, request):
    (root / "owl").chmod(0)
    request.getfixturevalue("unprivileged")
    for open_any in (data.open_folder, data.open_images):
        source = open_any(root)
        assert source.passed_over.named == (("owl", "Permission denied"),)
        assert "passed over: owl: Permission denied" in data.remarks(source)
    assert data.open_folder(root).class_names == ("cat", "dog", "owl")
    for open_any in (data.open_folder, data.open_images):
        with pytest.raises(InputError, match="Permission denied"):
            open_any(root / "owl")


def test_links_are_followed_by_every_way_in_and_loops_end(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    _write(elsewhere / "more" / "far.png", 9)
    (root / "fox").symlink_to(elsewhere, target_is_directory=True)
    (root / "cat" / "linked.png").symlink_to(elsewhere / "more" / "far.png")
    (root / "cat" / "again").symlink_to(root / "cat" / "deep", target_is_directory=True)
    (root / "cat" / "up").symlink_to(root, target_is_directory=True)
    (elsewhere / "more" / "loop").symlink_to(elsewhere, target_is_directory=True)
    (root / "dog" / "itself").symlink_to(root / "dog" / "itself")
    (root / "dog" / "gone.png").symlink_to(root / "nowhere.png")
    expected = ("cat/deep/er/c.webp", "cat/linked.png", "dog/a.JPEG", "dog/b.png", "fox/more/far.png", "owl/d.BMP")
    labelled, unlabelled = data.open_folder(root), data.open_images(root)
    assert labelled.paths == expected
    assert set(unlabelled.paths) == {*expected, "loose.png"}
    named = dict(labelled.passed_over.named)
    assert set(named) == {"cat/again", "cat/up", "fox/more/loop", "dog/itself", "dog/gone.png"}
    assert named["dog/gone.png"] == "a link: No such file or directory"
    assert "Too many levels" in named["dog/itself"]
    assert dict(unlabelled.passed_over.named) == named


def test_only_regular_files_are_opened(root):
    os.mkfifo(root / "dog" / "pipe.jpg")
    (root / "dog" / "zero.png").symlink_to("/dev/zero")
    (root / "dog" / "device.txt").symlink_to("/dev/null")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(root / "dog" / "s.png"))
    source = data.open_folder(root)
    assert dict(source.passed_over.named) == {
        "dog/pipe.jpg": "a pipe",
        "dog/zero.png": "a link to a device",
        "dog/device.txt": "a link to a device",
        "dog/s.png": "a socket",
    }
    assert len(source) == 4
    server.close()
    # A file that turned into a pipe after the folder was listed.
    (root / "dog" / "b.png").unlink()
    os.mkfifo(root / "dog" / "b.png")
    with pytest.raises(data.UnreadableImage, match="a pipe, not a regular file"):
        source[source.paths.index("dog/b.png")]
    assert source.image_shape == (6, 8)
    for refused, said in ((root / "dog" / "pipe.jpg", "is a pipe"), ("/dev/zero", "is a device")):
        with pytest.raises(InputError, match=said):
            data.open_images(refused)
    with pytest.raises(InputError, match=r"classes: cannot read .*a device"):
        data.open_folder(root, classes="/dev/zero")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nu\0l", "null"),
        ("x" * 5000, "name too long"),
        ("~no_such_user_here/x", "home directory|does not exist"),
        ("loop", "symbolic links"),
        ("file/below", "Not a directory"),
    ],
)
def test_paths_that_cannot_be_are_one_line(tmp_path, monkeypatch, path, said):
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", "loop")
    pathlib.Path("file").write_text("")
    for open_any in (data.open_folder, data.open_images):
        with pytest.raises(InputError, match=f"(?i){said}") as raised:
            open_any(path)
        assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="classes: cannot read"):
        data.open_folder(tmp_path, classes=path)


def test_deleted_working_directory_is_an_input_error(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for path in ("images", "."):
        with pytest.raises(InputError):
            data.open_images(path)
        with pytest.raises(InputError):
            data.open_folder(path)


def test_names_that_are_not_utf8_have_ids_that_are(tmp_path):
    root = os.fsencode(tmp_path) + b"/r\xe9sultats"
    for name in (b"ch\xe4t", b"dog"):
        os.makedirs(root + b"/" + name)
    for i, name in enumerate((b"ch\xe4t/\xff\n.png", b"ch\xe4t/\\xff.png", b"dog/a.png")):
        _write(pathlib.Path(os.fsdecode(root + b"/" + name)), i)
    source = data.open_folder(os.fsdecode(root))
    assert source.class_names == ("ch\\xe4t", "dog")
    assert set(source.paths) == {"ch\\xe4t/\\xff\\x0a.png", "ch\\xe4t/\\\\xff.png", "dog/a.png"}
    assert source.name.endswith("r\\xe9sultats")
    for text in (*source.paths, *source.class_names, source.name, *data.remarks(source)):
        text.encode("utf-8")
    values = {source.id(i): int(source[i].image[0, 0, 0]) for i in range(3)}
    assert values == {"ch\\xe4t/\\xff\\x0a.png": 0, "ch\\xe4t/\\\\xff.png": 1, "dog/a.png": 2}


def test_numeric_folders_are_remarked_and_can_be_counted(tmp_path):
    for name in ("1", "2", "10"):
        _write(tmp_path / name / "a.png")
    source = data.open_folder(tmp_path)
    assert source.class_names == ("1", "10", "2")
    (said,) = data.remarks(source)
    assert "label 1 is '10', where counting gives '2'" in said and "class_order=natural" in said
    counted = data.open_folder(tmp_path, class_order="natural")
    assert counted.class_names == ("1", "2", "10") and data.remarks(counted) == ()
    assert dict(zip(counted.paths, counted.labels, strict=True)) == {"1/a.png": 0, "2/a.png": 1, "10/a.png": 2}
    for quiet in ({"class_order": "text"}, {"classes": ["1", "10", "2"]}):
        assert data.remarks(data.open_folder(tmp_path, **quiet)) == ()
    with pytest.raises(InputError, match="class_order"):
        data.open_folder(tmp_path, class_order="nature")


def test_imagenet_labels_are_the_lines_of_the_list(shared_data):
    listed = shared_data("data", "imagenet_sample", "imagenet_wnids.txt")
    source = data.open_folder(shared_data("data", "imagenet_sample", "validation"), classes=listed)
    lines = listed.read_text().split()
    assert (len(source), len(source.class_names)) == (700, 1000)
    for i in range(len(source)):
        assert lines[source.label(i)] == source.id(i).split("/")[0]
    assert source.image_shape is None
    assert source[5].image.shape == np.asarray(PIL.Image.open(source.root / source.id(5)).convert("RGB")).shape
