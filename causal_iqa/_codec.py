"""Typed records as JSON values and back, exactly: the types of a record determine the values that are written and read.

Named tuples and frozen dataclasses become objects, tuples lists, mappings objects, sets of text sorted lists. A number
that is not known (NaN) is null, an infinite one the text "Infinity" or "-Infinity". Arrays of one dimension are lists
of numbers; others hold their type, shape and bytes. A field that no type names, or that is missing, is refused; only
one marked `LeftOut` is omitted where it is None.
"""

import base64
import collections.abc
import functools
import math
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import numpy as np

from causal_iqa import _record_types
from causal_iqa._errors import InputError
from causal_iqa._record_types import As, Inline, Keys, LeftOut, OrEmpty

__all__ = ["As", "Inline", "Keys", "LeftOut", "OrEmpty", "checked_schema", "decode", "encode", "equal"]

T = TypeVar("T")
_BYTES = ("dtype", "shape", "base64")


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


def decode(value: Any, hint: type[T], what: str, *, partial: bool = False) -> T:
    """Returns the record that JSON values hold.

    Args:
      value: result of `encode`.
      hint: type of the record.
      what: it is, for messages.
      partial: whether the record is a view of a part: fields that no type names are passed over, and those that are
        missing take their defaults where they have one.

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
    return cast(T, _decode(value, hint, what, partial))


def checked_schema(values: Any, schema: int, what: str, command: str) -> dict[str, Any]:
    """Returns the fields of a file without the version of its layout, which must be the present one.

    Args:
      values: values of the file.
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


class _MisfitError(TypeError):
    """A value is not of its type; `place` is filled in on the way out."""

    def __init__(self, message: str):
        super().__init__(message)
        self.message, self.place = message, ""

    def inside(self, place: str) -> "_MisfitError":
        self.place = place + self.place
        return self


def _encode(value: Any, hint: Any, place: str) -> Any:
    try:
        return _new_encoder(hint)(value)
    except _MisfitError as error:
        raise TypeError(f"{place}{error.place}: {error.message}") from None


# Type inside a record -> its encoder, by identity: unions of other orders are equal, and encode an integer otherwise.
_ENCODERS: dict[int, tuple[Any, Callable[[Any], Any]]] = {}


def _encoder(hint: Any) -> Callable[[Any], Any]:
    """The function that encodes values of a type: what the type says is looked up once, not for every value."""
    known = _ENCODERS.get(id(hint))
    if known is None:
        known = _ENCODERS[id(hint)] = hint, _new_encoder(hint)
    return known[1]


def _new_encoder(hint: Any) -> Callable[[Any], Any]:
    hint, marks = _record_types.bare(hint)
    inner = _bare_encoder(hint, marks)
    if _record_types.may_be_empty(marks):
        return lambda value: {} if _record_types.is_none_as_empty(value, marks) else inner(value)
    return inner


def _bare_encoder(hint: Any, marks: tuple[Any, ...]) -> Callable[[Any], Any]:
    if own := _record_types.as_of(marks):
        return lambda value: _encoder(own.plain)(own.to_plain(value))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if _record_types.is_union(origin):
        return lambda value: _encoder(_arm(value, arguments))(value)
    if _record_types.is_record(hint):
        return _record_encoder(hint, marks)
    if origin is tuple:
        return _tuple_encoder(arguments)
    if origin is frozenset:
        return sorted
    if origin in (collections.abc.Mapping, dict):
        return lambda value: {str(name): _within(one, arguments[1], f".{name}") for name, one in value.items()}
    if hint is np.ndarray:
        return lambda value: _encode_array(np.asarray(value))
    if hint is float:
        return _encode_number
    return functools.partial(_encode_plain, hint, origin, arguments)


def _encode_plain(hint: Any, origin: Any, arguments: tuple[Any, ...], value: Any) -> Any:
    if hint is int and isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    if hint is bool and isinstance(value, bool | np.bool_):
        return bool(value)
    if origin is typing.Literal and value in arguments:
        return value
    if hint in (str, type(None)) and isinstance(value, hint):
        return value
    raise _MisfitError(f"expected {_record_types.called(hint)}, got {type(value).__name__} {value!r}")


def _within(value: Any, hint: Any, place: str) -> Any:
    try:
        return _encoder(hint)(value)
    except _MisfitError as error:
        raise error.inside(place) from None


def _arm(value: Any, arms: tuple[Any, ...]) -> Any:
    try:
        return _record_types.arm_of_value(value, arms, "")
    except TypeError as error:
        raise _MisfitError(str(error).removeprefix(": ")) from None


