"""Shares of the causes, corrected for confusion."""

import jax
import numpy as np
import pytest

from causal_iqa import InputError, diagnosis
from causal_iqa.diagnosis import shares


def test_composition_is_corrected_for_confusion():
    draw = np.random.default_rng(0)
    # Calibrated under even shares: each image of two causes is seen through a channel that confuses a quarter.
    channel = np.asarray([[0.75, 0.25], [0.25, 0.75]])
    truth = draw.uniform(size=4000) < 0.1
    seen = np.where(draw.uniform(size=4000) < 0.25, ~truth, truth)
    said = channel[seen.astype(int)]
    assert said[:, 1].mean() > 0.28
    found = diagnosis.composition(jax.random.key(0), said, ("none", "fog"))
    assert found.shares[1] == pytest.approx(truth.mean(), abs=0.03)
    assert found.shares.sum() == pytest.approx(1.0, abs=1e-4)
    assert found.low[1] < truth.mean() < found.high[1] and found.high[1] - found.low[1] < 0.08
    adapted = diagnosis.adapted(said, found.shares)
    np.testing.assert_allclose(adapted.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(adapted.mean(axis=0), found.shares, atol=2e-3)
    with pytest.raises(InputError, match="at least 20 images, got 3"):
        diagnosis.composition(jax.random.key(0), said[:3], ("none", "fog"))
    with pytest.raises(ValueError, match="expected 2 names"):
        diagnosis.composition(jax.random.key(0), said, ("none",))


def test_large_sets_have_narrow_intervals():
    said = np.tile(np.asarray([[0.9, 0.1], [0.1, 0.9]], np.float32), (10_000, 1))
    found = diagnosis.composition(jax.random.key(0), said, ("none", "fog"), resamples=20)
    assert found.num_images == 20_000 and found.shares[1] == pytest.approx(0.5, abs=1e-3)
    assert found.low[1] < 0.5 < found.high[1] and found.high[1] - found.low[1] < 0.04


def test_resamples_do_not_depend_on_how_many_are_drawn_besides():
    keys = jax.random.split(jax.random.key(0), 3)
    expected = [np.bincount(np.asarray(jax.random.randint(key, (37,), 0, 37)), minlength=37) for key in keys]
    np.testing.assert_array_equal(shares._resamples(keys, 37), expected)
