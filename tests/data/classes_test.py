"""The order of class folders."""

from causal_iqa.data.classes import natural_order


def test_natural_order():
    mixed = ["class10", "9", "class9", "08", "class1", "b", "007", "a"]
    assert sorted(mixed, key=natural_order) == ["007", "08", "9", "a", "b", "class1", "class9", "class10"]
