"""Which conditions move what is shown."""

import pytest

from causal_iqa import degradations
from causal_iqa.copies import geometry
from causal_iqa.degradations import Condition


def _parse(*names):
    return tuple(map(Condition.parse, names))


def test_every_geometric_degradation_is_one():
    assert set(geometry.GEOMETRIC) <= set(degradations.TABLE)


@pytest.mark.parametrize(
    ("name", "found"),
    [("rotation/2", ("rotation",)), ("fog/2", ()), ("fog/1+scale[direction=in]/2", ("scale",)), ("clean", ())],
)
def test_conditions_move_by_their_steps(name, found):
    (condition,) = _parse(name)
    assert geometry.moves(condition) == found
    said = geometry.of_annotations(condition)
    assert said == "those of the clean images fit" if not found else "do not fit" in said and found[0] in said


def test_a_tree_has_one_remark_for_all():
    assert geometry.remark(_parse("fog/1", "contrast/2")) is None
    said = geometry.remark(_parse("scale[direction=in]/1", "rotation/2", "rotation/3", "fog/1"))
    assert said is not None and said.startswith("rotation, scale: ")
