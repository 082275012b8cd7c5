"""Which images are shown."""

import numpy as np

from causal_iqa.analysis.datasets import galleries


def test_no_image_is_shown_twice():
    quality = np.asarray([3.0, np.nan, 1.0, 2.0, 0.0])
    found = galleries.pick("a", None, np.arange(5) + 10, quality, num=2)
    assert (found.worst, found.typical, found.best) == ((14, 12), (), (10, 13))
    assert galleries.pick("a", None, np.arange(1), np.ones(1), num=2)[2:] == ((0,), (), ())
