"""What a column means is in its fields: its text is made of them, a file holds them, and old names are read."""

import numpy as np
import pytest

from causal_iqa import pipeline
from causal_iqa.pipeline import columns, parts
from tests.pipeline import folders

_VIEW = pipeline.View(24, ("n",), {"A": 48, "B": 48}, interpolation="bicubic")
_FIELDS = ("formula", "backbones", "anchors", "view", "name", "metric", "family", "side", "networks")
_CASES = {
    "stages_free@A+B[m=50]@24px_bicubic": {"backbones": ("A", "B"), "anchors": 50, "is_one_of_several": True},
    "clean_cosine@A": {"backbones": ("A",)},
    "niqe@mine": {},
    "entropy@24px_bicubic": {"is_one_of_several": True},
}


def _column(text: str) -> columns.Column:
    own = _CASES[text]
    formula = text.split("@")[0] if own else text
    passport = {"backbone": columns.joined_name(own["backbones"])} if "backbones" in own else {}
    return columns.Column.of(formula, "label_free", True, _VIEW, passport, **own)


@pytest.mark.parametrize("text", _CASES)
def test_text_is_made_of_the_fields_and_the_record_gives_them_back(text):
    column = _column(text)
    assert str(column) == column.name == text
    assert column.metric + column.view == text
    found = columns.Column.from_record(text, column.record())
    assert all(getattr(found, name) == getattr(column, name) for name in _FIELDS)


@pytest.mark.parametrize("text", _CASES)
def test_columns_of_old_runs_are_read_by_their_names(text):
    column, record = _column(text), _column(text).record()
    for name in ("formula", "backbones", "first_anchors", "view"):
        del record[name]
    found = columns.Column.from_record(text, record)
    assert all(getattr(found, name) == getattr(column, name) for name in _FIELDS)


@pytest.mark.parametrize("recorded", [True, False])
def test_table_gives_outputs_and_features_by_their_owner(recorded):
    outputs = [pipeline.Output("net", "correct"), pipeline.Output("A", "features", "@24px")]
    metadata = {"columns": {"entropy": {}}} | (
        {"outputs": {str(one): one.record() for one in outputs}} if recorded else {}
    )
    conditions = folders.CONFIG.conditions
    count = len(conditions)
    scalars = np.arange(2.0 * count).reshape(count, 2)
    vectors = np.arange(6.0 * count).reshape(count, 2, 3)
    table = parts.ScoreTable(
        ("a", "b"),
        np.zeros(2, np.int32),
        conditions,
        {"entropy": scalars, "net/correct": scalars + 1},
        {"A@24px/features": vectors},
        (),
        metadata,
    )
    assert set(table.outputs) == {"net", "A@24px"} and set(table.features) == {"A@24px"}
    np.testing.assert_array_equal(table.outputs["net"]["correct"], scalars + 1)
    np.testing.assert_array_equal(table.features["A@24px"], vectors)
    clean = [condition.severity == 0 for condition in conditions]
    assert 0 < sum(clean) < count
    for part, rows in ((table.clean, clean), (table.degraded, np.logical_not(clean))):
        np.testing.assert_array_equal(part.columns["entropy"], scalars[np.asarray(rows)])
        np.testing.assert_array_equal(part.features["A@24px"], vectors[np.asarray(rows)])
        assert part.conditions == tuple(c for c, chosen in zip(conditions, rows, strict=True) if chosen)
