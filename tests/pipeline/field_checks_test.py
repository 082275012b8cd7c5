"""Fields of a frozen configuration against their types."""

import dataclasses

import numpy as np
import pytest

from causal_iqa import InputError
from causal_iqa.pipeline import field_checks


@dataclasses.dataclass(frozen=True)
class _Config:
    number: int = 1
    share: float = 0.5
    path: str | None = None
    names: tuple[str, ...] = ()
    done: bool = False


def test_whole_numbers_serve_as_floats_and_nothing_else_is_converted():
    for config in (_Config(), _Config(share=1, path="x", names=("a", "b")), _Config(number=np.int64(3))):
        field_checks.check_types(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"number": 1.0}, "number: expected int, got 1.0"),
        ({"number": True}, "number: expected int, got True"),
        ({"share": float("inf")}, "share: expected float, got inf"),
        ({"share": "0.5"}, "share: expected float, got '0.5'"),
        ({"path": 3}, "path: expected str | None, got 3"),
        ({"names": ["a"]}, r"names: expected tuple\[str, \.\.\.\], got \['a'\]"),
        ({"names": ("a", 1)}, r"names: expected tuple\[str, \.\.\.\]"),
        ({"done": 1}, "done: expected bool, got 1"),
    ],
)
def test_fields_of_another_type_are_named(changes, message):
    with pytest.raises(InputError, match=message.replace("str | None", r"str \| None")):
        field_checks.check_types(_Config(**changes))


def test_names_are_given_once_and_defaults_are_those_of_the_class():
    field_checks.check_unique("names", ["a", "b"])
    with pytest.raises(InputError, match=r"^names: a, c given twice; mend it$"):
        field_checks.check_unique("names", ["c", "a", "b", "a", "c"], "mend it")
    assert field_checks.default(_Config, "share") == 0.5
