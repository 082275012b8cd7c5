"""Outlines of COCO: filled from polygons and run lengths, and written as run lengths."""

import numpy as np
import pytest

from causal_iqa import InputError
from causal_iqa.copies import outlines


def test_outlines_are_filled_and_written_as_run_lengths():
    fields = outlines.filled([[1, 1, 3, 1, 3, 2.5, 1, 2.5]], 4, 5)
    expected = np.zeros((4, 5))
    expected[1, 1:3], expected[2, 1:3] = 1, 0.5
    np.testing.assert_allclose(fields, expected)
    region = np.zeros((3, 4), bool)
    region[0, 0] = region[1:, 2] = True
    told = outlines.run_lengths(region)
    assert told == {"counts": [0, 1, 6, 2, 3], "size": [3, 4]}
    np.testing.assert_array_equal(outlines.filled(told, 3, 4), region)
    with pytest.raises(InputError, match=r"has the size \[3, 4\], its image \[4, 3\]"):
        outlines.filled(told, 4, 3)


def test_polygons_add_up_and_what_has_no_area_is_nothing():
    square = [0, 0, 2, 0, 2, 2, 0, 2]
    np.testing.assert_array_equal(outlines.filled([square, square], 2, 3), [[1, 1, 0]] * 2)
    for nothing in ([], [[0, 0, 2, 2]], [[5, 9, 7, 9, 7, 12]], [[-5, 0, -1, 0, -1, 2]]):
        assert not outlines.filled(nothing, 2, 3).any()
    np.testing.assert_array_equal(outlines.filled([[-5, -5, 9, -5, 9, 9, -5, 9]], 2, 3), np.ones((2, 3)))


def test_area_of_a_triangle():
    fields = outlines.filled([[1.0, 2.0, 13.0, 2.0, 1.0, 14.0]], 16, 16)
    assert fields.sum() == pytest.approx(72.0, rel=1e-3)
    assert fields[2, 1] == 1 and fields[15, 15] == 0


@pytest.mark.parametrize("region", [np.zeros((2, 3), bool), np.ones((2, 3), bool), np.eye(3, dtype=bool)])
def test_run_lengths_keep_any_region(region):
    told = outlines.run_lengths(region)
    assert sum(told["counts"]) == region.size
    np.testing.assert_array_equal(outlines.filled(told, *region.shape), region)
