"""The fields of a frozen configuration against the types that it declares, and names that are given once."""

import collections
import dataclasses
import functools
import math
import numbers
import types
import typing
from collections.abc import Iterable
from typing import Any

from causal_iqa import _checks


def check_types(config: Any) -> None:
    """Raises InputError unless every field of a dataclass has the type that it is declared with.

    A whole number serves as a float, True and False as no number, and floats are finite.
    """
    for name, hint in type_hints(type(config)).items():
        value = getattr(config, name)
        if not _is_of(value, hint):
            expected = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else hint
            raise _checks.InputError(f"{name}: expected {expected}, got {value!r}")


type_hints = functools.cache(typing.get_type_hints)


def default(config: type, name: str) -> Any:
    """Returns the default of a field of a dataclass."""
    return next(field.default for field in dataclasses.fields(config) if field.name == name)


def _is_of(value: Any, hint: Any) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_is_of(value, one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_is_of(one, typing.get_args(hint)[0]) for one in value)
    if hint in (int, float):
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return is_whole or (hint is float and isinstance(value, float) and math.isfinite(value))
    return isinstance(value, hint)


def check_unique(kind: str, names: Iterable[Any], mend: str = "give each once") -> None:
    """Raises InputError when a name is given twice."""
    twice = sorted(str(name) for name, count in collections.Counter(names).items() if count > 1)
    if twice:
        raise _checks.InputError(f"{kind}: {', '.join(twice)} given twice; {mend}")
