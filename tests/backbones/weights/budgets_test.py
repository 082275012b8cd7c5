"""Budgets of reading: nested limits, messages, descriptions that stay short."""

import pytest

from causal_iqa import InputError
from causal_iqa.backbones.weights import budgets


def test_limits_hold_within_their_block_and_nest():
    before = budgets.current()
    with budgets.limited(bytes=100) as outer, budgets.limited(objects=3) as inner:
        assert outer.bytes == inner.bytes == 100 and inner.objects == 3 and inner.text == before.text
        assert budgets.current() is inner
    assert budgets.current() is before
    with pytest.raises(ZeroDivisionError), budgets.limited(bytes=1):
        1 / 0  # noqa: B018
    assert budgets.current() is before
    with pytest.raises(TypeError, match="pages"), budgets.limited(pages=1):
        pass


def test_what_is_over_the_budget_says_how_to_raise_it():
    budget = budgets.Budget(bytes=10)
    budget.check("x", "the file", 10, "bytes")
    with pytest.raises(
        InputError, match=r"x: the file needs 11 bytes, the budget is 10, see backbones\.limited\(bytes="
    ):
        budget.check("x", "the file", 11, "bytes")


def test_files_are_read_within_the_budget(tmp_path):
    path = tmp_path / "net.bin"
    path.write_bytes(b"12345")
    assert budgets.read_bytes(path) == b"12345"
    with pytest.raises(InputError, match="needs 5 text, the budget is 4"):
        budgets.read_bytes(path, budgets.Budget(text=4), text=True)
    with pytest.raises(InputError, match="needs 5 bytes, the budget is 4"), budgets.limited(bytes=4):
        budgets.read_bytes(path)
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="cannot read the weight file"):
            budgets.read_bytes(wrong)


def test_descriptions_are_short_however_deep_or_large():
    deep = []
    for _ in range(5000):
        deep = [deep]
    for value in (deep, "x" * 10**6, {i: i for i in range(10**4)}, 10**5000, b"y" * 10**6):
        assert 0 < len(budgets.short(value)) <= 80
    assert budgets.short(2**200) == "an integer of 201 bits"

    class Odd:
        def __repr__(self):
            raise ValueError

    assert len(budgets.short(Odd())) <= 80
