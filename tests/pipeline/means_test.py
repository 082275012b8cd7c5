"""Means without what is undefined."""

import numpy as np

from causal_iqa import pipeline


def test_means_leave_out_what_is_undefined():
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_equal(pipeline.mean_over_images(values), [2.0, np.nan])
    one, two, never = np.array([1.0, 0.0, np.nan]), np.array([0.0, 0.0, 1.0]), np.full(3, np.nan)
    mean = pipeline.mean_over_networks({"one": one, "two": two, "never": never})
    np.testing.assert_equal(mean, [0.5, 0.0, np.nan])
    np.testing.assert_equal(pipeline.mean_over_networks({"never": never}), never)
