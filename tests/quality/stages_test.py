"""The witness over stages against kernel ridge regression written out, familiarity against scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import distance

from causal_iqa import quality
from causal_iqa._checks import InputError


def _features(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    draw = lambda d: (rng.normal(size=(n, d)) + shift).astype(np.float32)  # noqa: E731
    final = draw(6)
    return quality.StageFeatures(final, draw(3), (draw(3), draw(4)), (final,))


_LABELS = np.arange(24) % 3


@pytest.fixture(scope="module")
def fitted():
    anchors = _features(24, 0)
    return anchors, *quality.fit_stages_witness(anchors, _LABELS, 4, bandwidths=(0.5, 1.0), ridges=(1e-3, 1e-2))


def _one(features, i):
    return jax.tree.map(lambda x: jnp.asarray(x[i]), features)


def test_evidence_is_kernel_ridge_with_the_mean_of_the_kernels(fitted):
    anchors, witness, choice = fitted
    queries = _features(5, 1)
    blocks = lambda f: [np.asarray(f.final, float), *(np.asarray(x, float) for x in f.inner)]  # noqa: E731

    def kernel(a, b):
        total = 0.0
        for x, y, reference in zip(blocks(a), blocks(b), blocks(anchors), strict=True):
            width = choice.bandwidth_multiple * np.median(distance.pdist(reference))
            total = total + np.exp(-distance.cdist(x, y, "sqeuclidean") / (2 * width**2))
        return total / 3

    m = len(_LABELS)
    middle = np.eye(m) - 1 / m
    gram = kernel(anchors, anchors)
    onehot = np.eye(4)[_LABELS]
    solved = np.linalg.solve(middle @ gram @ middle + m * choice.ridge * np.eye(m), onehot - onehot.mean(0))
    row = kernel(queries, anchors)
    expected = (row - gram.mean(0)) @ middle @ solved + onehot.mean(0)
    found = np.stack([quality.stages_evidence(witness, _one(queries, i)) for i in range(5)])
    np.testing.assert_allclose(found[:, :3], expected[:, :3], atol=2e-5)
    assert (found[:, 3] == -np.inf).all()  # No anchor of class 3.


def test_familiarity_is_the_shrunk_mahalanobis_distance(fitted):
    anchors, witness, _ = fitted
    early = np.asarray(anchors.early, float)
    covariance = np.cov(early.T)
    covariance += 0.05 * np.trace(covariance) / 3 * np.eye(3)
    inverse = np.linalg.inv(covariance)
    to_centre = lambda x: distance.mahalanobis(x, early.mean(0), inverse)  # noqa: E731
    typical = np.median([to_centre(x) for x in early])
    far = _features(4, 2, shift=3.0)
    for i in range(4):
        expected = np.log(typical) - np.log(to_centre(np.asarray(far.early[i], float)))
        assert float(quality.familiarity(witness, _one(far, i))) == pytest.approx(expected, abs=1e-4)
    near = np.median([quality.familiarity(witness, _one(anchors, i)) for i in range(24)])
    assert near == pytest.approx(0, abs=0.05)


def test_scores_add_the_two(fitted):
    _, witness, _ = fitted
    one = _one(_features(1, 3), 0)
    evidence = np.asarray(quality.stages_evidence(witness, one))
    familiar = 0.5 * float(quality.familiarity(witness, one))
    assert float(quality.stages_peak(witness, one)) == pytest.approx(
        np.log(max(evidence.max(), 0.02)) + familiar, abs=1e-5
    )
    guided = np.log(max(evidence[1], 0.02)) + familiar
    assert float(quality.stages_share(witness, one, 1)) == pytest.approx(guided, abs=1e-5)
    assert np.isnan(quality.stages_share(witness, one, 3))
    gradient = jax.grad(lambda x: quality.stages_peak(witness, x))(one)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradient))


def test_expectation_is_under_the_shares_of_the_clean_image(fitted):
    _, witness, _ = fitted
    one, clean = _one(_features(1, 3), 0), _one(_features(1, 4), 0)
    evidence, clean_evidence = (np.asarray(quality.stages_evidence(witness, x))[:3] for x in (one, clean))
    shares = np.maximum(clean_evidence, 0.02) / np.maximum(clean_evidence, 0.02).sum()
    expected = np.log(max(evidence @ shares, 0.02)) + 0.5 * float(quality.familiarity(witness, one))
    assert float(quality.stages_expectation(witness, one, clean)) == pytest.approx(expected, abs=1e-5)


def test_a_statistic_that_never_differs_says_nothing():
    anchors, queries = _features(24, 0), _features(3, 1)
    constant = anchors._replace(inner=(*anchors.inner, np.ones((24, 5), np.float32)))
    witness, _ = quality.fit_stages_witness(constant, _LABELS, 3, bandwidths=(1.0,), ridges=(1e-2,))
    with_other = queries._replace(inner=(*queries.inner, np.full((3, 5), 7, np.float32)))
    with_same = queries._replace(inner=(*queries.inner, np.ones((3, 5), np.float32)))
    for i in range(3):
        a, b = (quality.stages_evidence(witness, _one(x, i)) for x in (with_other, with_same))
        np.testing.assert_array_equal(a, b)


def test_clean_cosine_is_one_without_change():
    one, other = (_one(_features(1, seed), 0) for seed in (7, 8))
    assert float(quality.clean_cosine(one, one)) == pytest.approx(1.0, abs=1e-6)
    expected = 1 - distance.cosine(one.final, other.final)
    assert float(quality.clean_cosine(one, other)) == pytest.approx(expected, abs=1e-6)
    assert np.isnan(quality.clean_cosine(one._replace(glances=(jnp.zeros(6),)), other))


def test_bad_anchors_are_named():
    anchors = _features(24, 0)
    with pytest.raises(ValueError, match="bandwidths, ridges"):
        quality.fit_stages_witness(anchors, _LABELS, 3, ridges=())
    with pytest.raises(InputError, match="2 classes"):
        quality.fit_stages_witness(anchors, np.zeros(24, int), 3)
    blind = jax.tree.map(np.ones_like, anchors)
    with pytest.raises(InputError, match="blind"):
        quality.fit_stages_witness(blind, _LABELS, 3)


def test_the_widest_kernel_within_one_standard_error_is_chosen():
    anchors = _features(24, 0)
    onehot = np.eye(3)[_LABELS]
    grid, ridges = (0.25, 0.5, 1.0, 2.0, 4.0), (1e-3, 1e-2, 1e-1)
    arrays = [anchors.final, *anchors.inner]
    found = {}
    for multiple in grid:
        gram = np.mean(
            [
                np.exp(-distance.cdist(x, x, "sqeuclidean") / (2 * (multiple * np.median(distance.pdist(x))) ** 2))
                for x in arrays
            ],
            axis=0,
        )
        losses = min(quality.leave_one_out_losses(gram, onehot, ridges), key=lambda row: row.mean())
        found[multiple] = losses.mean(), losses.std(ddof=1) / np.sqrt(24)
    smallest, error = min(found.values())
    expected = max(multiple for multiple, (loss, _) in found.items() if loss <= smallest + error)
    _, choice = quality.fit_stages_witness(anchors, _LABELS, 3, bandwidths=grid, ridges=ridges)
    assert choice.bandwidth_multiple == expected
    assert choice.error == pytest.approx(found[expected][0], rel=1e-4)
    # The smallest error alone would choose otherwise: the rule is at work here.
    assert expected != min(found, key=lambda multiple: found[multiple][0])
