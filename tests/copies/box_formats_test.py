"""Boxes as YOLO text, VOC XML and COCO JSON: what is read, what is written for copies, and what is refused."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from causal_iqa import InputError
from causal_iqa.copies import box_formats
from causal_iqa.degradations import Condition

_VOC = """<annotation><filename>a.png</filename><object><name>cat</name><bndbox>
<xmin>2</xmin><ymin>3</ymin><xmax>6</xmax><ymax>7</ymax></bndbox></object></annotation>"""
_COCO = {
    "info": {"year": 1},
    "images": [{"id": 7, "file_name": "a.png"}],
    "annotations": [{"image_id": 7, "bbox": [1, 2, 4, 4], "category_id": 3}],
}


def _copies(condition="fog/1", size=(16, 16)):
    return box_formats.Copies(Condition.parse(condition), 0, ("a.png",), ("a.jpg",), ("a",), lambda place: size)


def _open(folder, name, content):
    (folder / name).write_text(content)
    return box_formats.open_boxes(folder if not name.endswith(".json") else folder / name, ("a.png",))


def test_what_moves_nothing_keeps_every_word(tmp_path):
    text = "3 0.5 0.5 0.25 0.125\n\n"
    boxes = _open(tmp_path, "a.txt", text)
    assert list(boxes.moved(_copies())) == [box_formats.File("/a.txt", text.encode(), 0)] and boxes.known == {"a.png"}
    (tmp_path / "a.txt").unlink()
    (file,) = _open(tmp_path, "a.xml", _VOC).moved(_copies())
    root = ElementTree.fromstring(file.content)
    assert root.findtext("filename") == "a.jpg" and root.findtext("object/bndbox/xmin") == "2"
    (tmp_path / "a.xml").unlink()
    (file,) = _open(tmp_path, "boxes.json", json.dumps(_COCO)).moved(_copies())
    told = json.loads(file.content)
    assert told["annotations"] == _COCO["annotations"] and told["info"] == {"year": 1}
    assert told["images"] == [{"id": 7, "file_name": "a.jpg"}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 0.5 0.5 0.25", r"line 1 of .*a\.txt is '1 0\.5 0\.5 0\.25'; expected class, centre x"),
        ("1 0.5 x 0.25 0.25", "expected class"),
        ("1 0.5 0.5 0.1 0.1 0.2 0.2", "outlines and poses are not moved"),
        ("1 0.5 0.5 0 0.25", "has no area"),
    ],
)
def test_lines_that_are_none(tmp_path, line, message):
    with pytest.raises(InputError, match=message):
        _open(tmp_path, "a.txt", line)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", json.dumps({"images": []}), json.dumps({**_COCO, "images": [{"id": 1}]}),
     json.dumps({**_COCO, "annotations": [{"image_id": 7, "bbox": [1, 2]}]})],
)  # fmt: skip
def test_files_that_are_no_coco(tmp_path, content):
    with pytest.raises(InputError, match="is no COCO JSON file"):
        _open(tmp_path, "boxes.json", content)


def test_files_that_are_no_voc(tmp_path):
    for content in ("<annotation>", _VOC.replace("<xmin>2</xmin>", ""), _VOC.replace("<xmin>2", "<xmin>two")):
        boxes = _open(tmp_path, "a.xml", content)
        with pytest.raises(InputError, match="is no VOC annotation"):
            list(boxes.moved(_copies("rotation/3")))


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ({"keypoints": [1, 2, 2], "num_keypoints": 1}, "keypoints"),
        ({"segmentation": {"counts": "abc", "size": [16, 16]}}, "a segmentation of compressed run lengths"),
    ],
)
def test_what_cannot_be_moved_is_refused_before_the_work(tmp_path, extra, what):
    told = {**_COCO, "annotations": [{**_COCO["annotations"][0], **extra}]}
    boxes = _open(tmp_path, "boxes.json", json.dumps(told))
    boxes.check(Condition.parse("fog/1"))
    with pytest.raises(InputError, match=f"a.png in .* has {what}, which rotation would have to move"):
        boxes.check(Condition.parse("rotation/1"))


def test_boxes_belong_to_images_by_path_or_by_a_name_of_their_own(tmp_path):
    for name in ("a.txt", "x/b.txt", "c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("0 0.5 0.5 0.5 0.5")
    boxes = box_formats.open_boxes(tmp_path, ("d/a.png", "x/b.jpg", "x/c.png", "y/c.png"))
    assert boxes.known == {"d/a.png", "x/b.jpg"}, "two images are called c"
    with pytest.raises(InputError, match=r"none of the 3 \.txt and \.xml files .* e\.g\. other\.txt"):
        box_formats.open_boxes(tmp_path, ("other.png",))
    (tmp_path / "a.xml").write_text(_VOC)
    with pytest.raises(InputError, match="expected one of the two"):
        box_formats.open_boxes(tmp_path, ("a.png",))
    with pytest.raises(InputError, match="cannot be read"):
        box_formats.open_boxes(tmp_path / "none.json", ("a.png",))
