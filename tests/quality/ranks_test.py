"""Ranks: the mean of the detectors' distribution functions over degraded anchors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from causal_iqa import InputError, quality
from causal_iqa.quality import ranks
from tests.quality import detected


def test_ranks_leave_out_what_does_not_tell_success(fitted):
    witness, seen = fitted
    assert seen.copies == 240 and all(rho > 0 for rho in seen.correlations.values())
    found = detected.each(quality.mean_rank, witness, detected.COPIES)
    assert (found >= 0).all() and (found <= 1).all()
    every = detected.each(ranks._averaged, witness, detected.COPIES)
    places = np.linspace(0, 1, 257)
    expected = np.mean([np.interp(x, q, places) for x, q in zip(every.T, witness.detectors.ranks, strict=True)], axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    only = jnp.zeros(8).at[0].set(1.0)  # stages_free alone
    alone = witness._replace(detectors=witness.detectors._replace(weights=only))
    found = detected.each(quality.mean_rank, alone, detected.COPIES)
    assert np.asarray(stats.spearmanr(found, every[:, 0]))[0] > 0.999


def test_what_does_not_belong_together_is_refused(fitted):
    one = jax.tree.map(lambda x: x[0], detected.ANCHORS)
    witness, choice = quality.fit_stages_witness(
        detected.ANCHORS, detected.LABELS, 3, bandwidths=(1.0,), ridges=(1e-2,)
    )
    with pytest.raises(ValueError, match="witness: expected one with detectors"):
        quality.mean_rank(witness, one)
    witness = witness._replace(detectors=fitted[0].detectors._replace(ranks=None))
    with pytest.raises(ValueError, match="witness: expected one with ranks"):
        quality.mean_rank(witness, one)
    with pytest.raises(ValueError, match="expected equal lengths in pairs"):
        quality.fit_ranks(witness, choice, detected.ANCHORS, detected.LABELS, detected.COPIES, detected.ORIGINS[:-1])
    lost = jax.tree.map(lambda x: np.full_like(x, np.nan), detected.COPIES)
    with pytest.raises(InputError, match="no degraded anchor has finite features"):
        quality.fit_ranks(witness, choice, detected.ANCHORS, detected.LABELS, lost, detected.ORIGINS)
