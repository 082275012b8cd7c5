"""Flags in groups of their own, and former names."""

import pytest

from causal_iqa.cli import flagset


def _set():
    flags = flagset.FlagSet("Main")
    flags.string("images", None, "The images.")
    flags.group("More")
    flags.integer("side", 8, "Side.", lower_bound=1)
    flags.several("names", ["a"], "Names.")
    return flags


def test_flags_stand_under_their_headings_in_order():
    flags = _set()
    assert {heading: list(names) for heading, names in flags.groups.items()} == {
        "Main": ["images"],
        "More": ["side", "names"],
    }
    flags.values(["program", "--side=3", "--names=x,y"])
    assert flags.values["side"].value == 3 and flags.values["names"].value == ["x", "y"]


def test_two_commands_may_share_a_name():
    first, second = _set(), _set()
    first.values(["program", "--side=3"])
    second.values(["program"])
    assert (first.values["side"].value, second.values["side"].value) == (3, 8)


def test_former_names_are_replaced_with_one_warning(capsys):
    flags = _set()
    flags.former("dataset", "images")
    words = flags.with_present_names(["--dataset", "--dataset=a", "--dataset", "b", "x", "--", "--dataset=c"])
    assert words == ["--dataset", "--images=a", "--images", "b", "x", "--", "--dataset=c"]
    assert capsys.readouterr().err.count("warning: --dataset is called --images now") == 1
    assert dict(flags.formers) == {"dataset": "images"}
    with pytest.raises(KeyError, match="nothing"):
        flags.former("old", "nothing")
