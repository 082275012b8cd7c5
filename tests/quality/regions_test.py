"""Scores inside a region against means over its pixels."""

import jax.numpy as jnp
import numpy as np
import pytest

from causal_iqa import quality

_RNG = np.random.default_rng(0)
_INSIDE = np.zeros((8, 8), np.float32)
_INSIDE[2:6, 1:5] = 1.0


def test_psnr_reads_the_region_alone():
    reference = _RNG.uniform(size=(8, 8, 3)).astype(np.float32)
    image = np.clip(reference + 0.1 * _RNG.normal(size=reference.shape), 0, 1).astype(np.float32)
    expected = -10 * np.log10(np.mean((reference - image)[2:6, 1:5] ** 2))
    assert float(quality.region_psnr(reference, image, _INSIDE)) == pytest.approx(expected, rel=1e-5)
    image[0, 0] = 1 - image[0, 0]
    assert float(quality.region_psnr(reference, image, _INSIDE)) == pytest.approx(expected, rel=1e-5)
    assert float(quality.region_psnr(reference, reference, _INSIDE)) == pytest.approx(80.0)


def test_cosine_is_the_mean_over_places():
    maps, clean = (_RNG.normal(size=(8, 8, 5)).astype(np.float32) for _ in range(2))
    cosines = (maps * clean).sum(-1) / np.linalg.norm(maps, axis=-1) / np.linalg.norm(clean, axis=-1)
    found = quality.region_cosine(jnp.asarray(maps), jnp.asarray(clean), jnp.asarray(_INSIDE))
    assert float(found) == pytest.approx(cosines[2:6, 1:5].mean(), abs=1e-6)


def test_an_empty_region_has_no_score_and_weights_keep_the_share():
    empty, maps = jnp.zeros((8, 8)), jnp.ones((8, 8, 5))
    assert np.isnan(quality.region_cosine(maps, maps, empty)) and np.isnan(quality.region_psnr(maps, maps, empty))
    halved = quality.region_weights(jnp.asarray(np.kron([[1.0, 0.0], [0.0, 1.0]], np.ones((8, 8)))), 2, 2)
    assert halved.shape == (2, 2) and float(halved.mean()) == pytest.approx(0.5, abs=1e-6)
    assert halved[0, 0] > 0.7 > 0.3 > halved[0, 1]
