"""Boxes and masks written beside a tree: moved where the picture is, under the names of the copies elsewhere."""

import json

import numpy as np
import PIL.Image
import pytest

from causal_iqa import InputError, copies
from causal_iqa.pipeline import given_copies

_SIZE = (40, 56)


@pytest.fixture
def images(tmp_path):
    mask = np.zeros(_SIZE, np.uint8)
    mask[12:24, 18:34] = 7
    for folder, array in (("images/a", np.repeat(20 * mask[..., None], 3, axis=-1)), ("masks/a", mask)):
        (tmp_path / folder).mkdir(parents=True)
        PIL.Image.fromarray(array).save(tmp_path / folder / "x.png")
    rows = [{"id": 1, "image_id": 5, "category_id": 2, "bbox": [18, 12, 16, 12], "segmentation": [[1, 2, 3, 4, 5, 6]]}]
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
    assert box["bbox"][2] > 20 and "segmentation" not in box and box["area"] == box["bbox"][2] * box["bbox"][3]
    assert not (root / "brightness" / "5").exists(), "the clean masks fit"
    told = json.loads((images / "out" / "manifest.json").read_text())["conditions"]
    said = {name.partition("[")[0]: one["boxes_and_masks"] for name, one in told.items()}
    assert said["brightness/5"] == "those of the clean images fit" and "do not fit" in said["scale"]
    assert len(given_copies.open_tree(images / "out").conditions) == 2


def test_annotations_that_do_not_join_are_refused(images):
    config = copies.CopyConfig(images=str(images / "images"), degradations=("rotation",), severities=(1.0,))
    job = copies.prepare(config, images / "out")
    (images / "boxes.json").write_text(json.dumps({"images": [{"id": 1, "file_name": "y.png"}], "annotations": []}))
    with pytest.raises(InputError, match=r"boxes: none of the 1 images is named there, e.g. a/x.png"):
        copies.write_annotations(job, images / "out", boxes=images / "boxes.json")
    (images / "boxes.json").write_text("[]")
    with pytest.raises(InputError, match="is no COCO JSON file"):
        copies.write_annotations(job, images / "out", boxes=images / "boxes.json")
    with pytest.raises(InputError, match=r"masks: no .png file"):
        copies.write_annotations(job, images / "out", masks=images / "out")
