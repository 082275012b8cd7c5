"""Tables: names to rows in order, unknown names answered with close ones, nothing assigned."""

import pickle
import types

import pytest

from causal_iqa import InputError, _tables


def _rows(*names):
    return [types.SimpleNamespace(name=name) for name in names]


def test_table_of_rows():
    row, other = _rows("a", "b")
    table = _tables.Table("row", [row, other])  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert list(table) == ["a", "b"] and table["a"] is row
    assert repr(table) == "Table('row', 2 rows: a, b)"
    with pytest.raises(ValueError, match="row 'a' is in the table twice"):
        _tables.Table("row", [row, row])  # pyright: ignore[reportArgumentType, reportCallIssue]
    with pytest.raises(KeyError):
        table["c"]
    for wrong in (1, None, ("a",)):
        with pytest.raises(InputError, match="unknown row"):
            table[wrong]  # pyright: ignore[reportArgumentType]
    assert str(pickle.loads(pickle.dumps(_tables.UnknownName("no such row")))) == "no such row"


def test_tables_of_any_rows_by_name():
    table = _tables.Table("thing", {"x": 1, "y": 2})
    assert dict(table) == {"x": 1, "y": 2} and table.get("z") is None and "z" not in table
    with pytest.raises(_tables.UnknownName, match="unknown thing 'xx': did you mean x"):
        table["xx"]
    with pytest.raises(TypeError):
        table["x"] = 3  # pyright: ignore[reportIndexIssue]
