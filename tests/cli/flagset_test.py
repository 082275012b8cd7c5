"""Flags in groups, and the former names of renamed flags."""

import importlib

import pytest
from absl import flags

from causal_iqa import cli
from causal_iqa.cli import flagset, help


@pytest.fixture
def defined():
    """A set with two groups and two renamed flags."""
    own = flagset.FlagSet()
    own.string("images", None, "Images.")
    own.former("dataset", "images")
    own.group("Machine")
    own.switch("report", True, "Report.")
    own.repeated("run", "Runs.")
    own.former("study", "run")
    return own


def test_groups_hold_the_flags_in_order(defined):
    assert defined.groups == {"Main flags": ["images"], "Machine": ["report", "run"]}


def test_a_former_name_sets_the_present_flag_with_a_warning(defined, capsys):
    given = ["command", "--dataset=a=b", "-study", "one", "--study=two", "rest", "--", "--dataset=c"]
    words = defined.with_present_names(given)
    assert words == ["command", "--images=a=b", "--run", "one", "--run=two", "rest", "--", "--dataset=c"]
    assert capsys.readouterr().err.splitlines() == [
        "warning: --dataset is called --images now; the former name goes with the next release",
        "warning: --study is called --run now; the former name goes with the next release",
    ]
    assert defined.values(words) == ["command", "rest", "--dataset=c"]
    assert defined.values["images"].value == "a=b" and defined.values["run"].value == ["one", "two"]


def test_present_names_are_left_as_they_are_without_a_warning(defined, capsys):
    given = ["--dataset=x", "--images=dataset", "--noreport", "--datasets=a", "dataset", "--run=--study"]
    assert defined.with_present_names(given) == given
    assert capsys.readouterr().err == ""


def test_help_omits_former_names(defined):
    assert "dataset" not in help.help_text("Does it.", defined.groups, defined.values)


def test_a_former_name_needs_a_present_flag(defined):
    with pytest.raises(KeyError, match="nothing"):
        defined.former("something", "nothing")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_no_former_name_is_a_flag_of_its_command(name):
    own = importlib.import_module(cli.module_name(name)).FLAGS
    assert not set(own.formers) & set(own.values) and set(own.formers.values()) <= set(own.values)


@pytest.mark.parametrize(
    ("define", "given", "value"),
    [
        (lambda own: own.integer("n", 1, "N.", lower_bound=1), "--n=3", 3),
        (lambda own: own.number("n", 1.0, "N."), "--n=.5", 0.5),
        (lambda own: own.choice("n", None, ["a", "b"], "N."), "--n=b", "b"),
        (lambda own: own.several("n", ["a"], "N."), "--n=b,c", ["b", "c"]),
    ],
)
def test_values_are_read(define, given, value):
    own = flagset.FlagSet()
    holder = define(own)
    own.values(["command", given])
    assert holder.value == value


def test_a_value_out_of_bounds_is_refused():
    own = flagset.FlagSet()
    own.integer("n", 1, "N.", lower_bound=1)
    with pytest.raises(flags.IllegalFlagValueError, match="n"):
        own.values(["command", "--n=0"])
