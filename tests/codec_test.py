"""Records as JSON values and back: exact for every kind of value, and what does not fit is refused by its place."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pytest

from causal_iqa import InputError, _codec


class _Bounds(NamedTuple):
    value: np.ndarray | float
    low: np.ndarray | float


class _Left(NamedTuple):
    reason: str


class _Named(NamedTuple):
    name: str
    given: frozenset[str]


@dataclasses.dataclass(frozen=True)
class _Record:
    named: _codec.Inline[_Named]
    answer: Literal["yes", "no"]
    size: int | None
    share: float
    done: bool
    parts: tuple[_Bounds | _Left, ...]
    renamed: Annotated[_Bounds, _codec.Keys(value="rho")]
    pair: tuple[int, str]
    tables: Mapping[str, np.ndarray]
    written: Annotated[complex, _codec.As(str, str, complex)] = 0j


def _record(**changes):
    tables = {
        "line": np.array([1.5, math.nan, -math.inf]),
        "float32": np.array([[0.1, math.nan]], np.float32),
        "int": np.array([[1, -2]], np.int16),
        "empty": np.zeros((0, 3), bool),
    }
    parts = (_Bounds(np.array([1.0, math.nan]), math.inf), _Left("none"))
    known = (_Named("n", frozenset("ba")), "yes", None, math.nan, np.bool_(True), parts, _Bounds(0.1, math.nan))
    return dataclasses.replace(_Record(*known, (np.int32(3), "x"), tables, 1 + 2j), **changes)


def test_json_holds_all_of_a_record():
    values = _codec.encode(_record())
    again = _codec.decode(json.loads(json.dumps(values, allow_nan=False)), _Record, "record")
    assert _codec.encode(again) == values and _codec.equal(again, _record())
    assert {name: values[name] for name in ("name", "given", "size", "share", "pair", "renamed", "written")} == {
        "name": "n",
        "given": ["a", "b"],
        "size": None,
        "share": None,
        "pair": [3, "x"],
        "renamed": {"rho": 0.1, "low": None},
        "written": "(1+2j)",
    }
    assert again.named == _Named("n", frozenset("ab")) and again.written == 1 + 2j and again.done is True
    assert isinstance(again.parts[0], _Bounds) and isinstance(again.parts[1], _Left)
    assert again.parts[0].low == math.inf and math.isnan(again.renamed.low)
    for name, table in _record().tables.items():
        np.testing.assert_array_equal(again.tables[name], table)
        assert again.tables[name].dtype == table.dtype
    assert not _codec.equal(again, _record(share=0.5))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("more",), 1, "record: unknown field 'more'"),
        (("parts", 1, "value"), 1, r"record.parts\[1\]: unknown field 'value'"),
        (("answer",), "maybe", "record.answer: expected one of 'yes', 'no', got 'maybe'"),
        (("size",), 1.5, "record.size: expected a whole number, got 1.5"),
        (("size",), True, "record.size: expected a whole number"),
        (("share",), True, "record.share: expected a number or null"),
        (("done",), 1, "record.done: expected true or false, got 1"),
        (("given",), "ab", "record.given: expected a list"),
        (("pair",), [1], "record.pair: expected a list of 2"),
        (("tables", "int", "base64"), "AAAA", "record.tables.int: no array"),
        (("tables", "line"), ["x"], r"record.tables.line\[0\]: expected a number or null, got 'x'"),
        (("renamed",), {"value": 1, "low": 2}, "record.renamed: unknown field 'value'"),
        (("written",), "x", "record.written: "),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(place, value, message):
    values = _codec.encode(_record())
    inner = values
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    with pytest.raises(InputError, match=message):
        _codec.decode(values, _Record, "record")


def test_every_missing_field_is_named():
    whole = _codec.encode(_record())
    for name in whole:
        with pytest.raises(InputError, match=f"record: missing field '{name}'"):
            _codec.decode({key: value for key, value in whole.items() if key != name}, _Record, "record")


def test_a_record_of_wrong_values_is_not_written():
    for change, message in (
        ({"share": "0.5"}, "value.share: expected a number"),
        ({"answer": "maybe"}, "value.answer"),
        ({"parts": (3,)}, "value.parts.0.: expected _Bounds or _Left, got int"),
    ):
        with pytest.raises(TypeError, match=message):
            _codec.encode(_record(**change))


def test_a_file_of_another_version_is_named():
    assert _codec.checked_schema({"schema": 2, "x": 1}, 2, "file", "command") == {"x": 1}
    for schema, age in ((1, "an older"), (3, "another"), (None, "another"), (True, "another")):
        with pytest.raises(InputError, match=f"file: written by {age} version .*run command again"):
            _codec.checked_schema({"schema": schema}, 2, "file", "command")


class _View(NamedTuple):
    share: float
    named: _codec.Inline[_Left]
    note: str = "none"


def test_a_view_of_a_part_passes_over_the_rest():
    values = {"share": 1, "reason": "r", "other": [], "more": {}}
    assert _codec.decode(values, _View, "view", partial=True) == _View(1.0, _Left("r"), "none")
    assert _codec.decode({**values, "note": "n"}, _View, "view", partial=True).note == "n"
    for name in ("share", "reason"):
        with pytest.raises(InputError, match=f"view: missing field '{name}'"):
            _codec.decode({key: value for key, value in values.items() if key != name}, _View, "view", partial=True)
    with pytest.raises(InputError, match=r"view\.note: expected text, got 3"):
        _codec.decode({**values, "note": 3}, _View, "view", partial=True)


class _Sparse(NamedTuple):
    kept: _codec.OrEmpty[_Left]
    bounds: _codec.LeftOut[Annotated[_Bounds, _codec.Keys(value="rho")]] = None
    many: _codec.LeftOut[Mapping[str, float]] = None


def test_what_is_none_is_left_out_or_an_empty_object():
    full = _Sparse(_Left("r"), _Bounds(0.5, math.nan), {"a": 1.0})
    written = {"kept": {"reason": "r"}, "bounds": {"rho": 0.5, "low": None}, "many": {"a": 1.0}}
    assert _codec.encode(full) == written and _codec.equal(_codec.decode(written, _Sparse, "sparse"), full)
    assert _codec.encode(_Sparse(None)) == {"kept": {}}
    assert _codec.decode({"kept": {}}, _Sparse, "sparse") == _Sparse(None)
    # None is said in one way only, and nothing else may be missing.
    for wrong, message in (({"kept": {}, "odd": 1}, "unknown field 'odd'"), ({"many": {}}, "missing field 'kept'")):
        with pytest.raises(InputError, match=message):
            _codec.decode(wrong, _Sparse, "sparse")
