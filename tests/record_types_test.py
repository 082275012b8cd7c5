"""What types say of JSON: fields and keys, marks, and the arm of a union that a value belongs to."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pytest

from causal_iqa import _record_types as types
from causal_iqa.estimates import Estimate


class _Inner(NamedTuple):
    low: float
    high: float = 1.0


class _Outer(NamedTuple):
    name: str
    inner: types.Inline[_Inner]
    note: types.LeftOut[str] = None
    rho: Annotated[Estimate, types.Keys(value="rho")] = Estimate(0.0, 0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class _Frozen:
    a: int
    b: tuple[int, ...] = ()


def test_fields_know_their_marks():
    fields = {one.name: one for one in types.fields_of(_Outer)}
    assert fields["inner"].inline and not fields["name"].inline
    assert fields["note"].left_out and fields["note"].has_default and not fields["name"].has_default
    assert [one.name for one in types.fields_of(_Frozen) if one.has_default] == ["b"]
    renamed = types.fields_of(Estimate, (types.Keys(value="rho"),))
    assert renamed[0].key == "rho" and renamed[1].key == "low"


def test_keys_hold_those_of_records_that_stand_inline():
    assert types.keys_of(_Outer, ()) == {"name", "low", "high", "note", "rho"}
    assert types.keys_of(_Outer, (), needed=True) == {"name", "low"}
    assert types.keys_of(_Outer, (), always=True) == {"name", "low", "high", "rho"}


def test_annotations_are_taken_off():
    bare, marks = types.bare(Annotated[Annotated[int, "x"], "y"])
    assert bare is int and set(marks) == {"x", "y"}
    assert types.is_union(int | None) is False and types.is_record(_Inner) and not types.is_record(tuple)
    assert types.may_be_empty(types.bare(types.OrEmpty[_Inner])[1])
    assert types.is_none_as_empty(None, types.bare(types.OrEmpty[_Inner])[1]) and not types.is_none_as_empty(None, ())


def test_values_find_their_arm():
    arms = (float, str, _Inner, type(None))
    assert types.arm_of_value(np.float32(1), arms, "x") is float and types.arm_of_value(2, arms, "x") is float
    assert types.arm_of_value(_Inner(0.0), arms, "x") is _Inner and types.arm_of_value(None, arms, "x") is type(None)
    with pytest.raises(TypeError, match="x: expected a number or text or _Inner or null, got list"):
        types.arm_of_value([], arms, "x")
    with pytest.raises(TypeError):
        types.arm_of_value(True, (float, str), "x")


def test_json_finds_its_arm():
    assert types.arm_of_json({"low": 0, "high": 1}, (_Outer, _Inner)) is _Inner
    assert types.arm_of_json({"a": 1}, (_Frozen, _Inner)) is _Frozen, "the nearest"
    assert types.arm_of_json(None, (float, type(None))) is type(None)
    assert types.arm_of_json("Infinity", (str, float)) is float and types.arm_of_json("x", (float, str)) is str
    assert types.arm_of_json([1], (Mapping[str, int], tuple[int, ...])) == tuple[int, ...]
    assert types.arm_of_json("kept", (float, Literal["kept"])) == Literal["kept"]


def test_types_have_names_in_messages():
    assert [types.called(one) for one in (str, bool, type(None), _Inner)] == ["text", "true or false", "null", "_Inner"]
