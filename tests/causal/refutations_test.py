"""Refutations of an honest estimate."""

import pytest

from causal_iqa import causal
from tests.causal.worlds import draw, world


def test_refutations_pass_for_an_honest_estimate(key):
    assigned, y, _ = draw(key, world(4, 400), 60)
    found = causal.refute(key, assigned, y, arm=2, num_repeats=12)
    assert [one.name for one in found] == ["placebo_treatment", "random_common_cause", "random_subset"]
    assert all(one.passed for one in found)
    assert abs(found[0].found.value) < 0.1
    # The estimate that is refuted is the one of the table, with its interval.
    effect = causal.estimate_arms(assigned, y)[causal.DEFAULT_METHOD].effect
    assert found[1].expected == pytest.approx((effect.value[2], effect.low[2], effect.high[2]))
    for one in found:
        assert one.found.low <= one.found.value <= one.found.high
    with pytest.raises(ValueError, match="arm, share"):
        causal.refute(key, assigned, y, arm=0)
    with pytest.raises(ValueError, match="method"):
        causal.refute(key, assigned, y, arm=1, method="magic")
