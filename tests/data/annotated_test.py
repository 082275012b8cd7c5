"""Images with masks and boxes: three formats of one truth, what joins, and what is refused in one line."""

import json

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, data

_CLASSES = ("cat", "dog", "kite")
# Left, top, right, bottom in pixels of images of 40 x 20.
_OBJECTS = {"a": [(0, 4, 2, 24, 12), (2, 0, 0, 40, 20)], "b": []}


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for place, name in enumerate(_OBJECTS):
        pixels = np.full((20, 40, 3), 40 * place, np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def _coco(root):
    path = root / "boxes.json"
    boxes = [
        {"image_id": i, "category_id": 10 * (label + 1), "bbox": [left, top, right - left, bottom - top]}
        for i, objects in enumerate(_OBJECTS.values())
        for label, left, top, right, bottom in objects
    ]
    content = {
        "images": [{"id": i, "file_name": f"{name}.png", "width": 40, "height": 20} for i, name in enumerate(_OBJECTS)],
        "categories": [{"id": 10 * (label + 1), "name": name} for label, name in enumerate(_CLASSES)],
        "annotations": [*boxes, {"image_id": 0, "category_id": 10, "bbox": [0, 0, 1, 1], "iscrowd": 1}],
    }
    path.write_text(json.dumps(content))
    return path, None


def _yolo(root):
    folder = root / "labels"
    folder.mkdir()
    for name, objects in _OBJECTS.items():
        lines = [
            f"{label} {(left + right) / 80} {(top + bottom) / 40} {(right - left) / 40} {(bottom - top) / 20}"
            for label, left, top, right, bottom in objects
        ]
        (folder / f"{name}.txt").write_text("\n".join(lines))
    return folder, _CLASSES


def _voc(root):
    folder = root / "xml"
    folder.mkdir()
    for name, objects in _OBJECTS.items():
        rows = "".join(
            f"<object><name>{_CLASSES[label]}</name><bndbox><xmin>{left + 1}</xmin><ymin>{top + 1}</ymin>"
            f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
            for label, left, top, right, bottom in objects
        )
        size = "<size><width>40</width><height>20</height><depth>3</depth></size>"
        (folder / f"{name}.xml").write_text(f"<annotation>{size}{rows}</annotation>")
    return folder, _CLASSES


@pytest.mark.parametrize("write", [_coco, _yolo, _voc])
def test_three_formats_give_the_same_boxes(tmp_path, images, write):
    path, classes = write(tmp_path)
    source = data.open_boxes(images, path, classes, max_pixels=10**6)
    assert len(source) == 2 and source.target_classes == _CLASSES and source.most_boxes == 2
    first = source[0]
    assert first.image.shape == (20, 40, 3) and first.label == -1
    np.testing.assert_allclose(first.target.boxes.boxes, [[0.1, 0.1, 0.6, 0.6], [0, 0, 1, 1]], atol=1e-6)
    assert first.target.boxes.classes.tolist() == [0, 2]
    assert len(source[1].target.boxes.classes) == 0
    (batch,) = data.batches(source, [0, 1], batch_size=3, size=16, target_size=1)
    boxes, labels = batch.targets
    assert batch.images.shape == (3, 16, 16, 3) and boxes.shape == (3, 2, 4)
    assert labels.tolist() == [[0, 2], [-1, -1], [-1, -1]]


def _one_yolo(root, text):
    folder = root / "one"
    folder.mkdir()
    (folder / "a.txt").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 .5 .5 .2", "line 1 of"),
        ("0 .5 .5 .2 .2\n7 .5 .5 .2 .2\n8 .5 .5 .2 .2", "class 7 of line 2"),
        ("0 .5 .5 .2 .2\n7 .5 .5 .2 .2\n8 .5 .5 .2 .2", "(2 such boxes)"),
        ("0 .95 .5 .2 .2\n1 .5 .5 .2 .2", "of a in"),
        ("0 .95 .5 .2 .2\n1 .5 .5 .2 .2", "lies outside its image (1 such boxes)"),
        ("0 .5 .5 0 .2", "has no area"),
        ("0 nan .5 .1 .2", "is not finite"),
    ],
)
def test_bad_boxes_are_refused_in_one_line(tmp_path, images, text, said):
    with pytest.raises(InputError) as caught:
        data.open_boxes(images, _one_yolo(tmp_path, text), _CLASSES, max_pixels=10**6)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_classes_are_counted_over_all_files(tmp_path, images):
    folder = _one_yolo(tmp_path, "0 .5 .5 .2 .2\n7 .5 .5 .2 .2")
    (folder / "b.txt").write_text("8 .5 .5 .2 .2\n9 .5 .5 .2 .2")
    with pytest.raises(InputError, match=r"class 7 of line 2 of a\.txt in .* of the 3 listed \(3 such boxes\)"):
        data.open_boxes(images, folder, _CLASSES, max_pixels=10**6)


