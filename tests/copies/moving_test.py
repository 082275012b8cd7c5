"""Masks and boxes go where the picture goes."""

import numpy as np
import pytest

from causal_iqa import copies
from tests.copies.displacement import displacement

_SIZE = (40, 56)


def _object():
    y, x = np.mgrid[: _SIZE[0], : _SIZE[1]]
    return ((y >= 12) & (y < 24) & (x >= 18) & (x < 34)).astype(np.uint8)


@pytest.mark.parametrize("name", copies.GEOMETRIC)
def test_a_mask_is_where_the_object_is(name):
    mask = _object()
    condition, how = f"{name}/3", {"seed": 2, "image_id": "a.png", "parameters": "tiny_imagenet_c"}
    picture = copies.degrade(np.repeat(255 * mask[..., None], 3, axis=-1), condition, **how)
    moved = copies.move_mask(np.where(mask, 7, 200).astype(np.uint8), condition, **how)
    sure = np.abs(picture[..., 0] - 127.5) > 2
    np.testing.assert_array_equal((moved == 7)[sure], (picture[..., 0] > 127)[sure])
    assert moved.dtype == np.uint8 and set(np.unique(moved)) <= {7, 200} and (moved != np.where(mask, 7, 200)).any()


def test_boxes_enclose_the_object():
    mask = _object()
    box = np.asarray([[18.0, 12.0, 34.0, 24.0]])
    for condition in ("translation/4", "rotation/3", "scale[direction=out]/3"):
        how = {"seed": 1, "image_id": "b"}
        seen = copies.degrade(np.repeat(255 * mask[..., None], 3, axis=-1), condition, **how)[..., 0] > 127
        (moved,) = copies.move_boxes(box, *_SIZE, condition, **how)
        (rows,), (columns,) = np.nonzero(seen.any(axis=1)), np.nonzero(seen.any(axis=0))
        np.testing.assert_allclose(moved, [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], atol=1)
        assert np.abs(moved - box[0]).max() >= 2


def test_what_leaves_the_picture_is_gone_and_what_does_not_move_stays():
    corner = np.asarray([[0.0, 0.0, 1.0, 1.0], [25.0, 18.0, 30.0, 22.0]])
    moved = copies.move_boxes(corner, *_SIZE, "scale[direction=in]/5")
    assert np.isnan(moved[0]).all() and np.isfinite(moved[1]).all()
    np.testing.assert_array_equal(copies.move_boxes(corner, *_SIZE, "gaussian_blur/3", parameters="cifar_c"), corner)
    mask = _object()
    assert copies.move_mask(mask, "fog/2", parameters="cifar_c") is mask
    turned = copies.move_mask(mask, "rotation[border=constant]/5", outside=9)
    assert set(np.unique(turned)) == {0, 1, 9} and turned[0, 0] == 9


def test_bad_masks_and_boxes_are_refused():
    with pytest.raises(TypeError, match="whole numbers"):
        copies.move_mask(np.zeros((3, 3)), "rotation/1")
    with pytest.raises(ValueError, match=r"\[H, W\]"):
        copies.move_mask(np.zeros((3, 3, 3), np.uint8), "rotation/1")
    with pytest.raises(ValueError, match=r"\[N, 4\]"):
        copies.move_boxes(np.zeros(4), 3, 3, "rotation/1")
    with pytest.raises(ValueError, match="left < right"):
        copies.move_boxes(np.zeros((1, 4)), 3, 3, "rotation/1")


def test_what_moves_and_what_does_not_is_measured():
    assert displacement("translation")[0] > 3 > 0.5 > displacement("contrast")[1]
