"""A number with its interval."""

import math

import pytest

from causal_iqa import estimates


def test_text_has_bounds_where_there_are_some():
    assert estimates.Estimate(0.914, 0.876, 0.93).text() == "0.91 [0.88, 0.93]"
    assert estimates.Estimate(0.914, math.nan, math.nan).text() == "0.91"


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan])
def test_a_level_lies_between_0_and_1(level):
    with pytest.raises(ValueError, match=r"level: expected a number in \(0, 1\), got"):
        estimates.check_level(level)


def test_former_names_give_the_value_with_a_warning():
    for name in ("rho", "effect"):
        with pytest.warns(DeprecationWarning, match=f"Estimate.{name} is value now"):
            assert getattr(estimates.Estimate(0.5, 0.0, 1.0), name) == 0.5
    estimates.check_level(0.95)
