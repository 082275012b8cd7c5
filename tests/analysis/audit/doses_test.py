"""Curves of a score beside those of performance, and how much of the effect the score carries."""

import numpy as np

from causal_iqa.analysis.audit import doses
from tests.analysis import worlds


def test_a_score_that_performance_follows_goes_with_it():
    told = []
    found = doses.dose_alignment(worlds.audit_data(), progress=lambda done, total: told.append((done, total)))
    assert set(found) == {"good", "noise"} and told == [(1, 2), (2, 2)]
    assert set(found["good"].degradations) == {"fog", "contrast"}


def test_what_performance_depends_on_carries_the_effect():
    found = doses.mediation(worlds.audit_data(200))
    good = found["good"]
    assert list(good.conditions) == list(worlds.audit_data().names)
    assert good.share.value > 0.8 and good.share_reason == ""
    noise = found["noise"].share.value
    assert np.isnan(noise) or noise < 0.3
