"""What performance is: its name, range, direction, and its words."""

import json
import math

import numpy as np
import pytest

from causal_iqa import pipeline
from causal_iqa.pipeline import measured


def test_the_config_says_what_it_is():
    assert measured.measure_of(pipeline.StudyConfig(performance="t.csv", performance_name="IoU")).name == "IoU"
    error = pipeline.StudyConfig(
        performance="t.csv", performance_name="mm", performance_direction="lower", performance_range=(0.0, 9.0)
    )
    found = measured.measure_of(error)
    assert (found.name, found.sign, found.bounds) == ("minus mm", -1.0, (-9.0, 0.0)) and not found.is_accuracy


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-math.inf, 3.0)])
def test_it_goes_through_json(bounds):
    measure = pipeline.Measure("IoU", False, 1.0, bounds)
    assert measured.Measure.from_dict(json.loads(json.dumps(measure.as_dict(), allow_nan=False))) == measure
    assert measured.Measure.from_dict(None) is measured.ACCURACY


def test_shares_are_shown_in_per_cent_and_others_in_their_unit():
    share, other = pipeline.Measure("IoU", False, 1.0, (0.0, 1.0)), pipeline.Measure("mm", False, 1.0, (0.0, math.inf))
    assert share.shown(0.123) == "12.3 %" and other.shown(0.123) == "0.123" and share.shown(np.nan) == "undefined"
    assert share.error(0.05, "+") == "+5.0" and other.error(0.05) == "0.05"
    assert share.unit == "points" and other.unit == "units of mm" and measured.ACCURACY.key == "accuracy"
