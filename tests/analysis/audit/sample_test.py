"""Large runs: a random sample of images with all their conditions, the same each time."""

import numpy as np

from causal_iqa.analysis.audit import sample
from tests.analysis import worlds


def test_small_runs_stay_whole():
    run = worlds.run()
    assert sample.at_most(run) is run


def test_of_large_runs_some_images_are_taken_with_everything():
    run = worlds.run()
    numbers = len(worlds.CONDITIONS) * (2 + sample._OUTPUT_SCORES)
    small = sample.at_most(run, most_values=35 * numbers)
    assert len(small.table.image_ids) == 35 and small.table.image_ids == tuple(sorted(small.table.image_ids))
    places = [run.table.image_ids.index(name) for name in small.table.image_ids]
    np.testing.assert_array_equal(small.table.labels, run.table.labels[places])
    np.testing.assert_array_equal(small.table.columns["noise"], run.table.columns["noise"][:, places])
    np.testing.assert_array_equal(small.table.vectors["eye/features"], run.table.vectors["eye/features"][:, places])
    assert sample.at_most(run, most_values=35 * numbers).table.image_ids == small.table.image_ids
    assert len(sample.at_most(run, most_values=1).table.image_ids) == 30, "30 in any case"
