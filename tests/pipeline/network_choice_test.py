"""Networks as a user names them."""

import pytest

from causal_iqa import InputError, pipeline
from causal_iqa.pipeline import network_choice


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("resnet18", ("resnet18", "resnet18", None)),
        ("resnet18=a/b.pt", ("resnet18", "resnet18", "a/b.pt")),
        ("mine=resnet18=a=b.pt", ("mine", "resnet18", "a=b.pt")),
        ("module:build", ("build", "module:build", None)),
        ("mine=file.py:build", ("mine", "file.py:build", None)),
    ],
)
def test_texts_are_read(text, expected):
    assert pipeline.NetworkChoice.parse(text) == pipeline.NetworkChoice(*expected)


@pytest.mark.parametrize("text", ["", "=", "a=", "=b", "a==c"])
def test_texts_with_gaps_are_refused(text):
    with pytest.raises(InputError, match="expected ARCHITECTURE=PATH"):
        pipeline.NetworkChoice.parse(text)


def test_choices_go_through_json_and_other_fields_are_refused():
    found = pipeline.NetworkChoice.from_json("networks", {"name": "a", "architecture": "b", "path": None})
    assert found == pipeline.NetworkChoice("a", "b")
    for wrong in ({"name": "a"}, {"name": "a", "architecture": "b", "file": "c"}):
        with pytest.raises(InputError, match="networks: expected name, architecture, path, got"):
            pipeline.NetworkChoice.from_json("networks", wrong)
    with pytest.raises(InputError, match="architecture: expected str"):
        pipeline.NetworkChoice.from_json("networks", {"name": "a", "architecture": 3})


def test_names_stand_in_the_names_of_columns():
    network_choice.check_network_names("networks", [pipeline.NetworkChoice(name, "x") for name in ("a", "b-1")])
    for name in (pipeline.ALL_NETWORKS, "a/b", "a@b", "a+b", "a\nb"):
        with pytest.raises(InputError, match="cannot be a name"):
            network_choice.check_network_names("networks", [pipeline.NetworkChoice(name, "x")])
    with pytest.raises(InputError, match="a given twice; NAME=ARCHITECTURE=PATH names two of one kind"):
        network_choice.check_network_names("networks", [pipeline.NetworkChoice("a", x) for x in "xy"])
