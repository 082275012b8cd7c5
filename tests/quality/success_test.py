"""The chance that the witness is right: copies never see their own anchor, and what degradation does to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import quality
from causal_iqa._checks import InputError
from causal_iqa.quality import low_rank, stages, success
from causal_iqa.quality.features import statistics
from causal_iqa.quality.witness import ridge_coefficients

_LABELS = np.arange(60) % 3
_GRIDS = {"bandwidths": (1.0,), "ridges": (1e-2,)}


def _features(seed, labels, noise):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(3, 8))
    blocks = [(centres[labels][:, :d] + noise[:, None] * rng.normal(size=(len(labels), d))) for d in (8, 4, 5)]
    final, *inner = (x.astype(np.float32) for x in blocks)
    return quality.StageFeatures(final, inner[0], tuple(inner), (final,))


_ANCHORS = _features(0, _LABELS, np.full(60, 0.4))
_ORIGINS = np.tile(np.arange(20), 30)
_COPIES = _features(1, _LABELS[_ORIGINS], np.repeat(np.linspace(0.2, 3.0, 30), 20))


def _evidence(labels):
    witness, choice = quality.fit_stages_witness(_ANCHORS, labels, 3, **_GRIDS)
    axes = tuple(success.axes_of(x) for x in statistics(_ANCHORS))
    return success.read_copies(witness, choice, axes, _ANCHORS, labels, _COPIES, _ORIGINS)[1], witness, choice


def test_a_copy_is_read_by_the_witness_that_is_fitted_without_its_anchor():
    found, witness, _ = _evidence(_LABELS)
    kernel = np.asarray(stages.own_kernel(statistics(_ANCHORS), witness.bandwidths), np.float64)
    bare = _COPIES._replace(glances=())
    rows = _each(stages.kernel_row, witness, bare).astype(np.float64)
    for copy in (0, 7, 333):
        rest = np.delete(np.arange(60), _ORIGINS[copy])
        gram = kernel[np.ix_(rest, rest)]
        # 59 anchors with the penalty of 60.
        coefficients, offset = ridge_coefficients(gram, np.eye(3)[_LABELS[rest]], 0.01 * 60 / 59)
        np.testing.assert_allclose(found[copy], rows[copy, rest] @ coefficients + offset, atol=2e-4)


def test_the_label_of_its_own_anchor_does_not_reach_a_copy():
    found = _evidence(_LABELS)[0]
    other = _LABELS.copy()
    other[4] = (other[4] + 1) % 3
    changed = _evidence(other)[0]
    of_it = _ORIGINS == 4
    np.testing.assert_allclose(changed[of_it], found[of_it], atol=2e-4)
    assert np.abs(changed[~of_it] - found[~of_it]).max() > 0.01


def test_landmarks_leave_out_as_all_anchors_do(monkeypatch):
    exact = _evidence(_LABELS)[0]
    monkeypatch.setattr(low_rank, "MOST_EXACT", 10)
    monkeypatch.setattr(low_rank, "RANKS", (60,))
    found, _, choice = _evidence(_LABELS)
    assert choice.landmarks == 60
    np.testing.assert_allclose(found, exact, atol=5e-3)


def _each(score, witness, features):
    return np.asarray(jax.jit(jax.vmap(score, (None, 0)))(witness, features))


@pytest.fixture(scope="module")
def fitted():
    witness, choice = quality.fit_stages_witness(_ANCHORS, _LABELS, 3, **_GRIDS)
    return quality.fit_success(witness, choice, _ANCHORS, _LABELS, _COPIES, _ORIGINS)


def test_the_chance_falls_with_noise_and_is_calibrated(fitted):
    witness, seen = fitted
    labels = np.tile(np.arange(3), 200)
    chances, right = [], []
    for noise in (0.5, 1.5, 3.0):
        fresh = _features(5, labels, np.full(600, noise))
        chances.append(_each(quality.success_chance, witness, fresh))
        right.append(_each(quality.stages_evidence, witness, fresh).argmax(axis=1) == labels)
    means = [x.mean() for x in chances]
    assert means[0] > means[1] + 0.05 > means[2] + 0.1
    np.testing.assert_allclose(means, [x.mean() for x in right], atol=0.12)
    assert seen.copies == 600 and 0.4 < seen.right < 0.9


def test_ranks_are_between_0_and_1_and_uniform_on_the_copies(fitted):
    witness, _ = fitted
    ranks = _each(quality.success_rank, witness, _COPIES)
    assert ranks.min() >= 0 and ranks.max() <= 1
    assert ranks.mean() == pytest.approx(0.5, abs=0.05)
    odds = _each(success.success_odds, witness, _COPIES)
    chances = _each(quality.success_chance, witness, _COPIES)
    np.testing.assert_allclose(chances, jax.nn.sigmoid(jnp.asarray(odds)), rtol=1e-5)


def test_copies_that_are_not_finite_are_left_out_and_refused_where_none_is_left(fitted):
    witness, choice = quality.fit_stages_witness(_ANCHORS, _LABELS, 3, **_GRIDS)
    broken = _COPIES._replace(final=np.where(np.arange(600)[:, None] < 50, np.nan, _COPIES.final))
    assert quality.fit_success(witness, choice, _ANCHORS, _LABELS, broken, _ORIGINS)[1].copies == 550
    nothing = broken._replace(final=np.full_like(broken.final, np.nan))
    with pytest.raises(InputError, match="no degraded anchor has finite features"):
        quality.fit_success(witness, choice, _ANCHORS, _LABELS, nothing, _ORIGINS)
    with pytest.raises(ValueError, match="expected equal lengths"):
        quality.fit_success(witness, choice, _ANCHORS, _LABELS, _COPIES, _ORIGINS[:-1])
