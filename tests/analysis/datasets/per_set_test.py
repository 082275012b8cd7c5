"""What is found of one set: groups, tenths, and counts."""

import numpy as np
import pyarrow as pa
import pytest

from causal_iqa.analysis import datasets
from causal_iqa.analysis.datasets import per_set
from tests.analysis.datasets.scored import scored_sets


def _of(scored):
    return datasets.analyse(scored, datasets.Request()).findings.sets[0]


def test_groups_are_sorted_from_the_worst_and_hold_every_image():
    quality = np.arange(100.0) - 50 * (np.arange(100) % 2)
    found = _of(scored_sets({"a": quality}))
    assert [one.name for one in found.groups] == ["b", "a"] and found.num_groups == 2
    assert [one.count for one in found.groups] == [50, 50]
    assert found.groups[0].mean == pytest.approx(quality[1::2].mean())


def test_tenths_hold_a_tenth_each_and_need_twenty_images():
    found = _of(scored_sets({"a": np.arange(100.0)}))
    assert [one.count for one in found.tenths] == [10] * 10
    assert all(low.high <= high.high for low, high in zip(found.tenths, found.tenths[1:], strict=False))
    assert _of(scored_sets({"a": np.arange(19.0)})).tenths == ()


def test_images_without_a_score_count_as_not_scored():
    found = _of(scored_sets({"a": np.r_[np.arange(30.0), np.nan, np.nan]}))
    assert (found.size, found.scored, found.unreadable, found.labelled) == (32, 30, 0, 0)
    assert found.formats == (("PNG", 32),) and found.widths == (32, 32, 32)


def test_accuracies_of_parts():
    assert np.isnan(per_set._actual(None, 0.95).value)
    assert "no image has a label" in str(per_set._actual(np.full(3, np.nan), 0.95))
    share = per_set._actual(np.array([1.0, 0.0, 1.0, np.nan]), 0.95)
    assert share.value == pytest.approx(2 / 3) and share.low < share.value < share.high
    mean = per_set._actual(np.array([0.25, 0.75]), 0.95)
    assert mean.value == 0.5 and np.isnan(mean.low), "an overlap is no share of images"


def test_places_of_groups():
    names, codes = per_set.groups_of(pa.chunked_array([["x", "y"], ["y", "x"]]))
    assert [names[code] for code in codes] == ["x", "y", "y", "x"]
