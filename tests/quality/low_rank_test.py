"""Witnesses on landmarks: with all anchors as landmarks they are the exact ones, with fewer the error says so."""

import jax
import numpy as np
import pytest

from causal_iqa import quality
from causal_iqa.quality import low_rank, stages, witness

_CLASSES, _ANCHORS = 6, 180


def _draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples about the means of classes, classes in turn."""
    labels = np.arange(count) % _CLASSES
    means = np.random.default_rng(0).normal(size=(_CLASSES, 12))
    samples = means[labels] + np.random.default_rng(seed).normal(size=(count, 12))
    return samples.astype(np.float32), labels


@pytest.fixture(scope="module")
def anchors():
    return witness.Anchors(*_draw(_ANCHORS, 1), _CLASSES)


@pytest.fixture(scope="module")
def evidence():
    program = jax.jit(jax.vmap(quality.evidence, (None, 0)))
    return lambda fitted: np.asarray(program(fitted, _draw(40, 2)[0]))


def test_with_all_anchors_as_landmarks_the_witnesses_are_the_exact_ones(anchors, evidence):
    plain, regularised, choice = witness.fit_on_landmarks(anchors, ranks=(_ANCHORS,))
    exact, expected = witness.fit_regularised_witness(anchors)
    assert choice.landmarks == _ANCHORS
    assert choice[:2] == expected[:2]
    assert choice.error == pytest.approx(expected.error, rel=1e-4)
    np.testing.assert_allclose(evidence(regularised), evidence(exact), atol=1e-4)
    expected = evidence(witness.fit_witness(anchors))
    np.testing.assert_allclose(evidence(plain), expected, atol=1e-5 * np.abs(expected).max())


def test_the_error_is_that_of_leaving_out(anchors):
    """By fitting again without each of some anchors, at a rank where landmarks are kept."""
    features, labels, rank, ridge = anchors.features, anchors.labels, 30, 1e-3
    widths = np.array([[3.0]])
    found = low_rank.Landmarks([features], labels, _CLASSES, rank, widths).ridge(0, rank, [ridge])
    kernel = np.exp(-((features[:, None] - features[None, :rank]) ** 2).sum(-1) / 18.0).astype(np.float64)
    values, vectors = np.linalg.eigh(kernel[:rank])
    z = kernel @ (vectors / np.sqrt(values))
    onehot = np.eye(_CLASSES)[labels]
    for i in (rank, 70, 179):
        kept = np.arange(_ANCHORS) != i
        mean, prior = z[kept].mean(0), onehot[kept].mean(0)
        centred = z[kept] - mean
        # The ridge belongs to the m anchors of the whole fit.
        penalty = _ANCHORS * ridge * np.eye(rank)
        solved = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (onehot[kept] - prior))
        error = np.mean((onehot[i] - prior - (z[i] - mean) @ solved) ** 2)
        assert found.losses[i] == pytest.approx(error, rel=2e-3)


def test_as_few_landmarks_as_the_error_allows(anchors):
    """Two landmarks are too few to tell six clusters apart; an error a hundredth larger is no matter."""
    assert witness.fit_on_landmarks(anchors, ranks=(2, 90))[2].landmarks == 90
    one = low_rank.Fit(1, 0, np.zeros(0), np.zeros(0), 0.1, np.ones(3))
    assert low_rank.smallest_sufficient([[one], [one._replace(losses=np.full(3, 0.5))]]) == 1
    assert (
        low_rank.smallest_sufficient([[one._replace(losses=np.full(3, 0.504))], [one._replace(losses=np.full(3, 0.5))]])
        == 0
    )


def test_many_anchors_are_fitted_on_landmarks(anchors, evidence, monkeypatch):
    exact = evidence(witness.fit_regularised_witness(anchors)[0])
    monkeypatch.setattr(low_rank, "MOST_EXACT", 100)
    monkeypatch.setattr(low_rank, "RANKS", (40, 80))
    monkeypatch.setattr(low_rank, "_BLOCK", 64)
    regularised, choice = quality.fit_regularised_witness(anchors)
    assert choice.landmarks in (40, 80)
    assert np.corrcoef(evidence(regularised).ravel(), exact.ravel())[0, 1] > 0.9
    assert quality.fit_witness(anchors).anchors.shape[0] == choice.landmarks
    early = anchors.features[:, :3]
    features = quality.StageFeatures(anchors.features, early, (early, anchors.features[:, 3:]))
    fitted, chosen = stages.fit_stages_witness(features, anchors.labels, _CLASSES)
    assert chosen.landmarks == len(fitted.anchors[0]) == len(fitted.anchors[2])
    one = jax.tree.map(lambda x: x[7], features)
    assert int(quality.stages_evidence(fitted, one).argmax()) == anchors.labels[7]
