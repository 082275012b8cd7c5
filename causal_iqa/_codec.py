"""Typed records as JSON values and back, exactly: what a record's types say is what is written and what is read.

Named tuples and frozen dataclasses become objects, tuples lists, mappings objects, sets of text sorted lists. A number
that is not known (NaN) is null, an infinite one the text "Infinity" or "-Infinity". Arrays of one dimension are lists
of numbers; others hold their type, shape and bytes. A field that no type names, or that is missing, is refused.
"""

import base64
import collections.abc
import dataclasses
import functools
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, cast

import numpy as np

from causal_iqa._errors import InputError

T = TypeVar("T")
_INFINITE = {"Infinity": math.inf, "-Infinity": -math.inf}
_BYTES = ("dtype", "shape", "base64")


class _Inline:
    """Marks a field whose own fields stand among those of its owner."""


# A record whose fields stand among those of its owner.
Inline = Annotated[T, _Inline()]


@dataclasses.dataclass(frozen=True, init=False)
class Keys:
    """Marks a record some of whose fields are called otherwise in JSON: Annotated[Estimate, Keys(value="rho")].

    Attributes:
      names: field -> key.
    """

    names: Mapping[str, str]

    def __init__(self, **names: str):
        """Takes field=key."""
        object.__setattr__(self, "names", types.MappingProxyType(names))


@dataclasses.dataclass(frozen=True)
class As:
    """Marks a type that is written as a plainer one.

    Attributes:
      plain: the type that is written.
      to_plain: value -> plain value.
      from_plain: plain value -> value; raises ValueError for what is none.
    """

    plain: Any
    to_plain: Callable[[Any], Any]
    from_plain: Callable[[Any], Any]


class Field(typing.NamedTuple):
    """One field of a record: its name, its key in JSON, its type, and whether its fields stand among its owner's."""

    name: str
    key: str
    hint: Any
    inline: bool


def encode(value: Any, hint: Any = None) -> Any:
    """Returns a record as JSON values.

    Args:
      value: the record.
      hint: its type, where it is not the class of the value.

    Raises:
      TypeError: when a value is not what the types say.

    Examples:
      >>> class Point(typing.NamedTuple):
      ...     x: float
      ...     names: tuple[str, ...]
      >>> encode(Point(math.nan, ("a",)))
      {'x': None, 'names': ['a']}
    """
    return _encode(value, type(value) if hint is None else hint, "value")


def decode(value: Any, hint: type[T], what: str) -> T:
    """Returns the record that JSON values hold.

    Args:
      value: what `encode` gave.
      hint: type of the record.
      what: it is, for messages.

    Raises:
      InputError: for a field that is missing or unknown, or a value of another type, by its place.

    Examples:
      >>> class Point(typing.NamedTuple):
      ...     x: float
      >>> decode({"x": 1}, Point, "point")
      Point(x=1.0)
      >>> decode({"y": 1}, Point, "point")
      Traceback (most recent call last):
        ...
      causal_iqa._errors.InputError: point: unknown field 'y'
    """
    return cast(T, _decode(value, hint, what))


def checked_schema(values: Any, schema: int, what: str, command: str) -> dict[str, Any]:
    """Returns the fields of a file without the version of its layout, which must be the present one.

    Args:
      values: of the file.
      schema: the present version.
      what: it is, for messages.
      command: that writes it anew.

    Raises:
      InputError: for another version, or none.
    """
    _expect(isinstance(values, Mapping), values, "an object", what)
    found = values.get("schema")
    if found != schema or isinstance(found, bool):
        age = "an older" if type(found) is int and found < schema else "another"
        raise InputError(
            f"{what}: written by {age} version (schema {found!r}; this one reads {schema}); run {command} again"
        )
    return {name: value for name, value in values.items() if name != "schema"}


def equal(first: Any, second: Any, hint: Any = None) -> bool:
    """Whether two records hold the same, NaN being NaN and arrays compared entry by entry.

    Args:
      first: a record.
      second: another.
      hint: their type, where it is not their class.
    """
    return type(first) is type(second) and encode(first, hint) == encode(second, hint)


