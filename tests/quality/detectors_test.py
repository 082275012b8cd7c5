"""Detectors on the witness: each against its own definition, and what noise does to all of them."""

import jax
import numpy as np
import pytest
from scipy import stats

from causal_iqa import quality
from causal_iqa.quality import detectors, stages
from causal_iqa.quality.features import statistics
from tests.quality import detected


@pytest.mark.parametrize("name", detectors.SCORES)
def test_each_falls_with_noise(fitted, name):
    values = detected.each(detectors.SCORES[name], fitted[0], detected.COPIES)
    assert np.asarray(stats.spearmanr(values, np.repeat(np.linspace(0.2, 3, 8), 30)))[0] < -0.3


def test_gen_is_its_sum(fitted):
    one = jax.tree.map(lambda x: x[3], detected.COPIES)
    p = np.asarray(quality.shares(fitted[0], one), np.float64)
    assert float(quality.generalised_entropy(fitted[0], one)) == pytest.approx(-((p * (1 - p)) ** 0.1).sum(), rel=1e-4)


def test_the_boundary_distance_is_that_in_the_space_of_functions():
    # A linear witness of two functions in the plane has the distances of plane geometry; here of a kernel's features.
    witness, _ = quality.fit_stages_witness(detected.ANCHORS, detected.LABELS, 3, bandwidths=(1.0,), ridges=(1e-2,))
    witness = quality.fit_detectors(witness, detected.ANCHORS)
    gram = np.asarray(stages.own_kernel(statistics(detected.ANCHORS), witness.bandwidths), np.float64)
    one = jax.tree.map(lambda x: x[200], detected.COPIES)
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
    one = jax.tree.map(lambda x: x[100], detected.COPIES)
    z = one.final / np.linalg.norm(one.final)
    bank = detected.ANCHORS.final / np.linalg.norm(detected.ANCHORS.final, axis=1, keepdims=True)
    directions = np.asarray(own.directions)
    assert 1 <= directions.shape[1] < 8
    along, rest = (bank - z) @ directions, (bank - z) - (bank - z) @ directions @ directions.T
    nearest = np.array([np.sort(np.linalg.norm(part, axis=1))[9] for part in (along, rest)])
    expected = -((nearest - np.asarray(own.distances)[:, 0]) / np.asarray(own.distances)[:, 1]).mean()
    assert float(quality.neighbour_closeness(fitted[0], one)) == pytest.approx(expected, rel=1e-3, abs=1e-3)
    cosines = np.sort((bank @ z) * np.asarray(own.confidences))[-10:].mean()
    share = float(quality.shares(fitted[0], one).max())
    assert float(quality.guided_confidence(fitted[0], one)) == pytest.approx(share * cosines, rel=1e-4)


def test_the_length_of_a_stage_does_not_matter_but_its_direction_does(fitted):
    one = jax.tree.map(lambda x: x[0], detected.ANCHORS)
    same = quality.late_closeness(fitted[0], one._replace(final=7 * one.final))
    assert float(same) == pytest.approx(float(quality.late_closeness(fitted[0], one)), abs=1e-4)
    assert float(quality.late_closeness(fitted[0], one._replace(final=-one.final))) < float(same)


def test_a_witness_without_detectors_has_no_such_scores():
    witness, _ = quality.fit_stages_witness(detected.ANCHORS, detected.LABELS, 3, bandwidths=(1.0,), ridges=(1e-2,))
    kinds = {name: spec.is_fitted(witness) for name, spec in quality.TABLE.items()}
    assert not kinds["gen_free"] and not kinds["rank_detectors_free"] and kinds["stages_free"]
    witness = quality.fit_detectors(witness, detected.ANCHORS)
    assert quality.TABLE["gen_free"].is_fitted(witness) and not quality.TABLE["rank_detectors_free"].is_fitted(witness)


def test_a_bare_witness_is_refused():
    witness, _ = quality.fit_stages_witness(detected.ANCHORS, detected.LABELS, 3, bandwidths=(1.0,), ridges=(1e-2,))
    one = jax.tree.map(lambda x: x[0], detected.ANCHORS)
    for score in detectors.SCORES.values():
        if score is not quality.generalised_entropy:
            with pytest.raises(ValueError, match="witness: expected one with detectors"):
                score(witness, one)
