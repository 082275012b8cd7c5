"""Detectors on the witness: each against its own definition, and what noise does to all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from causal_iqa import InputError, quality
from causal_iqa.quality import detectors, stages
from causal_iqa.quality.features import statistics

_LABELS = np.arange(90) % 3
_CENTRES = np.random.default_rng(9).normal(size=(3, 8))


def _features(seed, labels, noise):
    rng = np.random.default_rng(seed)
    blocks = [_CENTRES[labels][:, :d] + noise * rng.normal(size=(len(labels), d)) for d in (8, 4, 5)]
    final, *inner = (x.astype(np.float32) for x in blocks)
    return quality.StageFeatures(final, inner[0], tuple(inner))


_ANCHORS = _features(0, _LABELS, 0.4)
_ORIGINS = np.tile(np.arange(30), 8)
_COPIES = jax.tree.map(
    lambda *x: np.concatenate(x), *(_features(i, _LABELS[:30], noise) for i, noise in enumerate(np.linspace(0.2, 3, 8)))
)


@pytest.fixture(scope="module")
def fitted():
    witness, choice = quality.fit_stages_witness(_ANCHORS, _LABELS, 3, bandwidths=(1.0,), ridges=(1e-2,))
    witness = quality.fit_detectors(witness, _ANCHORS)
    return quality.fit_ranks(witness, choice, _ANCHORS, _LABELS, _COPIES, _ORIGINS)


def _each(score, witness, features):
    return np.asarray(jax.jit(jax.vmap(score, (None, 0)))(witness, features))


@pytest.mark.parametrize("name", detectors.SCORES)
def test_each_falls_with_noise(fitted, name):
    values = _each(detectors.SCORES[name], fitted[0], _COPIES)
    assert stats.spearmanr(values, np.repeat(np.linspace(0.2, 3, 8), 30))[0] < -0.3


def test_gen_is_its_sum(fitted):
    one = jax.tree.map(lambda x: x[3], _COPIES)
    p = np.asarray(quality.shares(fitted[0], one), np.float64)
    assert float(quality.generalised_entropy(fitted[0], one)) == pytest.approx(-((p * (1 - p)) ** 0.1).sum(), rel=1e-4)


def test_the_boundary_distance_is_that_in_the_space_of_functions():
    # A linear witness of two functions in the plane has the distances of plane geometry; here of a kernel's features.
    witness, _ = quality.fit_stages_witness(_ANCHORS, _LABELS, 3, bandwidths=(1.0,), ridges=(1e-2,))
    witness = quality.fit_detectors(witness, _ANCHORS)
    gram = np.asarray(stages.own_kernel(statistics(_ANCHORS), witness.bandwidths), np.float64)
    one = jax.tree.map(lambda x: x[200], _COPIES)
    row = np.asarray(stages.kernel_row(witness, one), np.float64)
    # Coordinates of the function space: the anchors and this image span it.
    whole = np.block([[gram, row[:, None]], [row[None], np.ones((1, 1))]])
    values, vectors = np.linalg.eigh(whole)
    coordinates = vectors * np.sqrt(np.maximum(values, 0))
    functions = np.asarray(witness.coefficients, np.float64).T @ coordinates[:-1]
    evidence = functions @ coordinates[-1] + np.asarray(witness.offset)
    best = evidence.argmax()
    others = [c for c in range(3) if c != best]
    gaps = [(evidence[best] - evidence[c]) / np.linalg.norm(functions[best] - functions[c]) for c in others]
    expected = np.mean(gaps) / np.linalg.norm(coordinates[-1] - coordinates[:-1].mean(axis=0))
    assert float(quality.boundary_distance(witness, one)) == pytest.approx(expected, rel=2e-3)


def test_neighbours_are_those_of_all_pairs(fitted):
    own = fitted[0].detectors
    one = jax.tree.map(lambda x: x[100], _COPIES)
    z = one.final / np.linalg.norm(one.final)
    bank = _ANCHORS.final / np.linalg.norm(_ANCHORS.final, axis=1, keepdims=True)
    directions = np.asarray(own.directions)
    assert 1 <= directions.shape[1] < 8
    along, rest = (bank - z) @ directions, (bank - z) - (bank - z) @ directions @ directions.T
    nearest = np.array([np.sort(np.linalg.norm(part, axis=1))[9] for part in (along, rest)])
    expected = -((nearest - np.asarray(own.distances)[:, 0]) / np.asarray(own.distances)[:, 1]).mean()
    assert float(quality.neighbour_closeness(fitted[0], one)) == pytest.approx(expected, rel=1e-3, abs=1e-3)
    cosines = np.sort((bank @ z) * np.asarray(own.confidences))[-10:].mean()
    share = float(quality.shares(fitted[0], one).max())
    assert float(quality.guided_confidence(fitted[0], one)) == pytest.approx(share * cosines, rel=1e-4)


def test_covariance_is_shrunk_as_ledoit_and_wolf_do():
    weights = []
    for n, d in ((200, 10), (30, 10), (12, 40)):
        values = np.random.default_rng(n).normal(size=(n, d)) * np.linspace(1, 3, d)
        centred = values - values.mean(axis=0)
        sample, target = centred.T @ centred / n, np.square(centred).mean() * np.eye(d)
        noise = np.mean([np.square(np.outer(x, x) - sample).sum() for x in centred]) / n
        weight = min(1.0, noise / np.square(sample - target).sum())
        found = quality.shrunk_covariance(values)
        np.testing.assert_allclose(found[0], (1 - weight) * sample + weight * target, atol=1e-10)
        assert found[1] == pytest.approx(weight)
        weights.append(weight)
    assert weights == sorted(weights) and weights[0] < 0.3
    assert quality.shrunk_covariance(np.ones((5, 2)))[1] == 1.0
    with pytest.raises(ValueError, match="values: expected"):
        quality.shrunk_covariance(np.ones((1, 2)))


def test_the_length_of_a_stage_does_not_matter_but_its_direction_does(fitted):
    one = jax.tree.map(lambda x: x[0], _ANCHORS)
    same = quality.late_closeness(fitted[0], one._replace(final=7 * one.final))
    assert float(same) == pytest.approx(float(quality.late_closeness(fitted[0], one)), abs=1e-4)
    assert float(quality.late_closeness(fitted[0], one._replace(final=-one.final))) < float(same)


def test_ranks_leave_out_what_does_not_tell_success(fitted):
    witness, seen = fitted
    assert seen.copies == 240 and all(rho > 0 for rho in seen.correlations.values())
    ranks = _each(quality.mean_rank, witness, _COPIES)
    assert (ranks >= 0).all() and (ranks <= 1).all()
    every = _each(detectors._averaged, witness, _COPIES)
    places = np.linspace(0, 1, 257)
    expected = np.mean([np.interp(x, q, places) for x, q in zip(every.T, witness.detectors.ranks, strict=True)], axis=0)
    np.testing.assert_allclose(ranks, expected, atol=1e-4)
    only = jnp.zeros(8).at[0].set(1.0)  # stages_free alone
    alone = witness._replace(detectors=witness.detectors._replace(weights=only))
    found = _each(quality.mean_rank, alone, _COPIES)
    assert stats.spearmanr(found, every[:, 0])[0] > 0.999


def test_a_witness_without_detectors_has_no_such_scores():
    witness, _ = quality.fit_stages_witness(_ANCHORS, _LABELS, 3, bandwidths=(1.0,), ridges=(1e-2,))
    kinds = {name: spec.is_fitted(witness) for name, spec in quality.TABLE.items()}
    assert not kinds["gen_free"] and not kinds["rank_detectors_free"] and kinds["stages_free"]
    witness = quality.fit_detectors(witness, _ANCHORS)
    assert quality.TABLE["gen_free"].is_fitted(witness) and not quality.TABLE["rank_detectors_free"].is_fitted(witness)


def test_what_does_not_belong_together_is_refused(fitted):
    witness, choice = quality.fit_stages_witness(_ANCHORS, _LABELS, 3, bandwidths=(1.0,), ridges=(1e-2,))
    one = jax.tree.map(lambda x: x[0], _ANCHORS)
    for score in detectors.SCORES.values():
        if score is not quality.generalised_entropy:
            with pytest.raises(ValueError, match="witness: expected one with detectors"):
                score(witness, one)
    others = jax.tree.map(lambda x: x[::-1], _ANCHORS)
    for wrong in (others, jax.tree.map(lambda x: x[:50], _ANCHORS)):
        with pytest.raises(ValueError, match="anchors: expected the features that the witness was fitted on"):
            quality.fit_detectors(witness, wrong)
    witness = quality.fit_detectors(witness, _ANCHORS)
    with pytest.raises(ValueError, match="witness: expected one with ranks"):
        quality.mean_rank(witness, one)
    with pytest.raises(ValueError, match="expected equal lengths in pairs"):
        quality.fit_ranks(witness, choice, _ANCHORS, _LABELS, _COPIES, _ORIGINS[:-1])
    lost = jax.tree.map(lambda x: np.full_like(x, np.nan), _COPIES)
    with pytest.raises(InputError, match="no degraded anchor has finite features"):
        quality.fit_ranks(witness, choice, _ANCHORS, _LABELS, lost, _ORIGINS)