def _encode(value: Any, hint: Any, place: str) -> Any:
    hint, marks = _bare(hint)
    if own := _as_of(marks):
        return _encode(own.to_plain(value), own.plain, place)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if _is_union(origin):
        return _encode(value, _arm_of_value(value, arguments, place), place)
    if _is_record(hint):
        if not isinstance(value, hint):
            raise TypeError(f"{place}: expected {hint.__name__}, got {type(value).__name__}")
        return _encode_record(value, hint, marks, place)
    if origin is tuple:
        hints = [arguments[0]] * len(value) if arguments[1:] == (...,) else arguments
        return [_encode(one, own, f"{place}[{i}]") for i, (one, own) in enumerate(zip(value, hints, strict=True))]
    if origin is frozenset:
        return sorted(value)
    if origin in (collections.abc.Mapping, dict):
        return {str(name): _encode(one, arguments[1], f"{place}.{name}") for name, one in value.items()}
    if hint is np.ndarray:
        return _encode_array(np.asarray(value))
    if hint is float:
        return _encode_number(value, place)
    if hint is int and isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    if hint is bool and isinstance(value, bool | np.bool_):
        return bool(value)
    if origin is typing.Literal and value in arguments:
        return value
    if hint in (str, type(None)) and isinstance(value, hint):
        return value
    raise TypeError(f"{place}: expected {_called(hint)}, got {type(value).__name__} {value!r}")


def _encode_record(value: Any, hint: Any, marks: tuple[Any, ...], place: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields_of(hint, marks):
        own = _encode(getattr(value, field.name), field.hint, f"{place}.{field.name}")
        if field.inline:
            found |= own
        else:
            found[field.key] = own
    return found


def _encode_number(value: Any, place: str) -> float | str | None:
    if isinstance(value, bool | np.bool_ | str | bytes) or np.ndim(value):
        raise TypeError(f"{place}: expected a number, got {type(value).__name__} {value!r}")
    number = float(value)
    if math.isnan(number):
        return None
    return number if math.isfinite(number) else ("Infinity" if number > 0 else "-Infinity")


def _encode_array(values: np.ndarray) -> Any:
    if values.ndim == 1 and values.dtype == np.float64:
        return [_encode_number(value, "array") for value in values.tolist()]
    content = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False)).tobytes()
    texts = (values.dtype.name, list(values.shape), base64.b64encode(content).decode())
    return dict(zip(_BYTES, texts, strict=True))


def _decode(value: Any, hint: Any, place: str) -> Any:
    hint, marks = _bare(hint)
    if own := _as_of(marks):
        plain = _decode(value, own.plain, place)
        try:
            return own.from_plain(plain)
        except ValueError as error:
            raise InputError(f"{place}: {error}") from error
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if _is_union(origin):
        return _decode(value, _arm_of_json(value, arguments), place)
    if _is_record(hint):
        _expect(isinstance(value, dict), value, "an object", place)
        return _decode_record(value, hint, marks, place)
    if origin is tuple:
        _expect(isinstance(value, list), value, "a list", place)
        hints = [arguments[0]] * len(value) if arguments[1:] == (...,) else arguments
        _expect(len(value) == len(hints), value, f"a list of {len(hints)}", place)
        return tuple(_decode(one, own, f"{place}[{i}]") for i, (one, own) in enumerate(zip(value, hints, strict=True)))
    if origin is frozenset:
        _expect(isinstance(value, list), value, "a list", place)
        return frozenset(_decode(one, arguments[0], place) for one in value)
    if origin in (collections.abc.Mapping, dict):
        _expect(isinstance(value, dict), value, "an object", place)
        return {name: _decode(one, arguments[1], f"{place}.{name}") for name, one in value.items()}
    if hint is np.ndarray:
        return _decode_array(value, place)
    if hint is float:
        return _decode_number(value, place)
    if hint is int:
        _expect(isinstance(value, int) and not isinstance(value, bool), value, "a whole number", place)
        return value
    if origin is typing.Literal:
        _expect(value in arguments, value, f"one of {', '.join(map(repr, arguments))}", place)
        return value
    _expect(isinstance(value, hint), value, _called(hint), place)
    return value


def _decode_record(value: dict[str, Any], hint: Any, marks: tuple[Any, ...], place: str) -> Any:
    known = _keys_of(hint, marks)
    for kind, names in (("unknown", value.keys() - known), ("missing", known - value.keys())):
        if names:
            raise InputError(
                f"{place}: {kind} field{'s' if len(names) > 1 else ''} {', '.join(map(repr, sorted(names)))}"
            )
    return _taken(value, hint, marks, place)


def _taken(value: dict[str, Any], hint: Any, marks: tuple[Any, ...], place: str) -> Any:
    """A record of some of the fields of an object."""
    found = {}
    for field in fields_of(hint, marks):
        if field.inline:
            found[field.name] = _taken(value, *_bare(field.hint), place)
        else:
            found[field.name] = _decode(value[field.key], field.hint, f"{place}.{field.key}")
    return hint(**found)


