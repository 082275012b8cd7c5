"""Alignment numbers of opposite sign."""

import numpy as np

from causal_iqa import alignment


def _aligned(between, within, pooled):
    return alignment.Alignment(*(alignment.Estimate(x, x - 0.1, x + 0.1) for x in (between, within, pooled)))


def test_signs_that_contradict_are_found():
    assert alignment.sign_conflicts(_aligned(0.5, 0.2, 0.4)) == ()
    (certain,) = alignment.sign_conflicts(_aligned(-0.5, 0.2, 0.4))
    assert (certain.first, certain.second, certain.certain) == ("between", "within", True)
    both = alignment.sign_conflicts(_aligned(0.5, -0.05, 0.4))
    assert [(one.first, one.certain) for one in both] == [("pooled", False), ("between", False)]
    assert "holds 0" in both[0].message and "pooled 0.40" in both[0].message
    assert alignment.sign_conflicts(_aligned(np.nan, 0.2, 0.4)) == ()


def test_a_paradox_is_seen_in_the_data(key):
    """Inside every condition the score orders images backwards; over conditions it is right."""
    rng = np.random.default_rng(1)
    ease, scene = np.linspace(-2, 2, 8)[:, None], rng.normal(size=(1, 200))
    m = (ease + scene + 0.5 * rng.normal(size=(8, 200)) > 0).astype(float)
    q = 3 * ease - scene
    aligned = alignment.align(key, {"q": {"m": q}}, {"m": m}, num_resamples=99)["q"]["m"]
    assert [one.certain for one in alignment.sign_conflicts(aligned)] == [True, True]
