"""What the detectors are fitted on: anchors of the witness, a shrunk covariance, distances among the anchors."""

import jax
import numpy as np
import pytest

from causal_iqa import quality
from causal_iqa.quality import detector_fits
from tests.quality import detected


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


def test_other_anchors_than_those_of_the_witness_are_refused(fitted):
    others = jax.tree.map(lambda x: x[::-1], detected.ANCHORS)
    for wrong in (others, jax.tree.map(lambda x: x[:50], detected.ANCHORS)):
        with pytest.raises(ValueError, match="anchors: expected the features that the witness was fitted on"):
            quality.fit_detectors(fitted[0], wrong)


def test_vectors_get_length_one_and_nothing_stays_nothing():
    found = detector_fits.unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, 0.0]])


def test_principal_directions_keep_nine_tenths_of_the_variance():
    rng = np.random.default_rng(0)
    bank = rng.normal(size=(400, 4)) * [10.0, 9.0, 1.0, 0.1]
    directions = detector_fits._principal(bank)
    assert directions.shape == (4, 2)
    kept = np.var(bank @ directions, axis=0).sum() / np.var(bank, axis=0).sum()
    assert kept >= 0.9
    assert detector_fits._principal(bank[:, :1]).shape == (1, 1)


def test_anchors_are_at_distance_one_of_their_own_gaussian(fitted):
    own = fitted[0].detectors.late
    unit = detector_fits.unit(detected.ANCHORS.final)
    distances = np.linalg.norm((unit - np.asarray(own.centre)) @ np.asarray(own.whitening), axis=1)
    assert np.median(distances) == pytest.approx(float(own.typical), rel=1e-3)
    flat = detector_fits._fit_gaussian(np.ones((6, 3), np.float32))
    assert float(flat.typical) == 1.0 and np.isfinite(flat.whitening).all(), "anchors that do not differ"
