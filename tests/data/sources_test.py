"""What every source has, and what some have besides."""

import pickle
from typing import Any

import numpy as np
import pytest

from causal_iqa import data
from causal_iqa.data import sources


def test_many_images_at_once_where_a_source_makes_them_so():
    plain = data.open_arrays(np.zeros((3, 2, 2, 3), np.uint8))
    assert [one.id for one in sources.examples(plain, [2, 0])] == [plain.id(2), plain.id(0)]

    class Fast:
        def batch(self, indices):
            return [f"image {index}" for index in indices]

    fast: Any = Fast()
    assert sources.examples(fast, iter([1, 2])) == ["image 1", "image 2"]


def test_remarks_are_those_of_the_source():
    plain: Any = object()
    assert sources.remarks(plain) == ()
    plain = type("Source", (), {"remarks": ["odd"]})()
    assert sources.remarks(plain) == ("odd",)


def test_unreadable_images_travel_between_processes():
    error = pickle.loads(pickle.dumps(sources.UnreadableImage("a.png", "cut")))
    assert (error.id, error.reason, str(error)) == ("a.png", "cut", "a.png: cut")
    with pytest.raises(ValueError, match=r"a\.png: cut"):
        raise error