def _decode_number(value: Any, place: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, str) and value in _INFINITE:
        return _INFINITE[value]
    _expect(isinstance(value, int | float) and not isinstance(value, bool), value, "a number or null", place)
    return float(value)


def _decode_array(value: Any, place: str) -> np.ndarray:
    if isinstance(value, list):
        return np.array([_decode_number(one, f"{place}[{i}]") for i, one in enumerate(value)], np.float64)
    known = isinstance(value, dict) and set(value) == set(_BYTES)
    _expect(known, value, "a list of numbers, or dtype, shape and base64", place)
    try:
        dtype = np.dtype(value["dtype"]).newbyteorder("<")
        values = np.frombuffer(base64.b64decode(value["base64"], validate=True), dtype).reshape(value["shape"])
    except (TypeError, ValueError) as error:
        raise InputError(f"{place}: no array ({error})") from error
    return values.astype(dtype.newbyteorder("="))


@functools.cache
def _hints_of(record: type) -> Mapping[str, Any]:
    names = dict(vars(sys.modules[record.__module__])) if record.__module__ in sys.modules else {}
    return typing.get_type_hints(record, globalns=names, include_extras=True)


def fields_of(record: type, marks: tuple[Any, ...] = ()) -> tuple[Field, ...]:
    """Returns the fields of a record as they stand in JSON.

    Args:
      record: a class of named tuples, or a frozen dataclass.
      marks: what annotates it.
    """
    names = (
        record._fields if hasattr(record, "_fields") else [one.name for one in dataclasses.fields(cast(Any, record))]
    )
    renamed = {name: key for mark in marks if isinstance(mark, Keys) for name, key in mark.names.items()}
    hints = _hints_of(record)
    return tuple(
        Field(name, renamed.get(name, name), hints[name], any(isinstance(x, _Inline) for x in _bare(hints[name])[1]))
        for name in names
    )


def _keys_of(record: type, marks: tuple[Any, ...]) -> set[str]:
    found: set[str] = set()
    for field in fields_of(record, marks):
        found |= _keys_of(*_bare(field.hint)) if field.inline else {field.key}
    return found


def _bare(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without what annotates it, and that."""
    marks: tuple[Any, ...] = ()
    while typing.get_origin(hint) is Annotated:
        hint, marks = hint.__origin__, (*marks, *hint.__metadata__)
    return hint, marks


def _as_of(marks: tuple[Any, ...]) -> As | None:
    return next((mark for mark in marks if isinstance(mark, As)), None)


def _is_union(origin: Any) -> bool:
    return origin in (typing.Union, types.UnionType)


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and (hasattr(hint, "_fields") or dataclasses.is_dataclass(hint))


def _arm_of_value(value: Any, arms: tuple[Any, ...], place: str) -> Any:
    for arm in arms:
        bare = _bare(arm)[0]
        kind = typing.get_origin(bare) or bare
        if kind is float and not isinstance(value, bool | str) and np.ndim(value) == 0 and np.isscalar(value):
            return arm
        if isinstance(kind, type) and isinstance(value, kind):
            return arm
    raise TypeError(f"{place}: expected {' or '.join(map(_called, arms))}, got {type(value).__name__}")


def _arm_of_json(value: Any, arms: tuple[Any, ...]) -> Any:
    """The arm of a union that a JSON value is of; of records the one with these fields, or else the nearest."""
    plain = [(arm, *_bare(arm)) for arm in arms]
    if value is None and type(None) in arms:
        return type(None)
    if isinstance(value, dict):
        records = [
            (len(_keys_of(bare, marks) ^ value.keys()), i)
            for i, (_, bare, marks) in enumerate(plain)
            if _is_record(bare)
        ]
        if records:
            return arms[min(records)[1]]
    kinds: tuple[Any, ...] = (float,)
    if isinstance(value, list):
        kinds = (tuple, np.ndarray)
    elif isinstance(value, dict):
        kinds = (collections.abc.Mapping, dict, np.ndarray)
    elif isinstance(value, str) and value not in _INFINITE:
        kinds = (str, typing.Literal)
    for arm, bare, _ in plain:
        if (typing.get_origin(bare) or bare) in kinds:
            return arm
    return next(arm for arm in arms if arm is not type(None))


def _called(hint: Any) -> str:
    hint = _bare(hint)[0]
    return {str: "text", type(None): "null", bool: "true or false", int: "a whole number", float: "a number"}.get(
        hint, getattr(hint, "__name__", str(hint))
    )


def _expect(holds: bool, value: Any, expected: str, place: str) -> None:
    if not holds:
        raise InputError(f"{place}: expected {expected}, got {_shortened(value)}")


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