@pytest.mark.parametrize("write", [_coco, _voc])
def test_images_that_were_turned_since_are_refused_and_smaller_ones_are_not(tmp_path, images, write):
    path, classes = write(tmp_path)
    changed = tmp_path / "changed"
    changed.mkdir()
    for name in ("a", "b"):
        (original,) = images.glob(f"{name}.*")
        with PIL.Image.open(original) as image:
            smaller, turned = (
                image.resize((image.width // 2, image.height // 2)),
                image.transpose(PIL.Image.Transpose.ROTATE_90),
            )
        smaller.save(changed / original.name)
    whole, half = (data.open_boxes(place, path, classes, max_pixels=10**6) for place in (images, changed))
    assert whole[0].target.boxes.boxes.tolist() == half[0].target.boxes.boxes.tolist()
    turned.save(changed / original.name)
    with pytest.raises(InputError, match=r"says 40 x 20 pixels for b.*, the image has 20 x 40 \(1 such images\)"):
        data.open_boxes(changed, path, classes, max_pixels=10**6)


def test_a_coco_image_without_a_size_is_named(tmp_path, images):
    path, _ = _coco(tmp_path)
    path.write_text(path.read_text().replace('"width": 40', '"width": 0'))
    with pytest.raises(InputError, match=r"the size of a.* in .* is no width and height \(2 such images\)"):
        data.open_boxes(images, path, max_pixels=10**6)


def test_annotations_that_are_none_or_do_not_join(tmp_path, images):
    path = tmp_path / "boxes.json"
    path.write_text('{"images": []}')
    with pytest.raises(InputError, match="is no COCO file"):
        data.open_boxes(images, path, max_pixels=10**6)
    with pytest.raises(InputError, match=r"needs --classes=FILE"):
        data.open_boxes(images, _one_yolo(tmp_path, "0 .5 .5 .2 .2"), max_pixels=10**6)
    source = data.open_boxes(images, tmp_path / "one", _CLASSES, max_pixels=10**6)
    assert len(source) == 1 and "1 images have no annotation" in source.remarks[-1] and "b.png" in source.remarks[-1]
    (tmp_path / "one" / "a.txt").rename(tmp_path / "one" / "z.txt")
    with pytest.raises(InputError, match=r"no image of images:.* has a annotation"):
        data.open_boxes(images, tmp_path / "one", _CLASSES, max_pixels=10**6)


_TABLE = "value,name,label\n0,nothing,0\n3,cat,1\n4,dog,2\n5,puppy,2\n255,unknown,\n"


def _masks(root, values, name="a"):
    folder = root / "masks"
    folder.mkdir(exist_ok=True)
    PIL.Image.fromarray(np.asarray(values, np.uint8)).save(folder / f"{name}.png")
    (root / "classes.csv").write_text(_TABLE)
    return folder, root / "classes.csv"


def test_masks_are_read_by_their_table_and_stretched_with_the_image(tmp_path, images):
    values = np.zeros((20, 40), np.uint8)
    values[:10, :20], values[10:, 20:], values[:10, 20:] = 3, 5, 255
    source = data.open_masks(images, *_masks(tmp_path, values), max_pixels=10**6)
    assert source.target_classes == ("nothing", "cat", "dog") and len(source) == 1
    assert np.unique(source[0].target.mask).tolist() == [-1, 0, 1, 2]
    (batch,) = data.batches(source, [0], batch_size=1, size=8, target_size=4)
    assert batch.targets[0].tolist() == [[[1, 1, -1, -1], [1, 1, -1, -1], [0, 0, 2, 2], [0, 0, 2, 2]]]


def test_masks_of_another_size_or_with_other_values_are_refused(tmp_path, images):
    values = np.zeros((20, 40), np.uint8)
    values[0, :7] = 9
    _masks(tmp_path, np.full((20, 40), 3))
    with pytest.raises(InputError, match=r"b.png has the value 9, which .* \(1 such masks, 7 pixels\)"):
        data.open_masks(images, *_masks(tmp_path, values, "b"), max_pixels=10**6)
    with pytest.raises(InputError, match=r"b.png is 10 x 20 pixels, its image 40 x 20 \(1 such masks\)"):
        data.open_masks(images, *_masks(tmp_path, values[1:, :10].repeat(2, 0)[:20], "b"), max_pixels=10**6)


@pytest.mark.parametrize("row", ["3,again,1", "300,far,1", "7,gap,9", "8,odd,x"])
def test_tables_of_masks_that_are_none(tmp_path, row):
    path = tmp_path / "classes.csv"
    path.write_text(_TABLE + row + "\n")
    with pytest.raises(InputError, match=r"^classes: "):
        data.read_mask_table(path)
