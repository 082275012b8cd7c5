"""Scored sets read back from their parts: rows in order, unreadable images counted, features of a sample."""

import types
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from causal_iqa import InputError, data, pipeline
from causal_iqa.pipeline import scored_sets


def _work(*sizes) -> Any:
    """Sets of so many images, which nothing reads."""
    sets = [
        data.ImageSet(f"set {i}", data.open_arrays(np.zeros((size, 2, 2, 3), np.uint8))) for i, size in enumerate(sizes)
    ]
    work = types.SimpleNamespace(scorers=(), image_size=2, crop_fraction=1.0)
    return types.SimpleNamespace(sets=sets, work=work, config=types.SimpleNamespace(seed=0))


def _kept(work, parts, skipped=()):
    keeper = pipeline.InMemory()
    for part in parts:
        n = part.last - part.first
        features = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(2 * n, dtype=np.float16)), 2)
        columns = {"image_id": [f"{part.place}/{part.first + i}" for i in range(n)], "net/features": features}
        keeper.write(part, "", pa.table(columns if n else {}), skipped)
    return scored_sets.read_sets(work, keeper, dict.fromkeys(parts, ""))


def test_rows_stand_set_by_set_with_their_features():
    found = _kept(_work(3, 2), [pipeline.Part(0, 0, 0, 2), pipeline.Part(0, 1, 2, 3), pipeline.Part(1, 0, 0, 2)])
    assert found.table["image_id"].to_pylist() == ["0/0", "0/1", "0/2", "1/0", "1/1"]
    assert found.table["set"].to_pylist() == ["set 0"] * 3 + ["set 1"] * 2
    assert "net/features" not in found.table.column_names
    assert (found.names, found.sizes) == (("set 0", "set 1"), (3, 2))
    first, second = found.features["net"]
    assert first.rows.tolist() == [0, 1, 2] and second.rows.tolist() == [3, 4], "rows of the whole table"
    np.testing.assert_array_equal(first.values, [[0, 1], [2, 3], [0, 1]])
    assert first.values.dtype == np.float32


def test_a_set_without_readable_images_has_no_features_and_none_at_all_is_an_error():
    parts = [pipeline.Part(0, 0, 0, 1), pipeline.Part(1, 0, 0, 0)]
    found = _kept(_work(1, 2), parts, [("x.png", "no image")])
    assert found.skipped == (("set 0", "x.png", "no image"), ("set 1", "x.png", "no image"))
    assert len(found.features["net"][1].rows) == 0 and found.features["net"][1].values.ndim == 2
    with pytest.raises(InputError, match=r"images: none of the 1 can be read \(x\.png: no image\)"):
        _kept(_work(2), [pipeline.Part(0, 0, 0, 0)], [("x.png", "no image")])


def test_of_large_sets_a_sample_of_features_is_read():
    size = scored_sets.MOST_FEATURES + 500
    chosen = scored_sets._sampled(_work(size), 0, size)
    assert chosen.shape == (size,) and chosen.sum() == scored_sets.MOST_FEATURES
    np.testing.assert_array_equal(chosen, scored_sets._sampled(_work(size), 0, size))
    assert 250 < chosen[size // 2 :].sum() < 750, "from everywhere in the set"
