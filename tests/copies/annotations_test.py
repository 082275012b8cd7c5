"""Boxes and masks written beside a tree: moved where the picture is, under the names of the copies elsewhere."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, copies, data
from causal_iqa.copies import outlines
from causal_iqa.pipeline import copy_trees

_SIZE = (40, 56)
# The rectangle of the mask, as COCO writes an outline.
_OUTLINE = [18, 12, 34, 12, 34, 24, 18, 24]


@pytest.fixture
def images(tmp_path):
    mask = np.zeros(_SIZE, np.uint8)
    mask[12:24, 18:34] = 7
    for folder, array in (("images/a", np.repeat(20 * mask[..., None], 3, axis=-1)), ("masks/a", mask)):
        (tmp_path / folder).mkdir(parents=True)
        PIL.Image.fromarray(array).save(tmp_path / folder / "x.png")
    rows = [{"id": 1, "image_id": 5, "category_id": 2, "bbox": [18, 12, 16, 12], "segmentation": [_OUTLINE]}]
    rows.append({"id": 2, "image_id": 5, "category_id": 2, "bbox": [0, 0, 1, 1]})
    told = {"images": [{"id": 5, "file_name": "x.png", "width": 56, "height": 40}], "annotations": rows}
    (tmp_path / "boxes.json").write_text(json.dumps({**told, "categories": [{"id": 2, "name": "thing"}]}))
    return tmp_path


def test_boxes_and_masks_go_with_the_copies(images):
    config = copies.CopyConfig(
        images=str(images / "images"), degradations=("scale[direction=in]", "brightness"), severities=(5.0,),
        parameters="tiny_imagenet_c", format="webp",
    )  # fmt: skip
    job = copies.prepare(config, images / "out")
    copies.write(job, images / "out")
    moved = copies.write_annotations(job, images / "out", boxes=images / "boxes.json", masks=images / "masks")
    assert (moved.files, moved.gone, moved.without) == (3, 1, ())
    root = images / "out" / copies.ANNOTATIONS
    still = json.loads((root / "brightness" / "5.json").read_text())
    assert still["images"][0]["file_name"] == "a/x.webp" and still["categories"][0]["name"] == "thing"
    assert [one["bbox"] for one in still["annotations"]] == [[18, 12, 16, 12], [0, 0, 1, 1]]
    (box,) = json.loads((root / "scale[direction=in]" / "5.json").read_text())["annotations"]
    mask = np.asarray(PIL.Image.open(root / "scale[direction=in]" / "5" / "a" / "x.png"))
    (rows,), (columns,) = np.nonzero((mask == 7).any(axis=1)), np.nonzero((mask == 7).any(axis=0))
    expected = [columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]]
    np.testing.assert_allclose(box["bbox"], expected, atol=1)
    assert box["bbox"][2] > 20
    assert still["annotations"][0]["segmentation"] == [_OUTLINE], "nothing moved"
    region = outlines.filled(box["segmentation"], *_SIZE)
    assert box["area"] == region.sum() and box["segmentation"] == outlines.run_lengths(region > 0.5)
    assert np.abs(region - (mask == 7)).sum() <= 0.05 * region.sum(), "the outline moves with the mask"
    assert not (root / "brightness" / "5").exists(), "the clean masks fit"
    told = json.loads((images / "out" / "manifest.json").read_text())["conditions"]
    said = {name.partition("[")[0]: one["boxes_and_masks"] for name, one in told.items()}
    assert said["brightness/5"] == "those of the clean images fit" and "do not fit" in said["scale"]
    assert len(copy_trees.open_tree(images / "out").conditions) == 2


def test_annotations_that_do_not_join_are_refused(images):
    config = copies.CopyConfig(images=str(images / "images"), degradations=("rotation",), severities=(1.0,))
    job = copies.prepare(config, images / "out")
    (images / "boxes.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "y.png"}], "annotations": []}))
    with pytest.raises(InputError, match=r"boxes: none of the 1 images is named in it, e.g. a/x.png"):
        copies.write_annotations(job, images / "out", boxes=images / "boxes.json")
    (images / "boxes.json").write_text("[]")
    with pytest.raises(InputError, match="is no COCO JSON file"):
        copies.write_annotations(job, images / "out", boxes=images / "boxes.json")
    with pytest.raises(InputError, match=r"masks: no .png file"):
        copies.write_annotations(job, images / "out", masks=images / "out")
    (tmp := images / "empty").mkdir()
    with pytest.raises(InputError, match=r"none of the 0 .txt and .xml files in .* has the name of an image, e.g. a/x"):
        copies.write_annotations(job, images / "out", boxes=tmp)


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ({"num_keypoints": 2, "keypoints": [1, 2, 2, 3, 4, 2]}, "keypoints"),
        ({"segmentation": {"counts": "PPYo0", "size": [40, 56]}}, "a segmentation of compressed run lengths"),
    ],
)
def test_what_is_not_moved_is_refused_where_it_would_have_to_move(images, extra, what):
    told = json.loads((images / "boxes.json").read_text())
    told["annotations"][0] |= extra
    (images / "boxes.json").write_text(json.dumps(told))
    for name, moves in (("rotation", True), ("contrast", False)):
        config = copies.CopyConfig(
            images=str(images / "images"), degradations=(name,), severities=(1.0,), parameters="cifar_c"
        )
        job = copies.prepare(config, images / "out")
        if not moves:
            copies.check_annotations(job, boxes=images / "boxes.json")
            continue
        with pytest.raises(InputError, match=rf"of a/x.png in .* has {what}, which rotation would have to move"):
            copies.check_annotations(job, boxes=images / "boxes.json")


def _expected(condition):
    """The first box of the fixture, in pixels, on the copy; nothing is left of the second."""
    ((left, top, right, bottom),) = copies.move_boxes(
        np.array([[18, 12, 34, 24]]), *_SIZE, condition, image_id="a/x.png"
    )
    return left, top, right, bottom


def _job(images, **fields):
    config = copies.CopyConfig(
        images=str(images / "images"), degradations=("scale[direction=in]", "brightness"), severities=(5.0,),
        parameters="tiny_imagenet_c", **fields,
    )  # fmt: skip
    return copies.prepare(config, images / "out")


def test_yolo_text_is_written_as_yolo_text(images):
    (images / "yolo" / "a").mkdir(parents=True)
    lines = [f"3 {26 / 56} {18 / 40} {16 / 56} {12 / 40}", f"0 {0.5 / 56} {0.5 / 40} {1 / 56} {1 / 40}", ""]
    (images / "yolo" / "a" / "x.txt").write_text("\n".join(lines))
    (images / "yolo" / "classes.txt").write_text("cat\ndog\n")
    moved = copies.write_annotations(_job(images), images / "out", boxes=images / "yolo")
    assert (moved.files, moved.gone, moved.without) == (2, 1, ())
    root = images / "out" / copies.ANNOTATIONS
    assert (root / "brightness" / "5" / "a" / "x.txt").read_text() == "\n".join(lines)
    (line,) = (root / "scale[direction=in]" / "5" / "a" / "x.txt").read_text().splitlines()
    name, x, y, width, height = line.split()
    left, top, right, bottom = _expected("scale[direction=in]/5")
    numbers = [(left + right) / 112, (top + bottom) / 80, (right - left) / 56, (bottom - top) / 40]
    np.testing.assert_allclose([float(x), float(y), float(width), float(height)], numbers, atol=1e-6)
    assert name == "3"
    read = data.read_boxes(root / "scale[direction=in]" / "5" / "a", ["a", "b", "c", "d"])
    np.testing.assert_allclose(read.of_image["x"].boxes[0] * [56, 40, 56, 40], [left, top, right, bottom], atol=1e-3)
    (images / "yolo" / "a" / "x.txt").write_text("3 .1 .1 .2 .1 .2 .2\n")
    with pytest.raises(InputError, match=r"line 1 of .*x.txt is '3 .1 .1 .2 .1 .2 .2'; expected class, centre x"):
        copies.check_annotations(_job(images), boxes=images / "yolo")


def test_voc_xml_is_written_as_voc_xml(images):
    (images / "voc").mkdir()
    part = "<part><name>head</name><bndbox><xmin>21</xmin><ymin>15</ymin><xmax>26</xmax><ymax>18</ymax></bndbox></part>"
    objects = [
        f"<object><name>cat</name><pose>left</pose><bndbox><xmin>19</xmin><ymin>13</ymin><xmax>34</xmax><ymax>24</ymax>"
        f"</bndbox>{part}</object>",
        "<object><name>dog</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>1</xmax><ymax>1</ymax></bndbox></object>",
    ]
    size = "<size><width>56</width><height>40</height><depth>3</depth></size>"
    (images / "voc" / "x.xml").write_text(
        f"<annotation><filename>x.png</filename>{size}{''.join(objects)}</annotation>"
    )
    moved = copies.write_annotations(_job(images, format="jpeg"), images / "out", boxes=images / "voc")
    assert (moved.files, moved.gone, moved.without) == (2, 1, ())
    root = images / "out" / copies.ANNOTATIONS
    still = ElementTree.parse(root / "brightness" / "5" / "a" / "x.xml").getroot()
    assert still.findtext("filename") == "x.jpg" and len(still.findall("object")) == 2
    assert still.findtext("object/bndbox/xmin") == "19"
    turned = ElementTree.parse(root / "scale[direction=in]" / "5" / "a" / "x.xml").getroot()
    (one,) = turned.findall("object")
    assert one.findtext("name") == "cat" and one.findtext("pose") == "left" and one.find("part/bndbox") is not None
    left, top, right, bottom = _expected("scale[direction=in]/5")
    corners = [float(one.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")]
    np.testing.assert_allclose(corners, [left + 1, top + 1, right, bottom])
    head = [float(one.findtext(f"part/bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax")]
    assert corners[0] < head[0] < head[2] < corners[2] and head[2] - head[0] > 5
    read = data.read_boxes(root / "scale[direction=in]" / "5" / "a", ["cat", "dog"])
    np.testing.assert_allclose(read.of_image["x"].boxes[0] * [56, 40, 56, 40], [left, top, right, bottom], atol=1e-3)
