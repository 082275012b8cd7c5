"""A source that is some images of another."""

import numpy as np
import pytest

from causal_iqa import data
from causal_iqa.data import part


def test_images_stand_in_the_order_of_their_positions():
    whole = data.open_arrays(np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8))
    some = part.Part(whole, np.array([3, 1]))
    assert len(some) == 2 and [some[i].image[0, 0, 0] for i in range(2)] == [3, 1]
    assert [some.id(i) for i in range(2)] == [whole.id(3), whole.id(1)] and some.label(0) == whole.label(3)
    assert (some.name, some.split, some.class_names) == (whole.name, whole.split, whole.class_names)
    assert some.image_shape == whole.image_shape == (4, 4) and isinstance(some, data.Source)
    with pytest.raises(IndexError):
        some[2]
