"""What a row of the table of metrics says of itself, and calls by its name."""

# pyright: reportArgumentType=false

import dataclasses
import json

import pytest

from causal_iqa.metrics import spec


def _row(**changes):
    given = {
        "name": "own",
        "fn": lambda *images: images,
        "family": "full_reference",
        "higher_is_better": True,
        "colour": "RGB",
        "range": (0.0, None),
        "smallest_side": 1,
        "differentiable": True,
        "convention": "none",
        "reference": "nobody",
        "worse_with": ("blur",),
    }
    return spec.MetricSpec(**{**given, **changes})


def test_the_family_says_what_is_passed():
    row = _row()
    assert row.needs_reference and spec.evaluate(row, "clean", "image") == ("clean", "image")
    alone = dataclasses.replace(row, family="no_reference")
    assert not alone.needs_reference and spec.evaluate(alone, None, "image") == ("image",)
    assert spec.evaluate(alone, "clean", "image") == ("image",)
    with pytest.raises(ValueError, match="reference: own compares with a pristine image, got None"):
        spec.evaluate(row, None, "image")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "reduced"}, "family of own: expected one of"),
        ({"colour": "RBG"}, "colour of own"),
        ({"suite": "new"}, "suite of own"),
        ({"smallest_side": 0}, "smallest_side of own: expected at least 1, got 0"),
    ],
)
def test_rows_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        _row(**changes)


def test_passports_are_json_without_the_function():
    passport = json.loads(json.dumps(_row().passport()))
    assert passport["range"] == [0.0, None] and passport["needs_reference"] is True and "fn" not in passport