def _tuple_encoder(arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    if arguments[1:] == (...,):
        return lambda value: [_within(one, arguments[0], f"[{i}]") for i, one in enumerate(value)]
    return lambda value: [
        _within(one, own, f"[{i}]") for i, (one, own) in enumerate(zip(value, arguments, strict=True))
    ]


def _record_encoder(hint: Any, marks: tuple[Any, ...]) -> Callable[[Any], Any]:
    fields = None

    def encode_record(value: Any) -> dict[str, Any]:
        nonlocal fields
        if not isinstance(value, hint):
            raise _MisfitError(f"expected {hint.__name__}, got {type(value).__name__}")
        if fields is None:  # Not sooner: a record may hold records of its own class.
            fields = _record_types.fields_of(hint, marks)
        found: dict[str, Any] = {}
        for field in fields:
            given = getattr(value, field.name)
            if field.left_out and given is None:
                continue
            own = _within(given, field.hint, f".{field.name}")
            if field.inline:
                found |= own
            else:
                found[field.key] = own
        return found

    return encode_record


def _encode_number(value: Any) -> float | str | None:
    if type(value) is not float and (isinstance(value, bool | np.bool_ | str | bytes) or np.ndim(value)):
        raise _MisfitError(f"expected a number, got {type(value).__name__} {value!r}")
    number = float(value)
    if math.isnan(number):
        return None
    return number if math.isfinite(number) else ("Infinity" if number > 0 else "-Infinity")


def _encode_array(values: np.ndarray) -> Any:
    if values.ndim == 1 and values.dtype == np.float64:
        return [_encode_number(value) for value in values.tolist()]
    content = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False)).tobytes()
    texts = (values.dtype.name, list(values.shape), base64.b64encode(content).decode())
    return dict(zip(_BYTES, texts, strict=True))


def _decode(value: Any, hint: Any, place: str, partial: bool) -> Any:
    hint, marks = _record_types.bare(hint)
    if own := _record_types.as_of(marks):
        plain = _decode(value, own.plain, place, partial)
        try:
            return own.from_plain(plain)
        except ValueError as error:
            raise InputError(f"{place}: {error}") from error
    if value == {} and _record_types.may_be_empty(marks):
        return None
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if _record_types.is_union(origin):
        return _decode(value, _record_types.arm_of_json(value, arguments), place, partial)
    if _record_types.is_record(hint):
        _expect(isinstance(value, dict), value, "an object", place)
        return _decode_record(value, hint, marks, place, partial)
    if origin is tuple:
        _expect(isinstance(value, list), value, "a list", place)
        hints = [arguments[0]] * len(value) if arguments[1:] == (...,) else arguments
        _expect(len(value) == len(hints), value, f"a list of {len(hints)}", place)
        return tuple(
            _decode(one, own, f"{place}[{i}]", partial) for i, (one, own) in enumerate(zip(value, hints, strict=True))
        )
    if origin is frozenset:
        _expect(isinstance(value, list), value, "a list", place)
        return frozenset(_decode(one, arguments[0], place, partial) for one in value)
    if origin in (collections.abc.Mapping, dict):
        _expect(isinstance(value, dict), value, "an object", place)
        return {name: _decode(one, arguments[1], f"{place}.{name}", partial) for name, one in value.items()}
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
    _expect(isinstance(value, hint), value, _record_types.called(hint), place)
    return value


def _decode_record(value: dict[str, Any], hint: Any, marks: tuple[Any, ...], place: str, partial: bool) -> Any:
    unknown = set() if partial else value.keys() - _record_types.keys_of(hint, marks)
    missing = _record_types.keys_of(hint, marks, always=not partial, needed=partial) - value.keys()
    for kind, names in (("unknown", unknown), ("missing", missing)):
        if names:
            raise InputError(
                f"{place}: {kind} field{'s' if len(names) > 1 else ''} {', '.join(map(repr, sorted(names)))}"
            )
    return _taken(value, hint, marks, place, partial)


def _taken(value: dict[str, Any], hint: Any, marks: tuple[Any, ...], place: str, partial: bool) -> Any:
    """A record of some of the fields of an object."""
    found = {}
    for field in _record_types.fields_of(hint, marks):
        if field.inline:
            found[field.name] = _taken(value, *_record_types.bare(field.hint), place, partial)
        elif field.key in value:
            found[field.name] = _decode(value[field.key], field.hint, f"{place}.{field.key}", partial)
    return hint(**found)


def _decode_number(value: Any, place: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, str) and value in _record_types.INFINITE:
        return _record_types.INFINITE[value]
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


def _expect(holds: bool, value: Any, expected: str, place: str) -> None:
    if not holds:
        raise InputError(f"{place}: expected {expected}, got {_shortened(value)}")


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
