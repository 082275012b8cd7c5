"""Dataset-level measures against the dependence room on explicitly resampled sets."""

import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import dependence, quality
from causal_iqa._checks import InputError

_RNG = np.random.default_rng(0)
_N = 30
_LABELS = np.arange(_N) % 3
_CLEAN = (_RNG.normal(size=(_N, 4)) + 2 * np.eye(4)[_LABELS]).astype(np.float32)
_WORSE = np.stack([_CLEAN + s * _RNG.normal(size=_CLEAN.shape).astype(np.float32) for s in (0.3, 3.0)])


def _expected(spec, features, images):
    width = float(dependence.median_heuristic(jnp.asarray(_CLEAN)))
    gram = lambda x: dependence.rbf(jnp.asarray(x), jnp.asarray(x), bandwidth=width)  # noqa: E731
    labels = jnp.asarray(_LABELS[images])
    other = gram(_CLEAN[images]) if spec.target == "clean" else dependence.delta(labels, labels)
    measure = dependence.hsic_normalised if spec.normalised else dependence.hsic_biased
    return float(measure(gram(features[images]), other))


@pytest.mark.parametrize("name", quality.DATASET_TABLE)
def test_resampled_measures_are_those_of_the_resampled_set(name):
    spec = quality.DATASET_TABLE[name]
    drawn = np.stack([np.arange(_N), _RNG.integers(0, _N, _N)])
    counts = np.stack([np.bincount(images, minlength=_N) for images in drawn])
    found = quality.evaluate_dataset(spec, _WORSE, _CLEAN, _LABELS, counts)
    expected = [[_expected(spec, features, images) for features in _WORSE] for images in drawn]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
    assert found[0, 0] > found[0, 1]  # More damage, less dependence.
    np.testing.assert_allclose(quality.evaluate_dataset(spec, _WORSE, _CLEAN, _LABELS), found[:1], rtol=1e-5)


@pytest.mark.parametrize("target", ["labels", "clean"])
def test_contributions_sum_to_the_unbiased_measure(target):
    width = float(dependence.median_heuristic(jnp.asarray(_CLEAN)))
    labels = jnp.asarray(_LABELS)
    gram = lambda x: dependence.rbf(jnp.asarray(x), jnp.asarray(x), bandwidth=width)  # noqa: E731
    other = gram(_CLEAN) if target == "clean" else dependence.delta(labels, labels)
    parts = quality.contributions(_WORSE, _CLEAN, _LABELS, target=target)
    expected = [float(dependence.hsic_unbiased(gram(x), other)) for x in _WORSE]
    np.testing.assert_allclose(parts.sum(axis=1), expected, rtol=1e-3, atol=1e-6)


def test_undefined_and_bad_input():
    spec = quality.DATASET_TABLE["cka_clean"]
    broken = np.concatenate([_WORSE, np.full_like(_WORSE[:1], np.inf), np.ones_like(_WORSE[:1])])
    found = quality.evaluate_dataset(spec, broken, _CLEAN, _LABELS)
    assert np.isfinite(found[0, :2]).all() and np.isnan(found[0, 2:]).all()
    with pytest.raises(ValueError, match="features, clean, labels"):
        quality.evaluate_dataset(spec, _WORSE, _CLEAN[:5], _LABELS)
    with pytest.raises(ValueError, match="counts"):
        quality.evaluate_dataset(spec, _WORSE, _CLEAN, _LABELS, np.ones((2, 3)))
    with pytest.raises(InputError, match="blind"):
        quality.evaluate_dataset(spec, _WORSE, np.ones_like(_CLEAN), _LABELS)
    unlabelled = np.where(np.arange(len(_LABELS)) < 3, -1, _LABELS)
    assert np.isfinite(quality.evaluate_dataset(spec, _WORSE, _CLEAN, unlabelled)).all()
    for guided in (
        lambda: quality.evaluate_dataset(quality.DATASET_TABLE["hsic_labels"], _WORSE, _CLEAN, unlabelled),
        lambda: quality.contributions(_WORSE, _CLEAN, unlabelled),
    ):
        with pytest.raises(InputError, match=r"labels: 3 of \d+ are negative"):
            guided()
    with pytest.raises(ValueError, match="target"):
        quality.contributions(_WORSE, _CLEAN, _LABELS, target="x")
