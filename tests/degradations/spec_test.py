"""What an imaging condition says of itself."""

import json

import pytest

from causal_iqa.degradations import spec


def _row(**changes):
    given = {
        "name": "own",
        "fn": lambda key, image, severity: image,
        "group": "blur",
        "stochastic": False,
        "differentiable": True,
        "monotone": True,
        "parameters": {"any": (1, 2, 3, 4, 5)},
        "convention": "none",
    }
    return spec.DegradationSpec(**{**given, **changes})


def test_it_happens_where_its_group_does_unless_told():
    assert set(spec._STAGE_OF_GROUP) == set(spec.GROUPS) and set(spec._STAGE_OF_GROUP.values()) <= set(spec.STAGES)
    assert _row().stage == "optics" and _row(stage="sensor").stage == "sensor"


@pytest.mark.parametrize(
    ("changes", "message"), [({"group": "blurr"}, "group of own: expected one of"), ({"stage": "film"}, "stage of own")]
)
def test_rows_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        _row(**changes)


def test_passports_are_json_without_functions():
    passport = json.loads(json.dumps(_row(options={"mode": ("a", "b")}, read_options=lambda *given: {}).passport()))
    assert passport["parameters"] == {"any": [1, 2, 3, 4, 5]} and not {"fn", "read_options"} & set(passport)
