"""Claims that data show, exclude or leave open, and the images that would decide."""

# pyright: reportArgumentType=false

import math

import pytest
from scipy import stats

from causal_iqa.causal import claims
from causal_iqa.estimates import Estimate


def test_a_correlation_is_positive_small_or_open():
    def answer(value, half):
        return claims.correlation_claim(Estimate(value, value - half, value + half), 100, level=0.95)

    assert answer(0.5, 0.2).answer == "yes" and answer(-0.2, 0.2).answer == "no"
    wide = answer(0.05, 0.2)
    assert wide.answer == "not shown" and wide.for_yes > 100 and wide.for_no > 100
    assert answer(0.15, 0.2).for_yes < wide.for_yes, "a larger one needs fewer images"
    assert answer(-0.05, 0.2).for_yes == math.inf and answer(math.nan, 0.1) == claims.Claim("not shown")


def test_the_number_of_images_is_that_of_the_power():
    error = 0.1
    half = error * stats.norm.ppf(0.975)
    found = claims.correlation_claim(Estimate(0.15, 0.15 - half, 0.15 + half), 100, level=0.95)
    expected = 100 * ((stats.norm.isf(0.025) + stats.norm.ppf(0.8)) / 1.5) ** 2
    assert found.for_yes == pytest.approx(expected)


def test_a_test_alone_says_no_only_by_its_sign():
    rejects = claims.CorrectedTest(0.001, 0.01)
    assert claims.dependence_claim(rejects, 50, alpha=0.05).answer == "yes"
    assert claims.dependence_claim(rejects._replace(z=-3.0), 50, alpha=0.05).answer == "no"
    open_ = claims.dependence_claim(claims.CorrectedTest(0.2, 0.4), 50, alpha=0.05)
    assert open_.answer == "not shown" and 50 < open_.for_yes < math.inf and open_.for_no == math.inf
    down = claims.dependence_claim(claims.CorrectedTest(0.2, 0.4, -1.0), 50, alpha=0.05)
    assert down.for_yes == math.inf
