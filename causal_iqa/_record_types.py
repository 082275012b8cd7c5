"""What the types of a record say of its JSON: its fields and their keys, and which arm of a union a value is of."""

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

T = TypeVar("T")
# How JSON, which has no such numbers, says them.
INFINITE = {"Infinity": math.inf, "-Infinity": -math.inf}


class _Inline:
    """Marks a field whose own fields stand among those of its owner."""


# A record whose fields stand among those of its owner.
Inline = Annotated[T, _Inline()]


class _LeftOut:
    """Marks a field that is not written where it is None."""


# A field that is left out where it is None; it has that as its default.
LeftOut = Annotated[T | None, _LeftOut()]


class _OrEmpty:
    """Marks a record that is written as an empty object where it is None."""


# A record, or an empty object for None.
OrEmpty = Annotated[T | None, _OrEmpty()]


@dataclasses.dataclass(frozen=True, init=False)
class Keys:
    """Marks a record some of whose fields are called otherwise in JSON: Annotated[Estimate, Keys(value="rho")].

    Attributes:
      names: pairs of a field and its key.
    """

    names: tuple[tuple[str, str], ...]

    def __init__(self, **names: str):
        """Takes field=key."""
        object.__setattr__(self, "names", tuple(names.items()))


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
    """One field of a record.

    name, key: in Python and in JSON.
    hint: its type.
    inline: whether its own fields stand among those of its owner.
    has_default: whether it may be left out of a part that is read.
    left_out: whether it is left out where it is None.
    """

    name: str
    key: str
    hint: Any
    inline: bool
    has_default: bool
    left_out: bool


@functools.cache
def _hints_of(record: type) -> Mapping[str, Any]:
    names = dict(vars(sys.modules[record.__module__])) if record.__module__ in sys.modules else {}
    return typing.get_type_hints(record, globalns=names, include_extras=True)


def fields_of(record: type, marks: tuple[Any, ...] = ()) -> tuple[Field, ...]:
    """Returns the fields of a record in the order and with the names of its JSON form.

    Args:
      record: a class of named tuples, or a frozen dataclass.
      marks: what annotates it.
    """
    if hasattr(record, "_fields"):
        names, defaults = list(record._fields), set(record._field_defaults)
    else:
        own, missing = dataclasses.fields(cast(Any, record)), dataclasses.MISSING
        names = [one.name for one in own]
        defaults = {one.name for one in own if not (one.default is missing and one.default_factory is missing)}
    renamed = {name: key for mark in marks if isinstance(mark, Keys) for name, key in mark.names}
    hints = _hints_of(record)
    return tuple(
        Field(
            name,
            renamed.get(name, name),
            hints[name],
            is_marked(hints[name], _Inline),
            name in defaults,
            is_marked(hints[name], _LeftOut),
        )
        for name in names
    )


def is_marked(hint: Any, mark: type) -> bool:
    """Whether a type is annotated with a mark of a kind."""
    return any(isinstance(one, mark) for one in bare(hint)[1])


def may_be_empty(marks: tuple[Any, ...]) -> bool:
    """Whether an empty object stands for None."""
    return any(isinstance(one, _OrEmpty) for one in marks)


def is_none_as_empty(value: Any, marks: tuple[Any, ...]) -> bool:
    """Whether a value is the None that an empty object stands for."""
    return value is None and may_be_empty(marks)


def keys_of(record: type, marks: tuple[Any, ...], *, always: bool = False, needed: bool = False) -> set[str]:
    """Returns the keys of a record in JSON, with those of the records that stand inline.

    Args:
      record: the class.
      marks: what annotates it.
      always: whether only of fields that are written in any case.
      needed: whether only of fields without a default.
    """
    found: set[str] = set()
    for field in fields_of(record, marks):
        if field.inline:
            found |= keys_of(*bare(field.hint), always=always, needed=needed)
        elif not ((needed and field.has_default) or (always and field.left_out)):
            found.add(field.key)
    return found


def bare(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Returns a type without its annotations and with its parameters replaced, and the annotations."""
    marks: tuple[Any, ...] = ()
    while typing.get_origin(hint) is Annotated:
        hint, marks = hint.__origin__, (*marks, *hint.__metadata__)
    if isinstance(hint, TypeVar):
        return typing.Union[hint.__constraints__], marks  # noqa: UP007 (as many as there are)
    origin = typing.get_origin(hint)
    return (origin if is_record(origin) else hint), marks


def as_of(marks: tuple[Any, ...]) -> As | None:
    """Returns how a type is written as a plainer one, where it is."""
    return next((mark for mark in marks if isinstance(mark, As)), None)


def is_union(origin: Any) -> bool:
    """Whether the origin of a type is that of a union."""
    return origin in (typing.Union, types.UnionType)


def is_record(hint: Any) -> bool:
    """Whether a type is one of named tuples or a dataclass."""
    return isinstance(hint, type) and (hasattr(hint, "_fields") or dataclasses.is_dataclass(hint))


def arm_of_value(value: Any, arms: tuple[Any, ...], place: str) -> Any:
    """Returns the arm of a union that a value is of; TypeError where it is of none."""
    for arm in arms:
        plain = bare(arm)[0]
        kind = typing.get_origin(plain) or plain
        if kind is float and not isinstance(value, bool | str) and np.ndim(value) == 0 and np.isscalar(value):
            return arm
        if isinstance(kind, type) and isinstance(value, kind):
            return arm
    raise TypeError(f"{place}: expected {' or '.join(map(called, arms))}, got {type(value).__name__}")


def arm_of_json(value: Any, arms: tuple[Any, ...]) -> Any:
    """Returns the arm of a union to which a JSON value belongs; of records the one with its fields or the nearest."""
    plain = [(arm, *bare(arm)) for arm in arms]
    if value is None and type(None) in arms:
        return type(None)
    if isinstance(value, dict):
        records = [(arm, keys_of(kind, marks)) for arm, kind, marks in plain if is_record(kind)]
        if records:
            return min(records, key=lambda one: len(one[1] ^ value.keys()))[0]
    kinds: tuple[Any, ...] = (float,)
    if isinstance(value, list):
        kinds = (tuple, np.ndarray)
    elif isinstance(value, dict):
        kinds = (collections.abc.Mapping, dict, np.ndarray)
    elif isinstance(value, str) and value not in INFINITE:
        kinds = (str, typing.Literal)
    for arm, kind, _ in plain:
        if (typing.get_origin(kind) or kind) in kinds:
            return arm
    return next(arm for arm in arms if arm is not type(None))


def called(hint: Any) -> str:
    """Returns the name of a type in messages."""
    hint = bare(hint)[0]
    return {str: "text", type(None): "null", bool: "true or false", int: "a whole number", float: "a number"}.get(
        hint, getattr(hint, "__name__", str(hint))
    )
